"""The columns ``Margin`` and ``Entropy (bits)`` of predictions, and tables of versions that wrote none."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from films import write_film
from PIL import Image
from support import AMBIGUITY, Heard

from affectkit.config import resolve
from affectkit.core.files import sha256
from affectkit.core.spec import InputSpec
from affectkit.errors import DataError
from affectkit.inference.infer import infer
from affectkit.inference.merge import merge
from affectkit.pages.tables import class_columns
from affectkit.settings.inference import InferSettings
from affectkit.tasks import make_task
from affectkit.tasks.decision import Decision

EMOTIONS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
HEADER = ["Image Name", "Predicted Label", "Confidence", *EMOTIONS, *AMBIGUITY]
COUNT = 5


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(COUNT):
        add_image(folder, number)
    return folder


def add_image(folder, number, seed=0):
    rough = np.random.default_rng([number, seed]).integers(0, 256, (6, 6), dtype=np.uint8)
    Image.fromarray(rough).resize((48, 48), Image.BICUBIC).save(folder / f"{number}.png")


def run(images, heard=None, **changes):
    values = {"paths": [str(images)], "workers": 0, "faces": "none", "device": "cpu", **changes}
    settings = resolve(InferSettings, flags=values).settings
    return infer(settings, reporter=heard or Heard(), listed=io.StringIO(), stdout=io.StringIO())


def rows_of(folder, form="csv"):
    path = folder / f"inference_results.{form}"
    if form == "parquet":
        return pq.read_table(path).to_pylist()
    if form == "jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def age(folder, form="csv", name=None):
    """Make the table in ``folder`` one of an earlier version: without the columns that came later."""
    path = folder / (name or f"inference_results.{form}")
    if form == "parquet":
        pq.write_table(pq.read_table(path).drop_columns(AMBIGUITY), path)
    elif form == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        kept = ({key: value for key, value in row.items() if key not in AMBIGUITY} for row in rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    else:
        with path.open(newline="") as stream:
            rows = list(csv.reader(stream))
        kept = [place for place, column in enumerate(rows[0]) if column not in AMBIGUITY]
        path.write_text("".join(",".join(row[place] for place in kept) + "\n" for row in rows))
    if (folder / "shard.json").exists():
        part = json.loads((folder / "shard.json").read_text())
        table = part["tables"][path.name]
        table["columns"] = [column for column in table["columns"] if column not in AMBIGUITY]
        table["sha256"] = sha256(path)
        (folder / "shard.json").write_text(json.dumps(part))


def test_rows_by_hand():
    task = make_task(InputSpec("distribution", 24, 24, classes=("a", "b", "c")))
    assert task.columns() == ["Predicted Label", "Confidence", "a", "b", "c", *AMBIGUITY]
    rows = task.rows(np.log(np.array([[0.125, 0.75, 0.125], [0.25, 0.25, 0.5], [1, 1, 1]], np.float32)))
    wanted = [
        ["b", 0.75, 0.125, 0.75, 0.125, 0.625, 0.75 * np.log2(4 / 3) + 0.75],
        ["c", 0.5, 0.25, 0.25, 0.5, 0.25, 1.5],
        ["a", 1 / 3, 1 / 3, 1 / 3, 1 / 3, 0.0, np.log2(3)],
    ]
    for row, expected in zip(rows, wanted, strict=True):
        assert row[0] == expected[0] and row[1:] == pytest.approx(expected[1:], abs=1e-6)
        assert all(type(value) is float for value in row[1:])


def test_they_are_of_the_distribution_that_is_written():
    """With a temperature and a prior shift in it; what abstains has both, too, and ``Abstained`` stays the last one."""
    spec = InputSpec("classification", 24, 24, classes=("a", "b"), temperature=2.0)
    task = make_task(spec)
    task.decide(Decision(threshold=0.9, shift=np.log([1.0, 9.0])))
    assert task.columns() == ["Predicted Label", "Confidence", "a", "b", *AMBIGUITY, "Abstained"]
    (row,) = task.rows(np.zeros((1, 2), np.float32))  # 1 : 9, at temperature 2 1 : 3
    assert row[0] == "" and row[1:] == pytest.approx([0.75, 0.25, 0.75, 0.5, 2 - 0.75 * np.log2(3), 1], abs=1e-6)


def test_one_class_and_extreme_outputs_give_numbers():
    task = make_task(InputSpec("classification", 24, 24, classes=("a",)))
    assert task.rows(np.array([[-7.0], [3.0]], np.float32)) == [["a", 1.0, 1.0, 1.0, 0.0]] * 2
    task = make_task(InputSpec("classification", 24, 24, classes=("a", "b", "c")))
    ((_, *values),) = task.rows(np.array([[1e30, -1e30, 0]], np.float32))
    assert values == [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_tables_of_any_format_have_them(images, tmp_path, form):
    run(images, results=tmp_path / "r", format=form)
    rows = rows_of(tmp_path / "r", form)
    assert len(rows) == COUNT
    for row in rows:
        assert list(row) == HEADER
        shares = np.array([float(row[name]) for name in EMOTIONS])
        first, second = np.sort(shares)[:-3:-1]
        assert float(row["Margin"]) == pytest.approx(first - second, abs=2e-6)
        entropy = -(shares * np.log2(np.maximum(shares, 1e-12))).sum()
        assert float(row["Entropy (bits)"]) == pytest.approx(entropy, abs=1e-4)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_finished_table_of_an_earlier_version_goes_on_with_its_columns(images, tmp_path, form):
    run(images, results=tmp_path / "r", format=form)
    wanted = rows_of(tmp_path / "r", form)
    age(tmp_path / "r", form)
    old = (tmp_path / "r" / f"inference_results.{form}").read_bytes()
    heard = Heard()
    run(images, heard, results=tmp_path / "r", format=form, resume=True)
    assert (tmp_path / "r" / f"inference_results.{form}").read_bytes() == old
    assert any("nothing to do" in text for text in heard.notes)
    add_image(images, COUNT)
    heard = Heard()
    run(images, heard, results=tmp_path / "r", format=form, resume=True)
    assert any("was begun by an earlier version" in text and "without Margin, Entropy (bits)" in text
               for text in heard.notes)  # fmt: skip
    rows = rows_of(tmp_path / "r", form)
    assert len(rows) == COUNT + 1 and list(rows[-1]) == HEADER[:-2]
    assert rows[:COUNT] == [{name: row[name] for name in HEADER[:-2]} for row in wanted]
    run(images, results=tmp_path / "r", format=form, force=True)
    assert list(rows_of(tmp_path / "r", form)[0]) == HEADER


def test_a_growing_table_of_an_earlier_version_goes_on_with_its_columns(images, tmp_path):
    results = tmp_path / "r"
    run(images, results=results, abstain="0.5")
    wanted = rows_of(results)
    lines = (results / "inference_results.csv").read_bytes().splitlines(keepends=True)
    part = results / "inference_results.csv.part"
    part.write_bytes(b"".join(lines[:3]))
    (results / "inference_results.csv").unlink()
    age(results, name=part.name)
    ends = [len(line) for line in part.read_bytes().splitlines(keepends=True)]
    with (results / "inputs.csv").open(newline="") as stream:
        marks = list(csv.DictReader(stream))
    with (results / "images.jsonl.part").open("w") as stream:
        for number in range(2):
            one = marks[number]
            mark = [int(one["Size"]), int(one["Modified"]), int(one["Changed"]), one["SHA-256"]]
            entry = {"name": f"{number}.png", "rows": 1, "mark": mark, "frames": 1, "position": number}
            entry |= {"abstained": int(wanted[number]["Abstained"]), "end": sum(ends[: number + 2])}
            stream.write(json.dumps(entry) + "\n")
    record = run(images, results=results, abstain="0.5", resume=True)
    assert rows_of(results) == [{k: v for k, v in row.items() if k not in AMBIGUITY} for row in wanted]
    assert record["abstained"] == sum(int(row["Abstained"]) for row in wanted) > 0


def test_films_of_an_earlier_version_go_on_with_their_columns(tmp_path):
    """Rows lack them; ``videos.csv`` is made anew, with the means of what was predicted since."""
    folder, results = tmp_path / "films", tmp_path / "r"
    write_film(folder / "a.mp4", 10)
    run(folder, results=results, every="5")
    age(results)
    entry = json.loads((results / "videos.jsonl").read_text())
    for one in (entry["video"], *entry["video"]["by_face"]):
        for name in AMBIGUITY:
            del one["mean"][name]
    (results / "videos.jsonl").write_text(json.dumps(entry) + "\n")
    (folder / "b.mp4").write_bytes((folder / "a.mp4").read_bytes())
    heard = Heard()
    run(folder, heard, results=results, every="5", resume=True)
    assert sum("it keeps its columns, without Margin, Entropy (bits)" in text for text in heard.notes) == 1
    rows = rows_of(results)
    assert len(rows) == 4 and not set(AMBIGUITY) & set(rows[0]) and list(rows[0])[-8:] == EMOTIONS
    assert [{**row, "Video Name": ""} for row in rows[:2]] == [{**row, "Video Name": ""} for row in rows[2:]]
    with (results / "videos.csv").open(newline="") as stream:
        means = [row["mean Margin"] for row in csv.DictReader(stream)]
    assert means[:2] == ["", ""] and all(map(float, means[2:])) and len(means) == 4


def test_shards_of_earlier_versions_are_merged_and_never_mixed(images, tmp_path):
    results = tmp_path / "r"
    folders = [results / f"shard-{number}-of-2" for number in (1, 2)]
    for number in (1, 2):
        run(images, results=results, shard=f"{number}/2")
    age(folders[0])
    with pytest.raises(
        DataError, match=r"shard 1/2 lacks Margin, Entropy \(bits\), as tables of earlier versions"
    ) as caught:
        merge(results, reporter=Heard())
    assert "--shard I/2 --force" in caught.value.hint
    age(folders[1])
    run(images, results=results, shard="1/2")  # complete as it stands
    for number in (1, 2):  # one of each changes
        add_image(images, number, seed=9)
        run(images, results=results, shard=f"{number}/2", resume=True)
    assert merge(results, reporter=Heard())["images"] == COUNT
    assert list(rows_of(results)[0]) == HEADER[:-2]


def test_pages_take_them_for_no_class():
    assert class_columns(HEADER, []) == EMOTIONS == class_columns([*HEADER, "Abstained"], EMOTIONS)
    assert class_columns([*HEADER[:-2], "Abstained"], []) == EMOTIONS
