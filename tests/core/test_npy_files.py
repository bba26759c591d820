from __future__ import annotations

import os

import numpy as np
import pytest

from affectkit.core.npy_files import load_npy


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3), np.zeros((0, 4), np.float32), np.asfortranarray(np.eye(3)), np.array(2.0)]
)
def test_whole_files_are_read(tmp_path, array, mapped):
    np.save(tmp_path / "a.npy", array)
    found = load_npy(tmp_path / "a.npy", mapped=mapped)
    assert found.dtype == array.dtype and found.shape == array.shape and np.array_equal(found, array)


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x93NUMPY", b"no array at all", header("(3,)") + bytes(8), header("(3,)") + bytes(16),
        header("(10**9, 10**9)") + bytes(8), header("(1000000000000,)") + bytes(8), header("(-3,)") + bytes(8),
        header("(3,") + bytes(12), header("((((((((((") + bytes(8), header("'x'") + bytes(8),
        header("(1.5,)") + bytes(8),
        header("(2,)", "'|O'") + bytes(16), header("(2,)", "'<q99'") + bytes(16), header("(\0,)") + bytes(8),
        b"\x93NUMPY\x07\x00" + bytes(40), b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(40),
    ],
    ids=range(17),
)  # fmt: skip
def test_damaged_files_are_one_kind_of_error(tmp_path, data):
    (tmp_path / "a.npy").write_bytes(data)
    for mapped in (False, True):
        with pytest.raises(ValueError, match="header|Python objects"):
            load_npy(tmp_path / "a.npy", mapped=mapped)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="no file"):
        load_npy(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        load_npy(tmp_path / "b.npy")
