"""Settings that are written as text: each is read once, holds what it means, and is recorded as it was written."""

from __future__ import annotations

import ast
import inspect
import pickle
import typing
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from affectkit.cli.app import app
from affectkit.config import Parsed, dump_yaml, field_type, load_yaml, plain, resolve, setting, value_of
from affectkit.core.shards import Shard
from affectkit.corruptions import CorruptionChoice
from affectkit.errors import UsageError
from affectkit.settings.evaluation import TestSettings
from affectkit.settings.inference import InferSettings
from affectkit.settings.reconstruction import ReconstructSettings
from affectkit.settings.robustness import RobustnessSettings
from affectkit.settings.training import TrainSettings
from affectkit.settings.values import parse_every, parse_faces, parse_interval, parse_severities, parse_thresholds

PACKAGE = Path(__file__).parents[2] / "affectkit"
CASES = [
    (TrainSettings, "rating_range", " 1 , 9", (1.0, 9.0)),
    (TrainSettings, "max_pixels", "0.2G", 200_000_000),
    (TrainSettings, "v1", "local-rf,center-surround", frozenset({"local-rf", "center-surround"})),
    (TrainSettings, "loss", "mse:0.50 + kl", {"mse": 0.5, "kl": 1.0}),
    (TrainSettings, "checkpoint_every", "1.50h", (0, 5400.0)),
    (TrainSettings, "sampling", "0.50", 0.5),
    (TestSettings, "corrupt", "fog", CorruptionChoice("fog", 3)),
    (TestSettings, "fail_under", "top1=0.10,kl=5", {"top1": 0.1, "kl": 5.0}),
    (TestSettings, "rating_range", "-1:1", (-1.0, 1.0)),
    (InferSettings, "faces", "yunet:a/b.onnx", ("yunet", Path("a/b.onnx"))),
    (InferSettings, "every", "0.50s", (0.5, 0)),
    (InferSettings, "shard", "02/4", Shard(2, 4)),
    (RobustnessSettings, "corruptions", "snow, fog", ("snow", "fog")),
    (RobustnessSettings, "severities", "4,1-2", (1, 2, 4)),
    (RobustnessSettings, "fail_under", "mce=1", {"mce": 1.0}),
]
NEEDED = {
    TrainSettings: {"data": "d", "output": "o"},
    TestSettings: {"checkpoint": "c", "data": "d"},
    InferSettings: {"paths": ["p"], "results": "r"},
    RobustnessSettings: {"checkpoint": "c", "data": "d"},
}


@pytest.mark.parametrize(("kind", "name", "text", "value"), CASES, ids=[f"{k.__name__}-{n}" for k, n, *_ in CASES])
def test_a_setting_holds_what_its_text_means_and_records_the_text(tmp_path, kind, name, text, value):
    given = resolve(kind, flags={**NEEDED[kind], name: text}).settings
    assert getattr(given, name).value == value
    assert plain(given)[name] == text, "the record shows what was written, not what it means"
    written = dump_yaml({"settings": plain(given)})
    assert load_yaml(written, "t")["settings"][name] == text
    (tmp_path / "config.yaml").write_text(written)
    again = resolve(kind, flags={}, file=tmp_path / "config.yaml").settings
    assert again == given and getattr(again, name).value == value
    assert pickle.loads(pickle.dumps(given)) == given, "spawned workers get settings"


def settings_classes() -> set[type]:
    """Every settings class of a command, with its bases."""
    found = {TrainSettings, TestSettings, InferSettings, RobustnessSettings, ReconstructSettings}
    for info in [
        *app.registered_commands,
        *(c for g in app.registered_groups for c in g.typer_instance.registered_commands),
    ]:
        closure = inspect.getclosurevars(info.callback).nonlocals
        found.add(closure["settings"])
    return found


def test_every_field_that_is_parsed_says_so_in_its_type():
    parsed = set()
    for kind in settings_classes():
        hints = typing.get_type_hints(kind)
        for entry in fields(kind):
            members = typing.get_args(hints[entry.name]) or (hints[entry.name],)
            typed = any(typing.get_origin(member) is Parsed for member in (hints[entry.name], *members))
            assert typed == (entry.metadata["parse"] is not None), f"{kind.__name__}.{entry.name}"
            if typed:
                assert field_type(entry, kind)[0] is str
                parsed.add(entry.name)
    assert parsed >= {name for _, name, *_ in CASES} | {"group_by", "sizes"}


def test_no_file_reads_a_setting_again():
    """No parser outside settings is given a settings field: ``parse_scale(settings.rating_range)`` and its like."""
    calls, faults = 0, []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name != "parse" and not name.startswith("parse_"):
                continue
            calls += 1
            for argument in node.args:
                text = ast.unparse(argument)
                if "settings." in text and "plain(" not in text:
                    faults.append(f"{path.relative_to(PACKAGE)}: {ast.unparse(node)}")
    assert faults == []
    assert calls > 10


@dataclass(frozen=True, kw_only=True)
class Toy:
    span: Parsed[tuple[int, float]] = setting("10m", "How long.", parse=parse_interval)
    colour: str | None = setting(None, "Which.", choices=("red", "blue"), older="color")


def write(folder: Path, text: str) -> Path:
    path = folder / "c.yaml"
    path.write_text(text)
    return path


def test_a_default_is_parsed_too_and_a_default_that_is_wrong_never_stands():
    assert Toy().span == Parsed("10m", (0, 600.0)) and Toy().span.value == (0, 600.0) and str(Toy().span) == "10m"
    with pytest.raises(UsageError):
        setting("ten", "How long.", parse=parse_interval)


def test_a_parsed_setting_that_a_flag_replaces_is_not_read(tmp_path):
    assert resolve(Toy, flags={"span": "5"}, file=write(tmp_path, "span: never")).settings.span.value == (5, 0.0)
    with pytest.raises(UsageError, match="--span: must be a number of steps"):
        resolve(Toy, flags={}, file=write(tmp_path, "span: never"))


def test_an_older_name_is_read_and_never_written(tmp_path):
    for text, flags in (
        ("color: red", {}),
        ("colour: red", {}),
        ("color: blue", {"colour": "red"}),
        ("", {"color": "red"}),
    ):
        found = resolve(Toy, flags=flags, file=write(tmp_path, text))
        assert found.settings.colour == "red" and "color" not in plain(found.settings)
        assert set(found.sources) == {"span", "colour"}
    with pytest.raises(UsageError, match="--colour must be one of red, blue; got 'green'"):
        resolve(Toy, flags={"color": "green"})
    with pytest.raises(UsageError, match="--colour is given twice"):
        resolve(Toy, flags={"color": "red", "colour": "red"})


def test_two_parsed_settings_are_equal_where_their_texts_are():
    assert Parsed("1-2", (1, 2)) == Parsed("1-2", (1, 2)) != Parsed("1,2", (1, 2))
    assert len({Parsed("mse", {"mse": 1.0}), Parsed("mse", {"mse": 1.0})}) == 1, "a value need not be hashable"
    assert value_of(None) is None and value_of(None, 3) == 3 and value_of(Parsed("0", 0), 3) == 0


def test_replacing_keeps_what_is_parsed():
    given = resolve(TrainSettings, flags={**NEEDED[TrainSettings], "checkpoint_every": "30s"}).settings
    assert replace(given, lr=0.5).checkpoint_every.value == (0, 30.0)


def test_intervals():
    assert [tuple(parse_interval(text)) for text in ("200", "10m", "1.5h", "30s")] == [
        (200, 0), (0, 600), (0, 5400), (0, 30),
    ]  # fmt: skip
    assert parse_interval("10m").seconds == 600 and parse_interval("7").steps == 7


def test_options_of_faces():
    assert parse_faces("auto") == ("auto", None) and parse_faces("yunet:a/b.onnx").file.name == "b.onnx"
    assert parse_every("0.5s") == (0.5, 0) and parse_every("15") == (0.0, 15)
    assert parse_every("2/s") == (0.5, 0) and parse_every("0.1/s") == (10.0, 0)
    assert parse_faces("yunet") == ("yunet", None)  # its file is found, see data.faces.weights
    for wrong in ("haar:cascade.xml", "yunet:", "mtcnn"):
        with pytest.raises(UsageError, match="must be auto, none, haar"):
            parse_faces(wrong)
    for wrong in ("0", "0s", "0/s", "2/", "1m", "x"):
        with pytest.raises(UsageError, match="must be seconds"):
            parse_every(wrong)


def test_severities_as_text():
    assert parse_severities("1-5") == (1, 2, 3, 4, 5) and parse_severities("4, 1,2-3") == (1, 2, 3, 4)
    for text in ("", "0-3", "6", "3-1", "a", "1-", "-2", "1.5"):
        with pytest.raises(UsageError, match=r"severities in \[1, 5\]"):
            parse_severities(text)


def test_thresholds_as_text():
    assert parse_thresholds(" r=0.9, rmse=1e-1") == {"r": 0.9, "rmse": 0.1} and parse_thresholds("") == {}
    for text in ("r", "r=", "r=nan", "r=high"):
        with pytest.raises(UsageError, match="--fail-under: .*a number is needed|--fail-under: .*METRIC=VALUE"):
            resolve(TestSettings, flags={**NEEDED[TestSettings], "fail_under": text})
