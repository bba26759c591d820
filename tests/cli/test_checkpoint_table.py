"""``affectkit models --checkpoint``: what a checkpoint holds, readable; and what messages call a checkpoint."""

from __future__ import annotations

import pytest

from affectkit.cli.checkpoint_table import readable_value, show_checkpoint
from affectkit.cli.console import Console
from affectkit.core.assets import FOLDER, MODELS, NEWEST, called, model_file, onnx_file

FACTS = {
    "file": str(FOLDER / "ferplus-small-1.safetensors"), "sha256": "ab" * 32, "checksum": "all match",
    "model": "face-seresnet", "options": {"dropout": 0.3, "top": "linear"}, "task": "distribution",
    "classes": ["neutral", "fear"], "class_names_known": False, "input": "48x48x1, stretch", "mean": [0.0],
    "std": [1.0], "temperature": 0.6806811839, "affectkit": "0.1.0",
    "training": {
        "seed": 0, "task_options": {"loss": "vca", "scale": [1.0, 9.0]}, "training_prior": {"neutral": 1 / 3},
        "epoch": 36, "valid": {"top1": 0.8467989, "ccc": None},
        "calibration": {"fitted": False, "reason": "too few", "half": {"of": "28a9", "change": 0.00044708}},
    },
}  # fmt: skip


def test_the_record_of_a_training_is_rows_of_words_not_a_dictionary(capsys):
    show_checkpoint(FACTS, Console())
    told = capsys.readouterr().out
    assert not set("{}[]'") & set(told)
    rows = {line.split("  ")[0]: line.split("  ", 1)[-1].strip() for line in told.splitlines()}
    assert rows["file"] == "the built-in model (ferplus-small-1)"
    assert rows["model"] == "face-seresnet (dropout 0.3, top linear)"
    assert rows["classes"] == "neutral, fear (numbers of the outputs: the file holds no names)"
    assert rows["input"] == "48x48x1, stretch; mean 0, std 1" and rows["temperature"] == "0.6807"
    assert rows["options of the task"] == "loss vca, scale 1 9" and rows["epoch"] == "36"
    assert rows["shares of the classes"] == "neutral 0.3333"
    assert rows["temperature, fitted"] == "fitted no, reason too few, half (of 28a9, change 0.0004471)"
    assert rows["top1"] == "0.8468" and rows["ccc"].endswith("-")
    assert "abstaining" not in rows


def test_what_is_not_there_makes_no_table(capsys):
    show_checkpoint(FACTS | {"training": {}, "options": {}, "class_names_known": True}, Console())
    told = capsys.readouterr().out
    assert "training" not in told and "validation" not in told and "model        face-seresnet\n" in told


def test_values_that_are_no_numbers():
    assert readable_value([True, None, "a"]) == "yes, none, a" and readable_value({}) == ""


@pytest.mark.parametrize("name", [*NEWEST, *MODELS])
def test_a_built_in_model_is_called_by_its_name_wherever_it_was_installed(name):
    own = model_file(f"affectkit:{name}")
    stem = NEWEST.get(name, name)
    assert called(own) == called(onnx_file(f"affectkit:{name}")) == f"the built-in model ({stem})"
    assert called(f"C:\\lib\\affectkit\\assets\\{stem}.onnx") == f"the built-in model ({stem})"
    for other in (f"runs/{stem}.onnx", f"affectkit/assets/{stem}.csv", "affectkit/assets/other.onnx", stem, ""):
        assert called(other) == other
