"""Landmarks, head roll and boxes beyond the picture in rows; limits of the faces that are taken, and what they cost."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import types

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support import AMBIGUITY, CLASSES, FACE_COLUMNS, Heard, invoke

import affectkit
from affectkit.config import resolve
from affectkit.core.files import sha256
from affectkit.data.faces import DETECTORS
from affectkit.errors import AffectkitError, DataError, UsageError
from affectkit.inference.infer import infer
from affectkit.inference.merge import merge
from affectkit.settings.inference import InferSettings

NEW = FACE_COLUMNS[6:]
FIVE = ((20.0, 40.0), (50.0, 70.0), (31.256, 62.0), (15.0, 70.0), (36.0, 92.5))
"""Landmarks of a head turned by 45 degrees clockwise."""
FACES = {
    100: [((10, 20, 60, 80), 0.9, FIVE), ((70, 10, 20, 18), 0.4, ((72, 12), (84, 12))), ((80, 70, 30, 40), 0.6, ())],
    90: [],
    80: [((0, 0, 40, 40), 0.75, ())],
}
"""Faces by the width of the picture; all pictures have 100 lines."""


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """A detector ``known``, which gives ``FACES``."""
    module = types.ModuleType("known_faces_of_tests")
    module.make = lambda file: lambda picture: FACES.get(picture.shape[1], [])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    DETECTORS.add("known", f"{module.__name__}:make", "")
    yield
    DETECTORS.remove("known")


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for place, width in enumerate((100, 90, 80, 100)):
        pixels = np.random.default_rng(place).integers(0, 256, (100, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    return folder


def run(checkpoint, *paths, reporter=None, **changes):
    values = {"paths": list(map(str, paths)), "checkpoint": checkpoint, "workers": 0, "faces": "known", **changes}
    out = io.StringIO()
    settings = resolve(InferSettings, flags={"batch_size": 2, **values}).settings
    summary = infer(settings, reporter=reporter or Heard(), listed=io.StringIO(), stdout=out)
    return summary, list(csv.DictReader(io.StringIO(out.getvalue())))


def read_rows(folder, form):
    path = folder / f"inference_results.{form}"
    if form == "parquet":
        return pq.read_table(path).to_pylist()
    if form == "jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open() as stream:
        return [
            {name: (float(value) if value else None) if name in FACE_COLUMNS else value for name, value in row.items()}
            for row in csv.DictReader(stream)
        ]


# --- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_landmarks_roll_and_what_lies_outside(trained, images, tmp_path, form):
    summary, _ = run(trained, images, results=tmp_path / "r", format=form)
    rows = read_rows(tmp_path / "r", form)
    assert list(rows[0]) == ["Image Name", *FACE_COLUMNS, "Predicted Label", "Confidence", *CLASSES, *AMBIGUITY]
    assert [row["Image Name"] for row in rows] == ["0.png"] * 3 + ["1.png", "2.png"] + ["3.png"] * 3
    first, second, third = ([row[name] for name in FACE_COLUMNS] for row in rows[:3])
    places = [20, 40, 50, 70, 31.26, 62, 15, 70, 36, 92.5]
    assert first == pytest.approx([1, 10, 20, 60, 80, 0.9, 0, 45, *places])
    # A box of 30 x 40 at (80, 70) of 100 x 100: 20 x 30 of its pixels lie within. It stays as detected.
    assert second[:7] == [2, 80, 70, 30, 40, 0.6, 0.5]
    assert -180 < second[7] <= 180  # as it was levelled: its eyes are not known
    assert second[8:] == [None] * 10
    assert third == [3, 70, 10, 20, 18, 0.4, 0, 0, 72, 12, 84, 12, *[None] * 6]
    assert [rows[3][name] for name in FACE_COLUMNS] == [None] * 18
    assert (summary["images"], summary["faces"], summary["images_without_face"]) == (4, 7, 1)
    assert summary["images_without_face_first"] == ["1.png"]
    assert json.loads((tmp_path / "r" / "inference.json").read_text())["images_without_face_first"] == ["1.png"]
    assert summary["face_detector"] == "known" and "faces_left_out" not in summary


def test_landmarks_are_in_pixels_of_the_file(trained, tmp_path):
    """A JPEG that is decoded at half its size."""
    Image.new("RGB", (7000, 7000), (90, 90, 90)).save(tmp_path / "huge.jpg")
    FACES[3500] = [((-100, 200, 400, 500), 0.9, ((100, 300), (200, 300)))]
    try:
        _, (row,) = run(trained, tmp_path / "huge.jpg", min_face=900)
        _, (none,) = run(trained, tmp_path / "huge.jpg", min_face=1001)
    finally:
        del FACES[3500]
    assert [row[name] for name in FACE_COLUMNS[1:5]] == ["-200", "400", "800", "1000"]
    assert [float(row[name]) for name in FACE_COLUMNS[8:12]] == [200, 600, 400, 600]
    assert float(row["Box Outside"]) == 0.25 and none["Face"] == ""


def test_pictures_without_a_face_are_told_with_none_too(trained, images):
    assert run(trained, images / "0.png")[0]["images_without_face"] == 0
    assert run(trained, images / "1.png")[0]["images_without_face"] == 1
    assert "images_without_face" not in run(trained, images, faces="none")[0]


def test_rows_of_the_python_interface(trained, images):
    model = affectkit.load(trained)
    rows = list(affectkit.predict(model, images / "0.png", faces="known", min_face=30))
    assert [(row["Face"], row["Nose y"]) for row in rows] == [(1, 62.0), (2, None)]
    assert rows[0]["Head Roll"] == 45 and -180 < rows[1]["Head Roll"] <= 180
    wrong = {"min_score": float("nan"), "min_face": 0, "max_faces": 1.5}
    for name, value in wrong.items():
        with pytest.raises(UsageError, match=f"^{name} must be "):
            affectkit.predict(model, images, faces="known", **{name: value})
    with pytest.raises(UsageError, match="^faces must be auto"):
        affectkit.predict(model, images, faces="mtcnn")
    with pytest.raises(UsageError, match="--max-faces: no faces are searched here, images are taken whole"):
        affectkit.predict(model, images, max_faces=1)


# --- limits ----------------------------------------------------------------------------------------------------------

LIMITS = {"min_score": 0.5, "min_face": 41, "max_faces": 1}
LEFT_OUT = {"below_min_score": 2, "below_min_face": 3, "beyond_max_faces": 0}


@pytest.mark.parametrize(
    ("limits", "faces", "left_out"),
    [
        ({"min_score": 0.6}, 5, (2, 0, 0)),
        ({"min_face": 40}, 5, (0, 2, 0)),
        ({"max_faces": 1}, 3, (0, 0, 4)),
        ({"max_faces": 3}, 7, (0, 0, 0)),
        (LIMITS, 2, tuple(LEFT_OUT.values())),
    ],
)
def test_faces_left_out_are_counted(trained, images, tmp_path, limits, faces, left_out):
    summary, rows = run(trained, images, **limits)
    assert summary["faces"] == faces == sum(row["Face"] != "" for row in rows)
    assert tuple(summary["faces_left_out"].values()) == left_out
    written, _ = run(trained, images, results=tmp_path / "r", **limits)
    assert written["faces_left_out"] == summary["faces_left_out"]
    record = json.loads((tmp_path / "r" / "inference.json").read_text())
    assert record == written and record["images_without_face"] == 4 - len(
        {row["Image Name"] for row in rows if row["Face"]}
    )
    assert {name: record[name] for name in LIMITS} == {**dict.fromkeys(LIMITS), **limits}


def test_limits_are_settings_of_a_run(trained, images, tmp_path):
    results = tmp_path / "r"
    run(trained, images, results=results)
    for name, value in LIMITS.items():
        with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} none there, {value} now"):
            run(trained, images, results=results, resume=True, **{name: value})
    assert run(trained, images, results=results, resume=True)[0]["faces"] == 7


def test_counts_hold_where_a_table_is_brought_up_to_date(trained, images, tmp_path):
    results = tmp_path / "r"
    run(trained, images, results=results, **LIMITS)
    (images / "1.png").unlink()
    Image.open(images / "2.png").save(images / "9.png")
    found, _ = run(trained, images, results=results, resume=True, **LIMITS)
    fresh, _ = run(trained, images, results=tmp_path / "fresh", **LIMITS)
    since = found.pop("since_before")
    assert (since["new"], since["gone"], since["kept"]) == (1, ["1.png"], 3)
    assert {**found, "results": ""} == {**fresh, "results": ""}
    assert found["faces_left_out"] == {**LEFT_OUT, "below_min_face": 4}
    again, _ = run(trained, images, results=results, resume=True, **LIMITS)
    assert again == {**found}


def test_shards_are_merged_into_the_record_of_one_run(trained, images, tmp_path):
    run(trained, images, results=tmp_path / "whole", **LIMITS)
    for number in (1, 2):
        part, _ = run(trained, images, results=tmp_path / "r", shard=f"{number}/2", **LIMITS)
        assert part["faces_left_out"] != LEFT_OUT
    merged = merge(tmp_path / "r", reporter=Heard())
    assert merged["faces_left_out"] == LEFT_OUT and merged["images_without_face"] == 2
    for name in ("inference_results.csv", "inputs.csv"):
        assert (tmp_path / "r" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    records = [json.loads((tmp_path / name / "inference.json").read_text()) for name in ("r", "whole")]
    assert {**records[0], "results": ""} == {**records[1], "results": ""}
    with pytest.raises(AffectkitError, match="--max-faces"):
        run(trained, images, results=tmp_path / "r", shard="1/2", **{**LIMITS, "max_faces": 2})
    run(trained, images, results=tmp_path / "r", shard="1/2", force=True, **{**LIMITS, "max_faces": 2})
    with pytest.raises(DataError, match="different --max-faces: 2 in shard 1/2; 1 in shard 2/2"):
        merge(tmp_path / "r", reporter=Heard())


@pytest.mark.parametrize("cell", ["-1", "x", ""])
def test_damaged_counts_are_named_by_line(trained, images, tmp_path, cell):
    run(trained, images, results=tmp_path / "r", max_faces=1)
    path = tmp_path / "r" / "inputs.csv"
    lines = path.read_text().splitlines()
    assert lines[0].endswith("Rows,Below Min Score,Below Min Face,Beyond Max Faces") and lines[1].endswith(",0,0,2")
    path.write_text("\n".join([lines[0], lines[1][:-1] + cell, *lines[2:]]) + "\n")
    with pytest.raises(DataError, match=r"inputs.csv is damaged at line 2"):
        run(trained, images, results=tmp_path / "r", max_faces=1, resume=True)


def test_limits_of_faces_that_are_not_searched_are_refused(trained, images):
    with pytest.raises(UsageError, match="--min-score, --max-faces and --faces none exclude each other"):
        run(trained, images, faces="none", min_score=0.5, max_faces=1)
    with pytest.raises(UsageError, match="--min-face: no faces are searched here, images are taken whole"):
        run(trained, images, faces=None, min_face=50)
    with pytest.raises(UsageError, match=r"--min-score 3: the score of the face detector yunet is in \[0, 1\]"):
        run(trained, images, faces="yunet", min_score=3)
    with pytest.raises(UsageError, match="--labels and --max-faces exclude each other"):
        run(trained, images, labels=images / "t.csv", max_faces=1, results=images, faces=None)


def test_the_command_line_tells_of_them(trained, images, tmp_path):
    options = ("--checkpoint", trained, "--faces", "known", "--workers", 0)
    plain = invoke("infer", images, *options)
    assert plain.returncode == 0
    assert (
        "7 faces in 4 images predicted; 1 image without a face: 1.png\n" in plain.stderr
        and "left out" not in plain.stderr
    )
    found = invoke(
        "infer", images, *options, "--min-score", 0.5, "--max-faces", 1, "--json", "--results", tmp_path / "r"
    )
    assert found.returncode == 0, found.stderr
    assert "4 faces left out: 2 below --min-score 0.5, 2 beyond --max-faces 1\n" in found.stderr
    assert "faces: known, --min-score 0.5, --max-faces 1\n" in found.stderr
    assert json.loads(found.stdout)["faces_left_out"] == {
        "below_min_score": 2, "below_min_face": 0, "beyond_max_faces": 2,
    }  # fmt: skip
    none = invoke("infer", images / "0.png", *options, "--max-faces", 5)
    assert "3 faces in 1 image predicted; 0 images without a face\n" in none.stderr
    assert "0 faces left out: 0 beyond --max-faces 5\n" in none.stderr
    refused = invoke("infer", images, *options, "--min-face", 0)
    assert refused.returncode == 2 and "--min-face" in refused.stderr


def test_images_without_a_face_are_named_where_they_are_few(trained, images, tmp_path):
    options = ("--checkpoint", trained, "--faces", "known", "--workers", 0)
    for number in range(4, 8):
        (images / f"{number}.png").write_bytes((images / "1.png").read_bytes())
    assert "; 5 images without a face: 1.png, 4.png, 5.png, 6.png, 7.png\n" in invoke("infer", images, *options).stderr
    (images / "8.png").write_bytes((images / "1.png").read_bytes())
    told = "; 6 images without a face: 1.png, 4.png, 5.png and 3 more (rows with an empty Face)\n"
    assert told in invoke("infer", images, *options, "--results", tmp_path / "r").stderr
    again = invoke("infer", images, *options, "--results", tmp_path / "r", "--resume").stderr
    assert told in again and "nothing to do" in again


def test_names_of_images_without_a_face_are_those_of_shards_put_together(trained, images, tmp_path):
    for number in range(4, 30):
        (images / f"{number:02}.png").write_bytes((images / "1.png").read_bytes())
    whole, _ = run(trained, images, results=tmp_path / "whole")
    for number in (1, 2):
        run(trained, images, results=tmp_path / "r", shard=f"{number}/2")
    merged = merge(tmp_path / "r", reporter=Heard())
    assert merged["images_without_face"] == 27 and len(merged["images_without_face_first"]) == 20
    assert merged["images_without_face_first"] == whole["images_without_face_first"]
    path = tmp_path / "r" / "inference.json"  # as an earlier version wrote it
    record = json.loads(path.read_text())
    del record["images_without_face_first"]
    path.write_text(json.dumps(record))
    assert merge(tmp_path / "r", reporter=Heard())["already_done"]


# --- videos ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def film(tmp_path):
    """Ten frames of 100 x 100 pixels, one every tenth of a second; in each the three faces of such a picture."""
    import av

    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 100
        for level in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((100, 100, 3), 20 * level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_videos_have_the_same_columns_limits_and_counts(trained, film, tmp_path):
    plain, rows = run(trained, film, every="5")
    assert (plain["sampled_frames"], plain["frames_without_face"], plain["faces"]) == (2, 0, 3)
    assert "faces_left_out" not in plain and plain["face_detector"] == "known" and plain["max_faces"] is None
    assert list(rows[0])[3:21] == FACE_COLUMNS
    first, second, _ = rows[:3]
    assert (float(first["Head Roll"]), first["Left Mouth y"], first["Box Outside"]) == (45, "92.500000", "0.000000")
    assert (second["Box Outside"], second["Nose x"]) == ("0.500000", "") and -180 < float(second["Head Roll"]) <= 180
    limited, rows = run(trained, film, every="5", min_score=0.5, max_faces=1, results=tmp_path / "r")
    assert limited["faces_left_out"] == {"below_min_score": 2, "below_min_face": 0, "beyond_max_faces": 2}
    assert (limited["rows"], limited["faces"], limited["videos_first"][0]["faces_left_out"]) == (
        2, 1, limited["faces_left_out"],
    )  # fmt: skip
    none, _ = run(trained, film, every="5", min_face=500)
    assert (none["frames_without_face"], none["rows"], none["faces"]) == (2, 2, 0)
    again, _ = run(trained, film, every="5", min_score=0.5, max_faces=1, results=tmp_path / "r", resume=True)
    assert again == limited
    with pytest.raises(UsageError, match="--max-faces 1 there, 2 now"):
        run(trained, film, every="5", min_score=0.5, max_faces=2, results=tmp_path / "r", resume=True)


@pytest.mark.parametrize(("every", "told"), [
    ("5", "sampling every 5th frame: 2 a second (FILM has 10)\n"), ("2/s", "sampling every 0.5 s: 2 frames a second\n"),
])  # fmt: skip
def test_a_run_says_how_often_a_video_is_sampled_and_what_each_face_showed(trained, film, every, told):
    known = ["--checkpoint", trained, "--faces", "known", "--workers", 0]
    done = invoke("infer", film, *known, "--every", every)
    assert done.returncode == 0 and told.replace("FILM", str(film)) in done.stderr, done.stderr
    assert re.search(r"2 frames, 0 without a face, 3 faces: \w+ \d+% of their time together", done.stderr)
    faces = re.findall(r"^face (\d), 0\.0 to 0\.5 s, 2 frames: \w+ \d+% of the time", done.stderr, re.M)
    assert faces == ["1", "2", "3"]
    alone = invoke("infer", film, *known, "--max-faces", 1)
    assert re.search(r"1 face: \w+ \d+% of the time[,\n]", alone.stderr) and "\nface 1, " not in alone.stderr


def test_videos_beside_images_are_limited_and_counted_too(trained, images, film, tmp_path):
    found, _ = run(trained, images, film, every="5", max_faces=1, results=tmp_path / "r")
    assert found["faces_left_out"]["beyond_max_faces"] == 4
    assert found["video_results"]["faces_left_out"]["beyond_max_faces"] == 4
    told = invoke("infer", images, film, "--checkpoint", trained, "--faces", "known", "--max-faces", 1, "--workers", 0)
    assert told.stderr.count("4 faces left out: 4 beyond --max-faces 1\n") == 2, told.stderr
    assert "0 sampled frames without a face" in told.stderr
    (row,) = {len(line) for line in csv.reader(io.StringIO(told.stdout))}
    assert row == 3 + len(FACE_COLUMNS) + 2 + len(CLASSES) + len(AMBIGUITY)


def test_videos_of_earlier_columns_are_refused(trained, film, tmp_path):
    results = tmp_path / "r"
    run(trained, film, every="5", results=results)
    path = results / "inference_results.csv"
    rows = list(csv.reader(path.open()))
    kept = [place for place, name in enumerate(rows[0]) if name not in NEW]
    path.write_text("".join(",".join(row[place] for place in kept) + "\n" for row in rows))
    with pytest.raises(UsageError, match="was written by an earlier version of affectkit"):
        run(trained, film, every="5", results=results, resume=True)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_whole_frames_of_earlier_columns_go_on(trained, film, tmp_path, form):
    """No detector was there that could have known more; the table keeps its columns to its end."""
    results, folder = tmp_path / "r", tmp_path / "films"
    folder.mkdir()
    film.rename(folder / "a.mp4")
    run(trained, folder, every="5", results=results, faces="none", format=form)
    path = results / f"inference_results.{form}"
    if form == "csv":
        rows = list(csv.reader(path.open()))
        kept = [place for place, name in enumerate(rows[0]) if name not in NEW]
        path.write_text("".join(",".join(row[place] for place in kept) + "\n" for row in rows))
    elif form == "jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({k: v for k, v in line.items() if k not in NEW}) + "\n" for line in lines))
    else:
        pq.write_table(pq.read_table(path).drop_columns(NEW), path)
    (folder / "b.mp4").write_bytes((folder / "a.mp4").read_bytes())
    found, _ = run(trained, folder, every="5", results=results, faces="none", format=form, resume=True)
    rows = read_rows(results, form)
    assert (found["videos"], len(rows)) == (2, 4) and not set(NEW) & set(rows[0])
    assert [{k: v for k, v in row.items() if k != "Video Name"} for row in rows[:2]] == [
        {k: v for k, v in row.items() if k != "Video Name"} for row in rows[2:]
    ]


# --- tables of earlier versions --------------------------------------------------------------------------------------


def age(folder, form):
    """Make the table of images in ``folder`` one of the version before: without the columns that came later."""
    path = folder / f"inference_results.{form}"
    if form == "parquet":
        pq.write_table(pq.read_table(path).drop_columns(NEW), path)
    elif form == "jsonl":
        rows = ({name: value for name, value in row.items() if name not in NEW} for row in read_rows(folder, form))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open() as stream:
            rows = list(csv.reader(stream))
        kept = [place for place, name in enumerate(rows[0]) if name not in NEW]
        path.write_text("".join(",".join(row[place] for place in kept) + "\n" for row in rows))
    record = json.loads((folder / "inference.json").read_text())
    for name in ("face_detector", "face_detector_sha256", *LIMITS, "images_without_face", "images_without_face_first"):
        record.pop(name)
    (folder / "inference.json").write_text(json.dumps(record))
    if (folder / "shard.json").exists():
        part = json.loads((folder / "shard.json").read_text())
        table = part["tables"][path.name]
        table["columns"] = [name for name in table["columns"] if name not in NEW]
        table["sha256"] = sha256(path)
        for name in ("face_detector", "face_detector_sha256", *LIMITS):
            part["identity"].pop(name)
            part["summary"].pop(name)
        (folder / "shard.json").write_text(json.dumps(part))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("growing", [False, True])
def test_a_table_of_earlier_columns_is_refused_in_one_message(trained, images, tmp_path, form, growing):
    results = tmp_path / "r"
    run(trained, images, results=results, format=form)
    age(results, form)
    before = (results / f"inference_results.{form}").read_bytes()
    if growing:
        kind = "csv" if form == "csv" else "jsonl"
        if form == "parquet":
            run(trained, images, results=tmp_path / "lines", format="jsonl")
            age(tmp_path / "lines", "jsonl")
            before = (tmp_path / "lines" / "inference_results.jsonl").read_bytes()
        (results / f"inference_results.{form}").unlink()
        (results / f"inference_results.{kind}.part").write_bytes(before)
        (results / "images.jsonl.part").write_text("")
    (images / "4.png").write_bytes((images / "0.png").read_bytes())
    with pytest.raises(UsageError) as caught:
        run(trained, images, results=results, format=form, resume=True)
    assert "was written by an earlier version of affectkit" in caught.value.message
    assert "'Detector Score', and now Box Outside, Head Roll, Right Eye x and more follow" in caught.value.message
    assert "--force" in caught.value.hint
    left = next(results.glob("inference_results.*"))
    assert left.read_bytes() == before, "it stays as it was"
    assert run(trained, images, results=results, format=form, force=True)[0]["images"] == 5


def test_tables_of_whole_images_go_on(trained, images, tmp_path):
    run(trained, images, results=tmp_path / "r", faces=None)
    (images / "4.png").write_bytes((images / "0.png").read_bytes())
    assert run(trained, images, results=tmp_path / "r", faces=None, resume=True)[0]["images"] == 5


def test_earlier_shards_are_merged_and_never_mixed(trained, images, tmp_path):
    folders = [tmp_path / "r" / f"shard-{number}-of-2" for number in (1, 2)]
    for number in (1, 2):
        run(trained, images, results=tmp_path / "r", shard=f"{number}/2")
    age(folders[0], "csv")
    with pytest.raises(DataError, match="different face detector: none in shard 1/2; known in shard 2/2"):
        merge(tmp_path / "r", reporter=Heard())
    with pytest.raises(UsageError, match="was written by an earlier version of affectkit"):
        run(trained, images, results=tmp_path / "r", shard="1/2")
    age(folders[1], "csv")
    merged = merge(tmp_path / "r", reporter=Heard())
    assert (merged["faces"], merged["images_without_face"]) == (7, 1)
    rows = read_rows(tmp_path / "r", "csv")
    assert list(rows[0])[:7] == ["Image Name", *FACE_COLUMNS[:6]] and not set(NEW) & set(rows[0])
