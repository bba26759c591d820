"""EMOTIC: three forms of annotations give the same persons; boxes, categories, ratings, and what is left out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_data import cut_short, emotic
from scipy.io import savemat

from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.errors import DataError
from affectkit.prep.images.emotic import EmoticOptions, prepare_emotic
from affectkit.prep.images.emotic_persons import CATEGORIES

TWO = [
    ((5, 6, 25, 30), ("Happiness", "Peace"), (7, 3, 6)),
    ((30, 2, 50, 20), ("Doubt/Confusion", "Confidence"), (4, 5, 5)),
]
PICTURES = {
    "train": {"mscoco/images/a.jpg": TWO, "ade20k/images/b.jpg": [((0, 0, 10, 10), ("Anger",), (2, 8, 9))]},
    "val": {"framesdb/images/c.jpg": [((1, 1, 20, 20), ("Fear", "Pain", "Sadness"), (1.5, 6, 2))]},
    "test": {"emodb_small/images/d.jpg": [((1, 1, 20, 20), ("Yearning",), (10, 1, 1))]},
}


def rows(out: Path, split: str) -> dict[str, dict[str, str]]:
    with (out / f"{split}.csv").open(newline="") as stream:
        return {Path(row["filename"]).stem: row for row in csv.DictReader(stream)}


def as_mat2py(root: Path) -> None:
    """Write the tables that mat2py.py makes, in place of the MATLAB file."""
    (root / "Annotations" / "Annotations.mat").unlink()
    (root / "emotic_pre").mkdir()
    header = ["Index", "Folder", "Filename", "Image Size", "BBox", "Categorical_Labels", "Continuous_Labels"]
    header += ["Gender", "Age"]
    for split, pictures in PICTURES.items():
        with (root / "emotic_pre" / f"{split}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(header)
            for name, persons in pictures.items():
                folder, _, file = name.rpartition("/")
                for box, categories, ratings in persons:
                    writer.writerow(
                        [0, folder, file, [60, 40], list(box), list(categories), list(ratings), "Female", "Adult"]
                    )


def as_arrays(root: Path) -> Path:
    """Write tables with arrays of the same persons."""
    place = root.parent / "archive"
    (place / "annots_arrs").mkdir(parents=True)
    (place / "img_arrs").mkdir()
    for split, pictures in PICTURES.items():
        with (place / "annots_arrs" / f"annot_arrs_{split}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["", "Folder", "Filename", "Arr_name", "Crop_name", "Valence", "Arousal", "Dominance",
                             *CATEGORIES, "Gender", "Age"])  # fmt: skip
            for name, persons in pictures.items():
                for number, (box, categories, ratings) in enumerate(persons, 1):
                    file = f"crop_{split}_{Path(name).stem}_{number}.npy"
                    with Image.open(root / "emotic" / name) as picture:
                        np.save(place / "img_arrs" / file, np.asarray(picture.convert("RGB").crop(box)))
                    flags = [float(category in categories) for category in CATEGORIES]
                    writer.writerow(["0", "x", "y", "img.npy", file, *ratings, *flags, "Female", "Adult"])
    return place


@pytest.mark.parametrize("form", ["mat", "mat2py", "arrays"])
def test_categories_and_persons(tmp_path: Path, form: str) -> None:
    root = emotic(tmp_path / "in", PICTURES)
    if form == "mat2py":
        as_mat2py(root)
    root = as_arrays(root) if form == "arrays" else root
    report = prepare_emotic(root, tmp_path / "out")
    assert report.images == 5 and report.dropped == {} and any("average precision" in note for note in report.notes)
    for split, name in (("train", "train"), ("valid", "val"), ("test", "test")):
        found = list(rows(tmp_path / "out", split).values())
        wanted = [person for persons in PICTURES[name].values() for person in persons]
        for row, (_, categories, _) in zip(found, wanted, strict=True):
            given = {category: float(row[category]) for category in CATEGORIES if float(row[category])}
            assert given == pytest.approx(dict.fromkeys(categories, 1 / len(categories)), abs=1e-6)
            assert (row["gender"], row["age"]) == ("Female", "Adult")
    source = find_dataset(tmp_path / "out")
    assert source.classes == CATEGORIES and list(source.splits) == ["train", "valid", "test"]
    assert source.splits["train"].distribution.shape == (3, 26) and source.splits["train"].votes is None
    np.testing.assert_allclose(source.splits["valid"].distribution.sum(axis=1), 1, atol=1e-6)
    picture = np.asarray(Image.open(source.splits["train"].path(0))).astype(int)
    assert picture.shape == (24, 20, 3) and np.abs(picture - (255, 0, 0)).max() < 12  # the first person alone
    if form == "mat":
        names = ["mscoco_a_1", "mscoco_a_2", "ade20k_b_1"]
        assert [Path(name).stem for name in source.splits["train"].ids] == names


def test_ratings(tmp_path: Path) -> None:
    prepare_emotic(emotic(tmp_path / "in", PICTURES), tmp_path / "out", EmoticOptions(target="ratings"))
    source = find_dataset(tmp_path / "out")
    np.testing.assert_allclose(source.splits["train"].ratings, [[3, 7], [5, 4], [8, 2]])  # arousal first
    np.testing.assert_allclose(source.splits["valid"].ratings, [[6, 1.5]])
    assert source.splits["test"].scale == (1.0, 10.0)
    assert find_dataset(tmp_path / "out", labels=Labels(ratings=True)).splits["test"].scale == (1.0, 10.0)


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    nan = float("nan")
    pictures = {"train": {
        "mscoco/images/a.jpg": [((5, 6, 25, 30), ("Happiness",), (7, 3, 6)), ((70, 0, 90, 9), ("Peace",), (5, 5, 5)),
                                ((0, 0, 9, 9), (), (nan, 5, 5)), ((0, 0, 9, 9), ("Joy",), (11, 5, 5))],
        "mscoco/images/gone.jpg": [((0, 0, 9, 9), ("Fear",), (5, 5, 5))],
        "mscoco/images/broken.jpg": [((0, 0, 9, 9), ("Fear",), (5, 5, 5))],
        "mscoco/images/cut.jpg": [((0, 0, 9, 9), ("Fear",), (5, 5, 5))],
    }}  # fmt: skip
    root = emotic(tmp_path / "in", pictures)
    (root / "emotic/mscoco/images/gone.jpg").unlink()
    (root / "emotic/mscoco/images/broken.jpg").write_bytes(b"no picture")
    cut_short(root / "emotic/mscoco/images/cut.jpg")
    report = prepare_emotic(root, tmp_path / "out")
    common = {"box of the person not in the picture": 1, "picture not there": 1, "picture cannot be decoded": 2}
    assert report.images == 1
    assert report.dropped == {"train": {"no category": 1, "a category that is none of the 26": 1, **common}}
    assert any("mscoco_gone_1" in note for note in report.notes)
    rated = prepare_emotic(root, tmp_path / "rated", EmoticOptions(target="ratings"))
    own = {"valence or arousal not known": 1, "valence or arousal outside 1 to 10": 1}
    assert rated.dropped == {"train": {**own, **common}}


def test_arrays_that_are_no_pictures_are_left_out_too(tmp_path: Path) -> None:
    place = as_arrays(emotic(tmp_path / "in", PICTURES)) / "img_arrs"
    damaged = sorted(place.glob("crop_train_*"))[:2]
    damaged[0].write_bytes(damaged[0].read_bytes()[:-1])
    np.save(damaged[1], np.zeros((4, 4)))
    report = prepare_emotic(place.parent, tmp_path / "out")
    assert report.dropped == {"train": {"picture cannot be decoded": 2}} and report.images == 3


def test_copies_are_of_picture_and_box(tmp_path: Path) -> None:
    other = ((1, 1, 9, 9), ("Peace",), (5, 5, 5))
    both = {"mscoco/images/a.jpg": TWO}
    root = emotic(tmp_path / "in", {"train": both, "test": {"mscoco/images/a.jpg": [TWO[0], other]}})
    report = prepare_emotic(root, tmp_path / "out")
    assert report.copies["test"]["copies"] == 1 and report.images == 4
    dropped = prepare_emotic(root, tmp_path / "fewer", EmoticOptions(drop_copies=True))
    assert dropped.images == 3 and dropped.dropped == {"test": {"copy of an image in an earlier split": 1}}
    assert list(rows(tmp_path / "fewer", "test")) == ["mscoco_a_2"]


def test_damaged_and_other_files(tmp_path: Path) -> None:
    root = emotic(tmp_path / "in", PICTURES)
    path = root / "Annotations" / "Annotations.mat"
    whole = path.read_bytes()
    for damage in (b"no MATLAB file", whole[: len(whole) // 2]):
        path.write_bytes(damage)
        with pytest.raises(DataError, match=r"cannot read .*Annotations\.mat"):
            prepare_emotic(root, tmp_path / "out")
    path.write_bytes(whole)
    (root / "emotic").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="and the pictures"):
        prepare_emotic(root, tmp_path / "out")
    with pytest.raises(DataError, match=r"neither Annotations\.mat"):
        prepare_emotic(tmp_path / "elsewhere", tmp_path / "out")


def test_no_path_leaves_its_folder(tmp_path: Path) -> None:
    pictures = {"train": {"../images/a.jpg": TWO}}
    root = emotic(tmp_path / "up" / "in", pictures)
    (root / "emotic" / "mscoco").mkdir(parents=True)
    with pytest.raises(DataError, match="leaves its folder"):
        prepare_emotic(root, tmp_path / "out")
    root = emotic(tmp_path / "tables", PICTURES)
    as_mat2py(root)
    table = root / "emotic_pre" / "train.csv"
    text = table.read_text()
    table.write_text(text.replace("mscoco/images", "../images", 1).replace("[30, 2, 50, 20]", "[30, 2, 50]", 1))
    with pytest.raises(DataError) as caught:
        prepare_emotic(root, tmp_path / "out")
    assert "a path leaves its folder by '..': line 2" in caught.value.message
    assert "BBox must be four numbers" in caught.value.message and "line 3" in caught.value.message


def test_train_is_told_to_prepare(tmp_path: Path) -> None:
    root = emotic(tmp_path / "in", PICTURES)
    with pytest.raises(DataError, match="holds EMOTIC") as caught:
        find_dataset(root)
    assert "affectkit prep emotic" in caught.value.hint
    for level in (tmp_path, root / "emotic"):
        with pytest.raises(DataError) as caught:
            find_dataset(level)
        assert f"EMOTIC is in {root}" in caught.value.hint, level


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_category_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    as_mat2py(emotic(tmp_path / "in", PICTURES))
    rewrite(tmp_path / "in/emotic_pre/train.csv", "'Happiness', 'Peace'", "'Peace', 'Peace'")
    prepare_emotic(tmp_path / "in", tmp_path / "out")
    shares = [[float(row[name]) for name in CATEGORIES] for row in rows(tmp_path / "out", "train").values()]
    assert [sum(one) for one in shares] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("old", ["[5, 6, 25, 30]", "[7, 3, 6]"])
def test_numbers_that_no_float_holds_are_refused_by_line(tmp_path: Path, old: str) -> None:
    as_mat2py(emotic(tmp_path / "in", PICTURES))
    rewrite(tmp_path / "in/emotic_pre/train.csv", old, f"[1{'0' * 400}{old[2:]}")
    with pytest.raises(DataError, match="line 2"):
        prepare_emotic(tmp_path / "in", tmp_path / "out")


def test_a_box_of_words_is_refused(tmp_path: Path) -> None:
    emotic(tmp_path / "in", PICTURES)
    picture = {"folder": "mscoco/images", "filename": "a.jpg", "person": {"body_bbox": "word"}}
    savemat(tmp_path / "in/Annotations/Annotations.mat", {"train": picture})
    with pytest.raises(DataError, match="body_bbox must have four numbers"):
        prepare_emotic(tmp_path / "in", tmp_path / "out")
