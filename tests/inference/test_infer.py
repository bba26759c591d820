from __future__ import annotations

import csv
import io
import json
import shutil

import pytest
from support import AMBIGUITY, CLASSES, Heard

import affectkit
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.errors import CheckpointError, DataError, Stopped, UsageError
from affectkit.inference import infer as module
from affectkit.inference.infer import infer
from affectkit.inference.inputs import find_inputs
from affectkit.settings.inference import InferSettings

HEADER = ["Image Name", "Predicted Label", "Confidence", *CLASSES, *AMBIGUITY]


def run(checkpoint, *paths, stdin="", reporter=None, **changes):
    values = {"paths": list(map(str, paths)), "checkpoint": checkpoint, "workers": 0, "batch_size": 5, **changes}
    chosen = resolve(InferSettings, flags=values).settings
    out = io.StringIO()
    summary = infer(chosen, reporter=reporter or Silent(), listed=io.StringIO(stdin), stdout=out)
    return summary, out.getvalue()


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture
def images(votes, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(votes / "images" / "test", folder)
    (folder / "deep [x]").mkdir()
    shutil.copy(folder / "000.png", folder / "deep [x]" / "ünï, code.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_rows_are_those_of_predict_in_order(trained, images):
    summary, text = run(trained, images, recursive=True)
    rows = rows_of(text)
    assert rows[0] == HEADER and len(rows) == 14 and summary["images"] == 13 and summary["skipped"] == 0
    names = [row[0] for row in rows[1:]]
    assert names[-1] == "deep [x]/ünï, code.png" or "deep [x]/ünï, code.png" in names
    predicted = list(affectkit.predict(affectkit.load(trained), [images / name for name in names], batch_size=3))
    for row, expected in zip(rows[1:], predicted, strict=True):
        assert row[1] == expected["Predicted Label"]
        assert [float(value) for value in row[2:]] == pytest.approx([expected[name] for name in HEADER[2:]], abs=1e-6)


def test_rows_do_not_depend_on_batch_or_workers(trained, images):
    texts = {run(trained, images, batch_size=b, workers=w)[1] for b, w in ((1, 0), (7, 2), (64, 1))}
    assert len(texts) == 1


def test_all_ways_of_naming_images(images, monkeypatch):
    monkeypatch.chdir(images)

    def names(*paths, listed="", recursive=False):
        found = find_inputs(paths, recursive=recursive, listed=io.StringIO(listed))
        return [item.name for item in found.items("image")]

    assert names(str(images)) == [f"{k:03}.png" for k in range(12)]
    assert names("000.png", "001.png") == ["000.png", "001.png"]
    assert names("00[12].png") == ["001.png", "002.png"]
    assert names("deep [x]") == ["ünï, code.png"]
    assert names("deep [x]", "000.png") == ["deep [x]/ünï, code.png", "000.png"]
    assert names("**/*code.png") == ["deep [x]/ünï, code.png"]
    assert names("-", listed="000.png\n\ndeep [x]/ünï, code.png\r\n") == ["000.png", "deep [x]/ünï, code.png"]
    for wrong, message in (("none.png", "does not exist"), ("zz*.png", "nothing matches"), ("empty", "holds no image")):
        (images / "empty").mkdir(exist_ok=True)
        with pytest.raises(DataError, match=message):
            names(wrong)


def test_formats_hold_the_same_values(trained, images, tmp_path):
    import pyarrow.parquet

    found = {}
    for form in ("csv", "jsonl", "parquet"):
        summary, text = run(trained, images, format=form, results=tmp_path / form)
        assert text == "" and summary["results"].endswith(f"inference_results.{form}")
        assert sorted(p.name for p in (tmp_path / form).iterdir()) == [
            "inference.json",
            f"inference_results.{form}",
            "inputs.csv",
        ]
    with (tmp_path / "csv" / "inference_results.csv").open(newline="") as stream:
        found["csv"] = list(csv.DictReader(stream))
    lines = (tmp_path / "jsonl" / "inference_results.jsonl").read_text().splitlines()
    found["jsonl"] = [json.loads(line) for line in lines]
    found["parquet"] = pyarrow.parquet.read_table(tmp_path / "parquet" / "inference_results.parquet").to_pylist()
    assert found["jsonl"] == found["parquet"] and len(found["csv"]) == 12
    for one, two in zip(found["csv"], found["jsonl"], strict=True):
        assert list(one) == list(two) == HEADER
        assert all(float(one[name]) == two[name] for name in CLASSES)


def test_bad_images_have_a_reason_and_the_rest_their_rows(trained, images, tmp_path):
    (images / "003.png").write_bytes(b"broken")
    (images / "005.png").write_bytes(b"")
    summary, _ = run(trained, images, results=tmp_path / "r")
    assert (summary["images"], summary["skipped"]) == (10, 2)
    with (tmp_path / "r" / "skipped.csv").open(newline="") as stream:
        skipped = list(csv.DictReader(stream))
    assert [row["Image Name"] for row in skipped] == ["003.png", "005.png"] and all(row["Reason"] for row in skipped)
    with pytest.raises(DataError, match=r"003\.png"):
        run(trained, images, on_error="fail")


def test_a_vanished_file_is_a_reason_not_a_crash(trained, images):
    listed = f"{images}/000.png\n{images}/gone.png\n{images}/001.png\n"
    summary, text = run(trained, "-", stdin=listed)
    assert len(rows_of(text)) == 3 and summary["skipped_first"][0]["image"].endswith("gone.png")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_stopped_table_is_continued_to_the_same_bytes(trained, images, tmp_path, monkeypatch, form):
    (images / "001.png").write_bytes(b"broken")
    run(trained, images, format=form, results=tmp_path / "whole")
    real = module.predict_images

    def cut(*args, **kwargs):
        for number, batch in enumerate(real(*args, **kwargs)):
            yield batch
            if number == 1:
                import os
                import signal

                os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(module, "predict_images", cut)
        with pytest.raises(Stopped, match="images are done") as caught:
            run(trained, images, format=form, results=tmp_path / "cut", batch_size=3)
    assert caught.value.exit_code == 75 and "--resume" in caught.value.hint
    part = next((tmp_path / "cut").glob("*.part"))
    with part.open("ab") as stream:
        stream.write(b"torn li")
    heard = Heard()
    summary, _ = run(trained, images, format=form, results=tmp_path / "cut", resume=True, reporter=heard)
    assert any("resuming after" in note for note in heard.notes)
    assert (summary["images"], summary["skipped"]) == (11, 1)
    for name in (f"inference_results.{form}", "skipped.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    _, again = run(trained, images, format=form, results=tmp_path / "cut", resume=True, reporter=heard)
    assert again == "" and "nothing to do" in heard.notes[-1]


def test_results_that_exist_are_refused_and_other_checkpoints_too(trained, images, tmp_path):
    run(trained, images, results=tmp_path / "r")
    with pytest.raises(UsageError, match=r"inference_results\.csv exists"):
        run(trained, images, results=tmp_path / "r")
    run(trained, images, results=tmp_path / "r", force=True)
    record = json.loads((tmp_path / "r" / "inference.json").read_text())
    (tmp_path / "r" / "inference.json").write_text(json.dumps({**record, "checkpoint_sha256": "0"}))
    with pytest.raises(CheckpointError, match="another checkpoint"):
        run(trained, images, results=tmp_path / "r", resume=True)


def test_settings_that_cannot_work_are_named_together():
    with pytest.raises(UsageError, match="3 settings are wrong"):
        resolve(InferSettings, flags={"resume": True, "format": "parquet"})


def test_predict_names_an_image_that_cannot_be_read(trained, images):
    (images / "003.png").write_bytes(b"broken")
    rows = affectkit.predict(affectkit.load(trained), sorted(images.glob("*.png")), batch_size=2)
    assert next(rows)["Image Name"] == str(images / "000.png")
    with pytest.raises(DataError, match=r"003\.png"):
        list(rows)


def test_a_name_given_twice_has_one_row(trained, images):
    _, text = run(trained, "-", stdin=f"{images}/000.png\n{images}/001.png\n{images}/000.png\n")
    assert [row[0] for row in rows_of(text)[1:]] == [f"{images}/000.png", f"{images}/001.png"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_odd_file_names_survive_the_table_and_a_resume(trained, images, tmp_path, monkeypatch, form):
    import os
    import signal

    odd = ["a\u2028b.png", "c\x85d.png", "e\rf.png", 'g",h.png', os.fsdecode(b"i\xff.png"), "trailing .png"]
    for name in odd:
        shutil.copy(images / "000.png", images / name)
    run(trained, images, format=form, results=tmp_path / "whole")
    real = module.predict_images

    def cut(*args, **kwargs):
        for number, batch in enumerate(real(*args, **kwargs)):
            yield batch
            if number == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(module, "predict_images", cut)
        with pytest.raises(Stopped):
            run(trained, images, format=form, results=tmp_path / "cut")
    summary, _ = run(trained, images, format=form, results=tmp_path / "cut", resume=True)
    assert summary["images"] == 12 + len(odd)
    name = f"inference_results.{form}"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_resume_with_other_images_is_refused(trained, images, tmp_path):
    run(trained, images, results=tmp_path / "r")
    with pytest.raises(UsageError, match="were made otherwise: inputs"):
        run(trained, images / "000.png", results=tmp_path / "r", resume=True)


def test_nothing_to_predict_leaves_nothing_behind(trained, tmp_path):
    with pytest.raises(DataError, match="no image to predict"):
        run(trained, "-", stdin="\n", results=tmp_path / "r")
    assert list((tmp_path / "r").iterdir()) == []
