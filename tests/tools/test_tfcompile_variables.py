"""tfcompile: variables that the class holds, read and changed by Run where they are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import tensorkiln as tf
from tensorkiln.frontends.tools.tfcompile import main

CONFIG = """
feed { id { node_name: "x" } shape { dim { size: 3 } } name: "x" }
fetch { id { node_name: "y" } name: "y" }
fetch { id { node_name: "before" } }
variable { node_name: "net/scale" name: "scale" readonly: true }
variable { node_name: "sum" shape { dim { size: 3 } } type: DT_FLOAT }
variable { node_name: "count" }
variable { node_name: "idle" }
"""
PROGRAM = """
#include <cstdio>
#include <type_traits>
#include <utility>
#include "n.h"
static_assert(Net::kNumArgs == 5 && Net::kNumVariables == 4 && Net::kNumResults == 2, "");
static_assert(std::is_same<decltype(std::declval<Net &>().var_scale_data()), const float *>(), "");
static_assert(std::is_same<decltype(std::declval<Net &>().var_sum_data()), float *>(), "");
static_assert(std::is_same<decltype(std::declval<const Net &>().var_sum(0)), const float &>(), "");
static_assert(Net::var_sum_count() == 3 && Net::var_sum_size() == 12, "");
int main() {
  Net net;
  const float scale = 2;
  if (Net::LookupVariableIndex("count") != 3 || Net::LookupVariableIndex("x") != -1) return 1;
  if (Net::ArgSize(2) != 12 || net.arg_data(2) != net.var_sum_data()) return 2;
  net.set_var_scale_data(&scale);
  net.var_count() = 40;
  for (int k = 0; k < 3; ++k) net.arg_x(k) = k;
  for (int run = 0; run < 2; ++run) {
    if (!net.Run()) return 3;
    std::printf("%g %g %g\\n", net.result_y(2), net.result1(2), double(net.var_count()));
  }
  float mine[3] = {100, 100, 100};
  net.set_var_sum_data(mine);
  if (!net.Run() || net.result_y_data() == mine) return 4;
  std::printf("%g %g %g\\n", mine[1], net.result_y(1), net.var_sum(1));
  Net bare(Net::AllocMode::RESULTS_PROFILES_AND_TEMPS_ONLY);
  bare.set_arg_x_data(mine);
  if (bare.Run()) return 5;
  std::printf("%s\\n", bare.error_msg().c_str());
}
"""


def variable(name: str, dtype: int, sizes: tuple[int, ...]) -> str:
    dims = " ".join(f"dim {{ size: {size} }}" for size in sizes)
    return f"""
    node {{ name: "{name}" op: "VarHandleOp" attr {{ key: "dtype" value {{ type: {dtype} }} }}
      attr {{ key: "shape" value {{ shape {{ {dims} }} }} }}
      attr {{ key: "shared_name" value {{ s: "{name}" }} }} }}"""


def node(name: str, kind: str, inputs: str, key: str = "T", dtype: int = 1) -> str:
    lines = " ".join(f'input: "{item}"' for item in inputs.split())
    return f"""
    node {{ name: "{name}" op: "{kind}" {lines}
      attr {{ key: "{key}" value {{ type: {dtype} }} }} }}"""


def resource_graph() -> str:
    """sum += x * scale, then count += 1; y is the new sum, before is the old one."""
    return "".join((
        node("x", "Placeholder", "", "dtype"),
        variable("net/scale", 1, ()), variable("sum", 1, (3,)), variable("count", 9, ()),
        variable("idle", 1, (2,)),
        node("scale", "ReadVariableOp", "net/scale", "dtype"),
        node("scaled", "Mul", "x scale"),
        node("old", "ReadVariableOp", "sum", "dtype"),
        node("before", "Identity", "old"),
        node("add", "AssignAddVariableOp", "sum scaled ^before", "dtype"),
        """node { name: "one" op: "Const" attr { key: "dtype" value { type: 9 } }
          attr { key: "value" value { tensor { dtype: 9 tensor_shape { } int64_val: 1 } } } }""",
        node("tick", "AssignAddVariableOp", "count one ^add", "dtype", 9),
        node("new", "ReadVariableOp", "sum ^tick", "dtype"),
        node("y", "Identity", "new"),
    ))  # fmt: skip


def compiled(folder: Path, graph: str, config: str) -> int:
    (folder / "g.pbtxt").write_text(graph)
    (folder / "c.pbtxt").write_text(config)
    files = [f"--{k}={folder / v}" for k, v in (("graph", "g.pbtxt"), ("config", "c.pbtxt"),
             ("out_header", "n.h"), ("out_function_object", "n.o"))]  # fmt: skip
    return main([*files, "--cpp_class=Net"])


def printed(folder: Path, program: str) -> list[str]:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    (folder / "main.cc").write_text(program)
    subprocess.run(
        [compiler, "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.cc", "n.o",
         "-o", "main", "-lm", "-lpthread"],
        cwd=folder, check=True,
    )  # fmt: skip
    ran = subprocess.run([folder / "main"], check=False, capture_output=True, text=True)
    assert ran.returncode == 0
    return ran.stdout.splitlines()


def test_resources_are_kept_and_changed_in_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert compiled(tmp_path, resource_graph(), CONFIG) == 0, capfd.readouterr().err
    assert printed(tmp_path, PROGRAM) == [
        "4 0 41", "8 4 42", "102 102 102", "argument 1 has no data"
    ]  # fmt: skip


def test_variables_of_version_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with tf.Graph().as_default() as graph:
        w = tf.get_variable("w", [2], use_resource=False)
        x = tf.placeholder(tf.float32, [2], name="x")
        loss = tf.reduce_sum(tf.square(w - x), name="loss")
        step = tf.train.GradientDescentOptimizer(0.25).minimize(loss)
        with tf.control_dependencies([loss]):
            tf.group(step, name="train")
        with tf.control_dependencies([step]):
            tf.identity(loss, name="done")
    config = """
        feed { id { node_name: "x" } shape { dim { size: 2 } } }
        fetch { id { node_name: "done" } }
        variable { node_name: "w" }"""
    assert compiled(tmp_path, str(graph.as_graph_def()), config) == 0, capfd.readouterr().err
    program = """
#include <cstdio>
#include "n.h"
int main() {
  Net net;
  net.arg0(0) = 8;
  net.arg0(1) = -4;
  for (int k = 0; k < 2; ++k) {
    if (!net.Run()) return 1;
    std::printf("%g %g %g\\n", net.result0(), net.var_w(0), net.var_w(1));
  }
}
"""
    assert printed(tmp_path, program) == ["80 4 -2", "20 6 -3"]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('variable { node_name: "count" }', "", "need the variable 'count': freeze the graph, or"),
        ('name: "scale" ', "", "'net/scale' needs a name that is usable"),
        (
            '"count" }',
            '"count" readonly: true }',
            "assigns to 'count', which is listed as readonly",
        ),
        ("type: DT_FLOAT", "type: DT_INT32", "'sum' is float32, not as the config says"),
        (
            '"sum" shape { dim { size: 3',
            '"sum" shape { dim { size: 4',
            "has shape .*3.*, which .*4",
        ),
        ('"sum" shape { dim { size: 3', '"sum" shape { dim { size: -1', "sizes are all known"),
        ('"idle"', '"sum"', "'sum' is listed twice"),
        ('"idle"', '"idle" name: "sum"', "'sum' names two variables"),
        ('node_name: "idle"', "", "a variable has no node_name"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, old: str, new: str, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert old in CONFIG
    assert compiled(tmp_path, resource_graph(), CONFIG.replace(old, new)) == 1
    assert re.search(text, capfd.readouterr().err)
