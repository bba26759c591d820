"""``--valence-arousal`` from end to end: tables, records, shards, films, Python, the server; and who is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from films import write_film
from onnx_models import checkpoint, images, ratings
from PIL import Image
from support import AMBIGUITY, TINY, invoke

import affectkit
from affectkit.errors import UsageError
from affectkit.metrics.emotion_norms import EmotionNorms, column_names
from affectkit.prep.images.schematic_dataset import PROTOTYPES
from affectkit.prep.images.schematic_face import draw_appearance, draw_face

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
MEANS = np.array([
    [5.50, 8.48, 7.44, 2.40, 2.50, 3.32, 2.93, 3.22],
    [3.45, 6.50, 6.57, 2.81, 5.93, 5.00, 6.14, 4.61],
]) / 4 - 1.25  # fmt: skip
COLUMNS = column_names()


def drawn(emotion: int, seed: int, size: int = 96) -> np.ndarray:
    return draw_face(PROTOTYPES[emotion], draw_appearance(np.random.default_rng(seed)), size=size)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Eight drawn faces, each of an emotion."""
    root = tmp_path_factory.mktemp("faces")
    for place, name in enumerate(EMOTIONS):
        Image.fromarray(drawn(place, place)).save(root / f"{place}-{name}.png")
    return root


def asked(*more):
    return invoke("infer", *more, "--device", "cpu", "--workers", "0")


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def check(rows):
    """Means and disagreement follow from the shares beside them; both lie in the range."""
    p = np.array([[float(row[name]) for name in EMOTIONS] for row in rows])
    for place, dimension in enumerate(("Valence", "Arousal")):
        mean, low, high, disagreement = (
            np.array([float(row[f"{dimension}{kind} (from emotions)"]) for row in rows])
            for kind in ("", " Low", " High", " Disagreement")
        )
        assert mean == pytest.approx(p @ MEANS[place], abs=1e-5)
        assert disagreement == pytest.approx(np.sqrt(p @ MEANS[place] ** 2 - mean**2), abs=1e-4)
        assert (low >= -1).all() and (low < mean).all() and (mean < high).all() and (high <= 1).all()
    return p


def test_columns_follow_the_shares_in_every_format_and_stand_in_the_record(faces, tmp_path):
    plain = asked(faces, "--faces", "none")
    run = asked(faces, "--faces", "none", "--valence-arousal", "--results", tmp_path / "c")
    assert run.returncode == 0, run.stderr
    rows = table(tmp_path / "c" / "inference_results.csv")
    assert list(rows[0])[-11:] == [EMOTIONS[-1], *AMBIGUITY, *COLUMNS] and len(rows) == 8
    check(rows)
    assert float(rows[1]["Valence (from emotions)"]) > 0.5 > float(rows[3]["Valence (from emotions)"])
    record = json.loads((tmp_path / "c" / "inference.json").read_text())
    assert record["valence_arousal"] == {name: name for name in EMOTIONS}
    assert "Warriner" in record["valence_arousal_from"]
    assert "not measured on rated faces" in " ".join(run.stderr.split())
    # What stood there before is as it was.
    before = list(csv.DictReader(plain.stdout.splitlines()))
    assert [{name: row[name] for name in before[0]} for row in rows] == before
    assert not set(COLUMNS) & set(before[0]) and "Warriner" not in plain.stderr
    for form in ("jsonl", "parquet"):
        asked(faces, "--faces", "none", "--valence-arousal", "--results", tmp_path / form, "--format", form)
    lines = (tmp_path / "jsonl" / "inference_results.jsonl").read_text().splitlines()
    stored = pq.read_table(tmp_path / "parquet" / "inference_results.parquet").to_pylist()
    assert [json.loads(line) for line in lines] == stored
    assert [f"{row[name]:.6f}" for row in stored for name in COLUMNS] == [row[name] for row in rows for name in COLUMNS]
    found = json.loads(asked(faces, "--faces", "none", "--valence-arousal", "--json").stdout)
    assert found["predictions"] == stored and found["valence_arousal"] == record["valence_arousal"]
    report = invoke("report", tmp_path / "c", "--output", tmp_path / "page.html")
    assert report.returncode == 0, report.stderr
    page = (tmp_path / "page.html").read_text()
    assert "whose norms valence and arousal" in page and "Valence and arousal from emotions over the set" in page
    assert f'<td class="num">{np.mean([float(row[COLUMNS[0]]) for row in rows]):.3f}' in page


def test_shards_and_resumed_tables_are_those_of_one_run_and_need_the_option(faces, tmp_path):
    one = [faces, "--faces", "none", "--valence-arousal", "--results"]
    assert asked(*one, tmp_path / "one").returncode == 0
    for shard in ("1/2", "2/2"):
        assert asked(*one, tmp_path / "two", "--shard", shard).returncode == 0
    other = asked(faces, "--faces", "none", "--results", tmp_path / "two", "--shard", "2/2", "--resume")
    assert other.returncode == 2 and "--valence-arousal" in other.stderr
    assert invoke("merge", tmp_path / "two").returncode == 0
    for name in ("inference_results.csv", "inputs.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    records = [json.loads((tmp_path / name / "inference.json").read_text()) for name in ("one", "two")]
    assert records[0]["valence_arousal"] == records[1]["valence_arousal"]
    without = asked(faces, "--faces", "none", "--results", tmp_path / "one", "--resume")
    assert without.returncode == 2 and "--valence-arousal" in without.stderr
    again = asked(*one, tmp_path / "one", "--resume")
    assert again.returncode == 0 and "nothing to do" in again.stderr
    asked(faces, "--faces", "none", "--results", tmp_path / "plain")
    late = asked(*one, tmp_path / "plain", "--resume")
    assert late.returncode == 2 and "--valence-arousal" in late.stderr


def test_films_have_them_by_frame_track_and_whole(tmp_path):
    """The range of a whole film is that of its mean shares: a film that is sad, then happy, has a wide one."""
    path = write_film(tmp_path / "film.mp4", 20, fps=5, draw=lambda number: drawn(3 if number < 10 else 1, 5, 240))
    run = asked(path, "--valence-arousal", "--results", tmp_path / "r", "--annotate", tmp_path / "drawn.mp4")
    assert run.returncode == 0, run.stderr
    rows, videos = table(tmp_path / "r" / "inference_results.csv"), table(tmp_path / "r" / "videos.csv")
    rows = [row for row in rows if row["Face"]]
    p = check(rows)
    assert len(rows) == 8 and len(videos) == 2
    norms = EmotionNorms.of(EMOTIONS)
    for one in videos:
        found = [float(one[f"mean {name}"]) for name in COLUMNS]
        assert found == pytest.approx(norms.values(p.mean(0)[None])[0], abs=1e-5)
        widths = [
            float(row["Valence High (from emotions)"]) - float(row["Valence Low (from emotions)"]) for row in rows
        ]
        assert found[2] - found[1] > np.mean(widths) + 0.2
    (entry,) = map(json.loads, (tmp_path / "r" / "videos.jsonl").read_text().splitlines())
    assert entry["video"]["mean"]["Valence (from emotions)"] == pytest.approx(float(rows_mean(rows)), abs=1e-5)
    resumed = asked(path, "--results", tmp_path / "r", "--resume")
    assert resumed.returncode == 2 and "--valence-arousal" in resumed.stderr
    page = invoke("report", tmp_path / "r", "--output", tmp_path / "page.html")
    assert page.returncode == 0, page.stderr
    assert "mean Arousal (from emotions)</th>" in (tmp_path / "page.html").read_text()


def rows_mean(rows):
    return np.mean([float(row["Valence (from emotions)"]) for row in rows])


def test_annotated_pictures_say_them_below_the_bars(faces, tmp_path):
    sizes = {}
    for folder, more in (("with", ["--valence-arousal"]), ("without", [])):
        run = asked(faces / "1-happiness.png", "--faces", "none", "--annotate", tmp_path / folder, *more)
        assert run.returncode == 0, run.stderr
        (path,) = (tmp_path / folder).rglob("*.png")
        with Image.open(path) as one:
            sizes[folder] = one.size
    assert sizes["with"][1] > sizes["without"][1]  # the strip has a line more


def test_python_gives_the_same_rows_and_abstained_stays_last(faces):
    model = affectkit.load("builtin", device="cpu")
    rows = list(affectkit.predict(model, faces, faces="none", valence_arousal=True, abstain=0.9))
    assert list(rows[0])[-9:] == [*COLUMNS, "Abstained"] and {row["Abstained"] for row in rows} == {0, 1}
    check(rows)
    plain = list(affectkit.predict(model, faces, faces="none", abstain=0.9))
    assert [{name: row[name] for name in plain[0]} for row in rows] == plain
    even = dict.fromkeys(EMOTIONS, 1 / 8)
    check(list(affectkit.predict(model, faces, faces="none", valence_arousal=True, prior=even)))


def test_an_estimated_prior_is_in_them(faces, tmp_path):
    run = asked(faces, "--faces", "none", "--valence-arousal", "--prior", "estimate", "--results", tmp_path / "e")
    assert run.returncode == 0, run.stderr
    check(table(tmp_path / "e" / "inference_results.csv"))


def test_the_server_has_them(faces):
    pytest.importorskip("starlette", reason="the extra web is not installed")
    from serving import client_of, png, scene, serve_settings, service_of

    with service_of(serve_settings(valence_arousal=True)) as service:
        client = client_of(service)
        found = client.post("/predict", files={"file": ("two.png", png(scene()))}).json()
        health = client.get("/health").json()
    check(found["rows"])
    assert found["valence_arousal"] == {name: name for name in EMOTIONS}
    assert health["roles"]["affect"] == {"valence": "Valence (from emotions)", "arousal": "Arousal (from emotions)"}


def test_models_without_emotions_or_with_others_are_refused(faces, tmp_path):
    vca = checkpoint(tmp_path, TINY, ratings(32))
    run = asked(faces, "--checkpoint", vca, "--valence-arousal")
    assert run.returncode == 2 and "predicts arousal and valence itself" in " ".join(run.stderr.split())
    other = checkpoint(tmp_path, TINY, images(32, classes=("anger", "boredom", "neutral")))
    run = asked(faces, "--checkpoint", other, "--valence-arousal")
    assert run.returncode == 2 and "no word for the class 'boredom'" in " ".join(run.stderr.split())
    with pytest.raises(UsageError, match="boredom"):
        affectkit.predict(affectkit.load(other), faces, valence_arousal=True)
    run = asked(faces, "--labels", "labels.csv", "--results", tmp_path / "r", "--valence-arousal")
    assert run.returncode == 2 and "--labels and --valence-arousal exclude each other" in " ".join(run.stderr.split())
    joy = checkpoint(tmp_path, TINY, images(32))
    run = asked(faces, "--checkpoint", joy, "--valence-arousal", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["valence_arousal"] == {"anger": "anger", "joy": "happiness", "neutral": "neutral"}
