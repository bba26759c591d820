"""AffectNetFused as tables: the same splits as read from the download."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import make_affectnet

from affectkit.data.layouts.affectnet_fused import CLASSES
from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.affectnet_fused import prepare_affectnet_fused
from affectkit.prep.images.output_folder import ImageOptions


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    root = make_affectnet(tmp_path / "source", train=40, valid=7)
    (root / "train_set/images/999.jpg").touch()
    return root


@pytest.mark.parametrize("link", ["copy", "hardlink"])
def test_tables_hold_what_the_download_holds(source: Path, tmp_path: Path, link: str) -> None:
    out = tmp_path / "out"
    report = prepare_affectnet_fused(source, out, ImageOptions(link=link))
    direct, tables = find_dataset(source), find_dataset(out)
    assert (direct.layout, tables.layout) == ("AffectNetFused", "tables")
    assert tables.classes == CLASSES and tables.notes == ()
    assert {name: len(split) for name, split in tables.splits.items()} == {"train": 40, "valid": 7}
    for name, split in direct.splits.items():
        other = tables.splits[name]
        np.testing.assert_array_equal(other.distribution, split.distribution)
        assert other.votes is None and other.labels is None
        for index in range(len(split)):
            assert other.path(index).name == split.path(index).name
            assert other.path(index).read_bytes() == split.path(index).read_bytes()
            assert other.path(index).samefile(split.path(index)) == (link == "hardlink")
    assert report.kept == {name: split.counts() for name, split in direct.splits.items()}
    assert report.dropped == {"train": {"image without annotation": 1}, "valid": {}}
    assert report.images == 47 and report.files_written == 49
    json.dumps(report.to_dict())


def test_second_run_and_other_inputs(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = prepare_affectnet_fused(source, out)
    again = prepare_affectnet_fused(source, out)
    assert again.already_done and again.files_written == 0 and again.kept == first.kept
    (source / "train_set/images/3.jpg").write_bytes(b"another image")
    with pytest.raises(UsageError, match="holds another preparation: train"):
        prepare_affectnet_fused(source, out)


def test_marker_of_a_killed_run(source: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    prepare_affectnet_fused(source, whole)
    prepare_affectnet_fused(source, out)
    identity = json.loads((out / "manifest.json").read_text())["identity"]
    (out / "manifest.json").unlink()
    (out / ".affectkit-preparing.json").write_text(json.dumps({"identity": identity}))
    (out / "images/valid/100.jpg").unlink()
    (out / "images/valid/.100.jpg.part").write_bytes(b"half")
    report = prepare_affectnet_fused(source, out)
    assert report.files_written == 1
    for path in whole.rglob("*"):
        if path.is_file():
            assert (out / path.relative_to(whole)).read_bytes() == path.read_bytes()
    assert not list(out.rglob(".*"))


def test_sources_that_are_something_else(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        prepare_affectnet_fused(tmp_path / "no", tmp_path / "out")
    with pytest.raises(DataError, match="is not AffectNetFused"):
        prepare_affectnet_fused(tmp_path, tmp_path / "out")
    (source / "val_set/annotations/100_prob_rank.txt").write_text("1,2,3")
    with pytest.raises(DataError, match=r"100_prob_rank\.txt \(3 values\)"):
        prepare_affectnet_fused(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("drop", [False, True])
def test_copies_across_splits_are_counted_or_left_out(source: Path, tmp_path: Path, drop: bool) -> None:
    splits = find_dataset(source).splits
    for number in (1, 4):
        splits["valid"].path(number).write_bytes(splits["train"].path(number).read_bytes())
    report = prepare_affectnet_fused(source, tmp_path / "out", ImageOptions(drop_copies=drop))
    assert any(note.startswith("valid: 2 of 7 images are copies of train images") for note in report.notes)
    assert report.copies["valid"]["copies_of"] == {"train": 2} and report.copies["valid"]["dropped"] == drop
    kept = [k for k in range(7) if not (drop and k in (1, 4))]
    found = find_dataset(tmp_path / "out").splits
    assert [Path(name).name for name in found["valid"].ids] == [splits["valid"].path(k).name for k in kept]
    assert len(found["train"]) == 40 and report.images == 40 + len(kept)
    assert report.dropped["valid"] == ({"copy of an image in an earlier split": 2} if drop else {})
