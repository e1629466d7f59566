import os
import stat

import numpy as np
import pytest

from fastnn import files
from fastnn.errors import DTypeError, StateError

STATE = {
    "weight": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    "mean": np.array([1.0, 2.0]),
    "count": np.array(7),
    "mask": np.array([True, False]),
    "none": np.empty((0, 3), np.float32),
}


def test_arrays_come_back_bit_by_bit_with_their_notes(tmp_path):
    path = tmp_path / "model.safetensors"
    files.save(STATE, path, {"accuracy": "98.3 %"})
    loaded = files.load(path)
    assert list(loaded) == sorted(STATE, key=list(loaded).index)
    for name, array in STATE.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
    assert files.load_metadata(path) == {"accuracy": "98.3 %"}
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_notes_are_optional(tmp_path):
    files.save(STATE, tmp_path / "m")
    assert files.load_metadata(tmp_path / "m") == {}


def test_other_programs_can_read_the_file(tmp_path):
    from safetensors.numpy import load_file

    files.save(STATE, tmp_path / "m")
    np.testing.assert_array_equal(load_file(tmp_path / "m")["weight"], STATE["weight"])
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) & 0o400


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_damaged_file_is_refused(tmp_path, keep):
    path = tmp_path / "m"
    files.save(STATE, path)
    path.write_bytes(path.read_bytes()[:keep])
    for read in (files.load, files.load_metadata):
        with pytest.raises(StateError, match="not a whole safetensors file"):
            read(path)


def test_an_interrupted_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    files.save({"a": np.zeros(2)}, path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.save({"a": np.ones(2)}, path)
    np.testing.assert_array_equal(files.load(path)["a"], [0, 0])
    assert os.listdir(tmp_path) == ["m"]


def test_what_is_no_number_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DTypeError, match="name must hold numbers"):
        files.save({"name": np.array(["a"])}, tmp_path / "m")
    with pytest.raises(DTypeError, match="metadata"):
        files.save(STATE, tmp_path / "m", {"epochs": 3})
    assert os.listdir(tmp_path) == []
