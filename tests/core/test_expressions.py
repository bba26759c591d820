"""Regular expressions over file names: with ``file:`` or bare, and what is wrong with one."""

from __future__ import annotations

import pytest

from affectkit.core.expressions import compile_expression, is_expression
from affectkit.data.layouts.group_table import ItemColumns
from affectkit.errors import UsageError


@pytest.mark.parametrize("given", [r"file:subject(\d+)_", r"subject(\d+)_"])
def test_both_ways_of_writing_are_one(given):
    assert compile_expression(given, "--group-by").search("subject12_smile.png")[1] == "12"


@pytest.mark.parametrize(("given", "most", "words"), [
    (r"subject\d+", 1, r"--group-by subject\d+: parentheses are missing in the expression, around what items share."),
    (r"file:subject", 1, "--group-by file:subject: parentheses are missing"),
    (r"(?:subject)", None, "parentheses are missing"),
    (r"(subject", 1, "this is no regular expression: a ( is not closed."),
    (r"subject(\d+))", 1, "this is no regular expression: a ) closes nothing."),
    (r"[a-z", 1, "this is no regular expression: a [ is not closed."),
    (r"*.png", 1, "in front of *, + or ? stands nothing that could be repeated."),
    (r"(a)(b)", 1, "the expression has 2 groups; it needs exactly one"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_plain_words(given, most, words):
    with pytest.raises(UsageError) as caught:
        compile_expression(given, "--group-by", most=most)
    assert words in caught.value.message and "subject12_smile.png: --group-by 'file:" in caught.value.hint


@pytest.mark.parametrize(("name", "words", "hint"), [
    (r"p\d+", r"--by p\d+: parentheses are missing in the expression", r"--by 'file:subject(\d+)_'"),
    (r"p(\d+)", r"--by p(\d+): there is no such column; an expression over file names begins with 'file:'.",
     r"--by 'file:p(\d+)'"),
    ("actr", "--by: there is no column 'actr' for the items.", "no table"),
])  # fmt: skip
def test_an_expression_in_place_of_a_column_is_told_from_a_column_that_is_not_there(name, words, hint):
    columns = ItemColumns(["p1_a.png", "p2_b.png"], root=None)
    assert columns.column(r"file:p(\d)") == ["1", "2"]
    with pytest.raises(UsageError) as caught:
        columns.column(name)
    assert words in caught.value.message and hint in caught.value.hint


def test_names_of_columns_are_no_expressions():
    assert not any(map(is_expression, ("subject", "Subject ID (old)", "a-b", "x.y", "emotion/label")))
    assert all(map(is_expression, (r"s\d", "^a", "[ab]", "a.*b", "s(1)", "a|b")))
