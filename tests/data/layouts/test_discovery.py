"""Layouts found by looking, and what is said about folders that fit none."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def folders(root: Path) -> None:
    touch(root, "train/happy/2.jpg", "train/happy/1.png", "train/sad/3.JPG", "train/anger/4.webp")
    touch(root, "val/sad/5.jpg", "val/happy/6.jpg", "test/anger/7.jpg")


def test_class_folders(tmp_path: Path) -> None:
    folders(tmp_path)
    source = find_dataset(tmp_path)
    assert source.layout == "class folders"
    assert source.classes == ("anger", "happy", "sad")
    assert list(source.splits) == ["train", "valid", "test"]
    train, valid = source.splits["train"], source.splits["valid"]
    assert train.ids == ["train/anger/4.webp", "train/happy/1.png", "train/happy/2.jpg", "train/sad/3.JPG"]
    assert train.labels.tolist() == [0, 1, 1, 2]
    assert all(train.path(index).is_file() for index in range(len(train)))
    # "anger" is missing in val: the published mistake is to count sad as 1 there.
    assert valid.classes == source.classes
    assert dict(zip(valid.ids, valid.labels.tolist(), strict=True)) == {"val/happy/6.jpg": 1, "val/sad/5.jpg": 2}
    assert "val has no folder for anger" in source.notes
    assert "test has no folder for happy, sad" in source.notes


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_names_of_the_validation_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "train/a/1.jpg", "train/b/2.jpg", f"{name}/a/3.jpg", f"{name}/b/4.jpg")
    assert find_dataset(tmp_path).splits["valid"].ids == [f"{name}/a/3.jpg", f"{name}/b/4.jpg"]


def test_a_class_too_many_is_refused(tmp_path: Path) -> None:
    folders(tmp_path)
    touch(tmp_path, "val/hapy/8.jpg")
    with pytest.raises(DataError) as caught:
        find_dataset(tmp_path)
    assert "'hapy' (1 item)" in caught.value.message
    assert "'hapy' -> " in caught.value.message and "anger, happy, sad" in caught.value.message


def test_what_is_passed_over_is_noted(tmp_path: Path) -> None:
    folders(tmp_path)
    touch(tmp_path, "train/sad/.DS_Store", "train/sad/Thumbs.db", "train/.cache/x.jpg", "train/__MACOSX/y.jpg")
    touch(tmp_path, "train/sad/notes.txt", "train/sad/deeper/9.jpg")
    (tmp_path / "train/fear").mkdir()
    (tmp_path / "val/envy").mkdir()
    source = find_dataset(tmp_path)
    assert source.classes == ("anger", "fear", "happy", "sad")
    assert source.splits["train"].counts() == {"anger": 1, "fear": 0, "happy": 2, "sad": 1}
    assert "train: no images in fear" in source.notes
    passed = "train: 2 entries that are no images passed over (1 without an ending, 1 .txt)"
    assert passed in source.notes
    assert "val: empty folders that are no class of train: envy" in source.notes


def test_folders_without_splits(tmp_path: Path) -> None:
    touch(tmp_path, "happy/1.jpg", "sad/2.jpg", "sad/3.jpg", "docs/readme.txt", ".git/4.jpg")
    source = find_dataset(tmp_path)
    assert list(source.splits) == ["all"]
    assert source.classes == ("happy", "sad")
    assert source.splits["all"].ids == ["happy/1.jpg", "sad/2.jpg", "sad/3.jpg"]
    assert "docs/ holds no images: not a class" in source.notes


def test_only_a_test_split(tmp_path: Path) -> None:
    touch(tmp_path, "test/happy/1.jpg", "test/sad/2.jpg")
    source = find_dataset(tmp_path)
    assert list(source.splits) == ["test"] and source.classes == ("happy", "sad")


def test_class_names_are_composed(tmp_path: Path) -> None:
    touch(tmp_path, "train/fro\u0308hlich/1.jpg", "train/traurig/2.jpg", "valid/fröhlich/3.jpg")
    source = find_dataset(tmp_path)
    assert source.classes == ("fröhlich", "traurig")
    assert all(split.path(0).is_file() for split in source.splits.values())
    assert source.splits["valid"].labels.tolist() == [0]
    touch(tmp_path, "train/fröhlich/4.jpg")
    with pytest.raises(DataError, match="two folders for the class"):
        find_dataset(tmp_path)


def test_two_folders_for_one_split(tmp_path: Path) -> None:
    folders(tmp_path)
    touch(tmp_path, "valid/sad/1.jpg")
    with pytest.raises(DataError, match=r"several folders for the valid split: valid, val"):
        find_dataset(tmp_path)


def test_tables_and_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "i/1.jpg", "i/2.jpg", "i/3.jpg")
    for name, number in (("train", 1), ("validation", 2), ("test", 3)):
        (tmp_path / f"{name}.csv").write_text(f"filename,label\ni/{number}.jpg,x\n")
    (tmp_path / "raters.csv").write_text("who,when\n")
    source = find_dataset(tmp_path)
    assert source.layout == "tables"
    assert {name: split.ids for name, split in source.splits.items()} == {
        "train": ["i/1.jpg"],
        "valid": ["i/2.jpg"],
        "test": ["i/3.jpg"],
    }
    assert source.notes == ("other tables are not used: raters.csv",)
    (tmp_path / "val.csv").write_text("filename,label\ni/2.jpg,x\n")
    with pytest.raises(DataError, match="several tables for the valid split"):
        find_dataset(tmp_path)


def test_a_single_table_of_any_name(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "mine.CSV").write_text("filename,label\n1.jpg,x\n2.jpg,y\n")
    assert list(find_dataset(tmp_path).splits) == ["all"]
    (tmp_path / "mine.CSV").write_text("filename,label,split\n1.jpg,x,train\n2.jpg,x,validation\n")
    assert list(find_dataset(tmp_path).splits) == ["train", "valid"]


def test_tables_win_over_folders(tmp_path: Path) -> None:
    folders(tmp_path)
    (tmp_path / "train.csv").write_text("filename,label\ntrain/happy/1.png,joy\ntrain/sad/3.JPG,grief\n")
    source = find_dataset(tmp_path)
    assert source.layout == "tables" and source.classes == ("grief", "joy")
    assert any("the tables are used" in note for note in source.notes)


def test_the_tables_of_datasplit_are_of_its_folders(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/2.png")
    (tmp_path / "train.csv").write_text("filename,label\ntrain/a/1.png,a\ntrain/b/2.png,b\n")
    (tmp_path / "manifest.json").write_text('{"command": "datasplit", "classes": [{"name": "a"}]}')
    source = find_dataset(tmp_path)
    assert source.layout == "tables" and not any("the tables are used" in note for note in source.notes)


def test_a_stray_table_does_not_hide_folders(tmp_path: Path) -> None:
    folders(tmp_path)
    (tmp_path / "metadata.csv").write_text("camera,lens\na,b\n")
    source = find_dataset(tmp_path)
    assert source.layout == "class folders"
    assert "no 'filename' column in metadata.csv: not used" in source.notes


def test_folders_that_fit_nothing(tmp_path: Path) -> None:
    cases = {
        "one": (("images/1.jpg",), "Is the dataset one level down"),
        "single": (("train/images/1.jpg", "valid/images/2.jpg"), "found: train/, valid/"),
        "packed": (("data.zip",), "Unpack data.zip there first."),
    }
    for name, (files, wanted) in cases.items():
        (tmp_path / name).mkdir()
        touch(tmp_path / name, *files)
        with pytest.raises(DataError) as caught:
            find_dataset(tmp_path / name)
        text = str(caught.value)
        assert "looked for:" in text and "train.csv" in text and wanted in text, name
    with pytest.raises(DataError, match="does not exist"):
        find_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is not a folder"):
        find_dataset(tmp_path / "one" / "images" / "1.jpg")


def test_folders_that_are_something_else_are_told(tmp_path: Path) -> None:
    cases = {
        "empty": ((), "empty: it is empty."),
        "flat": (("1.jpg", "2.jpg"), "flat: it holds 2 pictures and no labels.\nPut each class into a folder"),
        "films": (("1.mp4",), "films: it holds 1 video and no labels.\nTo predict them: affectkit infer"),
        "run": (("best.safetensors", "config.yaml"), "run: it is a run folder of affectkit train."),
        "sets/train/anger": (("1.jpg",), "anger: it holds 1 picture, as the folder of one class does.\n"
                             f"Name the folder that holds all classes: {tmp_path / 'sets'}."),
        "sets/train": (("fear/1.jpg",), None),
        "own/anger": (("1.jpg",), "holds all classes: " + str(tmp_path / "own")),
        "own/fear": (("1.jpg",), "holds all classes: " + str(tmp_path / "own")),
    }  # fmt: skip
    for name, (files, _) in cases.items():
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        touch(tmp_path / name, *files)
    for name, (_, wanted) in cases.items():
        if wanted is not None:
            with pytest.raises(DataError) as caught:
                find_dataset(tmp_path / name)
            assert wanted in str(caught.value) and "looked for" not in str(caught.value), name


@pytest.mark.parametrize(("name", "wanted"), [
    ("photos.zip", "Unpack the archive first."), ("labels.csv", "the table with --labels"),
    ("film.mp4", "To predict it: affectkit infer"), ("notes.md", "Name the folder that holds"),
])  # fmt: skip
def test_a_file_in_place_of_a_folder_is_told(tmp_path: Path, name: str, wanted: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(DataError, match="is not a folder") as caught:
        find_dataset(tmp_path / name)
    assert wanted in caught.value.hint


def test_the_unprepared_ferplus_folder_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "train/images/fer0000000.png", "valid/images/fer0000001.png")
    (tmp_path / "fer2013new.csv").write_text("Usage,Image name,neutral\nTraining,fer0000000.png,9\n")
    with pytest.raises(DataError) as caught:
        find_dataset(tmp_path)
    assert "FER+" in str(caught.value)
