"""``infer`` where faces are found first: rows, resuming, shards, annotated pictures."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from support import AMBIGUITY, CLASSES, FACE_COLUMNS

import affectkit
from affectkit.config import resolve
from affectkit.core.files import inner_path
from affectkit.core.progress import Silent
from affectkit.data.faces.detection import FaceDetector, crop_face
from affectkit.data.loading.transforms import normalise
from affectkit.errors import DataError, Stopped, UsageError
from affectkit.inference import infer as module
from affectkit.inference.annotated_images import SAVED
from affectkit.inference.infer import infer
from affectkit.inference.merge import merge
from affectkit.inference.table_writer import to_parquet
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face
from affectkit.settings.inference import InferSettings

HEADER = ["Image Name", *FACE_COLUMNS, "Predicted Label", "Confidence", *CLASSES, *AMBIGUITY]
SCENES = {
    "a-two.png": ((6, 10, 20, 160), (20, 230, 40, 200)),
    "b-none.png": (),
    "c-one.jpg": ((23, 60, 30, 200),),
    "deep/d-one.png": ((20, 150, 90, 180),),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    for name, places in SCENES.items():
        picture = np.full((300, 460, 3), 120, np.uint8)
        for seed, left, top, size in places:
            face = draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=size)
            picture[top : top + size, left : left + size] = face
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / name)
    (folder / "e-torn.png").write_bytes((folder / "a-two.png").read_bytes()[:2000])
    return folder


def chosen(checkpoint, *paths, **changes):
    values = {"paths": list(map(str, paths)), "checkpoint": checkpoint, "workers": 0, "faces": "haar", **changes}
    return resolve(InferSettings, flags={"batch_size": 2, **values}).settings


def run(checkpoint, *paths, **changes):
    out = io.StringIO()
    settings = chosen(checkpoint, *paths, **{"recursive": True, **changes})
    summary = infer(settings, reporter=Silent(), listed=io.StringIO(), stdout=out)
    return summary, list(csv.reader(io.StringIO(out.getvalue())))


def test_a_row_a_face_with_the_numbers_of_its_crop(trained, images):
    summary, (header, *rows) = run(trained, images)
    assert header == HEADER and summary["faces_by"] == "haar"
    assert [(row[0], row[1]) for row in rows] == [
        ("a-two.png", "1"), ("a-two.png", "2"), ("b-none.png", ""), ("c-one.jpg", "1"), ("deep/d-one.png", "1"),
    ]  # fmt: skip
    assert rows[2][1:] == [""] * (len(HEADER) - 1)
    assert (summary["images"], summary["faces"], summary["skipped"]) == (4, 4, 1)
    model = affectkit.load(trained)
    for name in ("a-two.png", "deep/d-one.png"):
        picture = np.array(Image.open(images / name))
        for own, row in zip(FaceDetector("haar")(picture), [row for row in rows if row[0] == name], strict=True):
            assert [int(value) for value in row[2:6]] == [round(value) for value in own.box]
            assert float(row[6]) == pytest.approx(own.score, abs=1e-5)
            crop = torch.from_numpy(crop_face(picture, own, model.spec)).permute(2, 0, 1)[None]
            with torch.no_grad():
                expected = (model(normalise(crop, model.spec)) / model.spec.temperature).softmax(1)[0]
            assert [float(value) for value in row[21:24]] == pytest.approx(expected.tolist(), abs=1e-5)


def test_rows_do_not_depend_on_batches_or_workers(trained, images):
    tables = [run(trained, images, batch_size=b, workers=w)[1] for b, w in ((1, 0), (3, 1), (64, 0))]
    assert tables[0] == tables[1] == tables[2]


def test_images_are_whole_where_no_faces_are_asked_for(trained, images):
    summary, (header, *rows) = run(trained, images, faces=None)
    assert "Face" not in header and len(rows) == 4 and "faces" not in summary
    assert run(trained, images, faces="none")[1] == [header, *rows]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("torn", [1, 60])
def test_an_image_torn_between_its_faces_is_done_anew(trained, images, tmp_path, form, torn):
    whole = run(trained, images, results=tmp_path / "whole", format=form)[0]
    expected = (tmp_path / "whole" / f"inference_results.{form}").read_bytes()
    folder = tmp_path / "cut"
    run(trained, images, results=folder, format=form)
    table = folder / f"inference_results.{form}"
    lines = table.read_bytes().splitlines(keepends=True)
    kept = 2 if form == "csv" else 1  # the header, and one of the two faces of the first image
    (folder / f"inference_results.{form}.part").write_bytes(b"".join(lines[:kept]) + lines[kept][:torn])
    table.unlink()
    summary = run(trained, images, results=folder, format=form, resume=True)[0]
    assert table.read_bytes() == expected
    assert {**summary, "results": "", "skipped_list": ""} == {**whole, "results": "", "skipped_list": ""}


def test_stopped_and_resumed_and_not_otherwise(trained, images, tmp_path, monkeypatch):
    expected = run(trained, images, results=tmp_path / "whole")[0]

    class Stops(module.StopFlag):
        def requested_anywhere(self, group):
            self.number = 15
            return True

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(module, "StopFlag", Stops)
        run(trained, images, results=tmp_path / "cut", batch_size=1)
    with pytest.raises(UsageError, match="--faces haar"):
        run(trained, images, results=tmp_path / "cut", resume=True, faces="auto")
    found = run(trained, images, results=tmp_path / "cut", resume=True)[0]
    assert [found[name] for name in ("images", "faces", "skipped")] == [
        expected[name] for name in ("images", "faces", "skipped")
    ]
    texts = [(tmp_path / name / "inference_results.csv").read_bytes() for name in ("whole", "cut")]
    assert texts[0] == texts[1]


def test_shards_are_merged_into_what_one_run_writes(trained, images, tmp_path):
    for form in ("csv", "parquet"):
        whole = run(trained, images, results=tmp_path / f"whole-{form}", format=form)[0]
        folder = tmp_path / f"parts-{form}"
        for number in (1, 2):
            run(trained, images, results=folder, shard=f"{number}/2", format=form)
        merged = merge(folder, reporter=Silent())
        same = ("images", "faces", "skipped", "faces_by", "skipped_first")
        assert [merged[name] for name in same] == [whole[name] for name in same]
        tables = [tmp_path / f"{kind}-{form}" / f"inference_results.{form}" for kind in ("whole", "parts")]
        assert tables[0].read_bytes() == tables[1].read_bytes()


def test_a_shard_whose_rows_were_changed_is_refused(trained, images, tmp_path):
    for number in (1, 2):
        run(trained, images, results=tmp_path, shard=f"{number}/2")
    table = tmp_path / "shard-1-of-2" / "inference_results.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([lines[0], lines[3], *lines[1:3]]))  # another image in front
    with pytest.raises(DataError):
        merge(tmp_path, reporter=Silent())


def test_rows_without_a_face_are_null_in_parquet(trained, images, tmp_path):
    import pyarrow.parquet as pq

    run(trained, images / "b-none.png", images / "c-one.jpg", results=tmp_path / "r", format="parquet")
    found = pq.read_table(tmp_path / "r" / "inference_results.parquet").to_pydict()
    assert found["Face"] == [None, 1] and found["Predicted Label"][0] is None and found["anger"][0] is None
    run(trained, images / "b-none.png", results=tmp_path / "n", format="parquet")
    assert pq.read_table(tmp_path / "n" / "inference_results.parquet").num_rows == 1


def test_parquet_knows_columns_whose_first_rows_are_empty(tmp_path):
    import pyarrow.parquet as pq

    lines = [{"name": f"{k}", "Face": None if k < 7 else k, "label": None if k < 9 else "x"} for k in range(10)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    to_parquet(tmp_path / "rows.jsonl", tmp_path / "rows.parquet", rows=3)
    assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == lines
    (tmp_path / "rows.jsonl").write_text("")
    to_parquet(tmp_path / "rows.jsonl", tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 0


def test_annotated_pictures(trained, images, tmp_path):
    run(trained, images, annotate=tmp_path / "drawn", question_margin=0)  # wider labels would need a strip
    names = sorted(path.relative_to(tmp_path / "drawn").as_posix() for path in (tmp_path / "drawn").rglob("*.*"))
    assert names == ["a-two.png", "b-none.png", "c-one.jpg", "deep/d-one.png"]
    before, after = (np.array(Image.open(root / "a-two.png")).astype(int) for root in (images, tmp_path / "drawn"))
    changed = np.abs(before - after).max(axis=2) > 40
    assert before.shape == after.shape and 0.01 < changed.mean() < 0.6
    plain = [np.array(Image.open(root / "b-none.png")) for root in (images, tmp_path / "drawn")]
    assert np.array_equal(*plain)
    with pytest.raises(UsageError, match="not empty"):
        run(trained, images, annotate=tmp_path / "drawn")
    run(trained, images, annotate=tmp_path / "drawn", force=True)


def test_an_annotated_picture_is_no_larger_than_its_format_can_hold(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("affectkit.inference.annotated_images.draw_face_marks", draw_wide)
    for name, size in (("a.webp", (16_383, 4)), ("b.png", (20_000, 5))):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.new("RGB", (200, 150)).save(tmp_path / "in" / name)
        run(trained, tmp_path / "in" / name, annotate=tmp_path / "drawn", force=True)
        (made,) = (tmp_path / "drawn").rglob(name)
        assert Image.open(made).size == size


def draw_wide(picture, marks, *, strip):
    """A picture with a long strip."""
    return np.zeros((5, 20_000, 3), np.uint8)


def test_annotating_never_touches_the_images(trained, images, tmp_path, monkeypatch):
    before = {path: path.read_bytes() for path in images.rglob("*.*")}
    with pytest.raises(UsageError, match="among the images"):
        run(trained, images, annotate=images, force=True)
    with pytest.raises(UsageError, match="among the images"):
        run(trained, images, annotate=images / "drawn")
    with pytest.raises(DataError, match="is the image itself"):
        monkeypatch.chdir(images)
        run(trained, "c-one.jpg", annotate=images, force=True)
    assert {path: path.read_bytes() for path in images.rglob("*.*")} == before
    with pytest.raises(UsageError, match="is a file"):
        run(trained, "c-one.jpg", annotate=images / "a-two.png")


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("a.jpg", "a.jpg"),
        ("../../a.PNG", "a.PNG"),
        ("/etc/x/./y.webp", "etc/x/y.webp"),
        ("a\\b.tif", "a/b.tif.png"),
        ("no-ending", "no-ending.png"),
    ],
)
def test_names_stay_in_the_folder(name, inner):
    assert str(inner_path(name, SAVED, ".png")) == inner


def test_faces_and_labels_exclude_each_other():
    with pytest.raises(UsageError, match="exclude each other"):
        chosen("run", ".", labels="t.csv", results="r")


def test_record_tells_how_faces_were_found(trained, images, tmp_path):
    run(trained, images, results=tmp_path / "r", faces="auto")
    assert json.loads((tmp_path / "r" / "inference.json").read_text())["faces_by"] == "auto"
