"""Parts that are removed once their result stands: killed at any step, the next call finishes, and removes no other."""

from __future__ import annotations

import pytest
from splitting import in_child, tree

from affectkit.core.shard_parts import begin_part, end_part, find_parts
from affectkit.core.shard_removal import NOTE, finish_removal, remove_part, remove_parts
from affectkit.core.shards import Listing, Shard


def make(folder, count=3):
    folder.mkdir()
    for number in range(1, count + 1):
        place = folder / f"shard-{number}-of-{count}"
        (place / "inner").mkdir(parents=True)
        (place / "rows.csv").write_text("a,b\n")
        known = {"command": "infer", "identity": {}}
        begin_part(place, Shard(number, count), **known)
        end_part(place, Shard(number, count), **known, listing=Listing(), tables=[], more={"tables": {
            "rows.csv": {"columns": ["a"], "rows": 0, "sha256": "0"}
        }})  # fmt: skip
    (folder / "table.csv").write_text("whole")
    return folder


def parts_of(folder):
    from affectkit.core.shard_parts import Part

    return [Part(shard, path, {}) for shard, path in find_parts(folder).items()]


def test_a_kill_at_any_step_is_finished(tmp_path):
    def remove(folder):
        remove_parts(folder, parts_of(folder), ["table.csv"])

    steps = in_child(lambda: remove(make(tmp_path / "probe"))) - in_child(lambda: make(tmp_path / "made"))
    assert steps > 15 and set(tree(tmp_path / "probe", hidden=True)) == {"table.csv"}
    finished = 0
    for moment in range(1, steps + 1):
        folder = make(tmp_path / f"{moment}")
        in_child(lambda folder=folder: remove(folder), kill_at=moment)
        if finish_removal(folder) is None:
            if find_parts(folder):  # killed before the note: all stand
                assert len(find_parts(folder)) == 3 and not (folder / NOTE).exists()
                remove(folder)
        else:
            finished += 1
        names = {name for name in tree(folder, hidden=True) if not name.endswith(".part")}
        assert names == {"table.csv"}, f"killed at step {moment}"
    assert finished > 10


@pytest.mark.parametrize("change", ["result", "part", "note", "link"])
def test_nothing_is_removed_where_result_or_parts_are_others(tmp_path, change):
    folder = make(tmp_path / "r")
    whole = make(tmp_path / "whole")
    remove_parts(whole, parts_of(whole), ["table.csv"])
    in_child(lambda: remove_parts(folder, parts_of(folder), ["table.csv"]), kill_at=9)
    assert (folder / NOTE).exists()
    if change == "result":
        (folder / "table.csv").write_text("another")
    elif change == "part":
        (folder / "shard-3-of-3" / "shard.json").write_text("{}")
    elif change == "note":
        (folder / NOTE).write_text('{"results": {"../whole/table.csv": "0"}, "parts": {"a": "b"}}')
    else:
        (folder / "table.csv").rename(tmp_path / "table.csv")
        (folder / "table.csv").symlink_to(tmp_path / "table.csv")
    before = tree(tmp_path, hidden=True)
    assert finish_removal(folder) is None
    assert tree(tmp_path, hidden=True) == before


def test_of_a_link_the_link_alone_is_removed(tmp_path):
    folder = make(tmp_path / "r")
    (folder / "shard-1-of-3").rename(tmp_path / "elsewhere")
    (folder / "shard-1-of-3").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    remove_part(folder / "shard-1-of-3")
    assert (tmp_path / "elsewhere" / "rows.csv").is_file() and len(find_parts(folder)) == 2
