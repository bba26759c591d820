"""Columns of items: of their own tables, joined by name or through another column, and every refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import SHARED

from affectkit.data.layouts.group_table import ItemColumns, read_rows
from affectkit.errors import AffectkitError, DataError, UsageError
from tests.data.layouts.test_tables import write

CLIPS = "filename,label,subject,take\nv/a.png,sad,s1,1\nv/b.png,happy,s2,1\nv/c.png,sad,s1,2\nv/d.png,sad,,2\n"
IDS = ["v/c.png", "v/a.png", "v/b.png", "v/d.png"]


def columns(folder: Path, groups: str | None = None, *, ids: list[str] = IDS, own: str = CLIPS) -> ItemColumns:
    write(folder, own)
    table = None if groups is None else write(folder / "apart", groups, "people.csv")
    return ItemColumns(ids, root=folder, groups=table, classes=("sad", "happy"))


def refusal(error: type[AffectkitError], folder: Path, groups: str, **more: object) -> str:
    with pytest.raises(error) as caught:
        columns(folder, groups, **more)
    assert "--groups" in caught.value.message and "people.csv" in caught.value.message
    return str(caught.value)


def test_own_columns_in_the_order_of_the_items(tmp_path: Path) -> None:
    found = columns(tmp_path)
    assert found.names == ["subject", "take"]  # label is a target, filename names the items
    assert found.column("subject") == ["s1", "s1", "s2", ""]
    assert found.column("Take") == ["2", "1", "1", "2"]
    assert found.notes == []


def test_unknown_columns_and_targets(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column 'subjects' for the items. Did you mean subject") as caught:
        columns(tmp_path).column("subjects")
    assert "subject, take" in str(caught.value)
    with pytest.raises(UsageError, match="--cluster label: that column is a target"):
        columns(tmp_path).column("label", option="--cluster")
    with pytest.raises(UsageError, match="--groups TABLE"):
        columns(tmp_path, own="filename,label\nv/a.png,sad\n").column("sex")


@pytest.mark.parametrize(
    "names",
    [("v/a.png", "v/b.png", "v/d.png"), ("v/a", "v/b", "v/d"), ("a.png", "b.png", "d.png"), ("a.jpg", "b", "x/d.avi")],
)
@pytest.mark.parametrize("key", ["filename", "Image Name"])
def test_joined_by_name_whole_or_without_folder_and_ending(tmp_path: Path, names: tuple[str, ...], key: str) -> None:
    found = columns(tmp_path, f"{key},Sex\n{names[0]},f\n{names[1]},NA\n{names[2]},m\nother,f\n")
    assert found.column("sex") == ["", "f", "", "m"]
    (note,) = found.notes
    assert "3 of 4 rows used, for 3 of 4 items" in note
    assert "rows without an item: other" in note and "1 item without a row: " in note


def test_joined_through_a_subject(tmp_path: Path) -> None:
    people = "SubjectID,Sex,Age\ns1,f,30\ns3,m,40\n"
    found = columns(tmp_path, people)
    assert found.column("Sex") == ["f", "f", "", ""]
    assert found.names[:2] == ["Sex", "Age"]
    (note,) = found.notes
    assert "joined by 'SubjectID' (subject): 1 of 2 rows used, for 2 of 4 items" in note
    assert "rows without an item: s3" in note and "2 items without a row: s2" in note
    by_values = columns(tmp_path, people.replace("SubjectID", "code"))
    assert by_values.column("age") == ["30", "30", "", ""]


def test_the_joined_table_wins_and_says_so(tmp_path: Path) -> None:
    found = columns(tmp_path, "filename,take\nv/a.png,9\n")
    assert found.column("take") == ["", "9", "", ""]
    assert any("take stand in the data set's own table too" in note for note in found.notes)


def test_rows_that_repeat(tmp_path: Path) -> None:
    same = columns(tmp_path, "subject,sex\ns1,f\ns1,f\n")
    assert same.column("sex") == ["f", "f", "", ""]
    text = refusal(DataError, tmp_path, "subject,sex\ns1,f\ns2,m\ns1,m\n")
    assert "a subject must have one row: line 4 ('s1' as in line 2)" in text


def test_tables_that_cannot_be_joined(tmp_path: Path) -> None:
    assert "no row is joined: its column 'filename' has x.png" in refusal(DataError, tmp_path, "filename,a\nx.png,1\n")
    text = refusal(DataError, tmp_path, "who,sex\nnobody,f\n")
    assert "It needs a column 'filename', or a first column of names" in text and "subject, take" in text
    assert "no row is joined" in refusal(DataError, tmp_path, "subject,sex\ns8,f\n")
    twice = refusal(DataError, tmp_path, "who,sex\n1,f\ns1,m\n")
    assert "holds values of several columns of the data set: subject, take" in twice
    assert "separated by commas" in refusal(DataError, tmp_path, "who;sex\nv/a.png;f\n")
    ids = ["v/a.png", "w/a.png"]
    assert "as v/a.png and w/a.png" in refusal(DataError, tmp_path, "filename,sex\na.png,f\n", ids=ids)


def test_columns_read_off_the_names(tmp_path: Path) -> None:
    found = columns(tmp_path)
    assert found.column(r"file:v/([ab])") == ["", "a", "b", ""]
    for wrong, why in (("file:v", "parentheses are missing"), ("file:(", "is no regular"), ("file:(zz)", "in no name")):
        with pytest.raises(UsageError, match=why):
            found.column(wrong)


@pytest.mark.skipif(not SHARED.is_dir(), reason="CREMA-D's tables are not beside the checkout")
def test_the_real_table_of_actors_is_joined_through_the_actors_of_clips(tmp_path: Path) -> None:
    people = SHARED / "VideoDemographics.csv"
    own = "filename,label,actor\n1001_DFA_ANG_XX,anger,1001\n1002_DFA_ANG_XX,anger,1002\n"
    write(tmp_path, own)
    ids = ["1002_DFA_ANG_XX", "1001_DFA_ANG_XX"]
    found = ItemColumns(ids, root=tmp_path, groups=people, classes=("anger",))
    assert found.column("Age") == ["21", "51"] and found.column("sex") == ["Female", "Male"]
    assert "2 of 91 rows used, for 2 of 2 items" in found.notes[0]


def test_semicolons_are_told_where_a_name_or_a_cell_has_a_comma(tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text('filename;"race, as told";sex\na.png;x;f\nb.png;"y, z";m\n')
    with pytest.raises(DataError) as caught:
        read_rows(table)
    assert "rows must have 2 columns" in caught.value.message and "semicolons or tabs" in str(caught.value.hint)
