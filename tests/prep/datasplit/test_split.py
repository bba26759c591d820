"""Splits on the disk: counts, the same bytes by any number of workers, kills at any step, bad input of every kind."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from locking import locked_elsewhere
from PIL import Image
from splitting import PUBLISHED, class_folders, in_child, picture, tree
from support import Heard

from affectkit.core.files import digest_of
from affectkit.core.progress import Silent
from affectkit.core.stopping import Never
from affectkit.errors import DataError, LockedError, Stopped, UsageError
from affectkit.prep import dask_cluster
from affectkit.prep.augmentation.pipeline import load_pipeline
from affectkit.prep.datasplit import chunks, file_moves, scan
from affectkit.prep.datasplit import split as datasplit
from affectkit.prep.datasplit.plan import SplitRules
from affectkit.prep.datasplit.split import SplitOptions, split_folder, undo_split

BOTH = {"balance_train": True, "balance_test": True}
SIZES = {"a": 14, "b c": 9, "é": 5}


def split(path: Path, output: Path | None = None, *, reporter=None, stopping=None, workers=1, **changes):
    keys = SplitRules.__dataclass_fields__
    rules = SplitRules(**({**BOTH, "seed": 3} | {key: value for key, value in changes.items() if key in keys}))
    options = SplitOptions(output=output, workers=workers, **{k: v for k, v in changes.items() if k not in keys})
    return split_folder(
        path,
        rules=rules,
        options=options,
        pipeline=load_pipeline(None),
        reporter=reporter or Silent(),
        stopping=stopping,
    )


def undo(root: Path, **how):
    return undo_split(root, **({"force": False} | how), reporter=Silent(), stopping=Never())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# --- what it makes --------------------------------------------------------------------------------------------------


def test_invariants_hold_for_random_folders(tmp_path):
    checked = 0
    for case in range(5):
        rng = random.Random(case)
        sizes = {label: rng.randint(4, 16) for label in rng.sample("abcdefg", rng.randint(2, 4))}
        base = rng.choice(["train", "."])
        source = class_folders(tmp_path / f"{case}", sizes, base=base)
        before = tree(source)
        share, factor = rng.choice([0.6, 0.75, 0.8]), rng.choice([1.0, 1.5])
        output = rng.choice([None, tmp_path / f"{case}-out"])
        settings = {"train_split": share, "multiplier": factor, "seed": case}
        settings |= rng.choice([BOTH, {"balance_test": False}, {"balance_train": False, "balance_test": False}])
        report = split(source, output, **settings)
        root = output or source
        if output:
            assert tree(source) == before
        after = tree(root)
        tables = {side: rows(root / f"{side}.csv") for side in ("train", "test")}
        listed = {row["filename"] for table in tables.values() for row in table}
        assert listed == {name for name in after if name.startswith(("train/", "test/"))}
        assert sum(map(len, tables.values())) == len(listed) == report.train + report.test
        # Every original on exactly one side, with its bytes.
        originals = [row for table in tables.values() for row in table if not row["source"]]
        assert sorted(after[row["filename"]] for row in originals) == sorted(before.values())
        largest = max(sizes.values())
        for label, count in sizes.items():
            kept = {
                side: [r for r in table if r["label"] == label and not r["source"]] for side, table in tables.items()
            }
            assert len(kept["train"]) == round(share * count)
            assert len(kept["train"]) + len(kept["test"]) == count
            grow = {
                "train": math.ceil(round(largest * share, 9)),
                "test": largest - math.ceil(round(largest * share, 9)),
            }
            for side, table in tables.items():
                target = math.ceil(grow[side] * factor) if (BOTH | settings)[f"balance_{side}"] else 0
                assert sum(row["label"] == label for row in table) == max(target, len(kept[side]))
        for side, table in tables.items():
            for row in table:
                assert row["filename"].startswith(f"{side}/{row['label']}/")
                if row["source"]:
                    assert row["source"] in {r["filename"] for r in table if not r["source"]}
                    assert after[row["filename"]] not in before.values()
                checked += 1
        manifest = json.loads((root / "manifest.json").read_text())
        assert {line[0] for line in manifest["files"]} == listed
        undo(root)
        assert tree(root) == (before if output is None else {})
    assert checked > 100


def test_same_bytes_by_one_two_and_four_workers_and_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(datasplit, "_FEW", 0)
    monkeypatch.setattr(scan, "_MANY", 0)
    source = class_folders(tmp_path / "source", {"a": 12, "b": 5}, kind="jpg")
    results = {}
    for workers in (1, 2, 4):
        split(source, tmp_path / "out", workers=workers)
        results[workers] = tree(tmp_path / "out")
        shutil.rmtree(tmp_path / "out")
    assert results[1] == results[2] == results[4] and len(results[1]) == 27
    split(source)
    names = {name: digest for name, digest in tree(source).items() if name != "manifest.json"}
    assert names == {name: digest for name, digest in results[1].items() if name != "manifest.json"}


def test_order_of_the_file_system_does_not_matter(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "source", SIZES)
    split(source, tmp_path / "one")
    scandir = os.scandir

    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    split(source, tmp_path / "other")
    monkeypatch.undo()
    assert tree(tmp_path / "one") == tree(tmp_path / "other")


def test_second_run_does_nothing_and_mends_what_is_missing(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    first = split(source)
    after = tree(source)
    assert first.images_written > 10 and not first.already_done
    assert split(source).already_done
    made = next(row["filename"] for row in rows(source / "train.csv") if row["source"])
    (source / made).unlink()
    (source / "test.csv").unlink()
    (source / "train.csv").write_bytes("Caf\u00e9".encode("latin-1"))  # as an editor may leave it
    again = split(source)
    assert again.images_written == 1 and not again.already_done
    assert tree(source) == after
    assert split(source, seed=3, dry_run=True).already_done


def test_dry_run_tells_the_same_and_changes_nothing(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    before = tree(source, hidden=True)
    planned = split(source, dry_run=True)
    assert tree(source, hidden=True) == before
    into = split(source, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    assert planned.rows == split(source).rows
    assert into.rows[0].bytes > planned.rows[0].bytes > 0


def test_columns_and_plain_tables(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    split(source, label_col="emotion", filename_col="file", plain_csv=True)
    assert (source / "train.csv").read_text().splitlines()[0] == "emotion,file"
    assert {len(row) for row in rows(source / "train.csv")} == {2}


def test_plain_tables_have_bare_names_as_published_and_those_of_several_files_are_told(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    heard = Heard()
    report = split(source, tmp_path / "out", plain_csv=True, balance_train=True, reporter=heard)
    both: set[str] = set()
    for side in ("train", "test"):
        listed = rows(tmp_path / "out" / f"{side}.csv")
        assert listed and not any("/" in row["filename"] for row in listed)
        # A row a file: label and bare name lead to it.
        files = {(path.parent.name, path.name) for path in (tmp_path / "out" / side).rglob("*.png")}
        assert Counter((row["label"], row["filename"]) for row in listed) == Counter(files)
        both |= {name for name, n in Counter(row["filename"] for row in listed).items() if n > 1}
    assert report.same_names == len(both) > 0
    text = " ".join(heard.warnings)
    assert f"{len(both)} bare file names" in text and "Without --plain-csv" in text
    assert report.to_dict()["same_names"] == len(both)
    whole = split(source, tmp_path / "paths", reporter=(quiet := Heard()))
    assert whole.same_names == 0 and not any("bare" in text for text in quiet.warnings)


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_links(tmp_path, link):
    source = class_folders(tmp_path / "source", SIZES)
    before = tree(source)
    split(source, tmp_path / "out", link=link)
    placed = [tmp_path / "out" / row["filename"] for row in rows(tmp_path / "out" / "train.csv") if not row["source"]]
    assert len(placed) == 22
    assert all(path.is_symlink() if link == "symlink" else path.stat().st_nlink == 2 for path in placed)
    undo(tmp_path / "out")
    assert tree(source) == before and tree(tmp_path / "out") == {}


def test_a_link_that_the_file_system_cannot_make_is_told_before_anything_is_done(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "source", SIZES)

    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(file_moves, "_clone", refuse)
    with pytest.raises(UsageError, match="--link reflink does not work .* Operation not supported"):
        split(source, tmp_path / "out", link="reflink")
    assert not (tmp_path / "out").exists()


def test_moves_across_file_systems_are_copied_compared_and_only_then_removed(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "source", SIZES)
    before = tree(source)
    rename = os.rename

    def across(old, new):
        if ("/train/" in str(old) and "/test/" in str(new)) or ("/test/" in str(old) and "/train/" in str(new)):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(old, new)

    monkeypatch.setattr(os, "rename", across)
    split(source)
    assert sum(not row["source"] for row in rows(source / "test.csv")) == 14 - 11 + 9 - 7 + 5 - 4
    undo(source)
    assert tree(source) == before


def test_preview(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    split(source, preview=tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size[1] > 100


# --- kills and stops ------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_flush_of_the_machine(monkeypatch):
    """Tests need not outlive a loss of power."""
    monkeypatch.setattr(os, "sync", lambda: None)


def kills_finished(tmp_path: Path, moments: int, *, output: bool, seed: int) -> int:
    """Kill a split at so many moments, finish and undo each, and count the kills."""
    source = class_folders(tmp_path / "source", {"a": 9, "b": 5, "c": 4})
    before = tree(source)
    whole = tmp_path / "whole"
    shutil.copytree(source, whole)
    split(whole, tmp_path / "whole-out" if output else None)
    result = tmp_path / "whole-out" if output else whole
    wanted = {name: digest for name, digest in tree(result).items() if name != "manifest.json"}
    probe = tmp_path / "probe"
    shutil.copytree(source, probe)
    steps = in_child(lambda: split(probe, tmp_path / "probe-out" if output else None))
    assert steps > 40
    rng = random.Random(seed)
    killed = 0
    for number in range(moments):
        where = tmp_path / f"k{number}"
        shutil.copytree(source, where)
        out = tmp_path / f"k{number}-out" if output else None
        moment = rng.randint(1, steps)
        killed += in_child(lambda where=where, out=out: split(where, out), kill_at=moment) == -1
        root = out or where
        # UndoResult from where it was killed, on a copy; an output folder may not have been begun.
        if (root / ".affectkit-datasplit" / "journal.jsonl").exists():
            shutil.copytree(root, tmp_path / f"u{number}")
            in_child(lambda n=number: undo(tmp_path / f"u{n}"), kill_at=rng.randint(1, 30))
            if (tmp_path / f"u{number}" / ".affectkit-datasplit" / "journal.jsonl").exists():
                undo(tmp_path / f"u{number}")
            assert tree(tmp_path / f"u{number}") == ({} if output else before), (
                f"undo after a kill at step {moment} of {steps}"
            )
        split(where, out)
        found = tree(root)
        found.pop("manifest.json")
        assert found == wanted, f"rerun after a kill at step {moment} of {steps}"
        undo(root)
        assert tree(root) == ({} if output else before)
        if output:
            assert tree(where) == before
    return killed


def test_a_kill_at_any_step_is_finished_by_the_same_command_and_undone(tmp_path):
    assert kills_finished(tmp_path, 6, output=False, seed=1) == 6


@pytest.mark.slow
@pytest.mark.parametrize("output", [False, True])
def test_twenty_kills(tmp_path, output):
    assert kills_finished(tmp_path, 20, output=output, seed=7) == 20


class StopAfter:
    """Asks to stop at the n-th time it is looked at."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    @property
    def requested(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def error(self, saved: str, hint: str) -> Stopped:
        return Stopped(f"stopped; {saved}", hint)


@pytest.mark.parametrize("looks", [0, 2, 6, 10, 14])
def test_a_stop_leaves_what_the_same_command_finishes(tmp_path, looks):
    source = class_folders(tmp_path / "source", SIZES)
    shutil.copytree(source, tmp_path / "whole")
    split(tmp_path / "whole")
    with pytest.raises(Stopped, match="stopped; "):
        split(source, stopping=StopAfter(looks))
    split(source)
    assert tree(source) == tree(tmp_path / "whole")


def test_a_killed_worker_is_told_and_the_same_command_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(datasplit, "_FEW", 0)
    source = class_folders(tmp_path / "source", {"a": 12, "b": 5})
    before = tree(source)
    with monkeypatch.context() as patch:
        patch.setattr(datasplit, "augment_chunk", die)
        with pytest.raises(Exception, match="a worker process was killed"):
            split(source, workers=2)
    assert split(source).images_written == 2 + 1 + 6 + 1  # moved, and made
    undo(source)
    assert tree(source) == before


def test_what_a_loss_of_power_left_of_made_files_is_made_again(tmp_path):
    """The journal is flushed line by line, made files all at once at the end: some may be empty after a power cut."""
    source = class_folders(tmp_path / "source", SIZES)
    shutil.copytree(source, tmp_path / "whole")
    split(tmp_path / "whole")
    with pytest.raises(Stopped, match="stopped; "):
        split(source, stopping=StopAfter(10))
    made = sorted(path for path in source.rglob("*-aug*"))
    assert len(made) > 3
    made[0].write_bytes(b"")
    made[1].write_bytes(made[1].read_bytes()[:-9])
    made[2].unlink()
    split(source)
    assert tree(source) == tree(tmp_path / "whole")


def test_a_copy_that_was_cut_short_is_made_anew_and_any_other_file_stays(tmp_path):
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    source.write_bytes(picture(3))
    digest = digest_of(source)

    def place():
        file_moves.place_file(str(source), str(target), digest, "copy")

    for there in (b"", source.read_bytes()[:20], source.read_bytes()):
        target.write_bytes(there)
        place()
        assert target.read_bytes() == source.read_bytes()
    for there in (b"mine", source.read_bytes() + b"more", source.read_bytes()[1:]):
        target.write_bytes(there)
        with pytest.raises(DataError, match="is in the way"):
            place()
        assert target.read_bytes() == there
    target.unlink()
    target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is in the way"):
        place()
    assert target.is_symlink()
    target.unlink()
    source.write_bytes(b"another since the plan")
    with pytest.raises(DataError, match="has changed since the split was planned"):
        place()
    assert not target.exists()


@pytest.mark.parametrize(("count", "size", "hands"), [(0, 4, 2), (1, 4, 2), (40, 4, 2), (41, 4, 3), (9, 1, 16)])
def test_work_is_dealt_so_that_workers_are_in_different_parts(count, size, hands):
    runs = list(chunks.interleave_chunks(range(count), size, hands))
    assert sorted(runs, key=lambda run: run[0]) == list(chunks.split_chunks(range(count), size))
    if count == 40:
        assert [run[0] for run in runs[:4]] == [0, 20, 4, 24]


def test_images_written_counts_across_lines_of_the_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(datasplit, "_NOTED_EVERY", 0)
    source = class_folders(tmp_path / "source", {"a": 40, "b": 6})
    report = split(source, tmp_path / "out")
    assert report.images_written == report.train + report.test == 80


def test_copies_that_are_not_of_their_originals_kind_are_told(tmp_path):
    source = class_folders(tmp_path / "source", {"a": 8, "b": 4})
    for path in (source / "train" / "b").iterdir():
        with Image.open(path) as image:
            image.convert("RGB").quantize(8).save(path)
    heard = Heard()
    split(source, reporter=heard)
    (told,) = heard.warnings
    assert "a palette was read as RGB (" in told
    assert " originals, such as train/b/" in told


def die(*_):
    os._exit(9)


# --- undo -----------------------------------------------------------------------------------------------------------


def test_undo_touches_nothing_where_a_file_has_changed(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    before = tree(source)
    split(source)
    moved = next(row["filename"] for row in rows(source / "test.csv") if not row["source"])
    made = next(row["filename"] for row in rows(source / "train.csv") if row["source"])
    (source / moved).write_bytes(b"edited")
    (source / made).write_bytes(b"painted over")
    after = tree(source)
    with pytest.raises(DataError, match="in .* 2 files are not what the journal says; nothing was touched") as caught:
        undo(source)
    assert moved in str(caught.value) and made in str(caught.value)
    assert tree(source) == after
    done = undo(source, force=True)
    assert sorted(name for name, _ in done.kept) == sorted([moved, made])
    found = tree(source)
    assert (source / made).read_bytes() == b"painted over"
    back = moved.replace("test/", "train/")
    assert (source / back).read_bytes() == b"edited"
    assert {k: v for k, v in found.items() if k not in (made, back)} == {k: v for k, v in before.items() if k != back}


def test_undo_of_copies_keeps_what_may_be_the_only_copy(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    split(source, tmp_path / "out")
    gone = source / "train" / "a" / "s00_0000.png"
    gone.unlink()
    with pytest.raises(DataError, match="this may be the only copy"):
        undo(tmp_path / "out")
    undo(tmp_path / "out", force=True)
    assert len(tree(tmp_path / "out")) == 1


def test_undo_without_a_split(tmp_path):
    with pytest.raises(UsageError, match="nothing to undo"):
        undo(class_folders(tmp_path / "source", SIZES))


def test_another_split_is_refused_or_replaced(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    shutil.copytree(source, tmp_path / "fresh")
    split(source, seed=1)
    with pytest.raises(UsageError, match="holds another split: seed 1 there, 2 now"):
        split(source, seed=2)
    split(source, seed=2, force=True)
    split(tmp_path / "fresh", seed=2)
    assert tree(source) == tree(tmp_path / "fresh")


def test_new_images_are_not_passed_over_in_silence(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    split(source, tmp_path / "out")
    (source / "train" / "a" / "new.png").write_bytes(picture(10**6))
    with pytest.raises(UsageError, match="1 image that the split in .* does not know: train/a/new.png"):
        split(source, tmp_path / "out")


# --- bad input ------------------------------------------------------------------------------------------------------


def damaged(source: Path) -> dict[str, bytes]:
    whole = picture(5000, "jpg")
    files = {"cut.jpg": whole[:-40], "cut.png": picture(5001)[:-80], "text.png": b"hello", "empty.png": b""}
    for name, data in files.items():
        (source / "train" / "a" / name).write_bytes(data)
    return files


def test_damaged_images_stop_before_anything_is_changed_or_are_left_alone(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    shutil.copytree(source, tmp_path / "clean")
    split(tmp_path / "clean")
    files = damaged(source)
    before = tree(source, hidden=True)
    with pytest.raises(DataError, match="4 entries of .* cannot be taken; nothing was changed") as caught:
        split(source)
    for name, why in {
        "cut.jpg": "cut short",
        "cut.png": "cut short",
        "text.png": "not an image",
        "empty.png": "empty",
    }.items():
        assert any(name in line and why in line for line in str(caught.value).splitlines()), (name, str(caught.value))
    assert tree(source, hidden=True) == before
    heard = Heard()
    report = split(source, skip=True, reporter=heard)
    assert {name for name, _ in report.skipped} == {f"train/a/{name}" for name in files}
    assert any("left alone" in text for text in heard.warnings)
    found, clean = tree(source), tree(tmp_path / "clean")
    assert {name: digest for name, digest in found.items() if Path(name).name not in files} | {
        "manifest.json": clean["manifest.json"]
    } == clean
    undo(source)
    assert tree(source) == before


def test_an_image_whose_damage_shows_only_when_augmented_is_as_if_not_there(tmp_path):
    source = class_folders(tmp_path / "source", {"a": 12, "b": 4})
    shutil.copytree(source, tmp_path / "clean")
    split(tmp_path / "clean")
    bad = picture(7000)  # whole by its ends, and its pixels are not
    middle = bad.index(b"IDAT") + 12
    for name in ("x.png", "y.png"):
        (source / "train" / "b" / name).write_bytes(bad[:middle] + bytes(20) + bad[middle + 20 :])
    before = tree(source)
    with pytest.raises(DataError, match="cannot be taken; nothing was changed"):
        split(source)
    assert tree(source, hidden=True) == before
    report = split(source, skip=True)
    assert {name for name, _ in report.skipped} <= {"train/b/x.png", "train/b/y.png"} and report.skipped
    found = tree(source)
    if len(report.skipped) == 2:
        clean = tree(tmp_path / "clean")
        assert {k: v for k, v in found.items() if k[-5:] not in ("x.png", "y.png") and k != "manifest.json"} == {
            k: v for k, v in clean.items() if k != "manifest.json"
        }
    assert {row["filename"] for side in ("train", "test") for row in rows(source / f"{side}.csv")} | {
        name for name, _ in report.skipped
    } == {name for name in found if "/" in name}
    undo(source)
    assert tree(source) == before


def test_a_full_disk_loses_nothing_and_is_told(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "source", SIZES)
    before = tree(source)
    for stage, name in (("augment", "write_lossless"), ("copy", "place_file")):
        count = 0
        module = (
            __import__("affectkit.prep.augmentation.lossless_images", fromlist=["x"]) if stage == "augment" else chunks
        )
        real = getattr(module, name)

        def full(*arguments, real=real, **named):
            nonlocal count
            count += 1
            if count > 4:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")
            return real(*arguments, **named)

        out = tmp_path / stage
        with monkeypatch.context() as patch, pytest.raises(DataError, match="the disk is full") as caught:
            patch.setattr(module, name, full)
            split(source, out)
        assert "No image is lost" in str(caught.value) and "run the same command" in str(caught.value)
        split(source, out)
        assert tree(source) == before
    one, other = tree(tmp_path / "augment"), tree(tmp_path / "copy")
    assert one == other and len(one) > 40


def test_too_little_room_is_told_before(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "source", SIZES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("usage", (), {"free": 100})())
    with pytest.raises(DataError, match="MB are free. Nothing was changed"):
        split(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_read_only_folder_is_told(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "source", SIZES)
    before = tree(source, hidden=True)
    mkdir = Path.mkdir

    def refuse(self, *arguments, **named):
        if self.is_relative_to(source):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        mkdir(self, *arguments, **named)

    with monkeypatch.context() as patch, pytest.raises(DataError, match="Read-only file system. Nothing was changed"):
        patch.setattr(Path, "mkdir", refuse)
        split(source)
    assert tree(source, hidden=True) == before


def test_classes_without_images(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    (source / "train" / "void").mkdir()
    with pytest.raises(DataError, match="train/void: a class without an image"):
        split(source)
    assert {row.label for row in split(source, skip=True).rows} == set(SIZES)


def test_a_class_of_one_image_loses_nothing(tmp_path):
    source = class_folders(tmp_path / "source", {"a": 8, "b": 1})
    before = tree(source, hidden=True)
    with pytest.raises(DataError, match="without a test original: b"):
        split(source)
    assert tree(source, hidden=True) == before
    assert [row.test for row in split(source, balance_test=False).rows] == [2, 0]


def test_names_of_every_kind(tmp_path):
    source = class_folders(tmp_path / "source", {"very happy": 6, "glücklich": 5})
    names = ["Face.png", "face.png", "a,b.png", 'it\'s "one".png', "new\nline.png", "顔.png", "[tag].png", "-rf.png"]
    for number, name in enumerate(names):
        (source / "train" / "very happy" / name).write_bytes(picture(900 + number))
    before = tree(source)
    heard = Heard()
    split(source, reporter=heard)
    assert any("Face.png and very happy/face.png" in text for text in heard.warnings)
    listed = {row["filename"] for side in ("train", "test") for row in rows(source / f"{side}.csv")}
    assert listed == {name for name in tree(source) if "/" in name}
    assert sum(Path(name).name in names for name in listed) == len(names)
    undo(source)
    assert tree(source) == before


def test_case_twins_are_refused_where_they_would_be_one(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "source", SIZES)
    (source / "train" / "a" / "S00_0000.PNG").write_bytes(picture(900))
    monkeypatch.setattr(scan, "ignores_case", lambda _: True)
    with pytest.raises(DataError, match="takes them for one"):
        split(source, tmp_path / "out")


def test_links_out_of_the_tree(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    outside = tmp_path / "outside.png"
    outside.write_bytes(picture(900))
    (source / "train" / "a" / "link.png").symlink_to(outside)
    (source / "train" / "a" / "inner.png").symlink_to("s00_0000.png")
    (source / "train" / "a" / "broken.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match="2 entries") as caught:
        split(source, tmp_path / "out")
    assert "a link that leads out of the folder" in str(caught.value)
    report = split(source, tmp_path / "out", skip=True)
    assert len(report.skipped) == 2 and report.rows[0].originals == 15
    with pytest.raises(DataError, match="3 entries") as caught:
        split(source)
    assert "a link, and moving it may break it" in str(caught.value)
    shutil.move(source / "train" / "é", tmp_path / "elsewhere")
    (source / "train" / "é").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is a link that leads out of"):
        split(source, tmp_path / "other")
    assert outside.is_file()


@pytest.mark.parametrize("content", ["notes.txt", "train/a/x.png", "test/"])
def test_an_output_folder_that_is_not_empty(tmp_path, content):
    source, out = class_folders(tmp_path / "source", SIZES), tmp_path / "out"
    (out / content).parent.mkdir(parents=True)
    (out / content).mkdir() if content.endswith("/") else (out / content).write_text("mine")
    before = tree(out)
    with pytest.raises(UsageError, match="is not empty"):
        split(source, out)
    assert tree(out, hidden=True) == before


def test_an_output_folder_with_an_empty_train_is_taken(tmp_path):
    source, out = class_folders(tmp_path / "source", SIZES), tmp_path / "out"
    (out / "train").mkdir(parents=True)
    assert split(source, out).train == 3 * 12


def test_places_that_cannot_be(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    (tmp_path / "file").write_text("")
    for path, output, words in [
        (source, source, "is DATA itself"),
        (source, source / "out", "lies in DATA"),
        (source, tmp_path / "file", "is a file"),
        (tmp_path / "none", None, "does not exist"),
        (tmp_path / "file", None, "is not a folder"),
    ]:
        with pytest.raises(UsageError, match=words):
            split(path, output)
    (tmp_path / "bare" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="no class folders"):
        split(tmp_path / "bare")


def test_what_a_split_in_place_would_replace(tmp_path):
    for name in ("train.csv", "test/a/x.png", "manifest.json"):
        source = class_folders(tmp_path / name.replace("/", "_"), SIZES)
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(picture(1))
        with pytest.raises(UsageError, match=r"holds a"):
            split(source)


def test_two_runs_at_once(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    before = sorted(source.rglob("*"))
    with locked_elsewhere(source) as pid, pytest.raises(LockedError, match=f"is being written by process {pid} on "):
        split(source)
    assert sorted(path for path in source.rglob("*") if path.name != ".lock") == before
    split(source)
    assert not (source / ".lock").exists()


def test_duplicates_that_straddle_are_told(tmp_path):
    source = class_folders(tmp_path / "source", {"a": 10, "b": 10})
    for path in sorted((source / "train" / "b").iterdir()):
        shutil.copy(source / "train" / "a" / path.name.replace(path.name, "s00_0000.png"), path)
    heard = Heard()
    report = split(source, reporter=heard, balance_train=False, balance_test=False)
    assert len(report.duplicates) == 1 and len(report.duplicates[0]) == 11
    (told,) = [text for text in heard.warnings if "on both sides with the same bytes" in text]
    assert "(in 11 files), such as train/" in told
    assert " = test/" in told
    assert json.loads((source / "manifest.json").read_text())["duplicates_across_sides"] == [list(report.duplicates[0])]


def test_a_damaged_journal_is_told(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    split(source)
    path = source / ".affectkit-datasplit" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + b"{rubbish\n" + b"".join(lines[6:]))
    for work in (lambda: split(source), lambda: undo(source)):
        with pytest.raises(DataError, match="damaged at line 6"):
            work()


def test_other_files_stay(tmp_path):
    source = class_folders(tmp_path / "source", SIZES)
    (source / "train" / "a" / "notes.txt").write_text("mine")
    (source / "train" / "a" / ".hidden.png").write_text("mine")
    (source / "train" / "readme.md").write_text("mine")
    before = tree(source)
    heard = Heard()
    split(source, reporter=heard)
    assert any("2 entries are no images and stay" in text for text in heard.notes)
    undo(source)
    assert tree(source) == before


# --- a cluster, and the published size ------------------------------------------------------------------------------


def test_a_dask_cluster_of_two_workers_makes_the_same(tmp_path):
    distributed = pytest.importorskip("distributed")
    source = class_folders(tmp_path / "source", {"a": 12, "b": 5})
    split(source, tmp_path / "here")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        split(source, tmp_path / "there", scheduler=cluster.scheduler_address)
    assert tree(tmp_path / "here") == tree(tmp_path / "there")


def test_no_cluster(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(dask_cluster, "ANSWERS_WITHIN", 0.5)
    source = class_folders(tmp_path / "source", SIZES)
    with pytest.raises(UsageError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        split(source, tmp_path / "out", scheduler="tcp://127.0.0.1:1")


@pytest.mark.slow
def test_published_counts_on_the_disk(tmp_path):
    source = class_folders(tmp_path / "source", PUBLISHED)
    report = split(source, seed=27, workers=2)
    assert (report.train, report.test) == (32808, 8200)
    for side, each in (("train", 4101), ("test", 1025)):
        assert {len(os.listdir(source / side / label)) for label in PUBLISHED} == {each}
        table = rows(source / f"{side}.csv")
        assert np.unique([row["label"] for row in table], return_counts=True)[1].tolist() == [each] * 8
