"""``affectkit pipeline``: what is shown is what is applied, and what is saved can be given back."""

from __future__ import annotations

import json

from support import invoke

from affectkit.prep.augmentation.pipeline import load_pipeline


def test_show_tells_the_built_in_pipeline():
    done = invoke("pipeline", "show")
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines[1:]] == [
        "Compose", "HorizontalFlip", "RandomBrightnessContrast", "OneOf", "MotionBlur", "GaussNoise", "GaussianBlur",
        "PixelDropout", "Rotate",
    ]  # fmt: skip
    assert "33% of the time" in done.stdout
    assert load_pipeline(None).identity[:16] in done.stderr


def test_saved_it_reads_back_as_the_same_and_is_not_written_over(tmp_path):
    path = tmp_path / "mine.yaml"
    assert invoke("pipeline", "save", str(path)).returncode == 0
    found = json.loads(invoke("pipeline", "show", str(path), "--json").stdout)
    assert found["identity"] == load_pipeline(None).identity
    assert invoke("pipeline", "save", str(path)).returncode == 0  # the same already
    path.write_text(path.read_text().replace("p: 0.25", "p: 0.75"))
    kept = path.read_bytes()
    refused = invoke("pipeline", "save", str(path))
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert path.read_bytes() == kept
    assert "p 0.75" in invoke("pipeline", "show", str(path)).stdout
    assert invoke("pipeline", "save", str(path), "--force").returncode == 0
    assert load_pipeline(path).identity == found["identity"]


def test_errors_say_what_and_where(tmp_path):
    (tmp_path / "bad.yaml").write_text("__version__: 2.0.8\ntransform:\n  __class_fullname__: os.system\n")
    done = invoke("pipeline", "show", str(tmp_path / "bad.yaml"))
    assert done.returncode == 2
    assert "os.system is not one of Albumentations' own transforms" in " ".join(done.stderr.split())
    assert invoke("pipeline", "show", str(tmp_path / "none.yaml")).returncode == 2
    assert invoke("pipeline", "save").returncode == 2
    assert invoke("pipeline", "save", str(tmp_path)).returncode == 2
