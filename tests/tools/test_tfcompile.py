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
  static_assert(space::inner::Net::kNumResults == 3 && space::inner::Net::num_args() == 3, "");
  if (space::inner::Net::LookupArgIndex("scale") != 1) return 5;
  if (space::inner::Net::LookupArgIndex("y") != -1) return 6;
  if (space::inner::Net::LookupResultIndex("y") != 0) return 7;
  if (space::inner::Net::ArgSize(0) != 24 || space::inner::Net::ArgSize(3) != -1) return 8;
  if (net.args()[0] != net.arg0_data() || net.results()[1] != net.result1_data()) return 9;
  if (net.arg_scale_data() != net.arg1_data()) return 10;
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
  space::inner::Net old(space::inner::Net::AllocMode::ARGS_RESULTS_AND_TEMPS);
  if (!old.arg0_data()) return 11;
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
        (CONFIG + "variable { node_name: 'w' }", "names the node 'w', which the graph lacks"),
        (CONFIG + "variable { node_name: 'y' }", "the node 'y' is a Mul, no variable"),
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


def test_names_of_what_is_fetched(folder: Path) -> None:
    """As scripts hand them on to freeze_graph; the graph may be missing yet."""
    text = CONFIG + 'fetch { id { node_name: "y" output_index: 0 } name: "again" }'
    (folder / "net.pbtxt").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "tensorkiln.tools.tfcompile", "--config=net.pbtxt",
         "--dump_fetch_nodes"],
        cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "y,positive,scale\n")


def test_names_in_scopes_outputs_by_number_and_every_type(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with tf.Graph().as_default() as graph, tf.name_scope("net"):
        x = tf.placeholder(tf.float64, [3], name="in/x")
        flags = tf.placeholder(tf.bool, [3], name="flags")
        z = tf.placeholder(tf.complex64, [2], name="z")
        n = tf.placeholder(tf.int8, [2, 0], name="none")
        first, second = tf.split(tf.where(flags, x, -x), [1, 2], name="parts")
        tf.multiply(z, 2j, name="out/turned")
        tf.add(n, n, name="twice")
        assert (first.name, second.name) == ("net/parts:0", "net/parts:1")
    (tmp_path / "g.pbtxt").write_text(str(graph.as_graph_def()))
    (tmp_path / "c.pbtxt").write_text("""
        feed { id { node_name: "net/in/x" } shape { dim { size: 3 } } name: "x_hold" }
        feed { id { node_name: "net/flags" } shape { dim { size: 3 } } }
        feed { id { node_name: "net/z" } shape { dim { size: 2 } } }
        feed { id { node_name: "net/none" } shape { dim { size: 2 } dim { size: 0 } } }
        fetch { id { node_name: "net/parts" output_index: 1 } name: "rest" }
        fetch { id { node_name: "net/parts" } }
        fetch { id { node_name: "net/out/turned" } }
        fetch { id { node_name: "net/twice" } }
    """)
    (tmp_path / "main.cc").write_text("""
#include <cstdio>
#include "n.h"
int main() {
  Net net;
  for (int k = 0; k < 3; ++k) { net.arg_x_hold(k) = k + 1; net.arg1(k) = k != 1; }
  net.arg2(0) = std::complex<float>(1, 2);
  net.arg2(1) = 3;
  static_assert(Net::arg3_count() == 0, "");
  if (!net.Run()) return 1;
  std::printf("%g %g %g\\n", net.result_rest(0), net.result_rest(1), net.result1(0));
  std::printf("%g %g %g\\n", net.result2(0).real(), net.result2(0).imag(), net.result2(1).imag());
}
""")
    files = [f"--{k}={tmp_path / v}" for k, v in (("graph", "g.pbtxt"), ("config", "c.pbtxt"),
             ("out_header", "n.h"), ("out_function_object", "n.o"))]  # fmt: skip
    assert main([*files, "--cpp_class=::Net"]) == 0, capfd.readouterr().err
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    subprocess.run(
        [compiler, "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.cc", "n.o",
         "-o", "main", "-lm", "-lpthread"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    ran = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["-2 3 1", "-4 2 6"]
