"""Files of torch.save: told by their bytes, read without running code from them."""

from __future__ import annotations

import argparse
import fractions
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from affectkit.errors import CheckpointError
from affectkit.models.external.restricted_pickle import is_pickled, load_pickled

PLAIN = {"R": np.float64(0.5), "rmse": np.float32(0.25), "epoch": 3, "w": torch.arange(4.0), "h": torch.ones(2).half()}


class Runs:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_and_numpy_scalars_are_read(tmp_path, zipped):
    path = tmp_path / "x.safetensors"  # the name does not matter
    torch.save(PLAIN, path, _use_new_zipfile_serialization=zipped)
    found = load_pickled(path)
    assert is_pickled(path)
    assert (found["R"], found["rmse"], found["epoch"]) == (0.5, 0.25, 3)
    assert torch.equal(found["w"], PLAIN["w"]) and found["h"].dtype == torch.float16


@pytest.mark.parametrize("zipped", [True, False])
def test_the_values_of_a_command_line_are_read(tmp_path, zipped):
    path = tmp_path / "x.pth"
    torch.save({**PLAIN, "args": argparse.Namespace(lr=0.1, tags=["a"])}, path, _use_new_zipfile_serialization=zipped)
    assert load_pickled(path)["args"] == argparse.Namespace(lr=0.1, tags=["a"])
    torch.save({"args": argparse.Namespace(run=Runs("false"))}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"posix\.system"):
        load_pickled(path)


def test_the_module_names_of_numpy_1_are_read(tmp_path):
    path, older = tmp_path / "2.pth", tmp_path / "1.pth"
    torch.save(PLAIN, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert data.count(b"numpy._core.multiarray") == 1
    older.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert load_pickled(older)["R"] == 0.5


def test_files_are_told_by_their_bytes(tmp_path):
    ours = tmp_path / "weights.pth"
    for length in range(0, 2000, 8):  # headers whose length begins like a pickle (0x0280, 0x0380, ...) among them
        save_file({"a": torch.zeros(1)}, ours, metadata={"x": " " * length})
        assert not is_pickled(ours)
    ours.write_bytes(b"")
    assert not is_pickled(ours)


def evil(path, marker, kind):
    thing = {"state_dict": Runs(f"touch {marker}"), **PLAIN}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(thing))
    else:
        torch.save(thing, path, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, kind):
    path, marker = tmp_path / "evil.pth", tmp_path / "ran"
    evil(path, marker, kind)
    with pytest.raises(CheckpointError, match="which can hold code" if kind == "pickle" else r": posix\.system\."):
        load_pickled(path)
    assert not marker.exists()
    if kind != "pickle":  # the file does run it where it is let to
        torch.load(path, weights_only=False)
        assert marker.exists()


def test_everything_that_a_file_wants_is_listed(tmp_path):
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        things = {"step": fractions.Fraction(1, 3), "array": np.arange(3.0), "layer": torch.nn.Linear(1, 1)}
        torch.save(things, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointError) as caught:
            load_pickled(path)
        for name in ("fractions.Fraction", "numpy.ndarray", "torch.nn.modules.linear.Linear"):
            assert name in caught.value.message
        assert "runs no code" in caught.value.hint


def test_other_kinds_of_numpy_scalars_and_protocols_are_refused(tmp_path):
    torch.save({"n": np.int64(3)}, tmp_path / "n.pth")
    with pytest.raises(CheckpointError, match=r"more than tensors and numbers: .*Int64DType"):
        load_pickled(tmp_path / "n.pth")
    torch.save(PLAIN, tmp_path / "4.pth", pickle_protocol=4)
    with pytest.raises(CheckpointError, match="more than tensors and numbers"):
        load_pickled(tmp_path / "4.pth")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_file_that_was_cut_off(tmp_path, zipped, share):
    path = tmp_path / "x.pth"
    torch.save({**PLAIN, "big": torch.randn(20_000)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(CheckpointError, match="cut off|damaged") as caught:
        load_pickled(path)
    assert "fetch it again" in caught.value.hint


def test_one_flipped_bit_is_found(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"big": torch.randn(20_000)}, path)
    data = bytearray(path.read_bytes())
    data[40_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"damaged: the checksum of .*data/0 does not match"):
        load_pickled(path)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\x80\0"])
@pytest.mark.parametrize("directory", [True, False])
def test_a_name_in_the_archive_that_is_no_text(tmp_path, name, directory):
    path = tmp_path / "x.pth"
    torch.save(PLAIN, path)
    data = path.read_bytes()
    mark, length = (b"PK\x01\x02", 46) if directory else (b"PK\x03\x04", 30)
    at = data.index(mark)
    flags = at + (8 if directory else 6)
    data = data[: flags + 1] + bytes([data[flags + 1] | 8]) + data[flags + 2 :]  # names are UTF-8
    path.write_bytes(data[: at + length] + name + data[at + length + len(name) :])
    with pytest.raises(CheckpointError, match="cut off or damaged"):
        load_pickled(path)


def test_an_archive_that_unpacks_to_much_is_not_unpacked(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(3_000_000))
    with pytest.raises(CheckpointError, match="unpacks to 3,000,000 bytes"):
        load_pickled(path)


def test_a_file_without_checksums_is_read(tmp_path):
    path = tmp_path / "x.pth"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(PLAIN, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert load_pickled(path)["epoch"] == 3


def test_files_of_other_kinds(tmp_path):
    path = tmp_path / "x.pth"
    with pytest.raises(CheckpointError, match="does not exist"):
        load_pickled(path)
    with pytest.raises(CheckpointError, match="is a folder"):
        load_pickled(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="is empty"):
        load_pickled(path)
    path.write_text("<html>404</html>")
    with pytest.raises(CheckpointError, match=r"not a file that torch\.save wrote"):
        load_pickled(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(CheckpointError, match="a zip archive, but not one"):
        load_pickled(path)
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))
    with pytest.raises(CheckpointError, match="TorchScript archive"):
        load_pickled(path)


def test_a_length_beyond_the_file_takes_no_memory(tmp_path):
    """A text that says it has 2^40 bytes, in the older format."""
    torch.save({"w": torch.ones(2), "a" * 300: 1}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    data = (tmp_path / "x.pth").read_bytes()
    begin = data.index(b"X" + (300).to_bytes(4, "little") + b"aaa")
    (tmp_path / "x.pth").write_bytes(data[:begin] + b"\x8d" + (2**40).to_bytes(8, "little") + data[begin + 5 :])
    with pytest.raises(CheckpointError) as caught:
        load_pickled(tmp_path / "x.pth")
    assert not isinstance(caught.value.__cause__, MemoryError)
