"""Preparations in shards: once merged, the folder is byte for byte what one run makes."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Heard, make_affectnet

from affectkit.core import files
from affectkit.core.progress import Silent
from affectkit.core.shards import Shard
from affectkit.errors import DataError, UsageError
from affectkit.prep.images import merge as merging
from affectkit.prep.images import output_folder, schematic_dataset
from affectkit.prep.images.affectnet_fused import prepare_affectnet_fused
from affectkit.prep.images.ferplus import FerplusOptions, prepare_ferplus
from affectkit.prep.images.ferplus_download import COLUMNS
from affectkit.prep.images.merge import merge_preparation
from affectkit.prep.images.output_folder import ImageOptions
from affectkit.prep.images.schematic_dataset import SchematicOptions, prepare_schematic

COUNT = 23


def make_ferplus(root: Path, *, pixels: bool) -> Path:
    """``COUNT`` rows over three splits, some dropped, one repeated, one without its image."""
    rng = np.random.default_rng(3)
    (root / "faces").mkdir(parents=True)
    labels, pixel_rows = [], []
    for k in range(COUNT):
        usage = "Training" if k < 12 else "PublicTest" if k < 18 else "PrivateTest"
        votes = rng.multinomial(10, rng.dirichlet(np.full(len(COLUMNS), 0.2)))
        name = "" if k == 4 else f"fer{k if k != 7 else 6:07}.png"
        labels.append([usage, name, *votes])
        picture = rng.integers(0, 256, (48, 48), dtype=np.uint8)
        pixel_rows.append([0, " ".join(map(str, picture.ravel())), usage])
        if not pixels and k != 9:
            Image.fromarray(picture).save(root / "faces" / f"fer{k:07}.png")
    for name, header, rows in (
        ("fer2013new.csv", ["Usage", "Image name", *COLUMNS], labels),
        *([("fer2013.csv", ["emotion", "pixels", "Usage"], pixel_rows)] if pixels else []),
    ):
        with (root / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
    return root


KINDS = {
    "ferplus": lambda root, out, shard, **how: prepare_ferplus(root, out, FerplusOptions(shard=shard), **how),
    "ferplus-pixels": lambda root, out, shard, **how: prepare_ferplus(
        root, out, FerplusOptions(target="majority", shard=shard), **how
    ),
    "affectnet-fused": lambda root, out, shard, **how: prepare_affectnet_fused(
        root, out, ImageOptions(link="hardlink", shard=shard), **how
    ),
    "schematic": lambda root, out, shard, **how: prepare_schematic(
        out, SchematicOptions(train=9, valid=2, test=3, size=24, shard=shard), **how
    ),
}


@pytest.fixture(autouse=True)
def _few_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schematic_dataset, "PHOTOS", 5)
    monkeypatch.setattr(schematic_dataset, "PHOTO_SIZE", 16)


@pytest.fixture(params=KINDS)
def prepare(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """(output, "i/N" or None) -> what that preparation returns."""
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "source"
    if request.param.startswith("ferplus"):
        make_ferplus(root, pixels=request.param == "ferplus-pixels")
    elif request.param == "affectnet-fused":
        make_affectnet(root, train=9, valid=4)

    def run(out: Path, shard: str | None = None, reporter=None):
        parsed = Shard.parse(shard) if shard else None
        return KINDS[request.param](root, out, shard=parsed, reporter=reporter or Silent())

    run.kind = request.param
    return run


@pytest.fixture
def faces(tmp_path: Path):
    """The quick preparation alone."""

    def run(out: Path, shard: str | None = None, *, reporter=None, seed: int = 0):
        parsed = Shard.parse(shard) if shard else None
        options = SchematicOptions(train=4, valid=1, test=1, size=16, seed=seed, shard=parsed)
        return prepare_schematic(out, options, reporter=reporter or Silent())

    return run


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below ``folder``, hidden files and empty folders too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


@pytest.mark.parametrize("count", [1, 3])
def test_merged_shards_are_what_one_run_makes(prepare, tmp_path: Path, count: int) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    prepare(whole)
    for number in range(count, 0, -1):
        prepare(out, f"{number}/{count}")
    parts = [path for path in out.iterdir() if path.name.startswith("shard-")]
    assert len(parts) == count and not (out / "manifest.json").exists() and not (out / "train.csv").exists()
    result = merge_preparation(out, reporter=Silent())
    assert result["parts"] == count and not result["already_done"]
    before = tree(whole)
    assert tree(out) == before and sum(name.endswith((".png", ".jpg")) for name in before) >= 10
    again = prepare(out)
    assert again["already_done"] if isinstance(again, dict) else again.already_done
    assert tree(out) == before


def test_more_shards_than_images(faces, tmp_path: Path) -> None:
    faces(tmp_path / "whole")
    for number in range(1, 14):
        faces(tmp_path / "out", f"{number}/13")
    empty = tmp_path / "out" / "shard-13-of-13"
    assert (empty / "train.csv").read_text().count("\n") == 1
    assert faces(tmp_path / "out", "13/13")["already_done"]
    merge_preparation(tmp_path / "out", reporter=Silent())
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_part_holds_its_share_alone(prepare, tmp_path: Path) -> None:
    prepare(tmp_path / "whole")
    prepare(tmp_path / "out", "2/3")
    with (tmp_path / "whole" / "train.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    with (tmp_path / "out" / "shard-2-of-3" / "train.csv").open(newline="") as stream:
        part = list(csv.reader(stream))
    assert part[0] == ["Position", *rows[0]] and len(part) > 2
    assert part[1:] == [[str(k), *row] for k, row in enumerate(rows[1:]) if k % 3 == 1]
    images = {path.name for path in (tmp_path / "out" / "images" / "train").iterdir()}
    assert images == {row[1].split("/")[-1] for row in part[1:]}


def test_a_rerun_of_a_complete_shard_does_nothing(prepare, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(out, "1/2")
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    heard = Heard()
    again = prepare(out, "1/2", heard)
    told = again if isinstance(again, dict) else again.to_dict()
    assert told["already_done"] and told["shard"] == "1/2" and heard.warnings == []
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times
    other = prepare(out, "2/2")
    assert not (other if isinstance(other, dict) else other.to_dict())["already_done"]


def test_a_killed_shard_is_finished(prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole"
    prepare(whole)
    real, checked = os.replace, 0
    for steps in range(0, 10, 2):
        out, calls = tmp_path / f"out{steps}", []

        def replace(old: str, new: str, calls=calls, steps=steps) -> None:
            calls.append(new)
            if len(calls) > steps:
                raise KeyboardInterrupt
            real(old, new)

        prepare(out, "2/2")
        with monkeypatch.context() as patch:
            patch.setattr(files.os, "replace", replace)
            try:
                prepare(out, "1/2")
            except KeyboardInterrupt:
                checked += 1
                with pytest.raises(DataError, match=r"1/2"):
                    merge_preparation(out, reporter=Silent())
        prepare(out, "1/2")
        merge_preparation(out, reporter=Silent())
        assert tree(out) == tree(whole)
    assert checked >= 4


def _begin(run, out: Path, shard: str, gate) -> None:
    gate.wait(20)
    run(out, shard)
    os._exit(0)


def test_shards_at_the_same_time(faces, tmp_path: Path) -> None:
    faces(tmp_path / "whole")
    context = multiprocessing.get_context("fork")
    for attempt in range(4):
        out, gate = tmp_path / f"out{attempt}", context.Barrier(3)
        runs = [context.Process(target=_begin, args=(faces, out, f"{k}/3", gate)) for k in (1, 2, 3)]
        for process in runs:
            process.start()
        for process in runs:
            process.join(60)
        assert [process.exitcode for process in runs] == [0, 0, 0]
        merge_preparation(out, reporter=Silent())
        assert tree(out) == tree(tmp_path / "whole")


def test_another_shards_marker_that_comes_meanwhile_is_seen(faces, tmp_path: Path, monkeypatch) -> None:
    """Between the look for a marker and the look into the folder, another shard begins."""
    out = tmp_path / "out"
    out.mkdir()
    real, begun = os.listdir, []

    def listdir(path):
        if not begun:
            begun.append(path)
            faces(out, "1/2")
        return real(path)

    monkeypatch.setattr(output_folder.os, "listdir", listdir)
    faces(out, "2/2")
    assert begun
    faces(tmp_path / "whole")
    merge_preparation(out, reporter=Silent())
    assert tree(out) == tree(tmp_path / "whole")


def test_runs_that_do_not_belong_are_refused(faces, tmp_path: Path) -> None:
    out = tmp_path / "out"
    faces(out, "1/3")
    before = tree(out)
    with pytest.raises(UsageError, match="is being prepared in 3 shards; a run without --shard"):
        faces(out)
    with pytest.raises(UsageError, match="is being prepared in 3 shards; --shard 1/2 is of another number"):
        faces(out, "1/2")
    with pytest.raises(UsageError, match="holds another preparation: seed 0 there, 1 now"):
        faces(out, "2/3", seed=1)
    assert tree(out) == before
    shutil.rmtree(out / "shard-1-of-3")
    with pytest.raises(UsageError, match="is being prepared in 3 shards"):
        faces(out)
    begun = tmp_path / "begun"
    faces(begun)
    (begun / "manifest.json").rename(tmp_path / "manifest.json")
    marker = {"identity": json.loads((tmp_path / "manifest.json").read_text())["settings"]}
    (begun / ".affectkit-preparing.json").write_text(json.dumps(marker))
    with pytest.raises(UsageError, match="was begun without shards"):
        faces(begun, "1/2")


def test_a_shard_after_the_merge_does_nothing_or_says_who_mends(faces, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (1, 2):
        faces(out, f"{number}/2")
    merge_preparation(out, reporter=Silent())
    before = tree(out)
    done = faces(out, "1/2")
    assert done["already_done"] and "shard" not in done and tree(out) == before
    (out / "images/train/face00000.png").unlink()
    with pytest.raises(UsageError, match="missing or changed.*\n.*without --shard"):
        faces(out, "1/2")
    faces(out)
    assert tree(out) == before


def test_what_is_not_whole_is_not_merged(prepare, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (1, 3):
        prepare(out, f"{number}/3")
    with pytest.raises(DataError, match=r"missing: shard 2/3. Run the same command with --shard 2/3"):
        merge_preparation(out, reporter=Silent())
    prepare(out, "2/3")
    image = sorted((out / "images" / "train").iterdir())[0]
    with (out / "shard-1-of-3" / "train.csv").open() as stream:
        image = out / list(csv.reader(stream))[1][1]
    for damage in (image.unlink, lambda: image.write_bytes(b"torn")):
        damage()
        before = tree(out)
        with pytest.raises(DataError, match=r"missing or changed: those of 1/3\.\n.*--shard 1/3"):
            merge_preparation(out, reporter=Silent())
        assert tree(out) == before
    heard = Heard()
    prepare(out, "1/3", heard)
    assert any("made again" in text for text in heard.warnings)
    stray = image.with_name("stray.png")
    stray.touch()
    with pytest.raises(DataError, match="holds files that no shard wrote, in images/train"):
        merge_preparation(out, reporter=Silent())
    stray.unlink()
    record = out / "shard-2-of-3" / "shard.json"
    text = record.read_text()
    record.write_text(text.replace('"affectkit": "', '"affectkit": "9.'))
    with pytest.raises(DataError, match="different affectkit"):
        merge_preparation(out, reporter=Silent())
    record.write_text(text)
    merge_preparation(out, reporter=Silent())
    prepare(tmp_path / "whole")
    assert tree(out) == tree(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tables": {"../../x.csv": {"columns": ["file"], "rows": 0, "sha256": ""}}}, "is no name of a table"),
        ({"tables": {"/x.csv": {"columns": ["file"], "rows": 0, "sha256": ""}}}, "is no name of a table"),
        ({"seals": ["../x"]}, "seals: '../x' is in another folder"),
        ({"inner": "train.csv"}, "inner must be a list, got 'train.csv'"),
        ({"images": {"../x": {"files": 1, "bytes": 1}}}, "the folder '../x' leaves its folder by '..'"),
        ({"images": {"link": {"files": 1, "bytes": 1}}}, "the folder 'link' goes through a link"),
        (
            {"images": {"images/train": {"files": "1", "bytes": 1}}},
            "images.images/train.files must be a count, got '1'",
        ),
        ({"manifest": []}, "manifest must be an object, got a list of 0"),
    ],
)
def test_a_record_that_leads_out_is_refused_and_nothing_is_written(prepare, tmp_path: Path, change, words) -> None:
    out = tmp_path / "out"
    for number in (1, 2):
        prepare(out, f"{number}/2")
    (tmp_path / "elsewhere").mkdir()
    (out / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    for number in (1, 2):
        path = out / f"shard-{number}-of-2" / "shard.json"
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, **change}))
    before = tree(tmp_path)
    with pytest.raises(DataError) as caught:
        merge_preparation(out, reporter=Silent())
    assert "damaged: shard.json of shard 1/2" in caught.value.message and words in caught.value.message
    assert tree(tmp_path) == before


@pytest.mark.parametrize("where", ["write_json", "remove_working_files", "rmtree"])
def test_a_killed_merge_is_finished_by_the_next(faces, tmp_path: Path, monkeypatch, where: str) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    faces(whole)
    for number in (1, 2):
        faces(out, f"{number}/2")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "rmtree":
            real, calls = shutil.rmtree, []
            patch.setattr(shutil, "rmtree", lambda path, **_: stop() if calls else calls.append(real(path)))
        else:
            patch.setattr(merging, where, stop)
        with pytest.raises(KeyboardInterrupt):
            merge_preparation(out, reporter=Silent())
    assert (out / "manifest.json").exists() == (where != "write_json")
    left = tmp_path / "left"
    shutil.copytree(out, left)
    merge_preparation(out, reporter=Silent())
    assert tree(out) == tree(whole)
    if where != "write_json":  # all is in its place: the unsharded command, too, may clear up
        assert faces(left)["already_done"]
        assert tree(left) == tree(whole)
