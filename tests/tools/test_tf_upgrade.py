"""tf_upgrade: what is rewritten, what is left, and the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tensorkiln.frontends.tools.tf_upgrade import main
from tensorkiln.frontends.tools.upgrade import upgrade


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tf.mul(a, tf.sub(b, c))", "tf.multiply(a, tf.subtract(b, c))"),
        ("y = tf.neg( x )  # why", "y = tf.negative( x )  # why"),
        ("tf.concat(1, [a, b])", "tf.concat(axis=1, values=[a, b])"),
        ("tf.concat(concat_dim=1, values=v)", "tf.concat(axis=1, values=v)"),
        ("tf.concat((1), (a, b), 'n')", "tf.concat(axis=(1), values=(a, b), name='n')"),
        ("tf.concat(0, tf.pack(x))", "tf.concat(axis=0, values=tf.stack(x))"),
        (
            "tf.split(0, 3, value=tf.concat(1, (p, [q])))",
            "tf.split(axis=0, num_or_size_splits=3, value=tf.concat(axis=1, values=(p, [q])))",
        ),
        (
            "tf.split(split_dim=0, num_split=3, value=x)",
            "tf.split(axis=0, num_or_size_splits=3, value=x)",
        ),
        ("tf.reduce_sum(x, reduction_indices=[1])", "tf.reduce_sum(x, axis=[1])"),
        ("tf.reduce_sum(x, reduction_indices = [1])", "tf.reduce_sum(x, axis = [1])"),
        ("tf.squeeze(x, squeeze_dims=[0])", "tf.squeeze(x, axis=[0])"),
        ("f(reduction_indices=1)", "f(reduction_indices=1)"),
        ("np.mul(tf.add(1, 2))", "np.mul(tf.add(1, 2))"),
        ("tf.scalar_summary('a', b)", "tf.summary.scalar('a', b)"),
        ("tf.scalar_summary(tags='a', values=b)", "tf.summary.scalar(name='a', tensor=b)"),
        ("tf.train.SummaryWriter(d)", "tf.summary.FileWriter(d)"),
        ("tf.initialize_all_variables()", "tf.global_variables_initializer()"),
        ("g(tf.zeros_initializer)", "g(tf.zeros_initializer())"),
        ("g(tf.zeros_initializer())", "g(tf.zeros_initializer())"),
        ("tf.batch_matmul(a, b, adj_y=True)", "tf.matmul(a, b, adjoint_b=True)"),
        (
            "tf.nn.softmax_cross_entropy_with_logits(y, t)",
            "tf.nn.softmax_cross_entropy_with_logits(logits=y, labels=t)",
        ),
        (
            "tf.nn.sigmoid_cross_entropy_with_logits(y, targets=t)",
            "tf.nn.sigmoid_cross_entropy_with_logits(logits=y, labels=t)",
        ),
        ("h = tf.mul", "h = tf.multiply"),
        (
            "s = 'ä€', tf.mul(ü, 'tf.mul'), tf.neg",
            "s = 'ä€', tf.multiply(ü, 'tf.mul'), tf.negative",
        ),
        (
            "tf.concat(  # along\n    1,  # rows, (so)\n    [a,\n     b])",
            "tf.concat(  # along\n    axis=1,  # rows, (so)\n    values=[a,\n     b])",
        ),
        ("(tf\n .mul)(a)", "(tf.multiply)(a)"),
        ("tf.concat(1, [a])\r\ntf.neg\r\n", "tf.concat(axis=1, values=[a])\r\ntf.negative\r\n"),
        ("tf.op_scope([x], n, 'd')", "tf.name_scope(values=[x], name=n, default_name='d')"),
    ],
)
def test_rewriting(old: str, new: str) -> None:
    done = upgrade(old, "p.py")
    assert done.text == new
    assert done.errors == []
    assert upgrade(new, "p.py").text.count("axis=axis=") == 0


def test_what_was_upgraded_stays() -> None:
    text = "tf.concat(axis=1, values=[a])\ntf.split(x, 3)\n"
    first = upgrade("tf.concat(1, [a])", "p.py").text
    assert upgrade(first, "p.py").text == first
    assert upgrade(text, "p.py").edits[0].note.startswith("Added keyword 'axis' to reordered")


def test_other_names_of_the_package() -> None:
    old = "import tensorflow as flow\nimport tensorflow\nflow.mul(tensorflow.neg(x))"
    new = "import tensorflow as flow\nimport tensorflow\nflow.multiply(tensorflow.negative(x))"
    assert upgrade(old, "p.py").text == new


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("tf.reverse(x, [True])", "tf.reverse now takes the axes"),
        ("tf.get_variable_scope().reuse_variables()", "reuse=True"),
        ("c = tf.concat\nc(1, x)", "tf.concat is not called here"),
        ("tf.concat(*parts)", "called with *arguments"),
    ],
)
def test_left_to_the_reader(source: str, text: str) -> None:
    done = upgrade(source, "p.py")
    assert done.text == source
    ((line, message),) = done.errors
    assert line == 1
    assert text in message


def test_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, report = tmp_path / "old.py", tmp_path / "new.py", tmp_path / "report.txt"
    old.write_text("import tensorflow as tf\n\ny = tf.mul(a, b)\nz = tf.reverse(y, [True])\n")
    files = ["--infile", str(old), "--outfile", str(new), "--reportfile", str(report)]
    assert main(files) == 0
    assert new.read_text().splitlines()[2] == "y = tf.multiply(a, b)"
    written = report.read_text()
    for line in (
        f"'{old}' Line 3", "Renamed function 'tf.mul' to 'tf.multiply'",
        "    Old: y = tf.mul(a, b)", "    New: y = tf.multiply(a, b)",
    ):  # fmt: skip
        assert line in written.splitlines()
    out = capsys.readouterr().out
    assert "Converted 1 files" in out
    assert "Detected 1 errors that require attention" in out
    assert f"{old}:4: tf.reverse now takes" in out
    assert f"{old}:4: tf.reverse now takes" in written


def test_a_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a.py").write_text("tf.mul(1, 2)\n")
    (source / "data.txt").write_text("x")
    (source / "two.py").write_text("print 'x'\n")
    report = ["--reportfile", str(tmp_path / "report.txt")]
    trees = ["--intree", str(source), "--outtree", str(tmp_path / "out")]
    assert main([*trees, *report]) == 1
    assert (tmp_path / "out/sub/a.py").read_text() == "tf.multiply(1, 2)\n"
    assert not (tmp_path / "out/data.txt").exists()
    assert "two.py: cannot be converted" in capsys.readouterr().out
    assert main([*trees, *report, "--copyotherfiles", "True"]) == 1
    assert (tmp_path / "out/data.txt").read_text() == "x"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--infile", "a"], ["--intree", "a"], ["--infile", "a", "--intree", "b"],
     ["--intree", "a", "--outtree", "a/b"]],
)  # fmt: skip
def test_wrong_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("tf.inv(x)\n")
    command = [sys.executable, "-m", "tensorkiln.tools.compatibility.tf_upgrade"]
    files = ["--infile", "a.py", "--outfile", "b.py"]
    ran = subprocess.run(
        [*command, *files], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Converted 1 files" in ran.stdout
    assert (tmp_path / "b.py").read_text() == "tf.reciprocal(x)\n"
    assert (tmp_path / "report.txt").exists()
