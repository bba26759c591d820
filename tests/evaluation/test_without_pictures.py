"""``test --no-pictures``, which also removes those of a test before; and a run that is still training."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image
from support import TINY, Heard, invoke

from affectkit.checkpoints.checkpoint import Header, save_checkpoint
from affectkit.config import resolve
from affectkit.core.spec import InputSpec
from affectkit.evaluation.test import test as run_test
from affectkit.models.registry import build
from affectkit.settings.evaluation import TestSettings


def test_pictures_are_left_out_and_a_run_that_goes_on_is_told(tmp_path):
    for number, name in enumerate("aabb"):
        path = tmp_path / "data" / "test" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), 50 * number, np.uint8)).save(path)
    spec = InputSpec("classification", 16, 16, classes=("a", "b"), mean=(0.0,) * 3, std=(1.0,) * 3)
    options = {"pretrained": False, "dropout": 0.0, "top": "linear"}
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    save_checkpoint(run / "best.safetensors", build(TINY, spec, **options), Header(TINY, {"dropout": 0.0}, spec, {}))
    (run / "status.json").write_text(json.dumps({"state": "running"}))
    (out / "plots").mkdir(parents=True)
    for name in ("confusion.png", "mine.png"):
        (out / "plots" / name).touch()
    heard = Heard()
    values = {"checkpoint": run, "data": tmp_path / "data", "workers": 0, "device": "cpu", "results": out,
              "force": True, "pictures": False}  # fmt: skip
    run_test(resolve(TestSettings, flags=values).settings, reporter=heard)
    assert (out / "outputs.safetensors").is_file() and (out / "results.json").is_file()
    assert [path.name for path in (out / "plots").iterdir()] == ["mine.png"], "a picture of the test before is no more"
    assert any("still training, or was killed" in text for text in heard.warnings)
    assert "--no-pictures needs --results" in invoke("test", "--checkpoint", run, "--data", out, "--no-pictures").stderr
