"""OASIS and IAPS as they are distributed: ratings by picture, names that differ in blanks, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published_data import OASIS_COLUMNS, iaps, oasis, touch

from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.errors import DataError

THEMES = {"Acorns 1": (4.68627450980392, 2.34653465346535), "Alcohol 2": (4.25, 3), "Baby 7": (2.97, 4.25)}
PICTURES = [("1050", 3.46, 6.87, 1), ("2055.1", 2.36, 5.5, 5), ("9999", 1, 9, 20)]


@pytest.mark.parametrize("folder", ["images", "", "Images of OASIS"])
def test_oasis(tmp_path: Path, folder: str) -> None:
    source = find_dataset(oasis(tmp_path / "set", THEMES, folder=folder))
    split = source.splits["all"]
    assert source.layout == "OASIS" and list(source.splits) == ["all"] and source.notes == ()
    assert [Path(name).stem for name in split.ids] == list(THEMES)
    assert all(split.path(index).is_file() for index in range(len(split)))
    np.testing.assert_array_equal(split.ratings, [values[::-1] for values in THEMES.values()])  # arousal first
    assert split.scale == (1.0, 7.0) and split.labels is None


@pytest.mark.parametrize("prose", [True, False])
def test_iaps(tmp_path: Path, prose: bool) -> None:
    source = find_dataset(iaps(tmp_path / "set", PICTURES, prose=prose))
    split = source.splits["all"]
    assert source.layout == "IAPS" and source.notes == ()
    assert [Path(name).name for name in split.ids] == ["1050.jpg", "2055.1.jpg", "9999.jpg"]
    np.testing.assert_array_equal(split.ratings, [[6.87, 3.46], [5.5, 2.36], [9, 1]])
    assert split.scale == (1.0, 9.0)


def test_names_that_differ_in_blanks_and_letters(tmp_path: Path) -> None:
    root = oasis(tmp_path, {"Camping 1 ": (5, 3), "Car  race 2": (4, 3), "Dog 6": (6, 4)})
    (root / "images/Car  race 2.jpg").rename(root / "images/Car race 2.JPG")
    (root / "images/Dog 6.jpg").rename(root / "images/dog 6.jpg")
    touch(root, "images/Dog6.jpg")  # two files that may be Dog 6: neither is
    source = find_dataset(root)
    assert [Path(name).name for name in source.splits["all"].ids] == ["Camping 1.jpg", "Car race 2.JPG"]
    assert source.notes == ("all: 1 left out (image not there): Dog 6",)


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    rows = [*PICTURES, ("1050", 3.4, 6.8, 7), ("3000", ".", 5, 2), ("3001", 0.4, 5, 2), ("3002", 5, 5, 2)]
    root = iaps(tmp_path, rows)
    (root / "images/3002.jpg").unlink()
    source = find_dataset(root)
    assert len(source.splits["all"]) == 3
    np.testing.assert_array_equal(source.splits["all"].ratings[0], [6.87, 3.46])  # the first row of 1050
    assert source.notes == (
        "all: 1 left out (rated in another set, too: the first row counts): 1050",
        "all: 1 left out (no rating): 3000",
        "all: 1 left out (rating out of range, which is 1 to 9): 3001",
        "all: 1 left out (image not there): 3002",
    )


def test_faults_are_named_by_line(tmp_path: Path) -> None:
    root = iaps(tmp_path, [("1050", "3,46", 5, 1), ("1051", 3, 5, 1), ("1052", 3, "x", 1)])
    with pytest.raises(DataError) as caught:
        find_dataset(root)
    assert "lines 6 ('1050, 3,46, 5'), 8 ('1052, 3, x')" in caught.value.message
    (tmp_path / "o").mkdir()
    root = oasis(tmp_path / "o", THEMES)
    with (root / "OASIS.csv").open("a") as stream:
        stream.write('"I4","Cat 1"\n')
    with pytest.raises(DataError, match="line 5"):
        find_dataset(root)


def test_half_downloaded_and_other_levels(tmp_path: Path) -> None:
    root = oasis(tmp_path / "up" / "set", THEMES)
    for level in (tmp_path / "up", root / "images"):
        with pytest.raises(DataError) as caught:
            find_dataset(level)
        assert f"OASIS is in {root}" in caught.value.hint
    (root / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="none of the pictures"):
        find_dataset(root)


def test_tables_of_ones_own_and_other_files_of_that_name(tmp_path: Path) -> None:
    root = oasis(tmp_path / "a", THEMES)
    (root / "train.csv").write_text("filename,valence,arousal\nimages/Baby 7.jpg,2,3\n")
    assert find_dataset(root).layout == "tables"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "OASIS.csv").write_text("ID,MMSE\n1,29\n")  # the brains of another OASIS
    with pytest.raises(DataError, match="no 'filename' column"):
        find_dataset(tmp_path / "b")
    assert OASIS_COLUMNS.count(",") == 9


def test_another_range_is_not_used(tmp_path: Path) -> None:
    source = find_dataset(oasis(tmp_path, THEMES), labels=Labels(ratings=True, scale=(1.0, 9.0)))
    assert source.splits["all"].scale == (1.0, 7.0)
    assert source.notes == ("OASIS is rated from 1 to 7: no other range is used",)
