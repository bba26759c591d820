"""``test`` and ``eval-corruptions`` by ONNX Runtime: the metrics of torch, and records that say which it was."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image
from support import Heard

from affectkit.config import resolve
from affectkit.core.assets import onnx_file
from affectkit.errors import UsageError
from affectkit.evaluation.test import test as run_test
from affectkit.robustness.sweep import eval_corruptions
from affectkit.settings.evaluation import TestSettings
from affectkit.settings.robustness import RobustnessSettings

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve smooth images in colour with votes, and one that is torn."""
    root = tmp_path_factory.mktemp("votes")
    rng = np.random.default_rng(3)
    with (root / "test.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["filename", *EMOTIONS])
        for number in range(13):
            rough = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            rough.resize((60, 50), Image.BICUBIC).save(root / f"{number:02}.png")
            table.writerow([f"{number:02}.png", *rng.integers(0, 6, 8)])
    (root / "07.png").write_bytes((root / "07.png").read_bytes()[:200])
    return root


def options(data, **changes):
    return {"data": data, "checkpoint": "builtin", "device": "cpu", "workers": 0, "on_error": "skip", **changes}


def measured(data, **changes):
    heard = Heard()
    return run_test(resolve(TestSettings, flags=options(data, **changes)).settings, reporter=heard), heard


@pytest.mark.parametrize("corrupt", [None, "gaussian_noise=0.1"])
def test_metrics_are_torchs_to_five_digits(data, corrupt):
    asked = {} if corrupt is None else {"corrupt": corrupt}
    (onnx, heard), (torch, _) = (measured(data, engine=engine, **asked) for engine in ("onnx", "torch"))
    assert (onnx["engine"], torch["engine"]) == ("onnx", "torch") and onnx["images"] == torch["images"] == 12
    assert onnx["metrics"].keys() == torch["metrics"].keys() and len(onnx["metrics"]) > 8
    for name, value in torch["metrics"].items():
        assert onnx["metrics"][name] == pytest.approx(value, abs=1e-5, nan_ok=True), name
    assert any("engine onnx: ONNX Runtime" in note for note in heard.notes)


def test_auto_is_onnx_and_metrics_depend_on_no_batch(data):
    found = [measured(data, batch_size=size)[0] for size in (1, 5)]
    assert found[0]["engine"] == "onnx" and found[0]["metrics"] == found[1]["metrics"]


def test_an_onnx_file_is_a_checkpoint_under_corruptions_too(data, tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(onnx_file("builtin").read_bytes())
    rows = {}
    for engine, checkpoint in (("onnx", path), ("torch", "builtin")):
        flags = {"corruptions": "fog", "severities": "2", "results": tmp_path / engine}
        flags = options(data, checkpoint=checkpoint, engine=engine, **flags)
        summary = eval_corruptions(resolve(RobustnessSettings, flags=flags).settings, reporter=Heard())
        assert summary["engine"] == engine
        rows[engine] = {row["corruption"]: row["metrics"] for row in summary["rows"]}
    assert set(rows["onnx"]) == {"clean", "fog"} and rows["onnx"]["clean"] != rows["onnx"]["fog"]
    for name, metrics in rows["torch"].items():
        for metric, value in metrics.items():
            assert rows["onnx"][name][metric] == pytest.approx(value, abs=1e-5, nan_ok=True), (name, metric)
    again = {**options(data, engine="torch"), "corruptions": "fog", "severities": "2", "results": tmp_path / "onnx"}
    with pytest.raises(UsageError, match="engine onnx there, torch now"):
        eval_corruptions(resolve(RobustnessSettings, flags=again).settings, reporter=Heard())


def test_a_sweep_from_before_there_were_engines_is_torchs(data, tmp_path):
    flags = {"corruptions": "fog", "severities": "2", "results": tmp_path / "out", "engine": "torch"}
    chosen = resolve(RobustnessSettings, flags=options(data, **flags)).settings
    assert eval_corruptions(chosen, reporter=Heard())["computed"] == 2
    record = json.loads((tmp_path / "out" / "robustness.json").read_text())
    del record["engine"]
    (tmp_path / "out" / "robustness.json").write_text(json.dumps(record))
    assert eval_corruptions(chosen, reporter=Heard())["computed"] == 0
