from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from affectkit.config import dump_yaml, load_yaml, plain, resolve, setting
from affectkit.errors import UsageError
from affectkit.settings.training import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Toy:
    count: int = setting(3, "How many.", low=1, high=9)
    rate: float = setting(0.5, "How fast.", above=0, below=1)
    name: str = setting("a", "Which.", choices=("a", "b"))
    active: bool = setting(False, "Whether.")
    where: Path | None = setting(None, "Where.")
    steps: tuple[int, ...] = setting((), "When.", low=1)


def config(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    file = config(tmp_path, "count: 5\nrate: 0.25\n")
    found = resolve(Toy, flags={"count": 7, "name": None}, file=file)
    assert (found.settings.count, found.settings.rate, found.settings.name) == (7, 0.25, "a")
    assert found.sources == {
        "count": "flag", "rate": f"file {file}", "name": "default", "active": "default", "where": "default",
        "steps": "default",
    }  # fmt: skip


def test_all_faults_are_reported_together(tmp_path):
    file = config(tmp_path, "coutn: 5\nrate: 2\nname: c\nactive: 1\nsteps: [0]\n")
    with pytest.raises(UsageError) as caught:
        resolve(Toy, flags={"count": 12}, file=file)
    text = caught.value.message
    for part in (
        "did you mean count",
        "--rate must be above 0 and below 1; got 2",
        "--name must be one of a, b; got 'c'",
        "--active must be true or false, got 1",
        "--steps must be at least 1; got 0",
        "--count must be at least 1 and at most 9; got 12",
    ):
        assert part in text, text
    assert text.startswith("6 settings are wrong")


@pytest.mark.parametrize(
    ("text", "value"),
    [("rate: 1e-3", 0.001), ("rate: .25", 0.25), ("count: 4", 4), ("count: 4.0", 4), ("where: x/y", Path("x/y")),
     ("steps: [3, 6]", (3, 6)), ("steps: 3,6", (3, 6)), ("active: true", True)],
)  # fmt: skip
def test_yaml_values_take_the_type_of_their_setting(tmp_path, text, value):
    found = resolve(Toy, flags={}, file=config(tmp_path, text)).settings
    assert getattr(found, text.split(":")[0]) == value


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("count: 2.5", "whole number"), ("count: true", "whole number"), ("count: many", "whole number"),
        ("rate: [1]", "a number"), ("rate: .nan", "above 0"), ("count: null", "must have a value"),
        ("a: &x 1\nb: *x", "aliases are not allowed"), ("count: 1\ncount: 2", "count stands twice"),
        ("- 1", "holds a list"), ("!!python/object/apply:os.system [ls]", "not plain YAML"), ("a: [", "not plain YAML"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_in_words(tmp_path, text, word):
    with pytest.raises(UsageError, match=word):
        resolve(Toy, flags={}, file=config(tmp_path, text))


def test_a_missing_or_huge_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        resolve(Toy, flags={}, file=tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="at most 1,000,000"):
        resolve(Toy, flags={}, file=config(tmp_path, "# " + "x" * 1_000_000))


def test_settings_survive_a_round_trip_through_a_run_config(tmp_path):
    given = resolve(TrainSettings, flags={"data": "d", "output": "o", "milestones": "3,6", "lr": 1e-7}).settings
    file = config(tmp_path, dump_yaml({"settings": plain(given), "affectkit": "x"}))
    assert resolve(TrainSettings, flags={}, file=file).settings == given


def test_rules_between_settings_are_checked_together():
    with pytest.raises(UsageError) as caught:
        resolve(TrainSettings, flags={"schedule": "multistep", "lr": 0.1, "lr_min": 0.2})
    for part in ("--data is needed", "--output is needed", "--milestones", "--lr-min must be at most"):
        assert part in caught.value.message


def test_plain_yaml_values_load():
    assert load_yaml("a: {b: [1, 2.5, x]}", "t") == {"a": {"b": [1, 2.5, "x"]}}
