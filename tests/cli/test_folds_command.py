"""``train --folds`` as a user types it: what is shown, two processes in one folder, job arrays, and what is refused."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re

import numpy as np
import pytest
from locking import locked_elsewhere
from support import CLASSES, TINY, affectkit, blob, invoke

FAST = (
    "--model",
    TINY,
    "--no-pretrained",
    "--image-size",
    "24",
    "--batch-size",
    "8",
    "--workers",
    "0",
    "--epochs",
    "1",
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    root, rng, rows = tmp_path_factory.mktemp("people"), np.random.default_rng(0), []
    (root / "images").mkdir()
    for number in range(24):
        name = f"images/subject{number // 4}_{number % 4}.png"
        blob(rng, number % 3).save(root / name)
        rows.append([name, CLASSES[number % 3], f"p{number // 4}"])
    with (root / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "label", "subject"], *rows])
    return root


@pytest.fixture(scope="module")
def run(people, tmp_path_factory):
    """A run of two folds, as the command line made it, and what it printed; of figures, those of all items alone."""
    from affectkit.evaluation import outputs
    from affectkit.reports import plots
    from affectkit.training import out_of_fold, trainer

    assert out_of_fold.draw_figures is outputs.draw_figures  # taken before it is patched, whatever ran earlier
    root = tmp_path_factory.mktemp("run") / "cv"
    with pytest.MonkeyPatch.context() as patch:
        for module in (trainer, outputs):
            patch.setattr(module, "draw_figures", lambda *args, **kwargs: None)
        patch.setattr(plots, "training_curves", lambda *args, **kwargs: None)
        done = invoke("train", "--data", people, *FAST, "--folds", "2", "--group-by", "subject", "--output", root)
    return root, done


def test_counts_come_before_training_and_the_caveat_after(run):
    root, done = run
    assert done.returncode == 0, done.stderr
    told = done.stderr
    assert re.search(r"2 folds of 24 images, 6 groups by the column 'subject', seed 0:\n +fold +items +groups", told)
    assert told.index("2 folds of 24") < told.index("fold 1/2") < told.index("epoch 1/1") < told.index("fold 2/2")
    assert "what is held out decides nothing" in told
    assert "too narrow" in told and "Nadeau and Bengio 2003" in told
    header = next(line for line in done.stdout.splitlines() if line.startswith("metric"))
    assert header.split("  ")[0] == "metric" and "corrected 95%" in header and "2 folds of 24 items" in done.stdout
    assert {path.name for path in root.iterdir()} >= {"folds.csv", "fold_items.csv", "fold_metrics.csv", "out_of_fold"}
    assert (root / "out_of_fold" / "plots" / "confusion.png").stat().st_size > 1000


def test_what_is_done_is_said_and_a_model_of_a_fold_is_asked_for(run, people):
    root, _ = run
    merged = invoke("merge", root, "--json")
    assert merged.returncode == 0 and json.loads(merged.stdout)["out_of_fold_items"] == 24
    resumed = invoke("train", "--resume", root)
    assert resumed.returncode == 0 and "nothing to do" in resumed.stderr
    asked = invoke("test", "--checkpoint", root, "--data", people)
    assert asked.returncode == 1 and "holds 2 folds of a training" in asked.stderr and "fold-1" in asked.stderr
    tested = invoke("test", "--checkpoint", root / "fold-2", "--data", people, "--split", "all", "--workers", "0")
    assert tested.returncode == 0, tested.stderr
    inner = invoke("train", "--resume", root / "fold-2")  # its folder means that fold of the run
    assert inner.returncode == 0 and "all 2 folds are done" in inner.stderr, inner.stderr


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--folds", "1"], 2, ["--folds", "from 2 to 1,000, or loso", "'1'"]),
        (["--folds", "five"], 2, ["loso", "'five'"]),
        (["--fold", "1"], 2, ["--fold needs --folds"]),
        (["--group-by", "subject"], 2, ["--group-by needs --folds"]),
        (["--folds", "3", "--fold", "4"], 2, ["--fold must be at most --folds (3); got 4"]),
        (["--folds", "3", "--repeat", "2"], 2, ["--folds and --repeat exclude each other", "--seed"]),
        (["--folds", "3", "--test-data", "."], 2, ["leave --test-data and --test-labels out"]),
        (["--folds", "3", "--groups", "t.csv"], 2, ["--groups needs --group-by"]),
        (["--folds", "loso"], 2, ["holds out each group once", "--group-by"]),
        (["--folds", "loso", "--group-by", "subject", "--fold", "9"], 2, ["--fold must be at most 6"]),
        (["--folds", "9", "--group-by", "subject"], 2, ["needs at least 9 groups", "there are 6: p0, p1"]),
        (["--folds", "3", "--group-by", "person"], 2, ["no column 'person'", "subject"]),
        (["--folds", "3", "--group-by", r"subject([0-3])_"], 1, ["8 of 24", "do not match"]),
    ],
)
def test_what_cannot_be_folded_is_refused_before_anything_is_written(people, tmp_path, more, code, words):
    done = invoke("train", "--data", people, *FAST, "--output", tmp_path / "cv", *more)
    assert done.returncode == code, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "cv").exists()


@pytest.mark.usefixtures("no_figures")
def test_a_fold_runs_beside_others_and_a_run_of_all_does_not(people, tmp_path):
    root = tmp_path / "cv"
    words = ("train", "--data", people, *FAST, "--folds", "3", "--group-by", "subject", "--output", root)
    with locked_elsewhere(root / "fold-2", "shard") as pid:
        refused = invoke(*words)
        assert refused.returncode == 1 and f"written by process {pid}" in refused.stderr
        assert invoke("merge", root).returncode == 1
        beside = invoke(*words, "--fold", "1", "--json")
        assert beside.returncode == 0 and json.loads(beside.stdout)["missing"] == [2, 3], beside.stderr
    missing = invoke("merge", root)
    assert missing.returncode == 1 and "2 of 3 folds" in missing.stderr and "2, 3" in missing.stderr


SBATCH = """#!/bin/bash
number=$(ls "$RECORDED" | grep -c script)
cp "$1" "$RECORDED/script-$number.sh"
echo "Submitted batch job $((4242 + number))"
"""


@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="needs submitit")
def test_slurm_gets_an_array_with_a_task_a_fold_and_a_job_that_merges(people, tmp_path, monkeypatch):
    from submitit.core.utils import DelayedSubmission

    cluster = tmp_path / "cluster"
    cluster.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": "#!/bin/bash\n"}.items():
        (cluster / name).write_text(text)
        (cluster / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{cluster}:{os.environ['PATH']}")
    monkeypatch.setenv("RECORDED", str(cluster))
    monkeypatch.chdir(tmp_path)
    words = ("--data", people, *FAST, "--folds", "6", "--group-by", "subject", "--output", "cv")
    done = affectkit("train", *words, "--slurm", "time=60,gpus=1,array=4", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["folds"] == {str(k): f"4242_{k - 1}" for k in range(1, 7)}
    assert (job["job"], job["merge"], job["cancel"]) == ("4242", "4243", "scancel 4242 4243")
    array, merge = ((cluster / f"script-{k}.sh").read_text() for k in (0, 1))
    assert "#SBATCH --array=0-5%4" in array and "--dependency" not in array
    assert (
        "#SBATCH --dependency=afterany:4242" in merge
        and "--array" not in merge
        and "--job-name=affectkit-train-merge" in merge
    )
    tasks = [DelayedSubmission.load(tmp_path / "slurm" / f"4242_{k}_submitted.pkl").function.work for k in range(6)]
    for number, work in enumerate(tasks, start=1):
        assert work.argv[:3] == ("train", "--fold", str(number)) and work.argv[3:] == (*map(str, words), "--json")
        assert work.again == ("train", "--resume", str(tmp_path / "cv"), "--fold", str(number), "--json")
        assert work.record == str(tmp_path / "cv" / f"fold-{number}" / "config.yaml")
    last = DelayedSubmission.load(tmp_path / "slurm" / "4243_submitted.pkl").function.work
    assert last.argv == ("merge", str(tmp_path / "cv"))
    assert not (tmp_path / "cv").exists()
    # What is missing of a run is spread again.
    for name in ("config.yaml", "folds.csv"):
        (tmp_path / "begun").mkdir(exist_ok=True)
        (tmp_path / "begun" / name).write_text(
            "settings: {folds: '3'}\n" if name[0] == "c" else "fold,items\n1,8\n2,8\n3,8\n"
        )
    (tmp_path / "begun" / "fold-2").mkdir()
    (tmp_path / "begun" / "fold-2" / "status.json").write_text('{"state": "done"}')
    again = affectkit("train", "--resume", "begun", "--slurm", "time=60", "--json", cwd=tmp_path)
    assert again.returncode == 0 and list(json.loads(again.stdout)["folds"]) == ["1", "3"], again.stderr
    # A job for one fold, and arrays for what is no cross-validation.
    alone = affectkit("train", *words, "--fold", "2", "--slurm", "time=60", "--json", cwd=tmp_path)
    assert alone.returncode == 0 and "folds" not in json.loads(alone.stdout), alone.stderr
    plain = affectkit("train", "--data", people, *FAST, "--output", "o", "--slurm", "time=60,array=2", cwd=tmp_path)
    assert plain.returncode == 2 and "array is for train --folds" in plain.stderr


def test_a_narrow_terminal_gets_two_tables_and_whole_names():
    from affectkit.cli.folds import fold_tables

    columns = ["metric", "out of fold", "95% interval", "mean", "sd", "t 95%", "corrected 95%"]
    span = "-1.2345 to 1.2345"
    rows = [["rater_leave_one_out", "0.8592", span, "0.8597", "0.0189", span, span]]
    assert fold_tables(columns, rows, 200) == [(columns, rows)]
    first, second = fold_tables(columns, rows, 80)
    assert first == (columns[:5], [rows[0][:5]]) and second == (["metric", *columns[5:]], [[rows[0][0], span, span]])
    for part, lines in (first, second):
        assert sum(max(map(len, cells)) + 3 for cells in zip(part, *lines, strict=True)) + 1 <= 80
