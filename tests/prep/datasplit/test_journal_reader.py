"""What a journal must be before anything is done by it, and what is said of one that is not."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
from splitting import class_folders, picture, tree
from support import Heard

from affectkit.core.files import digest_bytes
from affectkit.core.progress import Silent
from affectkit.core.stopping import Never
from affectkit.errors import DataError
from affectkit.prep.augmentation.pipeline import load_pipeline
from affectkit.prep.datasplit.journal import Journal
from affectkit.prep.datasplit.journal_reader import find_journal
from affectkit.prep.datasplit.plan import SplitRules
from affectkit.prep.datasplit.split import SplitOptions, split_folder, undo_split

SIZES = {"a": 5, "b": 3}


@pytest.fixture(autouse=True)
def no_flush_of_the_machine(monkeypatch):
    """Tests need not outlive a loss of power."""
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture
def done(tmp_path):
    """A folder that was split and balanced in place."""
    root = class_folders(tmp_path / "ds", SIZES)
    rules = SplitRules(train_split=0.7, seed=1, balance_train=True, balance_test=False)
    options = SplitOptions(workers=1)
    split_folder(root, rules=rules, options=options, pipeline=load_pipeline(None), reporter=Silent())
    return root


def path_of(root):
    return root / ".affectkit-datasplit" / "journal.jsonl"


def undo(root, reporter=None, **how):
    return undo_split(root, **({"force": False} | how), reporter=reporter or Silent(), stopping=Never())


def unchained(root, change=lambda rows: None):
    """Write the journal of ``root`` as earlier versions did, with the rows changed."""
    rows = [json.loads(line) for line in path_of(root).read_text().splitlines()]
    rows = [{**rows[0], "journal": 1}, *(row[:-1] for row in rows[1:])]
    del rows[0]["chain"]
    change(rows)
    path_of(root).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def refused(root, *words):
    """Undo, which must be refused in these words with nothing touched, by force and without."""
    before = tree(root.parent, hidden=True)
    for force in (False, True):
        with pytest.raises(DataError) as caught:
            undo(root, force=force)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert tree(root.parent, hidden=True) == before


def test_each_line_has_the_hash_of_all_before(done):
    chain = ""
    for line in path_of(done).read_bytes().splitlines():
        row = json.loads(line)
        told = row["chain"] if isinstance(row, dict) else row[-1]
        tail = f',"chain":"{told}"}}' if isinstance(row, dict) else f',"{told}"]'
        assert line.endswith(tail.encode())
        body = line[: -len(tail)] + line[-1:]
        chain = hashlib.blake2b(chain.encode() + b"\n" + body, digest_size=8).hexdigest()
        assert chain == told


@pytest.mark.parametrize("name", ["../outside/kept.png", "{root}/outside/kept.png", "link/kept.png", "train/../../x"])
@pytest.mark.parametrize("row", ["o", "a"])
def test_paths_that_lead_out(done, name, row):
    outside = done.parent / "outside"
    outside.mkdir()
    (outside / "kept.png").write_bytes(picture(700))
    (done / "link").symlink_to(outside, target_is_directory=True)
    name = name.format(root=done.parent)

    def change(rows):
        number = next(n for n, one in enumerate(rows) if isinstance(one, list) and one[0] == row)
        rows[number][4 if row == "o" else 3] = name

    rows = unchained(done, change)
    line = 1 + next(n for n, one in enumerate(rows) if name in one)
    refused(done, f"damaged at line {line}", str(path_of(done)), "restore the file")


def test_a_folder_on_the_way_that_is_a_link(done):
    """Two names of one file: what is removed under one would be gone under the other."""
    (done / "train").rename(done / "elsewhere")
    (done / "train").symlink_to("elsewhere", target_is_directory=True)
    refused(done, "damaged at line", "goes through a link")


@pytest.mark.parametrize("place", [".affectkit-datasplit", ".affectkit-datasplit/journal.jsonl"])
def test_our_own_files_that_are_links(done, place):
    (done / place).rename(done.parent / "moved")
    (done / place).symlink_to(done.parent / "moved")
    refused(done, "is a link", "nothing was touched")


def test_a_made_file_without_a_hash_stays(done):
    def change(rows):
        rows[1:] = [row for row in rows[1:] if row[0] != "made"]

    unchained(done, change)
    made = {name for name in tree(done) if "-aug" in name}
    with pytest.raises(DataError, match="the journal has no hash of it"):
        undo(done)
    assert {name for name, _ in undo(done, force=True).kept} == made
    assert {name for name in tree(done) if "-aug" in name} == made and len(made) == 2


def test_a_journal_of_an_older_version_is_undone_and_it_is_said_once(done):
    unchained(done)
    heard = Heard()
    undo(done, heard)
    assert sum("was written by an older affectkit, without checksums" in text for text in heard.notes) == 1
    assert len(tree(done)) == 8 and not path_of(done).exists()


def edited(lines):
    return [*lines[:3], lines[3].replace(b'"a"', b'"b"', 1), *lines[4:]]


EDITS = {
    "edited": (edited, 4),
    "lost": (lambda lines: [*lines[:4], *lines[5:]], 5),
    "moved": (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 3),
    "doubled": (lambda lines: [*lines[:4], lines[3], *lines[4:]], 5),
    "a stage edited": (lambda lines: [*lines[:-2], lines[-2].replace(b"{", b"{ ", 1), lines[-1]], -1),
}


@pytest.mark.parametrize("kind", EDITS)
def test_an_edited_journal_is_told_by_its_line(done, kind):
    edit, line = EDITS[kind]
    lines = path_of(done).read_bytes().splitlines(keepends=True)
    path_of(done).write_bytes(b"".join(edit(lines)))
    line = line if line > 0 else len(lines) + line
    refused(done, f"damaged at line {line}: it does not follow the line before")


@pytest.mark.parametrize("tail", [b'["moved","12', b"\0" * 30, b"\0\0\n"])
def test_a_last_line_that_was_cut_is_passed_over_and_written_anew(done, tail):
    lines = path_of(done).read_bytes().splitlines(keepends=True)
    path_of(done).write_bytes(b"".join(lines[:-1]) + tail)
    journal = find_journal(done, "datasplit")
    assert "done" not in journal.stages
    journal.add("done")
    assert path_of(done).read_bytes() == b"".join(lines)
    undo(done)
    assert len(tree(done)) == 8


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ((0, "folders"), "train", "folders must be a list, got 'train'"),
        ((0, "tables"), ["notes.txt"], "tables[0] must be one of train.csv, test.csv, manifest.json, got 'notes.txt'"),
        ((0, "source"), "/", "its two sources differ"),
        ((0, "command"), "relabel", "it is of 'relabel', not of datasplit"),
        ((1, 5), "268", "size must be a count, got '268'"),
        ((1, 5), 10**25, "size must be a count, got 1000"),
        ((1, 6), "", "hash must be a hash of 32 or 64 digits, got ''"),
        ((1, 6), None, "hash must be a hash of 32 or 64 digits, got null"),
        ((1, 2), "valid", "the side is 'valid'"),
        ((1, 3), [], "source must be text, got a list of 0"),
        ((1, 3), "train/a/s01_0001.png", "does not become"),
        ((1, 0), "rm", "writes no such line"),
        ((1,), ["o"], "it has 0 values, not 6"),
        ((1,), {}, "a list that begins with a word is needed"),
        ((1,), None, "a list that begins with a word is needed"),
    ],
)
def test_rows_of_another_form(done, place, value, words):
    def change(rows):
        *way, last = place
        holder = rows
        for key in way:
            holder = holder[key]
        holder[last] = value

    unchained(done, change)
    refused(done, f"damaged at line {place[0] + 1}: ", words)


def test_originals_that_lie_in_the_folder_of_their_copies(tmp_path):
    """Their copies would be compared with themselves, and removed."""
    root = class_folders(tmp_path / "ds", {"a": 2})
    names = sorted(name for name in tree(root))
    header = {
        "identity": {"source": str(root), "label_col": "label", "filename_col": "filename", "plain_csv": False},
        "source": str(root), "base": "train/", "link": "copy", "notes": [], "tables": [], "folders": [],
    }  # fmt: skip
    journal = Journal(root, "datasplit", header)
    for name in names:
        data = (root / name).read_bytes()
        journal.originals.append(("a", "train", name, name, len(data), digest_bytes(data)))
    journal.write()
    refused(root, "damaged at line 1: its source", "lies in the folder of the copies")
