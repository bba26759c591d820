"""FER-2013's table: numbers to names, usages to splits, pixels to images, faults by line, copies."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_data import fer2013

from affectkit.core.shards import Shard
from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.fer2013 import prepare_fer2013
from affectkit.prep.images.output_folder import ImageOptions

NAMES = {0: "anger", 1: "disgust", 2: "fear", 3: "happiness", 4: "sadness", 5: "surprise", 6: "neutral"}
"""As the competition numbers them."""
ALL = {"Training": range(7), "PublicTest": (6, 0), "PrivateTest": (3, 4, 5)}


@pytest.mark.parametrize(("name", "blank"), [("fer2013.csv", ""), ("icml_face_data.csv", " "), ("faces.csv", "")])
def test_numbers_and_usages_are_the_competitions(tmp_path: Path, name: str, blank: str) -> None:
    source = fer2013(tmp_path / "download" / "inner", ALL, name=name, blank=blank)
    report = prepare_fer2013(source.parent, tmp_path / "out")
    assert report.kept == {
        "train": dict.fromkeys(NAMES.values(), 1),
        "valid": {name: int(name in ("neutral", "anger")) for name in NAMES.values()},
        "test": {name: int(name in ("happiness", "sadness", "surprise")) for name in NAMES.values()},
    }
    assert "train: 7 rows, and FER-2013 has 28,709: is the table whole?" in report.notes
    found = find_dataset(tmp_path / "out")
    assert list(found.splits) == ["train", "valid", "test"] and set(found.classes) == set(NAMES.values())
    for split, numbers in zip(found.splits.values(), ALL.values(), strict=True):
        assert [split.classes[label] for label in split.labels] == [NAMES[number] for number in numbers]
    assert found.splits["valid"].ids == ["images/valid/row00007.png", "images/valid/row00008.png"]
    pixels = np.random.default_rng(0).integers(0, 256, (12, 48 * 48))
    for row, split in ((0, "train"), (8, "valid"), (11, "test")):
        image = np.asarray(Image.open(tmp_path / "out" / "images" / split / f"row{row:05d}.png"))
        np.testing.assert_array_equal(image, pixels[row].reshape(48, 48))
    again = prepare_fer2013(source.parent, tmp_path / "out")
    assert again.already_done and again.kept == report.kept and again.notes == report.notes


def test_faults_are_named_by_line(tmp_path: Path) -> None:
    fer2013(tmp_path, {"Training": range(5)})
    lines = (tmp_path / "fer2013.csv").read_text().splitlines()
    lines[1] = lines[1].replace("0,", "7,", 1)
    lines[2] = lines[2].rpartition(" ")[0] + ",Training"
    lines[3] = lines[3].replace("Training", "Tranning")
    lines[4] += ",1"
    (tmp_path / "fer2013.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError) as caught:
        prepare_fer2013(tmp_path, tmp_path / "out")
    text = caught.value.message
    assert "emotion must be a whole number from 0 to 6: line 2 ('7')" in text
    assert "2304 values from 0 to 255 between blanks: line 3" in text
    assert "Usage must be one of Training, PublicTest, PrivateTest: line 4 ('Tranning')" in text
    assert "rows must have 3 columns: line 5 (4)" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["256", "-1", "1_0", "\N{ARABIC-INDIC DIGIT THREE}", "7.0", "+7"])
def test_pixels_that_are_no_bytes_are_named_before_anything_is_written(tmp_path: Path, value: str) -> None:
    fer2013(tmp_path, {"Training": (1, 2), "PublicTest": (3,)})
    lines = (tmp_path / "fer2013.csv").read_text().splitlines()
    lines[3] = re.sub(r"(?<=,)\d+ ", f"{value} ", lines[3], count=1)
    (tmp_path / "fer2013.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="2304 values from 0 to 255 between blanks: line 4"):
        prepare_fer2013(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_copies_are_counted_and_dropped_on_request(tmp_path: Path) -> None:
    fer2013(tmp_path, {"Training": (1, 2), "PublicTest": (3, 4)})
    lines = (tmp_path / "fer2013.csv").read_text().splitlines()
    lines[3] = lines[1].replace("1,", "3,", 1).replace("Training", "PublicTest")
    (tmp_path / "fer2013.csv").write_text("\n".join(lines) + "\n")
    report = prepare_fer2013(tmp_path, tmp_path / "a")
    assert report.copies["valid"]["copies"] == 1 and report.images == 4
    dropped = prepare_fer2013(tmp_path, tmp_path / "b", ImageOptions(drop_copies=True))
    assert dropped.images == 3 and dropped.by_rule["valid"] == 2
    assert dropped.dropped == {"valid": {"copy of an image in an earlier split": 1}}
    with pytest.raises(UsageError, match="another preparation"):
        prepare_fer2013(tmp_path, tmp_path / "a", ImageOptions(drop_copies=True))


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds neither fer2013.csv nor icml_face_data.csv"):
        prepare_fer2013(tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="does not exist"):
        prepare_fer2013(tmp_path / "none", tmp_path / "out")
    source = fer2013(tmp_path / "in", {"Training": (1, 2), "PublicTest": (0,)})
    with pytest.raises(DataError, match="no 'filename' column") as caught:
        find_dataset(source)
    assert "affectkit prep fer2013" in caught.value.hint
    (source / "fer2013new.csv").write_text("Usage,Image name\n")
    report = prepare_fer2013(source, tmp_path / "out")
    assert any("affectkit prep ferplus" in note for note in report.notes)
    assert any("no test row" in note for note in report.notes)


def test_shards_make_the_same_folder(tmp_path: Path) -> None:
    from affectkit.core.progress import Silent
    from affectkit.prep.images.merge import merge_preparation

    source = fer2013(tmp_path / "in", ALL)
    prepare_fer2013(source, tmp_path / "whole")
    for number in (1, 2):
        prepare_fer2013(source, tmp_path / "parts", ImageOptions(shard=Shard(number, 2)))
    merge_preparation(tmp_path / "parts", reporter=Silent())
    files = {str(path.relative_to(tmp_path / "whole")): path.read_bytes() for path in (tmp_path / "whole").rglob("*.*")}
    assert {name: (tmp_path / "parts" / name).read_bytes() for name in files} == files
