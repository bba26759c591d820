"""What the code before files moved into rooms (commit 1f2b7bd) left on a disk still serves: stores of clips, a cache of
features, run folders, results cut halfway, journals of datasplit, parts of shards, a queued Slurm job.

golden/before_rooms/ holds what it wrote, and ``make.py`` there the commands. Nothing here names a module of affectkit,
so that the tests hold whatever is moved next. Where numbers are computed again they are compared within what another
processor or version of torch may change; on the machine that made the fixtures they were equal to the last bit.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import AMBIGUITY, FACE_COLUMNS, invoke

import affectkit

ARCHIVES = Path(__file__).parent / "golden" / "before_rooms"
MADE_AT = "/tmp/affectkit-before-rooms/" + "r" * 100
"""The folder in which all was made, as configurations and pickles have it."""
MADE_BY = "0.1.0"


def unpack(name: str, folder: Path) -> Path:
    """The archive ``name`` below ``folder``, with the paths that text files record changed to the new place."""
    with tarfile.open(ARCHIVES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for path in (folder / name).rglob("*"):
        if path.suffix in (".json", ".yaml") and MADE_AT in (text := path.read_text()):
            path.write_text(text.replace(MADE_AT, str(folder)))
    return folder / name


@pytest.fixture
def scene(request, tmp_path, monkeypatch):
    """The folder of the archive that the test names, as current folder, with a cache of its own."""
    root = unpack(request.param, tmp_path)
    monkeypatch.chdir(root)
    monkeypatch.setenv("AFFECTKIT_CACHE", str(root / "cache"))
    return root


def of(name: str):
    return pytest.mark.parametrize("scene", [name], indirect=True)


def good(*command: object):
    """Run a command that must succeed."""
    done = invoke(*command)
    assert done.returncode == 0, done.stderr
    return done


def tree(root: Path) -> dict[str, str]:
    """The hash of every file below ``root`` but those in hidden folders and files."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    names = {path.relative_to(root).as_posix(): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if not any(part.startswith(".") for part in name.split("/"))
    }


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every file: what writing it again changes."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def close(found: object, wanted: object, *, digits: float = 1e-4) -> bool:
    """Whether two tables or parts of JSON are alike: texts equal, numbers within ``digits``."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(close(found[key], wanted[key], digits=digits) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(close(a, b, digits=digits) for a, b in zip(found, wanted, strict=True))
    try:
        return float(found) == pytest.approx(float(wanted), rel=digits, abs=digits, nan_ok=True)
    except (TypeError, ValueError):
        return found == wanted


DIGESTS = {"digest", "sources", "copies"}
"""Keys in records of prepared clips whose values are digests of them."""


def unlike(one: Path, other: Path) -> list[str]:
    """The files of two prepared folders that differ by more than another processor changes.

    Sound is kept in whole numbers, of which a few in a thousand are rounded to the next one where the last bit of a
    spectrogram differs; digests and sums of such a clip differ with them.
    """
    names = [name for name, digest in tree(one).items() if tree(other).get(name) != digest]
    return [name for name in names if not _alike(one / name, other / name)]


def _alike(one: Path, other: Path) -> bool:
    if one.suffix == ".npy":
        first, second = (np.load(path).astype(np.int64) for path in (one, other))
        return np.abs(first - second).max() <= 1 and (first != second).mean() < 0.02
    if one.suffix == ".json":
        return close(*(_without_digests(json.loads(path.read_text())) for path in (one, other)), digits=1e-5)
    return False


def _without_digests(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_digests(inner) for key, inner in value.items() if key not in DIGESTS}
    return [_without_digests(inner) for inner in value] if isinstance(value, list) else value


# --- stores of clips -------------------------------------------------------------------------------------------------

PREPARED = {
    "clips_cremad": ("prep", "cremad", "source", "--size", 8, "--workers", 1),
    "clips_rml": ("prep", "rml", "source", "--size", 8, "--workers", 1),
    "clips_emovoxceleb": ("prep", "emovoxceleb", "source", "--size", 8, "--workers", 1),
    "clips_features": ("prep", "av-features", "source", "--workers", 1),
}


UNCHANGED = [name for name in PREPARED if name != "clips_rml"]
"""RML's clips are read otherwise now: turned, pixels made square, interlaced frames of one moment."""


@pytest.mark.parametrize("scene", UNCHANGED, indirect=True)
def test_no_clip_of_a_prepared_store_is_decoded_again(scene):
    before, store = tree(scene / "whole"), stamps(scene / "whole" / "store")
    said = good(*PREPARED[scene.name], "--output", "whole").stderr
    assert "nothing to do" in said and "preparing clips" not in said
    assert stamps(scene / "whole" / "store") == store and len(store) >= 3
    assert tree(scene / "whole") == before


@of("clips_rml")
def test_clips_that_are_read_otherwise_now_are_prepared_again(scene):
    shutil.copytree(scene / "whole", scene / "before")
    said = good(*PREPARED["clips_rml"], "--output", "whole").stderr
    assert "prepared by other settings or an older affectkit" in said and "nothing to do" not in said
    assert tree(scene / "before").keys() == tree(scene / "whole").keys()
    changed = unlike(scene / "before", scene / "whole")
    assert not any(name.endswith((".npy", ".csv")) for name in changed)  # these need no turning


@of("clips_cremad")
def test_a_store_cut_halfway_is_finished_and_not_begun_anew(scene):
    done = {path: stamp for path, stamp in stamps(scene / "cut" / "store").items() if "/0000." in path}
    assert len(done) == 3 and not (scene / "cut" / "store" / "0001.json").exists()
    said = good(*PREPARED["clips_cremad"], "--output", "cut").stderr
    assert "32 clips are prepared already" in said and "prepared again" not in said
    after = stamps(scene / "cut" / "store")
    assert {path: after[path] for path in done} == done
    assert tree(scene / "whole").keys() == tree(scene / "cut").keys()
    assert unlike(scene / "whole", scene / "cut") == []


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def one_thread():
    """The number of threads that the fixtures were made with."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@of("training")
def test_a_run_stopped_halfway_ends_as_the_code_before_ended_it(scene, one_thread):
    assert len(table(scene / "cut" / "history.csv")) < 4
    said = good("train", "--resume", "cut")
    assert [f"epoch {number}/4:" in said.stderr for number in (1, 2, 3, 4)] == [False, False, True, True]
    assert close(table(scene / "cut" / "history.csv"), table(scene / "whole" / "history.csv"))
    found, wanted = (json.loads((scene / run / "metrics.json").read_text()) for run in ("cut", "whole"))
    assert close(found, wanted)
    for name in ("best.safetensors", "last.safetensors"):
        found, wanted = (load_file(scene / run / name) for run in ("cut", "whole"))
        assert found.keys() == wanted.keys()
        for key in wanted:
            assert np.allclose(found[key], wanted[key], rtol=1e-3, atol=1e-4), key


@of("training")
def test_a_finished_run_predicts_as_it_did(scene, one_thread):
    good("infer", "--checkpoint", "whole", "data/test", "--recursive", "--device", "cpu", "--results", "again")
    wanted = table(scene / "predicted" / "inference_results.csv")
    found = table(scene / "again" / "inference_results.csv")
    assert list(found[0])[: len(wanted[0])] == list(wanted[0])  # later columns stand behind those of before
    found = [{name: row[name] for name in wanted[0]} for row in found]
    assert close(found, wanted, digits=1e-3) and len(wanted) == 6
    rows = affectkit.predict(affectkit.load("whole", device="cpu"), sorted((scene / "data" / "test").rglob("*.png")))
    shares = {(row["Confidence"], row["Predicted Label"]) for row in table(scene / "again" / "inference_results.csv")}
    assert len(list(rows)) == 6 and len(shares) > 2
    again = invoke("train", "--resume", "whole")
    assert again.returncode == 0, again.stderr


@of("features")
def test_cached_features_are_taken(scene, one_thread):
    kept = {path: stamp for path, stamp in stamps(scene / "cache/features").items() if path.endswith(".npy")}
    assert len(kept) == 1
    said = good(
        "train", "--model", "vca", "--data", "data/images", "--labels", "data/ratings.csv", "--clip", "tiny.json",
        "--clip-weights", "./tower.safetensors", "--monitor", "loss", "--views", 2, "--batch-size", 8, "--workers", 0,
        "--device", "cpu", "--epochs", 1, "--output", "run",
    )  # fmt: skip
    assert "features computed once" in said.stderr
    # Whatever is computed is written into a segment of its own.
    after = stamps(scene / "cache/features")
    assert {path: stamp for path, stamp in after.items() if path.endswith(".npy")} == kept


# --- tables that were cut, parts of shards ---------------------------------------------------------------------------

EDITION = "affectkit:ferplus-small-1"
"""What ``builtin`` was when the archives were made."""
PLAIN = ("--batch-size", 2, "--workers", 0, "--device", "cpu", "--faces", "none")
INFER = ("infer", "--checkpoint", EDITION, *PLAIN)


def mark_row(path: Path, text: str, other: str) -> None:
    """Change a number that was written, so that it shows whether it is taken or computed again."""
    data = path.read_bytes()
    assert data.count(text.encode()) >= 1 and len(text) == len(other), (path, text)
    path.write_bytes(data.replace(text.encode(), other.encode(), 1))


@of("inference")
def test_predictions_cut_among_the_images_are_finished(scene):
    wanted = table(scene / "whole" / "inference_results.csv")
    confidence = wanted[0]["Confidence"]
    mark_row(scene / "cut" / "inference_results.csv.part", f",{confidence},", f",{'9' * len(confidence)},")
    wanted[0]["Confidence"] = "9" * len(confidence)
    newer = invoke("infer", "--checkpoint", "builtin", *PLAIN, "inputs", "--results", "cut", "--resume")
    assert newer.returncode == 1 and f"were made with {EDITION}.\nName it (--checkpoint {EDITION})" in newer.stderr
    good(*INFER, "inputs", "--results", "cut", "--resume")
    assert close(table(scene / "cut" / "inference_results.csv"), wanted) and len(wanted) == 8
    videos = scene / "cut" / "videos"
    found = table(videos / "inference_results.csv")  # begun by this version: it has the columns that came since
    assert {row.pop(name) for row in found for name in FACE_COLUMNS[6:]} == {"", "0.000000"}
    assert all(0 <= float(row.pop(name)) <= 3 for row in found for name in AMBIGUITY)
    assert close(found, table(scene / "whole" / "films" / "inference_results.csv"))
    summaries = table(videos / "videos.csv")
    assert [(row.pop("Picture Start"), row.pop("Sound Start")) for row in summaries if not row["Face"]]
    new = {"Picture Start", "Sound Start", *(f"mean {name}" for name in AMBIGUITY)}
    later = [{name: value for name, value in row.items() if name not in new} for row in summaries]
    assert close(later, with_columns_of_today(table(scene / "whole" / "films" / "films.csv")))


@of("inference")
def test_predictions_cut_among_the_videos_are_finished(scene):
    wanted = table(scene / "whole" / "films" / "inference_results.csv")
    confidence = wanted[0]["Confidence"]
    part = scene / "cut_in_videos" / "films" / "inference_results.csv.part"
    mark_row(part, f",{confidence},", f",{'9' * len(confidence)},")
    wanted[0]["Confidence"] = "9" * len(confidence)
    images = stamps(scene / "inputs")
    good(*INFER, "inputs", "--results", "cut_in_videos", "--resume")
    found = table(scene / "cut_in_videos" / "videos" / "inference_results.csv")
    assert close(found, wanted) and {row["Video Name"] for row in found} == {"8.mp4", "9.mp4"}
    assert stamps(scene / "inputs") == images
    before = (scene / "whole" / "inference_results.csv").read_bytes()
    assert (scene / "cut_in_videos" / "inference_results.csv").read_bytes() == before


def with_columns_of_today(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of ``films.csv`` under the columns of ``videos.csv``."""
    names = {"Looks": "Sampled Frames", "Looks Without Face": "Frames Without Face"}
    return [{names.get(name, name): value for name, value in row.items()} for row in rows]


@of("inference")
@pytest.mark.parametrize("alone", [False, True], ids=["beside images", "alone"])
def test_predictions_of_films_that_were_finished_stand_as_those_of_videos(scene, alone):
    """Nothing is predicted again; files, columns and entries of records have the names of today."""
    results, inputs = scene / "whole", ["inputs"]
    rows = (results / "films" / "inference_results.csv").read_bytes()
    summaries = with_columns_of_today(table(results / "films" / "films.csv"))
    if alone:  # as a command for the videos alone left its results, in a folder that a user had called films
        results, inputs = (results / "films").rename(scene / "films"), ["inputs/8.mp4", "inputs/9.mp4"]
        record = json.loads((results / "inference.json").read_text())
        (results / "inference.json").write_text(json.dumps({**record, "paths": inputs}))
        for number in (8, 9):
            mark_rows(results / "films.jsonl", f'"{number}.mp4"', f'"inputs/{number}.mp4"')
            mark_rows(results / "inference_results.csv", f"{number}.mp4", f"inputs/{number}.mp4")
        rows = (results / "inference_results.csv").read_bytes()
    done = good(*INFER, *inputs, "--results", results.name, "--resume", "--json")
    videos = results if alone else results / "videos"
    assert done.stderr.count("nothing to do") == (1 if alone else 2)
    assert (videos / "inference_results.csv").read_bytes() == rows
    assert table(videos / "videos.csv") == summaries and len(summaries) == 4
    left = {path.relative_to(results).as_posix() for path in results.rglob("*")}
    assert (videos / "videos.jsonl").exists() and not {name for name in left if "films" in name}
    summary = json.loads(done.stdout)
    found = summary if alone else summary["video_results"]
    assert (found["videos"], found["sampled_frames"]) == (2, 14)
    assert [one["frames_without_face"] for one in found["videos_first"]] == [0, 0]
    assert Path(found["videos_table"]).parts[-2:] == (videos.name, "videos.csv")
    for path in (results / "inference.json", videos / "inference.json", videos / "videos.jsonl"):
        text = path.read_text()
        assert '"film' not in text and '"look' not in text, path


def mark_rows(path: Path, text: str, other: str) -> None:
    """Put ``other`` in the place of every ``text``."""
    path.write_text(path.read_text().replace(text, other))


@of("inference")
def test_parts_of_predictions_are_merged_to_the_same_bytes(scene):
    good("merge", "shards")
    for name in ("inference_results.csv", "inputs.csv"):
        assert (scene / "shards" / name).read_bytes() == (scene / "together" / name).read_bytes()


@of("prepared_shards")
def test_parts_of_a_preparation_are_merged_to_the_same_bytes(scene):
    wanted = tree(scene / "whole")
    command = ("prep", "ferplus", "source", "--target", "distribution")
    before = stamps(scene / "parts")
    good(*command, "--output", "parts", "--shard", "2/2")
    assert {path for path, stamp in stamps(scene / "parts").items() if before.get(path) != stamp} == set()
    good("merge", "parts")
    assert tree(scene / "parts") == wanted and len(wanted) == 16


@of("robustness")
def test_an_evaluation_on_corruptions_cut_halfway_is_finished(scene):
    record = scene / "cut" / "robustness.json"
    kept = json.loads(record.read_text())
    assert len(kept["rows"]) == 1 and kept["affectkit"] == MADE_BY
    kept["rows"][0]["metrics"]["kl"] = 1234.5
    kept["affectkit"] = affectkit.__version__  # rows of another version are refused, as they were
    record.write_text(json.dumps(kept))
    asked = (
        "--data", "data", "--split", "test", "--corruptions", "gaussian_noise,contrast", "--severities", "1,3",
        "--batch-size", 8, "--workers", 0, "--device", "cpu", "--results", "cut",
    )  # fmt: skip
    newer = invoke("eval-corruptions", "--checkpoint", "builtin", *asked)
    assert newer.returncode == 2 and f"({EDITION}) there, " in newer.stderr
    good("eval-corruptions", "--checkpoint", EDITION, *asked)
    found, wanted = (json.loads((scene / name / "robustness.json").read_text())["rows"] for name in ("cut", "whole"))
    assert found[0]["metrics"]["kl"] == 1234.5
    assert close(found[1:], wanted[1:], digits=1e-3) and len(wanted) == 5


# --- datasplit -------------------------------------------------------------------------------------------------------

SPLIT = ("datasplit", "--seed", 5, "--workers", 1)


@pytest.mark.parametrize("name", ["plain", "balanced", "cut", "balanced_cut"])
@of("datasplit")
def test_a_split_is_undone(scene, name):
    good("datasplit", name, "--undo")
    assert tree(scene / name) == tree(scene / "original" / "faces")
    assert not list((scene / name).rglob("*.jsonl"))


@of("datasplit")
def test_a_split_cut_halfway_is_finished(scene):
    good(*SPLIT, "cut")
    assert tree(scene / "cut") == tree(scene / "plain")
    before = stamps(scene / "plain")
    good(*SPLIT, "plain")  # which has nothing to do
    assert {path for path, stamp in stamps(scene / "plain").items() if before[path] != stamp} == set()


@of("datasplit")
def test_a_balanced_split_cut_halfway_is_finished_by_the_same_albumentations(scene):
    journal = (scene / "balanced_cut" / ".affectkit-datasplit" / "journal.jsonl").read_text().splitlines()
    asked = json.loads(journal[0])["identity"]["pipeline"]
    done = invoke(*SPLIT, "balanced_cut", "--balance")
    now = json.loads(good("pipeline", "show", "--json").stdout)["identity"]
    if now == asked:
        assert done.returncode == 0, done.stderr
        assert tree(scene / "balanced_cut") == tree(scene / "balanced")
    else:  # other pixels could come out
        assert done.returncode == 2 and "pipeline" in done.stderr


# --- Slurm -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="needs submitit")
def test_a_queued_job_is_run(tmp_path_factory):
    short = tmp_path_factory.mktemp("q")
    left = len(MADE_AT) - len(str(short)) - 1
    assert left > 0, f"{short} is too long a path"
    folder = short / ("x" * left)  # strings in a pickle are as long as it says
    folder.mkdir()
    root = unpack("slurm", folder)
    pickle = root / "logs" / "4242_submitted.pkl"
    data = pickle.read_bytes()
    assert b"affectkit.runners._slurm_job" in data and MADE_AT.encode() in data
    pickle.write_bytes(data.replace(MADE_AT.encode(), str(folder).encode()))
    outside = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "SUBMITIT_"))}
    numbers = {"SLURM_JOB_ID": 4242, "SLURM_NTASKS": 1, "SLURM_JOB_NUM_NODES": 1, "SLURM_NODEID": 0, "SLURM_PROCID": 0}
    job = {key: str(value) for key, value in numbers.items()}
    job |= {"SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "n1", "SUBMITIT_EXECUTOR": "slurm"}
    done = subprocess.run(
        [sys.executable, "-m", "submitit.core._submit", str(root / "logs")],
        env={**outside, **job}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(len(table(root / "faces" / f"{split}.csv")) for split in ("train", "valid", "test")) == 24
    shutil.rmtree(folder)
