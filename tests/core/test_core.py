from __future__ import annotations

import contextlib
import copy
import json
import os

import numpy as np
import pytest

from affectkit import errors
from affectkit.core.contained_paths import path_inside
from affectkit.core.files import fresh_folder, read_json, to_json, whole_file, write_json, write_text
from affectkit.core.randomness import address_seed, numpy_generator, torch_generator
from affectkit.core.registry import Registry
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, DataError, UsageError


def test_addresses_tell_every_part_apart():
    seen = {
        address_seed(*parts)
        for parts in [(0, "a", 1), (0, "a", "1"), (0, "a1"), (1, "a", 1), (0, "", "a1"), (0, "a", 11)]
    }
    assert len(seen) == 6
    assert all(0 <= value < 2**63 for value in seen)


def test_an_address_is_the_same_on_every_machine():
    assert address_seed(7, "face.png", 3) == 1305907778419939569
    assert numpy_generator(1, "x").random() == numpy_generator(1, "x").random()
    assert torch_generator(1, "x").initial_seed() == address_seed(1, "x")


def test_addressed_draws_look_uniform():
    draws = np.array([address_seed(0, f"{k}.png", 5) / 2**63 for k in range(20_000)])
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    chi2 = ((counts - 1000) ** 2 / 1000).sum()
    assert chi2 < 43.8  # 99.9% point of chi-squared with 19 degrees of freedom


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), whole_file(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    write_text(path, "new")
    assert path.read_text() == "new"


def test_json_is_strict_and_keeps_unicode(tmp_path):
    write_json(tmp_path / "x.json", {"a": float("nan"), "b": [float("inf"), 1.5], "ö": tmp_path})
    assert read_json(tmp_path / "x.json") == {"a": None, "b": [None, 1.5], "ö": str(tmp_path)}
    assert json.loads(to_json({"k": -0.0})) == {"k": 0.0}
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match=r"bad\.json"):
        read_json(tmp_path / "bad.json")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a\x00b"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(DataError):
        path_inside(tmp_path, name)


def test_links_that_leave_the_folder_are_refused(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("s")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "fine").symlink_to(root / "file")
    (root / "file").write_text("f")
    with pytest.raises(DataError, match="link that leads out"):
        path_inside(root, "link")
    assert path_inside(root, "fine").read_text() == "f"


@pytest.mark.parametrize(
    ("names", "fresh"),
    [((".lock", ".config.yaml.x1.part"), True), ((".lock", "config.yaml"), False), ((".hidden",), False)],
)
def test_what_a_run_killed_at_once_leaves_is_no_content(tmp_path, names, fresh):
    for name in names:
        (tmp_path / name).touch()
    with contextlib.nullcontext() if fresh else pytest.raises(UsageError, match="is not empty"):
        assert fresh_folder(tmp_path) == tmp_path


def test_a_folder_with_content_is_refused_without_force(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match="not empty"):
        fresh_folder(tmp_path)
    assert fresh_folder(tmp_path, force=True) == tmp_path
    with pytest.raises(UsageError, match="is a file"):
        fresh_folder(tmp_path / "x")
    assert not fresh_folder(tmp_path / "new" / "deep").exists()
    with pytest.raises(UsageError, match="cannot be made"):
        fresh_folder(tmp_path / "x" / "deep")


def test_registry_refuses_duplicates_and_suggests_names():
    table = Registry("loss")
    table.add("mse", "math:sqrt", "root")
    table.add("kl", "math:log", "logarithm")
    with pytest.raises(ValueError, match="registered twice"):
        table.add("mse", "math:exp", "x")
    with pytest.raises(UsageError, match="unknown loss 'msee'; did you mean mse"):
        table.check("msee")
    with pytest.raises(UsageError, match="known are mse, kl"):
        table.resolve("zzz")
    assert table.resolve("mse")(9) == 3


def test_spec_round_trip_and_every_rule():
    spec = InputSpec("distribution", 48, 48, classes=("a", "b"), temperature=1.5)
    assert InputSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    for change in (
        {"channels": 2}, {"mean": [0.5]}, {"std": [0.0, 1, 1]}, {"height": 0}, {"fit": "x"}, {"temperature": 0},
        {"classes": ["a", "a"]}, {"later": 1},
    ):  # fmt: skip
        with pytest.raises(CheckpointError):
            InputSpec.from_dict({**spec.to_dict(), **change})
    values = spec.to_dict()
    del values["height"]
    with pytest.raises(CheckpointError, match="not complete"):
        InputSpec.from_dict(values)


def test_errors_have_their_exit_codes_and_survive_processes():
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AffectkitError)
    ]
    assert len(kinds) == 12
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert codes["UsageError"] == 2 and codes["ThresholdError"] == 3 and codes["DataError"] == codes["LockedError"] == 1
    for kind in kinds:
        error = copy.copy(kind("what", "next"))  # by __reduce__, as a worker process sends it
        assert (error.message, error.hint, str(error)) == ("what", "next", "what\nnext")
        assert kind.__name__ in errors.__doc__
    assert errors.Stopped("x", interrupted=True).exit_code == 130
    assert errors.Stopped("x").exit_code == 75
