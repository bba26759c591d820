"""Folders whose records and tables were edited: a page, or one error that names the file; never another exception."""

from __future__ import annotations

import csv
import json
import random

import pytest
from pages.result_folders import photographs
from pages.test_labelled_kinds import cells_of_matrix, results_by_group, results_of_test, run_folder, sweep
from pages.test_videos import folder_of, rows_of

from affectkit.errors import AffectkitError
from affectkit.pages.make import make_report

ODD = (None, -1, 3, 1e300, "", "x" * 50, "NaN", [], {}, [1], {"a": 1}, True, "../..", "\udcff")
CELLS = ("", "x", "-1", "nan", "inf", "1e999", "../../etc/passwd", "9" * 400, "=1", "\u202e")


def folders(root):
    yield photographs(root / "p", ["a.png", "b.png"], empty=["c.png"])[0]
    yield folder_of(root / "v", rows_of("a.mp4", [[1, 2], [], [3]]))
    yield results_of_test(root / "t")[0]
    yield run_folder(root / "r")
    yield sweep(root / "s")
    yield results_by_group(root / "g")
    yield cells_of_matrix(root / "m")


def places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def edited(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = edited(value[path[0]], path[1:], new)
    return copy


def tried(folder, page):
    """Make the page; return whether it was refused."""
    try:
        make_report(folder, page)
    except AffectkitError as error:
        assert error.message
        return True
    return False


@pytest.mark.parametrize("kind", range(7))
def test_edited_records_give_a_page_or_an_error(tmp_path, kind):
    folder, rng, counts = list(folders(tmp_path))[kind], random.Random(kind), [0, 0]
    for path in sorted(folder.glob("*.json")):
        text = path.read_text()
        for place in places(json.loads(text)):
            for new in rng.sample(ODD, 4):
                try:
                    path.write_text(json.dumps(edited(json.loads(text), place, new)))
                except TypeError:
                    continue
                counts[tried(folder, tmp_path / "page.html")] += 1
        path.write_text(text)
    assert min(counts) > 3, counts


@pytest.mark.parametrize("kind", range(6))  # a matrix has no table that is read
def test_edited_tables_give_a_page_or_an_error(tmp_path, kind):
    folder, rng, count = list(folders(tmp_path))[kind], random.Random(kind), 0
    for path in sorted(folder.rglob("*.csv")):
        with path.open(newline="") as stream:
            rows = list(csv.reader(stream))
        text = path.read_text()
        for _ in range(30):
            copy = [list(row) for row in rows]
            row = rng.choice(copy)
            row[rng.randrange(len(row))] = rng.choice(CELLS)
            if rng.random() < 0.2:
                row.append("more")
            with path.open("w", newline="") as stream:
                csv.writer(stream).writerows(copy)
            tried(folder, tmp_path / "page.html")
            count += 1
        path.write_bytes(text.encode()[: rng.randrange(len(text))])
        tried(folder, tmp_path / "page.html")
        path.write_text(text)
    assert count >= 30
