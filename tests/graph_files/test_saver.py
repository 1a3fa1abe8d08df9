from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf

train = tf.train


@pytest.fixture(autouse=True)
def _fresh_graph() -> None:
    tf.reset_default_graph()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_names_of_the_ops() -> None:
    tf.get_variable("w", [2])
    saver = train.Saver()
    made = [op.name for op in tf.get_default_graph().get_operations() if op.name[:5] == "save/"]
    assert made == [
        "save/filename/input", "save/filename", "save/Const", "save/SaveV2/tensor_names",
        "save/SaveV2/shape_and_slices", "save/SaveV2", "save/control_dependency",
        "save/RestoreV2/tensor_names", "save/RestoreV2/shape_and_slices", "save/RestoreV2",
        "save/Assign", "save/restore_all",
    ]  # fmt: skip
    definition = saver.as_saver_def()
    assert definition.filename_tensor_name == "save/Const:0"
    assert definition.save_tensor_name == "save/control_dependency:0"
    assert definition.restore_op_name == "save/restore_all"


def test_save_keeps_the_latest_and_restore_needs_no_initializer(tmp_path: Path) -> None:
    w = tf.Variable([[1.0, 2.0]], name="w")
    n = tf.Variable(0, name="n", trainable=False)
    saver = train.Saver(max_to_keep=2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for _ in range(4):
            sess.run([tf.assign_add(n, 1), tf.assign(w, w * 2.0)])
            path = saver.save(sess, f"{tmp_path}/my.ckpt", global_step=n, write_meta_graph=False)
        assert path == f"{tmp_path}/my.ckpt-4"
    assert names(tmp_path) == [
        "checkpoint", "my.ckpt-3.data-00000-of-00001", "my.ckpt-3.index",
        "my.ckpt-4.data-00000-of-00001", "my.ckpt-4.index",
    ]  # fmt: skip
    assert saver.last_checkpoints == [f"{tmp_path}/my.ckpt-3", f"{tmp_path}/my.ckpt-4"]
    state = train.get_checkpoint_state(str(tmp_path))
    assert state.model_checkpoint_path.split("/")[-1].split("-")[-1] == "4"
    with tf.Session() as sess:
        saver.restore(sess, train.latest_checkpoint(str(tmp_path)))
        np.testing.assert_array_equal(sess.run(w), [[16.0, 32.0]])
        saver.restore(sess, f"{tmp_path}/my.ckpt-3")
        np.testing.assert_array_equal(sess.run(w), [[8.0, 16.0]])
        assert sess.run(n) == 3


def test_the_ops_in_the_graph_save_and_restore_too(tmp_path: Path) -> None:
    w = tf.Variable([1.0, 2.0], name="w")
    train.Saver()
    with tf.Session() as sess:
        sess.run(w.initializer)
        feed = {"save/Const:0": f"{tmp_path}/x"}
        assert sess.run("save/control_dependency:0", feed) == f"{tmp_path}/x".encode()
        sess.run(tf.assign(w, [5.0, 5.0]))
        sess.run("save/restore_all", feed)
        np.testing.assert_array_equal(sess.run(w), [1.0, 2.0])


def test_relative_paths_in_the_state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    tf.Variable(1.0, name="v")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        train.Saver().save(sess, "./model/m", 1, write_meta_graph=False)
        text = (tmp_path / "model/checkpoint").read_text()
        assert text.splitlines()[0] == 'model_checkpoint_path: "m-1"'
        assert train.latest_checkpoint("./model") == "./model/m-1"
        saver = train.Saver(save_relative_paths=True)
        saver.save(sess, f"{tmp_path}/model/n", 2, write_meta_graph=False)
    assert '"n-2"' in (tmp_path / "model/checkpoint").read_text()
    assert train.latest_checkpoint(str(tmp_path / "model")) == f"{tmp_path}/model/n-2"


def test_a_later_run_goes_on_from_the_checkpoints_it_finds(tmp_path: Path) -> None:
    tf.Variable(1.0, name="v")
    first, second = train.Saver(max_to_keep=2), train.Saver(max_to_keep=2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in (1, 2):
            first.save(sess, f"{tmp_path}/m", step, write_meta_graph=False)
        state = train.get_checkpoint_state(str(tmp_path))
        second.recover_last_checkpoints([*state.all_model_checkpoint_paths, f"{tmp_path}/gone"])
        second.save(sess, f"{tmp_path}/m", 3, write_meta_graph=False)
    assert second.last_checkpoints == [f"{tmp_path}/m-2", f"{tmp_path}/m-3"]
    assert not train.checkpoint_exists(f"{tmp_path}/m-1")
    assert len(train.get_checkpoint_mtimes([f"{tmp_path}/m-{k}" for k in range(4)])) == 2


def test_errors_of_saving(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No variables to save"):
        train.Saver()
    v = tf.Variable(1.0, name="v")
    with pytest.raises(ValueError, match="At least two variables have the same name: v"):
        train.Saver([v, v])
    with pytest.raises(TypeError, match="must be a dict mapping string names"):
        train.Saver({"a": 3})
    with pytest.raises(TypeError, match=r"passed in a dict or a list. Got 3"):
        train.Saver(3)
    saver = train.Saver()
    with tf.Session() as sess:
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
            saver.save(sess, f"{tmp_path}/x")
        sess.run(v.initializer)
        with pytest.raises(ValueError, match=r"Parent directory of .* doesn't exist, can't save."):
            saver.save(sess, f"{tmp_path}/missing/x")
        with pytest.raises(ValueError, match="no path specified"):
            saver.save(sess, "")
        with pytest.raises(ValueError, match="must not contain path components"):
            saver.save(sess, f"{tmp_path}/x", latest_filename="a/b")
        with pytest.raises(TypeError, match="'sess' must be a Session"):
            saver.save(None, f"{tmp_path}/x")
    assert names(tmp_path) == []


def test_errors_of_restoring(tmp_path: Path) -> None:
    v, n = tf.Variable([1.0, 2.0], name="v"), tf.Variable([3], name="n")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = train.Saver().save(sess, f"{tmp_path}/x", write_meta_graph=False)
        saver = train.Saver({"v": v, "missing": n})
        sess.run(tf.assign(v, [7.0, 7.0]))
        with pytest.raises(tf.errors.NotFoundError) as missing:
            saver.restore(sess, path)
        assert "Key missing not found in checkpoint" in str(missing.value)
        assert str(missing.value).startswith("Restoring from checkpoint failed. This is most ")
        np.testing.assert_array_equal(sess.run(v), [7.0, 7.0])  # all or none
        with pytest.raises(tf.errors.InvalidArgumentError, match="expected dtype int32 does not "):
            train.Saver({"v": n}).restore(sess, path)
        scalar = tf.Variable(1.0, name="scalar")
        with pytest.raises(tf.errors.InvalidArgumentError) as mismatch:
            train.Saver({"v": scalar}).restore(sess, path)
        assert "lhs shape= [] rhs shape= [2]" in str(mismatch.value)
        assert "mismatch between the current graph" in str(mismatch.value)
        with pytest.raises(ValueError, match=r"not a valid checkpoint: .*nothing"):
            saver.restore(sess, f"{tmp_path}/nothing")
        with pytest.raises(ValueError, match=r"Can't load save_path when it is None."):
            saver.restore(sess, None)


def test_looking_into_checkpoints(tmp_path: Path) -> None:
    tf.Variable([1.0, 2.0], name="w")
    tf.Variable([[3]], name="b")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = train.Saver().save(sess, f"{tmp_path}/x", write_meta_graph=False)
    assert train.list_variables(path) == [("b", [1, 1]), ("w", [2])]
    assert train.list_variables(str(tmp_path)) == [("b", [1, 1]), ("w", [2])]
    np.testing.assert_array_equal(train.load_variable(str(tmp_path), "w:0"), [1.0, 2.0])
    reader = train.NewCheckpointReader(path)
    assert reader.get_variable_to_shape_map() == {"b": [1, 1], "w": [2]}
    assert reader.get_variable_to_dtype_map() == {"b": tf.int32, "w": tf.float32}
    assert reader.has_tensor("w")
    assert not reader.has_tensor("q")
    assert reader.debug_string() == b"b (DT_INT32) [1,1]\nw (DT_FLOAT) [2]\n"
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file or checkpoints in"):
        train.list_variables(str(tmp_path.parent))
    assert train.latest_checkpoint(str(tmp_path.parent)) is None
    (tmp_path / "checkpoint").write_text("model_checkpoint_path: {")
    assert train.get_checkpoint_state(str(tmp_path)) is None
