"""tfcompile as its users run it: a process with files, then a C++ program around its class."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.frontends.tools.tfcompile import main

PROGRAM = """
#include <cstdio>
#include "net.h"

struct Pool {
  int numThreads() const { return 2; }
};

int main() {
  space::inner::Net net;
  static_assert(space::inner::Net::kNumArgs == 3, "arguments");
  static_assert(space::inner::Net::arg0_count() == 6, "count");
  static_assert(space::inner::Net::arg0_size() == 24, "bytes");
  Pool pool;
  for (int k = 0; k < 6; ++k) net.arg0_data()[k] = k;
  net.arg_scale() = 3;
  net.arg2(1) = 0;
  if (!net.Run()) return 1;
  net.set_thread_pool(&pool);
  if (!net.Run() || !net.error_msg().empty()) return 2;
  net.set_thread_pool(nullptr);
  const space::inner::Net &same = net;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) std::printf("%.9g %d\\n", same.result_y(i, j), int(net.result1(i, j)));
  std::printf("%g\\n", net.result2());
  space::inner::Net other(space::inner::Net::AllocMode::RESULTS_PROFILES_AND_TEMPS_ONLY);
  if (other.Run()) return 3;
  std::printf("%s\\n", other.error_msg().c_str());
  for (int k = 0; k < 3; ++k) other.set_arg_data(k, net.arg_data(k));
  if (!other.Run()) return 4;
  std::printf("%.9g\\n", other.result0(1, 1));
}
"""
CONFIG = """
# as TensorFlow's tool takes it
feed { id { node_name: "x" } shape { dim { size: 2 } dim { size: 3 } } }
feed { id { node_name: "scale" } name: "scale" }
feed { id { node_name: "unused" } shape { dim { size: 2 } } type: DT_INT32 }
fetch { id { node_name: "y" } name: "y" }
fetch { id { node_name: "positive" } }
fetch { id { node_name: "scale" } }
"""


def command(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tensorkiln.tools.tfcompile", "--graph", "net.pb", "--config",
         "net.pbtxt", "--cpp_class", "space::inner::Net", "--out_function_object", "net.o",
         "--out_header", "net.h", *options],
        cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A graph of which `x` is fed although it is computed from what cannot be read."""
    tf.reset_default_graph()
    kernel = np.arange(6, dtype=np.float32).reshape(3, 2)
    source = tf.placeholder(tf.float32, name="source")
    x = tf.identity(source, name="x")
    x.set_shape([None, 3])
    scale = tf.placeholder(tf.float32, [], name="scale")
    tf.placeholder(tf.int32, [None], name="unused")
    y = tf.multiply(tf.matmul(x, kernel), scale, name="y")
    tf.greater(y, 40.0, name="positive")
    definition = tf.get_default_graph().as_graph_def()
    definition.node.add(name="queue", op="FIFOQueueV2")
    next(node for node in definition.node if node.name == "source").input.append("^queue")
    (tmp_path / "net.pb").write_bytes(definition.SerializeToString())
    (tmp_path / "net.pbtxt").write_text(CONFIG)
    return tmp_path


def test_a_program_around_the_class(folder: Path) -> None:
    done = command(folder)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["net.h", "net.o", "net.pb", "net.pbtxt"]
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    (folder / "main.cc").write_text(PROGRAM)
    subprocess.run(
        [compiler, "-std=c++11", "-Wall", "-Wextra", "-Werror", "main.cc", "net.o", "-o", "main",
         "-lm", "-lpthread"],
        cwd=folder, check=True,
    )  # fmt: skip
    ran = subprocess.run([folder / "main"], check=False, capture_output=True, text=True)
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    y = np.arange(6).reshape(2, 3) @ np.arange(6).reshape(3, 2) * 3
    assert lines[:4] == [f"{value} {int(value > 40)}" for value in y.reshape(-1)]
    assert lines[4:] == ["3", "argument 0 has no data", str(y[1, 1])]


def test_for_another_machine(folder: Path) -> None:
    done = command(folder, "--target_triple", "aarch64-linux-gnu", "--entry_point", "net_entry")
    assert done.returncode == 0, done.stderr
    assert (folder / "net.o").read_bytes()[18] == 183  # ELF's number of AArch64
    assert "net_entry_run(" in (folder / "net.h").read_text()


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("feed { id { node_name: 'x' } shape { dim { size: 2 } } }", "fetches nothing"),
        (CONFIG.replace('"y"', '"nothing"', 1), "names the node 'nothing', which the graph lacks"),
        (CONFIG.replace('name: "y"', 'name: "class"'), "'class' is not usable as a C\\+\\+"),
        (CONFIG + CONFIG, "is fed twice"),
        (CONFIG.replace("size: 2", "size: -1"), "'x' needs a shape whose sizes are all known"),
        (CONFIG.replace("size: 3", "size: 4"), "Dimensions must be equal, but are 4 and 3"),
        (CONFIG + "variable { node_name: 'w' }", "freeze the graph first"),
        ("fetch { id { node_name: 'y' } }", "FIFOQueueV2 \\('queue'\\)"),
        ("fetch { id { node_name: ", "cannot parse net.pbtxt"),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, config: str, text: str, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    (folder / "net.pbtxt").write_text(config)
    options = ["--graph=net.pb", "--config=net.pbtxt", "--cpp_class=Net", "--out_header=net.h"]
    assert main(options) == 1
    error = capfd.readouterr().err
    assert error.startswith("tfcompile: ")
    assert re.search(text, error), error
    assert sorted(p.name for p in folder.iterdir()) == ["net.pb", "net.pbtxt"]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--cpp_class=a-b", "is no C++ class name"),
        ("--entry_point=1x", "is not usable as a C identifier"),
        ("--target_triple=x86_64-apple-darwin", "only Linux is supported"),
        ("--target_triple=mips-linux", "choose x86_64 or aarch64"),
        ("--graph=missing.pb", "missing.pb"),
    ],
)
def test_wrong_options(
    folder: Path, option: str, text: str, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert main(["--graph=net.pb", "--config=net.pbtxt", "--cpp_class=Net", option]) == 1
    assert text in capfd.readouterr().err
