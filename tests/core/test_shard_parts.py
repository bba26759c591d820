"""Parts of shards are refused unless together they are the whole."""

from __future__ import annotations

import csv
import hashlib
import json
import re

import pytest

from affectkit.core import shard_parts
from affectkit.core.shard_parts import (
    Part,
    Table,
    begin_part,
    end_part,
    find_parts,
    merged_rows,
    read_parts,
    recorded_command,
    refuse_other_counts,
    table_rows,
)
from affectkit.core.shards import POSITION, Listing, Shard
from affectkit.errors import DataError, UsageError

NAMES = [f"{k}.png" for k in range(11)]


def make_part(folder, number, count, *, names=NAMES, own=None, forms=("csv",), **identity):
    """A part of ``names``; every third item goes to a second table. ``own`` replaces (position, name) pairs."""
    shard = Shard(number, count)
    place = folder / shard.folder
    place.mkdir(parents=True, exist_ok=True)
    listing = Listing()
    for name in names:
        listing.add(name)
    own = own if own is not None else [(k, name) for k, name in enumerate(names) if k % count == number - 1]
    tables = []
    for table, rows in (("rows", [x for x in own if x[0] % 3]), ("odd", [x for x in own if x[0] % 3 == 0])):
        form = forms[len(tables) % len(forms)]
        path = place / f"{table}.{form}"
        with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            if form == "csv":
                csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
                    [[POSITION, "name", "square"], *([k, name, k * k] for k, name in rows)]
                )
            else:
                stream.writelines(json.dumps({POSITION: k, "name": n, "square": k * k}) + "\n" for k, n in rows)
        tables.append(Table(path.name, ["name", "square"], len(rows)))
    known = {"command": "infer", "identity": {"checkpoint": "abc", **identity}}
    begin_part(place, shard, **known)
    end_part(place, shard, **known, listing=listing, tables=tables, more={})
    return place


def make_parts(folder, count, **changes):
    return [make_part(folder, number, count, **changes) for number in range(1, count + 1)]


@pytest.mark.parametrize("forms", [("csv",), ("jsonl",), ("csv", "jsonl")])
@pytest.mark.parametrize("count", [1, 2, 4, 13])
def test_parts_give_every_row_once_in_order(tmp_path, count, forms, monkeypatch):
    monkeypatch.setattr(shard_parts, "_HELD", 1)
    odd = ["", "a,b", 'q"q', "l\nm", "l\rm", "l\u2028m", "n\x85", "b\udcff"]
    names = [*NAMES, *(f"x{text}" for text in odd)]
    make_parts(tmp_path, count, names=names, forms=forms)
    parts = read_parts(tmp_path)
    assert [part.shard for part in parts] == [Shard(k, count) for k in range(1, count + 1)]
    rows = [(table.split(".")[0], row[0], int(row[1])) for table, row in merged_rows(tmp_path, parts)]
    assert rows == [("rows" if k % 3 else "odd", name, k * k) for k, name in enumerate(names)]


def test_rows_are_read_a_block_at_a_time_without_losing_any(tmp_path):
    names = [str(k) + k % 3 * "\n" for k in range(20)]
    make_parts(tmp_path, 1, names=names)
    part = read_parts(tmp_path)[0]
    found = {block: [row[:2] for row in table_rows(part, "rows.csv", block=block)] for block in (1, 2, 7, 100)}
    assert all(rows == [[str(k), name] for k, name in enumerate(names) if k % 3] for rows in found.values())


def test_missing_and_unfinished_parts_are_named_together(tmp_path):
    folders = make_parts(tmp_path, 5)
    begin_part(folders[0], Shard(1, 5), command="infer", identity={"checkpoint": "abc"})
    (folders[1] / "shard.json").write_text("{torn")
    for path in (folders[2], folders[4]):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    with pytest.raises(DataError) as caught:
        read_parts(tmp_path, finish=" --resume")
    assert caught.value.exit_code == 1
    lines = caught.value.message.splitlines()
    assert lines[1] == "  - missing: shards 3/5, 5/5. Run the same command with --shard 3/5, and so on."
    assert lines[2].startswith("  - not finished: shards 1/5, 2/5.") and "--shard 1/5 --resume" in lines[2]
    assert len(lines) == 3
    with pytest.raises(DataError, match="holds no shard"):
        read_parts(tmp_path / "none")


def test_parts_of_different_numbers_of_shards_are_refused(tmp_path):
    make_parts(tmp_path, 2)
    make_part(tmp_path, 3, 3)
    with pytest.raises(DataError, match="different numbers of shards: 2 of 2, 1 of 3"):
        read_parts(tmp_path)
    with pytest.raises(UsageError, match="holds shard-3-of-3; --shard 1/2 is of another number"):
        refuse_other_counts(tmp_path, Shard(1, 2))
    refuse_other_counts(tmp_path / "none", Shard(1, 2))


def test_parts_of_different_origin_are_refused_with_the_difference(tmp_path):
    make_part(tmp_path, 1, 3)
    make_part(tmp_path, 2, 3, checkpoint="def")
    make_part(tmp_path, 3, 3, names=[*NAMES, "new.png"])
    with pytest.raises(DataError) as caught:
        read_parts(tmp_path, redo=" --force")
    assert "different checkpoint: abc in shards 1/3, 3/3; def in shard 2/3" in caught.value.message
    assert "11 items (names " in caught.value.message and "12 items (names " in caught.value.message
    make_part(tmp_path, 2, 3)
    make_part(tmp_path, 3, 3, names=[*NAMES[:-1], "other.png"])
    with pytest.raises(DataError, match="different listings"):
        read_parts(tmp_path)


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_table_is_refused(tmp_path, how):
    table = make_parts(tmp_path, 2)[1] / "rows.csv"
    if how == "gone":
        table.unlink()
    else:
        table.write_text(table.read_text().replace("25", "26"))
    with pytest.raises(DataError, match=r"damaged: rows\.csv of shard 2/2.*--shard 2/2 --force"):
        read_parts(tmp_path, redo=" --force")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ([(1, "1.png"), (3, "3.png"), (4, "2.png")], "position 4 stands twice"),
        ([(1, "1.png"), (3, "3.png"), (7, "7.png"), (9, "9.png")], "position 5 stands nowhere"),
        ([(1, "1.png"), (3, "3.png"), (5, "5.png"), (7, "7.png")], "position 9 stands nowhere"),
        ([(k, f"{k}.png") for k in (1, 3, 5, 7, 9, 11)], "position 11 stands there, but 11 items were listed"),
        ([(k, "1.png" if k == 5 else f"{k}.png") for k in (1, 3, 5, 7, 9)], "'1.png' stands twice, at positions 1 and"),
        ([(k, "x.png" if k == 5 else f"{k}.png") for k in (1, 3, 5, 7, 9)], "names are not those that were listed"),
        ([(1, "1.png"), ("five", "5.png")], "'five' is not a position"),
    ],
)
def test_gaps_and_overlaps_are_refused(tmp_path, own, message):
    """Parts whose records vouch for what is wrong: only the rows themselves can tell."""
    make_part(tmp_path, 1, 2)
    if own[-1][0] == "five":
        place = make_part(tmp_path, 2, 2)
        text = (place / "rows.csv").read_text().replace('"5"', '"five"', 1)
        (place / "rows.csv").write_text(text)
        record = json.loads((place / "shard.json").read_text())
        record["tables"]["rows.csv"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (place / "shard.json").write_text(json.dumps(record))
    else:
        make_part(tmp_path, 2, 2, own=own)
    parts = read_parts(tmp_path)
    with pytest.raises(DataError, match=re.escape(message)):
        list(merged_rows(tmp_path, parts))


def test_a_position_in_another_shards_part_is_refused(tmp_path):
    make_part(tmp_path, 1, 2, own=[(k, f"{k}.png") for k in (0, 2, 4, 6, 8)])
    make_part(tmp_path, 2, 2, own=[(k, f"{k}.png") for k in (1, 3, 5, 7, 9, 10)])
    with pytest.raises(DataError, match="position 10 stands in shard-2-of-2/rows.csv, but is not shard 2/2's"):
        list(merged_rows(tmp_path, read_parts(tmp_path)))


def test_many_faults_are_counted_not_listed(tmp_path):
    make_part(tmp_path, 1, 2)
    make_part(tmp_path, 2, 2, own=[])
    with pytest.raises(DataError, match="position 1 stands nowhere") as caught:
        list(merged_rows(tmp_path, read_parts(tmp_path)))
    assert len(caught.value.message.splitlines()) == 1 + 5
    names = [str(k) for k in range(101)]
    make_part(tmp_path / "more", 1, 2, names=names)
    make_part(tmp_path / "more", 2, 2, names=names, own=[])
    with pytest.raises(DataError, match="and 45 more such faults"):
        list(merged_rows(tmp_path, read_parts(tmp_path / "more")))


def test_the_command_is_found_out_from_the_parts(tmp_path):
    assert recorded_command(tmp_path) is None and find_parts(tmp_path / "none") == {}
    folders = make_parts(tmp_path, 2)
    assert recorded_command(tmp_path) == "infer"
    (folders[0] / "shard.json").unlink()
    assert recorded_command(tmp_path) == "infer"
    begin_part(folders[0], Shard(1, 2), command="prep ferplus", identity={})
    with pytest.raises(DataError, match="holds shards of infer, prep ferplus"):
        recorded_command(tmp_path)
    for folder in folders:
        (folder / "shard.json").write_text("[]")
    with pytest.raises(DataError, match=r"shards without a shard\.json that can be read"):
        recorded_command(tmp_path)


def test_a_table_that_is_not_one_is_refused(tmp_path):
    folder = make_parts(tmp_path, 1)[0]
    part = read_parts(tmp_path)[0]
    for text, message in (
        ("Position,name\n1,1.png\n", "its columns are not Position, name, square"),
        ("Position,name,square\n1,1.png\n", "a row has 2 values, not 3"),
    ):
        (folder / "rows.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            list(table_rows(part, "rows.csv"))
    (folder / "rows.jsonl").write_text('{"Position": 1}\n')
    record = {"tables": {"rows.jsonl": {"columns": ["name"]}}}
    with pytest.raises(DataError, match="rows.jsonl is damaged at line 1: column 'name' is missing"):
        list(table_rows(Part(part.shard, folder, record), "rows.jsonl"))
