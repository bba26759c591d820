"""CSV tables of ours and of users: one way to read them, every fault one error."""

from __future__ import annotations

import pytest

from affectkit.core.csv_tables import csv_reader, read_csv
from affectkit.core.table_errors import TableErrors
from affectkit.errors import DataError, UsageError


def written(tmp_path, content: str | bytes):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_rows_by_name_each_with_its_line(tmp_path):
    path = written(tmp_path, '\ufeff a ,b\r\n1,"two\nlines"\r\n\r\n3\r\n4,5,\r\n')
    assert read_csv(path, "a") == [
        (3, {"a": "1", "b": "two\nlines"}),
        (5, {"a": "3", "b": ""}),
        (6, {"a": "4", "b": "5"}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"^table .*t\.csv has no column a, b; it is empty\."),
        ("b,c\n1,2\n", r"has no column a; its columns are b, c\."),
        ("a,b,a\n1,2,3\n", r"columns named twice: a\."),
        ("a,b\n", r"has a header and no rows\."),
        ("a,b\n1,2\n1,2,3\n1,2,3,4\n", r"rows must have 2 columns: lines 3 \(3\), 4 \(4\)\."),
        (b"a,b\n\xff,1\n", r"is not UTF-8 text \(invalid start byte\)\."),
        ("a,b\n1,2\nx,\"y\n1,2\n", r"is not a CSV file: line 4: unexpected end of data\."),
        ('a,b\n"x"y,1\n', r"is not a CSV file: line 2: "),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_one_error(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_csv(written(tmp_path, content), "a", "b", hint="The next step.")
    assert caught.value.hint == "The next step."
    with pytest.raises(UsageError, match=r"--labels t"):
        read_csv(written(tmp_path, content), "a", "b", title="--labels t", error=UsageError)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_file_that_cannot_be_opened(tmp_path, make):
    path = tmp_path / "t.csv"
    make(path)
    message = r"^cannot read --baseline t: (it does not exist|it is a folder)\."
    with pytest.raises(DataError, match=message), csv_reader(path, title="--baseline t"):
        raise AssertionError


def test_rows_that_break_rules_are_named_together(tmp_path):
    errors = TableErrors(tmp_path / "t.csv", title="--split t")
    errors.check("x")
    assert not errors
    errors.add("a must be b", 2, "c")
    errors.add("d must be e", 4)
    more = TableErrors(tmp_path / "t.csv")
    more.add("a must be b", 7)
    errors.extend(more)
    with pytest.raises(
        DataError, match=r"^--split t: \n  - a must be b: lines 2 \(c\), 7\n  - d must be e: line 4\.\nx"
    ):
        errors.check("x")
    many = TableErrors(tmp_path / "t.csv", every=True)
    for line in (*range(2, 12), 20):
        many.add("a must be b", line)
    with pytest.raises(UsageError, match=r"lines 2, 3, .*, 11 and 1 more \(all: 2-11, 20\)"):
        many.check(error=UsageError)
