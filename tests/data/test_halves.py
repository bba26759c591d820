"""Halves of a split by a hash of names: fixed, whole, apart, and the same in training and in tests."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from support import CLASSES, Heard, blob, invoke, settings

from affectkit.checkpoints.checkpoint import read_header
from affectkit.data.halves import in_first_half, overlapping_fingerprints, take_half
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.runtime.distributed import ProcessGroup
from affectkit.training.data_setup import set_up_data
from affectkit.training.run import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve training and forty validation images in a table."""
    root, rng, rows = tmp_path_factory.mktemp("halves") / "data", np.random.default_rng(0), []
    (root / "images").mkdir(parents=True)
    for number in range(52):
        name, kind = f"images/{number:03}.png", number % 3
        blob(rng, kind).save(root / name)
        rows.append([name, CLASSES[kind], "train" if number < 12 else "valid"])
    with (root / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "label", "split"], *rows])
    return root


def names_of(count):
    return [f"images/{number:04}.png" for number in range(count)]


def test_a_half_goes_by_the_hash_of_the_name_alone():
    names = names_of(4000)
    first = in_first_half(names)
    assert first.tolist() == [int(hashlib.sha256(name.encode()).hexdigest()[:2], 16) % 2 == 0 for name in names]
    assert abs(first.mean() - 0.5) < 4 * 0.5 / 4000**0.5
    assert in_first_half(names[::-1]).tolist() == first[::-1].tolist()
    assert in_first_half([]).tolist() == []


def test_both_halves_are_the_whole_and_copies_go_with_their_originals():
    names = names_of(60)
    split = Split("valid", Path("."), names, ("x",))
    parts = [take_half(split, half).ids for half in ("first", "second")]
    assert sorted(parts[0] + parts[1]) == names
    assert parts[0] == [name for name in names if name in set(parts[0])]  # in their order
    assert take_half(split, "both") is split
    copied = Split("valid", Path("."), [f"copy{name}" for name in names], ("x",), sources=names)
    assert take_half(copied, "first").sources == parts[0]


def test_a_half_without_an_item_is_refused():
    name = next(name for name in names_of(20) if in_first_half([name])[0])
    with pytest.raises(DataError, match="--half second: none of the 1 items of the valid split"):
        take_half(Split("valid", Path("."), [name], ("x",)), "second")


def test_train_chooses_on_the_half_and_test_reports_on_the_other(data, tmp_path):
    names = [f"images/{number:03}.png" for number in range(12, 52)]
    first = in_first_half(names)
    heard = Heard()
    wanted = settings(data, tmp_path / "run", labels=data / "labels.csv", valid_half="first")
    found = set_up_data(wanted, group=ProcessGroup(), reporter=heard)
    assert found.valid.ids == [name for name, mine in zip(names, first, strict=True) if mine]
    assert len(found.train) == 12
    assert any(f"first half, {int(first.sum())} of 40" in text for text in heard.notes)
    with pytest.raises(UsageError, match="--folds has no validation split"):
        settings(data, tmp_path / "run", valid_half="first", folds="3").check()


def test_a_half_of_what_is_held_out_of_training_is_refused(data, tmp_path):
    """No test could be on its other half."""
    with (data / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "label"], *([row["filename"], row["label"]] for row in rows)])
    wanted = settings(data, tmp_path / "run", labels=labels, valid_half="first")
    with pytest.raises(UsageError, match="--valid-half first: .* has no validation split") as caught:
        set_up_data(wanted, group=ProcessGroup(), reporter=Heard())
    assert "datasplit" in caught.value.hint
    found = set_up_data(settings(data, tmp_path / "run", labels=labels), group=ProcessGroup(), reporter=Heard())
    assert len(found.train) + len(found.valid) == 52


def test_what_has_items_in_common_with_a_half_is_known_by_its_fingerprint(data):
    names = [f"images/{number:03}.png" for number in range(12, 52)]
    whole = Split("valid", data, names, ("x",))
    first, second = (take_half(whole, half) for half in ("first", "second"))
    prints = {"both": whole.fingerprint(), "first": first.fingerprint(), "second": second.fingerprint()}
    assert len(set(prints.values())) == 3
    for half, others in (("both", set(prints)), ("first", {"both", "first"}), ("second", {"both", "second"})):
        assert overlapping_fingerprints(whole, half) == {prints[name] for name in others}
    alone = Split("valid", data, [name for name in names if in_first_half([name])[0]][:1], ("x",))
    assert overlapping_fingerprints(alone, "both") == {alone.fingerprint()}


@pytest.mark.usefixtures("no_figures")
def test_a_threshold_is_known_to_be_of_items_that_chose_the_epoch_or_are_tested_on(data, tmp_path):
    """Chosen, fitted and tested on: a half, the other, or the whole. What overlaps is told, what does not is not."""
    tail = ("--data", data, "--labels", data / "labels.csv", "--split", "valid", "--device", "cpu", "--workers", "0")
    runs = {half: tmp_path / f"chose-{half}" for half in ("both", "first")}
    for half, root in runs.items():
        train(settings(data, root, labels=data / "labels.csv", valid_half=half, epochs=1), reporter=Heard())
    fitted = {}
    for chose, half, overlap in (
        ("first", "first", True), ("first", "second", False), ("first", "both", True), ("both", "second", True),
    ):  # fmt: skip
        fitted[chose, half] = tmp_path / f"{chose}-{half}.safetensors"
        wish = ("--abstain", "coverage=0.5,confidence=0.6", "--output", fitted[chose, half], "--half", half)
        done = invoke("calibrate", runs[chose], *tail, *wish)
        assert done.returncode == 0, done.stderr
        assert read_header(fitted[chose, half]).training["abstention"]["chose_epoch"] is overlap
        assert ("these items chose the epoch" in " ".join(done.stderr.split())) == overlap
    for of, half, told in (
        (("first", "second"), "first", ""),
        (("first", "second"), "second", "these very items"),
        (("first", "second"), "both", "some of these items, or on all of them and more"),
        (("first", "both"), "second", "some of these items, or on all of them and more"),
    ):
        done = invoke("test", "--checkpoint", fitted[of], *tail, "--half", half, "--abstain", "stored", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["abstention"]["fitted_on_these"] == bool(told)
        said = " ".join(done.stderr.split())
        assert (f"was fitted on {told}:" in said) if told else "was fitted on" not in said


def test_test_says_which_half_it_was_of(data, tmp_path, no_figures):
    arguments = ["test", "--checkpoint", "builtin", "--data", str(data), "--split", "valid", "--json"]
    labels = tmp_path / "labels.csv"
    emotions = dict(zip(CLASSES, ("happiness", "sadness", "anger"), strict=True))
    with (data / "labels.csv").open(newline="") as stream:
        rows = [[row["filename"], emotions[row["label"]], row["split"]] for row in csv.DictReader(stream)]
    with labels.open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "label", "split"], *rows])
    found = {}
    for half in ("both", "first", "second"):
        result = invoke(*arguments, "--labels", str(labels), "--half", half, "--results", str(tmp_path / half))
        assert result.returncode == 0, result.stderr
        found[half] = json.loads(result.stdout)
    assert "half" not in found["both"] and found["second"]["half"] == "second"
    assert found["first"]["images"] + found["second"]["images"] == found["both"]["images"] == 40
    first = json.loads((tmp_path / "first" / "results.json").read_text())
    assert first["half"] == "first"
