"""Tiny-ImageNet as it is downloaded, reorganised, and damaged; ImageNet's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectkit.data.layouts import tinyimagenet
from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError

WNIDS = ("n02124075", "n01443537", "n07734744")
VALID = {"val_0.JPEG": "n07734744", "val_1.JPEG": "n01443537", "val_10.JPEG": "n02124075", "val_2.JPEG": "n07734744"}


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def table(root: Path, rows: dict[str, str], *, end: str = "\n") -> None:
    (root / "val" / "val_annotations.txt").write_bytes(
        "".join(f"{file}\t{label}\t0\t32\t44\t62{end}" for file, label in rows.items()).encode()
    )


def downloaded(root: Path) -> Path:
    for wnid in WNIDS:
        touch(root, f"train/{wnid}/{wnid}_boxes.txt", *(f"train/{wnid}/images/{wnid}_{k}.JPEG" for k in range(2)))
    touch(root, *(f"val/images/{name}" for name in VALID), "test/images/test_0.JPEG", "test/images/test_1.JPEG")
    table(root, VALID)
    (root / "wnids.txt").write_text("\n".join(WNIDS))
    (root / "words.txt").write_text("n01443537\tgoldfish, Carassius auratus\nn00000001\tentity\n")
    return root


def labelled(split) -> dict[str, str]:
    return {Path(name).name: split.classes[label] for name, label in zip(split.ids, split.labels, strict=True)}


def test_as_it_is_downloaded(tmp_path: Path) -> None:
    source = find_dataset(downloaded(tmp_path))
    assert source.layout == "Tiny-ImageNet"
    assert source.classes == tuple(sorted(WNIDS))  # as torchvision's ImageFolder numbers them
    assert list(source.splits) == ["train", "valid"]
    train, valid = source.splits["train"], source.splits["valid"]
    assert train.ids == [f"train/{wnid}/images/{wnid}_{k}.JPEG" for wnid in sorted(WNIDS) for k in range(2)]
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert valid.ids == [f"val/images/{name}" for name in sorted(VALID)]
    assert valid.classes == train.classes and labelled(valid) == VALID
    assert valid.labels.tolist() == [2, 0, 1, 2]
    assert all(split.path(index).is_file() for split in (train, valid) for index in range(len(split)))
    assert source.notes == ("test/images: 2 images without labels not used",)


def test_the_numbers_are_imagefolders(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    theirs = ImageFolder(str(downloaded(tmp_path) / "train"))
    train = find_dataset(tmp_path).splits["train"]
    assert tuple(theirs.classes) == train.classes
    assert [(Path(path).name, label) for path, label in theirs.samples] == [
        (Path(name).name, label) for name, label in zip(train.ids, train.labels.tolist(), strict=True)
    ]


@pytest.mark.parametrize("inner", ["", "images/"])
@pytest.mark.parametrize("left", [True, False])
def test_reorganised(tmp_path: Path, inner: str, left: bool) -> None:
    downloaded(tmp_path)
    for name, wnid in VALID.items():
        (tmp_path / "val" / "images" / name).unlink()
        touch(tmp_path, f"val/{wnid}/{inner}{name}")
    if not left:
        (tmp_path / "val" / "images").rmdir()
        (tmp_path / "val" / "val_annotations.txt").unlink()
    source = find_dataset(tmp_path)
    assert source.layout == "class folders" and source.classes == tuple(sorted(WNIDS))
    assert labelled(source.splits["valid"]) == VALID
    assert source.splits["valid"].ids == sorted(f"val/{wnid}/{inner}{name}" for name, wnid in VALID.items())


def test_validation_images_alone_and_flat_training_folders(tmp_path: Path) -> None:
    downloaded(tmp_path)
    for wnid in WNIDS:
        for path in (tmp_path / "train" / wnid / "images").iterdir():
            path.rename(path.parent.parent / path.name)
        (tmp_path / "train" / wnid / "images").rmdir()
    assert find_dataset(tmp_path).splits["train"].labels.tolist() == [0, 0, 1, 1, 2, 2]
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    source = find_dataset(tmp_path)
    assert list(source.splits) == ["valid"] and labelled(source.splits["valid"]) == VALID
    assert source.classes == tuple(sorted(WNIDS))
    (tmp_path / "wnids.txt").unlink()
    assert find_dataset(tmp_path).classes == tuple(sorted(WNIDS))


def test_imagenet_is_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "train/n02/n02_1.JPEG", "train/n01/n01_9.JPEG", "val/n01/ILSVRC2012_val_00000001.JPEG")
    touch(tmp_path, "val/n02/ILSVRC2012_val_00000002.JPEG", "test/ILSVRC2012_test_00000001.JPEG")
    source = find_dataset(tmp_path)
    assert source.layout == "class folders" and source.classes == ("n01", "n02") and not source.notes
    assert source.splits["train"].ids == ["train/n01/n01_9.JPEG", "train/n02/n02_1.JPEG"]
    assert source.splits["valid"].labels.tolist() == [0, 1]


def test_every_fault_of_the_table_is_told(tmp_path: Path) -> None:
    downloaded(tmp_path)
    touch(tmp_path, "secret.JPEG")
    lines = [
        "val_0.JPEG\tn07734744\t0\t0\t63\t63",
        "val_1.JPEG\tn99999999\t0\t0\t63\t63",
        "../../secret.JPEG\tn01443537\t0\t0\t63\t63",
        "..\\secret.JPEG\tn01443537\t0\t0\t63\t63",
        "val_77.JPEG\tn01443537\t0\t0\t63\t63",
        "val_0.JPEG\tn01443537\t0\t0\t63\t63",
        "val_2.JPEG\tn01443537\t0\t0\t63\tx",
        "val_10.JP",
    ]
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        find_dataset(tmp_path)
    told = caught.value.message
    for expected in (
        "a WordNet id that is no class: 1 in line 2 ('n99999999')",
        "without a folder: 2 in lines 3 ('../../secret.JPEG'), 4 ('..\\\\secret.JPEG')",
        "no such image in images/: 1 in line 5 ('val_77.JPEG')",
        "a file is named twice: 1 in line 6 ('val_0.JPEG' as in line 1)",
        "the last four columns must be whole numbers: 1 in line 7",
        "a line must have 6 columns between tabs: 1 in line 8 ('val_10.JP')",
        "2 images without a line: val_10.JPEG, val_2.JPEG",
    ):
        assert expected in told, told


def test_many_faults_are_counted_and_the_first_listed(tmp_path: Path) -> None:
    downloaded(tmp_path)
    table(tmp_path, VALID | {f"gone_{k:04}.JPEG": WNIDS[0] for k in range(1500)})
    with pytest.raises(DataError, match=r"images/: 1,500 in lines 5 .*'gone_0009.JPEG'\) and 1,490 more"):
        find_dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "match"), [(b"\xff\xfe", "is not UTF-8 text"), (b"", "4 images without a line"), (None, "is not there")]
)
def test_a_table_that_is_none(tmp_path: Path, content: bytes | None, match: str) -> None:
    path = downloaded(tmp_path) / "val" / "val_annotations.txt"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=match):
        find_dataset(tmp_path)


def test_windows_line_ends_and_differences_to_wnids(tmp_path: Path) -> None:
    downloaded(tmp_path)
    table(tmp_path, VALID, end="\r\n")
    (tmp_path / "wnids.txt").write_text("\r\n".join([*WNIDS[:2], "n11111111", ""]))
    source = find_dataset(tmp_path)
    assert labelled(source.splits["valid"]) == VALID
    assert "classes that have no folder, of those in wnids.txt: 1 (n11111111)" in source.notes
    assert "classes that have one and are not in wnids.txt: 1 (n07734744)" in source.notes


def test_other_layouts_with_folders_called_images_stay_what_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "a/images/1.jpg", "b/images/2.jpg")
    with pytest.raises(DataError, match="no dataset found"):
        find_dataset(tmp_path)
    assert not tinyimagenet.is_annotated(tmp_path)
    touch(tmp_path / "second", "images/1.jpg", "portraits/2.jpg")
    assert find_dataset(tmp_path / "second").classes == ("images", "portraits")
