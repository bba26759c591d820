"""Files moved to corrected classes: swaps, kills, undo, and tables that cannot be followed."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from splitting import class_folders, in_child, tree

from affectkit.core.progress import Silent
from affectkit.core.stopping import Never
from affectkit.errors import DataError, UsageError
from affectkit.prep.datasplit import relabel as relabelling
from affectkit.prep.datasplit.relabel import relabel, undo_relabel

SIZES = {"a": 6, "b": 5, "c": 2}


@pytest.fixture(autouse=True)
def no_flush_of_the_machine(monkeypatch):
    """Tests need not outlive a loss of power."""
    monkeypatch.setattr(os, "sync", lambda: None)


def table(path, *rows):
    path.write_text("pth,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    return path


def move(path, labels, **how):
    return relabel(path, labels, reporter=Silent(), stopping=Never(), **how)


def undo(path, **how):
    return undo_relabel(path, **({"force": False, "dry_run": False} | how), reporter=Silent(), stopping=Never())


ROWS = [
    ("a/s00_0000.png", "b"),
    ("b/s00_0000.png", "a"),  # a swap
    ("a/s01_0001.png", "c"),
    ("c/s01_0001.png", "b"),  # a round of three
    ("b/s01_0001.png", "a"),
    ("a/s02_0002.png", "new class"),
    ("a/s03_0003.png", "a"),
]


def expected(before: dict[str, str], base: str) -> dict[str, str]:
    moved = {base + name: f"{base}{label}/{name.split('/')[1]}" for name, label in ROWS}
    return {moved.get(name, name): digest for name, digest in before.items()}


@pytest.mark.parametrize("base", ["train/", ""])
def test_files_move_and_come_back(tmp_path, base):
    source = class_folders(tmp_path / "faces", SIZES, base=base or ".")
    labels = table(tmp_path / "labels.csv", *ROWS)
    before = tree(source, hidden=True)
    planned = move(source, labels, dry_run=True)
    assert tree(source, hidden=True) == before
    report = move(source, labels)
    assert report.moves == planned.moves and sum(report.moves.values()) == 6 and report.unchanged == 1
    assert report.moves["a", "new class"] == 1
    assert tree(source) == expected(before, base)
    assert move(source, labels).already_done
    assert undo(source).restored == 6
    assert tree(source, hidden=True) == before


def test_into_another_folder(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    labels = table(tmp_path / "labels.csv", *ROWS)
    before = tree(source)
    report = move(source, labels, output=tmp_path / "out")
    assert report.copied == 13 and tree(source) == before
    assert tree(tmp_path / "out") == expected(before, "train/")
    undo(tmp_path / "out")
    assert tree(tmp_path / "out") == {} and tree(source) == before


def test_a_kill_at_any_step_is_finished_or_undone(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    labels = table(tmp_path / "labels.csv", *ROWS)
    before = tree(source)
    shutil.copytree(source, tmp_path / "probe")
    steps = in_child(lambda: move(tmp_path / "probe", labels))
    assert steps > 20
    rng = random.Random(2)
    for moment in range(1, steps + 1, 2):
        one, other = tmp_path / f"{moment}-again", tmp_path / f"{moment}-undo"
        shutil.copytree(source, one)
        assert in_child(lambda one=one: move(one, labels), kill_at=moment) == -1
        shutil.copytree(one, other)
        move(one, labels)
        assert tree(one) == expected(before, "train/"), f"rerun after a kill at step {moment}"
        if (other / ".affectkit-relabel" / "journal.jsonl").exists():
            in_child(lambda other=other: undo(other), kill_at=rng.randint(1, 20))
            if (other / ".affectkit-relabel" / "journal.jsonl").exists():
                undo(other)
        assert tree(other) == before, f"undo after a kill at step {moment}"


def test_undo_touches_nothing_that_has_changed(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    before = tree(source)
    move(source, table(tmp_path / "labels.csv", *ROWS))
    (source / "train" / "new class" / "s02_0002.png").write_bytes(b"edited")
    with pytest.raises(DataError, match="changed since it was moved"):
        undo(source)
    undo(source, force=True)
    after = tree(source)
    assert (source / "train" / "a" / "s02_0002.png").read_bytes() == b"edited"
    assert [name for name in before if before[name] != after.get(name)] == ["train/a/s02_0002.png"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a/none.png,b", "a/none.png is not there"),
        ("/etc/passwd,b", "is not old_label/file"),
        ("../x.png,b", "leaves the folder"),
        ("a/s00_0000.png,../b", "is no name of a folder"),
        ("a/s00_0000.png,", "is no name of a folder"),
        ("a,b", "is not old_label/file"),
        ("a/s00_0000.png,b", "which is there already"),
        ("a/s05_0005.png,c\na/s05_0005.png,d", "is to be d here and c before"),
    ],
)
def test_rows_that_cannot_be_followed(tmp_path, row, words):
    source = class_folders(tmp_path / "faces", SIZES)
    before = tree(source, hidden=True)
    (tmp_path / "labels.csv").write_text(f"pth,label\na/s04_0004.png,c\n{row}\n")
    with pytest.raises(DataError, match="1 row of .* cannot be followed; nothing was changed") as caught:
        move(source, tmp_path / "labels.csv")
    assert words in str(caught.value)
    assert tree(source, hidden=True) == before


def test_tables_that_cannot_be_read(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    for text, words in [
        ("file,label\nx,y\n", "no column pth; its columns are file, label"),
        ("pth,label\n", "no rows"),
    ]:
        (tmp_path / "labels.csv").write_text(text)
        with pytest.raises(UsageError, match=words):
            move(source, tmp_path / "labels.csv")
    with pytest.raises(UsageError, match="cannot read --labels "):
        move(source, tmp_path / "none.csv")
    with pytest.raises(UsageError, match="nothing to undo"):
        undo(source)


def test_another_table_is_refused(tmp_path):
    source = class_folders(tmp_path / "faces", SIZES)
    move(source, table(tmp_path / "one.csv", ("a/s04_0004.png", "c")))
    with pytest.raises(UsageError, match="relabelled by another table before"):
        move(source, table(tmp_path / "other.csv", ("a/s03_0003.png", "c")))


def test_a_folder_of_a_plan_that_never_stood_goes_with_undo(tmp_path):
    from affectkit.prep.datasplit.split import undo_split

    source = class_folders(tmp_path / "faces", SIZES)
    before = tree(source, hidden=True)
    for name, back in (("relabel", undo), ("datasplit", lambda path, **how: undo_split(
        path, force=False, **({"dry_run": False} | how), reporter=Silent(), stopping=Never()
    ))):  # fmt: skip
        left = source / f".affectkit-{name}"
        left.mkdir()
        (left / ".journal.jsonl.a1b2c3d4.part").touch()
        with pytest.raises(UsageError, match="nothing to undo"):
            back(source, dry_run=True)
        assert left.is_dir(), "a dry run changes nothing"
        with pytest.raises(UsageError, match="nothing to undo"):
            back(source)
        assert not left.exists() and tree(source, hidden=True) == before


def test_a_row_costs_one_look_at_its_file(tmp_path, monkeypatch):
    """Over a network file system each takes about a millisecond."""
    source = class_folders(tmp_path / "faces", {"a": 40, "b": 40})
    names = [path.relative_to(source / "train").as_posix() for path in sorted(source.rglob("*.png"))]
    looks = []
    for name in ("stat", "lstat"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, **more: (looks.append(args), real(*args, **more))[1])
    wanted, faults = relabelling._wanted(source / "train", [(k, name, "c") for k, name in enumerate(names)])
    assert len(wanted) == 80 and not faults
    assert 80 <= len(looks) <= 80 + 2, "one a file, one a folder"
