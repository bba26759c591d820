"""``infer`` again over results that stand: what is new, changed or gone is told by content; it ends as a fresh run."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Heard

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.errors import DataError, UsageError
from affectkit.inference import infer as module
from affectkit.inference import prediction_table
from affectkit.inference.infer import infer
from affectkit.inference.merge import merge
from affectkit.settings.inference import InferSettings


def run(checkpoint, *paths, reporter=None, stdin="", **changes):
    values = {"paths": list(map(str, paths)), "checkpoint": checkpoint, "workers": 0, "batch_size": 2, **changes}
    chosen = resolve(InferSettings, flags=values).settings
    return infer(chosen, reporter=reporter or Silent(), listed=io.StringIO(stdin), stdout=io.StringIO())


def tree(folder: Path) -> dict[str, bytes]:
    """All files of ``folder``; the record without the paths in it."""
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    for name, data in found.items():
        if name.endswith("inference.json"):
            record = json.loads(data)
            found[name] = {key: value for key, value in record.items() if key not in ("results", "skipped_list")}
    return found


def picture(path: Path, seed: int) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def images(votes, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(votes / "images" / "test", folder)
    (folder / "001.png").write_bytes(b"broken")
    return folder


@pytest.fixture
def predicted(monkeypatch):
    """Names of the items that are predicted."""
    names: list[str] = []
    real = module.predict_images

    def watched(predictor, items, **options):
        def seen():
            for item in items:
                names.append(item.name)
                yield item

        return real(predictor, seen(), **options)

    monkeypatch.setattr(module, "predict_images", watched)
    return names


def change(images: Path) -> None:
    """One new in the middle, one changed with its old size and time, one gone, one mended, one broken."""
    picture(images / "0005.png", 5)
    before = (images / "002.png").stat()
    data = bytearray(before.st_size)
    picture(images / "new.png", 77)
    with Image.open(images / "new.png") as image:
        image.save(images / "new.bmp")
    (images / "new.png").unlink()
    shutil.move(images / "new.bmp", images / "002.png")
    assert len(data) < (images / "002.png").stat().st_size
    os.utime(images / "002.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    (images / "004.png").unlink()
    picture(images / "001.png", 6)
    (images / "006.png").write_bytes(b"broken now")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_rerun_is_a_fresh_run_and_predicts_what_differs(trained, images, tmp_path, predicted, form):
    run(trained, images, results=tmp_path / "r", format=form)
    predicted.clear()
    change(images)
    heard = Heard()
    summary = run(trained, images, results=tmp_path / "r", format=form, resume=True, reporter=heard)
    assert sorted(predicted) == ["0005.png", "001.png", "002.png", "006.png"]
    assert summary["since_before"] == {
        "new": 1, "kept": 8, "changed": ["001.png", "002.png", "006.png"], "gone": ["004.png"],
    }  # fmt: skip
    assert any("1 new, 3 (001.png, 002.png, 006.png) changed, 1 (004.png) gone" in note for note in heard.notes)
    run(trained, images, results=tmp_path / "fresh", format=form)
    assert tree(tmp_path / "r") == tree(tmp_path / "fresh")
    assert (summary["images"], summary["skipped"]) == (11, 1)


def test_content_counts_where_size_and_time_are_the_same(trained, images, tmp_path, predicted):
    for seed, name in enumerate(("a.bmp", "b.bmp")):
        picture(images / name, seed)
    run(trained, images, results=tmp_path / "r")
    before = (images / "a.bmp").stat()
    shutil.copyfile(images / "b.bmp", images / "a.bmp")
    os.utime(images / "a.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    after = (images / "a.bmp").stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    predicted.clear()
    run(trained, images, results=tmp_path / "r", resume=True)
    assert predicted == ["a.bmp"]


def test_a_file_that_was_touched_or_copied_is_the_same(trained, images, tmp_path, predicted):
    run(trained, images, results=tmp_path / "r")
    predicted.clear()
    for path in list(images.iterdir()):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        os.utime(path)
    heard = Heard()
    summary = run(trained, images, results=tmp_path / "r", resume=True, reporter=heard)
    assert predicted == [] and "nothing to do" in heard.notes[-1] and "since_before" not in summary


def test_without_resume_or_force_nothing_stale_is_kept_in_silence(trained, images, tmp_path):
    run(trained, images, results=tmp_path / "r")
    change(images)
    with pytest.raises(UsageError, match="exists") as caught:
        run(trained, images, results=tmp_path / "r")
    assert "--resume" in caught.value.hint and "--force" in caught.value.hint


def test_what_could_not_be_opened_is_tried_again(trained, images, tmp_path, predicted):
    (images / "link.png").symlink_to("later.png")
    summary = run(trained, images, results=tmp_path / "r")
    assert summary["skipped"] == 2
    predicted.clear()
    heard = Heard()
    run(trained, images, results=tmp_path / "r", resume=True, reporter=heard)
    assert predicted == ["link.png"] and "nothing to do" in heard.notes[-1]
    picture(images / "later.png", 8)
    run(trained, images, results=tmp_path / "r", resume=True)
    run(trained, images, results=tmp_path / "fresh")
    assert tree(tmp_path / "r") == tree(tmp_path / "fresh")


def test_what_another_reader_may_read_is_tried_again(trained, images, tmp_path, predicted, monkeypatch):
    run(trained, images, results=tmp_path / "r")
    predicted.clear()
    monkeypatch.setattr(prediction_table, "decoder_of", lambda: "Pillow of another day")
    run(trained, images, results=tmp_path / "r", resume=True)
    assert predicted == ["001.png"]


def test_a_list_in_another_order_is_a_table_in_that_order(trained, images, tmp_path, predicted):
    names = [f"{images}/{k:03}.png" for k in (5, 1, 0, 7)]
    run(trained, "-", stdin="\n".join(names), results=tmp_path / "r")
    predicted.clear()
    run(trained, "-", stdin="\n".join(names[::-1]), results=tmp_path / "r", resume=True)
    assert predicted == []
    run(trained, "-", stdin="\n".join(names[::-1]), results=tmp_path / "fresh")
    assert tree(tmp_path / "r") == tree(tmp_path / "fresh")


def test_a_table_that_was_altered_is_refused(trained, images, tmp_path):
    run(trained, images, results=tmp_path / "r")
    table = tmp_path / "r" / "inference_results.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(keepends=True) if "003.png" not in line))
    picture(images / "new.png", 1)
    with pytest.raises(DataError, match="not as it was written"):
        run(trained, images, results=tmp_path / "r", resume=True)


def test_a_table_of_an_earlier_version_is_predicted_anew(trained, images, tmp_path):
    run(trained, images, results=tmp_path / "r")
    expected = tree(tmp_path / "r")
    (tmp_path / "r" / "inputs.csv").unlink()
    heard = Heard()
    run(trained, images, results=tmp_path / "r", resume=True, reporter=heard)
    assert any("predicted anew" in note for note in heard.notes)
    assert tree(tmp_path / "r") == expected


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("form", "shard"), [("csv", None), ("parquet", None), ("csv", "1/2")])
def test_killed_at_any_write_the_next_run_ends_with_the_same_bytes(trained, images, tmp_path, monkeypatch, form, shard):
    """At each rename and removal of a first run, then of one that brings its results up to date."""
    options = {"format": form, "shard": shard}
    for number in range(7, 12):
        (images / f"{number:03}.png").unlink()
    run(trained, images, results=tmp_path / "before", **options)
    first = tree(tmp_path / "before")
    real = {"replace": os.replace, "unlink": Path.unlink}

    def attempt(results, number):
        """A run that is killed at its ``number``-th rename or removal; whether there was one."""
        left = [number]

        def counted(name):
            def call(*args, **kwargs):
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                return real[name](*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", counted("replace"))
            patch.setattr(Path, "unlink", counted("unlink"))
            try:
                run(trained, images, results=results, resume=True, **options)
            except Killed:
                return True
        return False

    def all_kills(start, expected):
        kills = 0
        for number in range(1, 200):
            results = tmp_path / "killed"
            shutil.rmtree(results, ignore_errors=True)
            if start is not None:
                shutil.copytree(start, results)
            if not attempt(results, number):
                break
            kills += 1
            if number % 2:
                attempt(results, 2)  # and again, early
            run(trained, images, results=results, resume=True, **options)
            left = {name: data for name, data in tree(results).items() if not Path(name).name.startswith(".")}
            assert left == expected, number
        assert kills > 5

    if form == "csv":
        all_kills(None, first)
    change(images)
    run(trained, images, results=tmp_path / "after", **options)
    all_kills(tmp_path / "before", tree(tmp_path / "after"))


def test_shards_are_brought_up_to_date_and_merged_into_a_fresh_run(trained, images, tmp_path):
    results = tmp_path / "r"
    for number in (1, 2, 3):
        run(trained, images, results=results, shard=f"{number}/3")
    change(images)
    for number in (1, 2, 3):
        with pytest.raises(UsageError, match="complete, but"):
            run(trained, images, results=results, shard=f"{number}/3")
        run(trained, images, results=results, shard=f"{number}/3", resume=True)
    merge(results, remove_parts=True, reporter=Silent())
    run(trained, images, results=tmp_path / "fresh")
    assert tree(results) == tree(tmp_path / "fresh")
    picture(images / "z.png", 3)
    run(trained, images, results=results, resume=True)  # and what was merged goes on as what one run wrote
    run(trained, images, results=tmp_path / "fresh", force=True)
    assert tree(results) == tree(tmp_path / "fresh")


@pytest.mark.parametrize("shard", [None, "1/1"])
def test_one_folder_by_another_spelling_is_the_same(trained, images, tmp_path, monkeypatch, predicted, shard):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(images)
    run(trained, "./images", results=tmp_path / "r", shard=shard)
    first, count = tree(tmp_path / "r"), len(predicted)
    for spelled in ("images", "images/", images, "link"):
        run(trained, spelled, results=tmp_path / "r", resume=True, shard=shard)
    assert tree(tmp_path / "r") == first and len(predicted) == count
    shutil.copytree(images, tmp_path / "others")
    with pytest.raises(UsageError, match="inputs"):
        run(trained, "others", results=tmp_path / "r", resume=True, shard=shard)
