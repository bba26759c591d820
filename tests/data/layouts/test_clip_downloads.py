"""Downloads of clips are known by their names, and users are told how to prepare them."""

from __future__ import annotations

import pytest

from affectkit.data.layouts import published
from affectkit.data.layouts.clip_downloads import COMMANDS, clips_in
from affectkit.data.layouts.discovery import find_dataset
from affectkit.errors import DataError

SPOKEN = "01-01-06-01-02-01-12.mp4"


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("names", "dataset"),
    [
        ((f"Video_Speech_Actor_12/Actor_12/{SPOKEN}",), "RAVDESS"),
        ((f"ACTOR12/{SPOKEN}",), "RAVDESS"),
        ((SPOKEN,), "RAVDESS"),
        (("Audio_Speech_Actors_01-24/Actor_12/03-01-06-01-02-01-12.wav",), "RAVDESS"),
        (("train/train_sent_emo.csv", "train/train_splits/dia0_utt0.mp4"), "MELD"),
        (("dev_sent_emo.csv", "test_sent_emo.csv"), "MELD"),
        (("SentenceFilenames.csv", "VideoDemographics.csv", "VideoFlash/1001_DFA_ANG_XX.flv"), "CREMA-D"),
    ],
)
def test_downloads_are_told_apart_and_how_to_prepare_them(tmp_path, names, dataset):
    touch(tmp_path, *names)
    assert clips_in(tmp_path) == dataset == published.name_of(tmp_path)
    with pytest.raises(DataError, match=f"holds {dataset} as it is downloaded") as caught:
        find_dataset(tmp_path)
    assert f"affectkit prep {COMMANDS[dataset]} {tmp_path} --output NEW" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["Actor_12/a.jpg", "video/01-01-06.mp4", "other/01-01-06-01-02-01-12.mp4", "train.csv"]
)
def test_other_folders(tmp_path, name):
    touch(tmp_path, name)
    assert clips_in(tmp_path) == "" == published.name_of(tmp_path)


def test_a_folder_below_is_named(tmp_path):
    touch(tmp_path, f"other/RAVDESS/Actor_12/{SPOKEN}")
    with pytest.raises(DataError, match="no dataset found") as caught:
        find_dataset(tmp_path / "other")
    assert f"RAVDESS is in {tmp_path / 'other' / 'RAVDESS'}" in caught.value.hint
