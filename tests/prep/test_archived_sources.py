"""Preparations that are given a download which is not unpacked: the archive is named as the next step."""

from __future__ import annotations

import pytest
from support import invoke

IMAGES = ("ferplus", "fer2013", "afew-va", "affectnet", "affectnet-fused", "emotic")
CLIPS = ("ravdess", "meld", "rml")


@pytest.mark.parametrize("name", [*IMAGES, *CLIPS])
def test_an_archive_in_the_folder_is_named(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Download.ZIP").write_bytes(b"PK")
    done = invoke("prep", name, tmp_path / "in", "--output", tmp_path / "out")
    assert done.returncode == 1 and "\nUnpack Download.ZIP there first." in done.stderr, done.stderr


@pytest.mark.parametrize("name", [*IMAGES, *CLIPS])
def test_an_archive_that_is_given_as_the_folder_is_said_to_be_none(tmp_path, name):
    path = tmp_path / "download.zip"
    path.write_bytes(b"PK")
    done = invoke("prep", name, path, "--output", tmp_path / "out")
    assert done.returncode == 1 and f"{path} is a file, not a folder.\nUnpack it and name" in done.stderr, done.stderr


def test_labels_of_ferplus_beside_archived_images(tmp_path):
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    (tmp_path / "fer2013new.csv").write_text(f"Usage,Image name,{columns}\nTraining,fer0000000.png,10{',0' * 9}\n")
    for name in ("a.zip", "b.tar.gz", ".hidden.zip"):
        (tmp_path / name).write_bytes(b"")
    done = invoke("prep", "ferplus", tmp_path, "--output", tmp_path / "out")
    assert done.returncode == 1 and "\nUnpack a.zip, b.tar.gz there first. Put one of" in done.stderr, done.stderr
