"""``infer`` by ONNX Runtime and by torch: the same faces and labels; rows of the two are not mixed."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from support import Heard

from affectkit.config import resolve
from affectkit.core.assets import onnx_file
from affectkit.errors import UsageError
from affectkit.inference.infer import infer
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face
from affectkit.settings.inference import InferSettings


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Face crops, a picture with two faces, one without any, and one that is torn."""
    folder = tmp_path_factory.mktemp("pictures")
    faces = {seed: draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=160)
             for seed in (6, 20, 23)}  # fmt: skip
    for seed, face in faces.items():
        Image.fromarray(face).resize((60, 60)).save(folder / f"crop-{seed}.png")
    scene = np.full((240, 420, 3), 120, np.uint8)
    Image.fromarray(scene).save(folder / "none.png")
    scene[20:180, 20:180], scene[40:200, 230:390] = faces[6], faces[20]
    Image.fromarray(scene).save(folder / "two.png")
    (folder / "torn.png").write_bytes((folder / "two.png").read_bytes()[:3000])
    return folder


def run(*paths, reporter=None, **changes):
    out = io.StringIO()
    values = {"paths": list(map(str, paths)), "checkpoint": "builtin", "device": "cpu", **changes}
    chosen = resolve(InferSettings, flags=values).settings
    return infer(chosen, reporter=reporter or Heard(), listed=io.StringIO(), stdout=out), out.getvalue()


def test_rows_are_the_same_bytes_for_any_batch_and_number_of_workers(images):
    heard = Heard()
    summary, wanted = run(images, workers=0, batch_size=1, reporter=heard)
    assert summary["engine"] == "onnx" and (summary["images"], summary["faces"], summary["skipped"]) == (5, 5, 1)
    assert any("engine onnx: ONNX Runtime" in note and "built-in" in note for note in heard.notes)
    for workers, size in ((0, 32), (1, 2), (3, 4)):
        again, rows = run(images, workers=workers, batch_size=size)
        assert rows == wanted
        assert again["skipped_first"] == summary["skipped_first"] and again["skipped"] == 1


def test_both_engines_find_the_same_to_five_digits(images):
    tables = []
    for engine in ("onnx", "torch"):
        summary, text = run(images, workers=0, engine=engine, format="jsonl")
        assert summary["engine"] == engine and summary["checkpoint"].endswith(
            (".onnx", ".safetensors")[engine == "torch"]
        )
        tables.append([json.loads(line) for line in text.splitlines()])
    assert len(tables[0]) == len(tables[1]) == 6
    for one, other in zip(*tables, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            exact = not isinstance(value, float) or name == "Detector Score"
            assert value == other[name] if exact else abs(value - other[name]) <= 1e-5, name


@pytest.mark.parametrize(("first", "second"), [("onnx", "torch"), ("torch", "onnx")])
def test_rows_of_two_engines_are_not_mixed(images, tmp_path, first, second):
    given = {"results": tmp_path / "out", "workers": 0}
    run(images / "two.png", engine=first, **given)
    with pytest.raises(UsageError, match=f"computed by {first}, and now {second} would") as caught:
        run(images / "two.png", engine=second, resume=True, **given)
    assert f"--engine {first}" in caught.value.hint
    heard = Heard()
    run(images / "two.png", engine=first, resume=True, reporter=heard, **given)
    assert any("nothing to do" in note for note in heard.notes)


def test_a_record_from_before_there_were_engines_is_torchs(images, tmp_path):
    given = {"results": tmp_path / "out", "workers": 0}
    run(images / "two.png", engine="torch", **given)
    path = tmp_path / "out" / "inference.json"
    record = json.loads(path.read_text())
    del record["engine"]
    path.write_text(json.dumps(record))
    with pytest.raises(UsageError, match="computed by torch"):
        run(images / "two.png", engine="onnx", resume=True, **given)
    heard = Heard()
    run(images / "two.png", resume=True, reporter=heard, **given)
    assert any("rows in" in note and "are torch's" in note for note in heard.notes)


def test_a_shard_is_of_one_engine(images, tmp_path):
    given = {"results": tmp_path / "out", "workers": 0, "shard": "1/2"}
    run(images, engine="torch", **given)
    with pytest.raises(UsageError, match="computed by torch, and now onnx"):
        run(images, engine="onnx", **given)


def test_an_onnx_file_of_a_user_is_a_checkpoint(images, tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(onnx_file("builtin").read_bytes())
    own, rows = run(images, workers=0, checkpoint=path)
    assert own["checkpoint"] == str(path) and own["engine"] == "onnx"
    assert rows == run(images, workers=0)[1]
