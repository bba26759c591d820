"""AffectNet's first release: numbers, boxes, what is left out, and lists with and without a header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_data import affectnet_first, cut_short

from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.affectnet import AffectnetOptions, prepare_affectnet

NAMES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""As the authors number them, from 0."""
TRAIN = {f"{number}/a.jpg": (4, 6, 10 + number, 12, number, 0.1 * number, -0.5) for number in range(8)}
VALID = {"1/v.jpg": (0, 0, 9, 9, 2, -0.25, 0.75), "2/v.jpg": (0, 0, 9, 9, 1, -2, -2)}


@pytest.mark.parametrize("header", [True, False])
def test_faces_are_cut_and_named(tmp_path: Path, header: bool) -> None:
    source = affectnet_first(tmp_path / "in", {"training": TRAIN, "validation": VALID}, header=header)
    report = prepare_affectnet(source, tmp_path / "out")
    assert report.kept["train"] == dict.fromkeys(NAMES, 1) and report.dropped == {} and report.images == 10
    found = find_dataset(tmp_path / "out")
    labels = {Path(name).name: found.classes[label] for name, label in
              zip(found.splits["train"].ids, found.splits["train"].labels, strict=True)}  # fmt: skip
    assert labels == {f"{number}_a.jpg": name for number, name in enumerate(NAMES)}
    face = np.asarray(Image.open(tmp_path / "out/images/train/3_a.jpg")).astype(int)
    assert face.shape == (12, 13, 3)
    assert np.abs(face - (255, 0, 0)).max() < 12  # the red box alone


def test_ratings_leave_out_images_without(tmp_path: Path) -> None:
    rows = {**TRAIN, "9/b.jpg": (1, 1, 5, 5, 3, 1.25, 0)}
    source = affectnet_first(tmp_path / "in", {"training": rows, "validation": VALID})
    report = prepare_affectnet(source, tmp_path / "out", AffectnetOptions(target="ratings"))
    assert report.dropped == {
        "train": {"valence or arousal outside -1 to 1": 1}, "valid": {"valence or arousal not known": 1},
    }  # fmt: skip
    valid = find_dataset(tmp_path / "out", labels=Labels(ratings=True)).splits["valid"]
    np.testing.assert_allclose(valid.ratings, [[0.75, -0.25]])
    assert valid.scale == (-1.0, 1.0)
    with pytest.raises(UsageError, match="another preparation: target"):
        prepare_affectnet(source, tmp_path / "out")


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    rows = {
        "1/ok.jpg": (30, 30, 20, 20, 1, 0, 0), "1/uncertain.jpg": (1, 1, 5, 5, 9, -2, -2),
        "1/outside.jpg": (50, 1, 5, 5, 0, 0, 0), "1/none.jpg": ("NULL", "NULL", "NULL", "NULL", 0, 0, 0),
        "1/gone.jpg": (1, 1, 5, 5, 0, 0, 0), "1/broken.jpg": (1, 1, 5, 5, 0, 0, 0),
        "1/cut.jpg": (1, 1, 5, 5, 0, 0, 0),
    }  # fmt: skip
    source = affectnet_first(tmp_path / "in", {"training": rows})
    images = source / "Manually_Annotated" / "Manually_Annotated_Images" / "1"
    (images / "gone.jpg").unlink()
    (images / "broken.jpg").write_bytes(b"no picture")
    cut_short(images / "cut.jpg")
    report = prepare_affectnet(source, tmp_path / "out")
    assert report.dropped == {
        "train": {
            "expression none, uncertain or non-face": 1, "face box not in the picture": 2, "image file not there": 1,
            "image file cannot be decoded": 2,
        }
    }  # fmt: skip
    assert report.images == 1 and any("1/gone.jpg" in note for note in report.notes)
    assert "validation.csv is not there: no valid.csv" in report.notes
    assert Image.open(tmp_path / "out/images/train/1_ok.jpg").size == (10, 10)  # what of the box is in the picture
    whole = prepare_affectnet(source, tmp_path / "whole", AffectnetOptions(crop="none", link="hardlink"))
    assert whole.images == 3 and (tmp_path / "whole/images/train/1_ok.jpg").samefile(images / "ok.jpg")


def test_faults_are_named_by_line(tmp_path: Path) -> None:
    source = affectnet_first(tmp_path / "in", {"training": TRAIN})
    path = source / "Manually_Annotated_file_lists" / "training.csv"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("0/a.jpg", "../../a.jpg")
    lines[2] = lines[2].replace(",1,0.1,", ",11,0.1,")
    lines[3] += ",x"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        prepare_affectnet(source, tmp_path / "out")
    text = caught.value.message
    assert (
        "a path leaves its folder by '..': line 2" in text
        and "from 0 to 10, valence and arousal numbers: line 3" in text
    )
    assert "rows must have 9 columns: line 4 (10)" in text
    path.write_text("subDirectory_filePath,expression\n")
    with pytest.raises(DataError, match="no column face_x, face_y"):
        prepare_affectnet(source, tmp_path / "out2")


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither training\.csv nor validation\.csv"):
        prepare_affectnet(tmp_path, tmp_path / "out")
    source = affectnet_first(tmp_path / "in", {"training": TRAIN})
    (source / "Manually_Annotated").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no image of"):
        prepare_affectnet(source, tmp_path / "out")
