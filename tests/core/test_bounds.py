"""Files of others that ask for much: refused with the value and the bound, in time that grows with the text alone."""

from __future__ import annotations

import io
import json
import math
import types
from pathlib import Path

import pytest

from affectkit.config import load_yaml, resolve
from affectkit.core import csv_tables, limits
from affectkit.core.csv_tables import read_csv
from affectkit.core.files import read_json
from affectkit.core.forms import check_form, form_faults, is_deep, parse_json
from affectkit.core.registry import nearest_names, unknown_name
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.quantiles import read_pairs
from affectkit.inference import path_lists
from affectkit.inference.path_lists import read_list
from affectkit.settings.inference import InferSettings
from affectkit.settings.training import TrainSettings


def settings(tmp_path, text, kind=TrainSettings):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    flags = {"data": "d", "output": "o"} if kind is TrainSettings else {"paths": ["a"]}
    return resolve(kind, flags=flags, file=path).settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("".join(f"key{i}: 1\n" for i in range(60_000)), "more than the 20,000 keys and values"),
        ("settings:\n" + "".join(f"  key{i}: 1\n" for i in range(9_000)), "and more: the first 20 are named"),
        ("paths: [" + "a," * 100_000 + "]", "more than the 20,000 keys and values"),
        ("[" * 20_000, "nested deeper than the 100 levels"),
        ("a: " + "{a: " * 500 + "1" + "}" * 500, "nested deeper than the 100 levels"),
        ("".join(" " * i + "a:\n" for i in range(300)), "nested deeper than the 100 levels"),
        ("batch_size: " + "9" * 25, "--batch-size must be at most 9,223,372,036,854,775,807 in size, got 9{25}"),
        ("batch_size: -" + "9" * 25, "--batch-size must be at most 9,223,372,036,854,775,807 in size"),
        ("batch_size: 1.0e+300", "--batch-size must be at most 9,223,372,036,854,775,807 in size"),
        ("batch_size: " + "9" * 5000, "a number of 5,000 characters; at most 40 are read"),
        ("lr: " + "9" * 400, "a number of 400 characters"),
        ("milestones: [" + "9" * 30 + "]", "--milestones must be at most 9,223,372,036,854,775,807"),
        ("lr: {a: 1}", "--lr must be a number"),
        ("fit: 2024-13-45", "--fit must be one of .*; got '2024-13-45'"),
        ("ignore_columns: [yes, a]", "--ignore-columns must be a list of texts, got .True, 'a'.*quotes"),
        ("k" * 900 + ": 1", "unknown setting 'k{200}...'"),
    ],
    ids=range(16),
)
def test_configurations_are_bounded(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as error:
        settings(tmp_path, text)
    assert len(str(error.value)) < 20_000


def test_text_stays_as_it_is_written(tmp_path):
    found = settings(
        tmp_path, "ignore_columns: [010, 1:30, 2024-01-01, 1.50, 0x1F, 1_000]\nlabels: 2024-01-01\n"
    )  # fmt: skip
    assert found.ignore_columns == ("010", "1:30", "2024-01-01", "1.50", "0x1F", "1_000")
    assert str(found.labels) == "2024-01-01"
    assert str(settings(tmp_path, "labels: 007").labels) == "007"
    assert settings(tmp_path, "batch_size: 0x10\nlr: 1e-3\nema: 0.50").batch_size == 16


def test_a_configuration_is_read_no_further_than_its_bound():
    with pytest.raises(UsageError, match="at most 1,000,000"):
        resolve(InferSettings, flags={"paths": ["a"]}, file=Path("/dev/zero"))


def test_flags_are_bounded_as_files_are():
    with pytest.raises(UsageError, match="--batch-size must be at most"):
        resolve(InferSettings, flags={"paths": ["a"], "batch_size": 10**24})


@pytest.mark.parametrize(
    ("text", "twice"),
    [("a: 1\na: 2", "a stands twice"), ("1: 1\n1: 2", "1 stands twice"), ("x: {b: 1, b: 2}", "b stands")],
)
def test_repeated_keys_are_still_found(text, twice):
    with pytest.raises(UsageError, match=twice):
        load_yaml(text, "it")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: !!timestamp x", "tag 'tag:yaml.org,2002:timestamp' is not allowed"),
        ("a: !!timestamp 2020-01-01", "timestamp' is not allowed"),
        ("a: !!binary aGk=", "binary' is not allowed"),
        ("a: !!set {b}", "set' is not allowed"),
        ("a: !!bool x", "'x' is no bool"),
        ("a: !!float ''", "'' is no float"),
        ("a: !!map x", "not plain YAML"),
    ],
)
def test_a_tag_that_its_text_does_not_bear(text, told):
    with pytest.raises(UsageError, match=told):
        load_yaml(text, "it")


def test_the_same_work_for_each_key():
    """Comparisons of keys, counted: they grow with the keys, not with their square."""
    import yaml

    def steps(count):
        seen = 0

        class Key(str):
            def __eq__(self, other):
                nonlocal seen
                seen += 1
                return str.__eq__(self, other)

            __hash__ = str.__hash__

        original = yaml.composer.Composer.compose_scalar_node

        def composed(self, anchor):
            node = original(self, anchor)
            node.value = Key(node.value)
            return node

        yaml.composer.Composer.compose_scalar_node = composed
        try:
            load_yaml("".join(f"k{i}: x\n" for i in range(count)), "it")
        finally:
            yaml.composer.Composer.compose_scalar_node = original
        return seen

    few, many = steps(200), steps(800)
    assert many <= 8 * max(few, 200), (few, many)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 150 + "]" * 150, '{"a":' * 150 + "1" + "}" * 150])
def test_json_without_end(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"a\.json.*nested deeper than the 100 levels"):
        read_json(path)


def test_json_with_much_beside_is_not_deep(tmp_path):
    path = tmp_path / "a.json"
    value = {"a": [[i, {"b": [i]}] for i in range(5_000)]}
    path.write_text(json.dumps(value))
    assert read_json(path) == value
    assert not is_deep(value) and is_deep(value, 4) and not is_deep(value, 5)
    with pytest.raises(DataError, match="has 9 characters; at most 8"):
        parse_json('["12345"]', "it", limit=8)


@pytest.mark.parametrize(
    ("value", "form", "fault"),
    [
        (None, int, "it must be a whole number, got null"),
        (True, int, "it must be a whole number, got true"),
        (2**63, int, "it must be a whole number, got 9223372036854775808"),
        (10**40, int, "it must be a whole number, got a number of about 40 digits"),
        (math.nan, float, "it must be a finite number, got NaN"),
        (10**400, float, "it must be a finite number, got a number of about 400 digits"),
        ("1", float, "it must be a finite number, got '1'"),
        ([1], str, "it must be text, got a list of 1"),
        ({"a": {"b": [1, "x"]}}, {"a": {"b": list[int]}}, "a.b[1] must be a whole number, got 'x'"),
        ({}, {"a": int}, "a is missing"),
        ({"a": None}, {"a?": str}, "a must be text, got null"),
        ({"a": 1}, {"a?": str | None}, "a must be text, got 1"),
        (1.5, int | str, "it must be a whole number or text, got 1.5"),
        ([1, 2], tuple[int, int, int], "it must have 3 entries, got 2"),
        ({"x" * 99: 1}, dict[str, str], f"{'x' * 60} must be text, got 1"),
    ],
)
def test_a_fault_of_form_names_place_value_and_rule(value, form, fault):
    assert list(form_faults(value, form)) == [fault]


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (1, int), (1, float), (1.5, float), ("", str), (None, str | None), ({}, {"a?": int}), ([], list[int]),
        ([1, "a"], tuple[int, str]), ({"b": 1}, {"a?": int}), ([[1]], list[list[int]]), (None, dict[str, int] | None),
    ],
)  # fmt: skip
def test_values_of_their_form_pass(value, form):
    check_form(value, form, "it")


def test_many_faults_are_cut():
    with pytest.raises(DataError) as error:
        check_form(["a"] * 9, list[int], "t", most=2)
    assert error.value.message.startswith("t: [0] must be") and error.value.message.endswith("; and more.")


def test_looking_for_the_name_that_was_meant_is_bounded():
    assert nearest_names("abd", ["abc", "xyz"]) == ["abc"]
    assert nearest_names("abd", [*map(str, range(6_000)), "abc"]) == []
    assert nearest_names("a" * 201, ["a" * 200]) == []
    assert len(unknown_name("setting", "a" * 10**6, ["b"])) < 300


def table(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return path


def test_rows_of_tables_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_tables, "MAX_TABLE_LINE", 60)
    good = "a,b\n" + "1,2\n" * 50
    assert len(read_csv(table(tmp_path, good), "a")) == 50
    for text, line in ((good + "x," * 40, 52), (good + '"' + "x\n" * 40, 81), (good + ('"x\ny",' * 20), 62)):
        with pytest.raises(DataError, match=r"has more than 60 characters") as error:
            read_csv(table(tmp_path, text), "a")
        assert f"line {line}" in error.value.message


def test_columns_of_tables_are_bounded(tmp_path):
    from affectkit.data.layouts.tables import read_table

    path = table(tmp_path, ",".join(f"c{i}" for i in range(17_000)) + "\n1\n")
    for read in (read_csv, read_table):
        with pytest.raises(DataError, match="has 17,000 columns; at most 16,384 are read"):
            read(path)


@pytest.mark.parametrize("cell", ["1e308", "-1e308", "1e101"])
def test_numbers_whose_squares_overflow(tmp_path, cell):
    path = table(tmp_path, f"Actual,Predicted\n1,2\n{cell},3\n2,3\n")
    with pytest.raises(DataError, match=r"cells must be at most 1e\+100 in size: line 3"):
        read_pairs(path, actual="Actual", predicted="Predicted")


def test_votes_whose_sums_overflow(tmp_path):
    from affectkit.data.layouts.tables import read_table

    path = table(tmp_path, "filename,happy,sad\na.png,1e308,1e308\nb.png,1,2\nc.png,2,2\n")
    with pytest.raises(DataError, match=r"emotion columns must hold numbers of at most 1e\+100: lines? 2"):
        read_table(path)


def test_lists_of_paths_are_bounded(monkeypatch):
    stream = types.SimpleNamespace(buffer=io.BytesIO(b"a.png\n" + b"x" * 1_000_001 + b"\n"))
    with pytest.raises(DataError, match="path 2 of the list .* has 1,000,001 characters; at most 1,000,000"):
        read_list(stream)
    monkeypatch.setattr(path_lists, "MAX_LIST_BYTES", 100)
    with pytest.raises(DataError, match="more than the 100 bytes"):
        read_list(types.SimpleNamespace(buffer=io.BytesIO(b"a.png\n" * 50)))


def test_every_bound_is_a_number_with_a_use():
    names = [name for name in vars(limits) if name.isupper()]
    assert len(names) > 15 and all(isinstance(getattr(limits, name), int | float) for name in names)
