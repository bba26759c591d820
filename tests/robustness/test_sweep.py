"""eval-corruptions as a library: rows that depend on nothing but the images, sets on the disk, going on, baselines."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from support import Heard, make_folders, make_ratings, settings

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.corruptions import corrupt
from affectkit.errors import DataError, Stopped, UsageError
from affectkit.evaluation.test import test as run_test
from affectkit.robustness import record
from affectkit.robustness import sweep as robustness
from affectkit.robustness.baseline import read_baseline
from affectkit.robustness.sweep import eval_corruptions
from affectkit.settings.evaluation import TestSettings
from affectkit.settings.robustness import RobustnessSettings
from affectkit.training import run as runs

FEW = {"corruptions": "noise,lighting", "severities": "1,4"}


def sweep(checkpoint, data, **changes):
    values = {"checkpoint": checkpoint, "data": data, "workers": 0, **FEW, **changes}
    reporter = values.pop("reporter", Silent())
    return eval_corruptions(resolve(RobustnessSettings, flags=values).settings, reporter=reporter)


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A classifier of class folders, and its data."""
    root = tmp_path_factory.mktemp("labelled")
    data = make_folders(root / "data", train=36)
    runs.train(settings(data, root / "run", task="classification", epochs=6, lr=5e-3), reporter=Silent())
    return root / "run", data


def test_rows_stand_in_order_and_the_clean_one_is_what_test_says(trained, votes, tmp_path):
    summary = sweep(trained, votes, results=tmp_path / "r")
    assert [(row["corruption"], row["severity"], row["images"]) for row in summary["rows"]] == [
        ("clean", 0, 12), ("noise", 1, 12), ("noise", 4, 12), ("lighting", 1, 12), ("lighting", 4, 12),
    ]  # fmt: skip
    values = {"checkpoint": trained, "data": votes, "workers": 0}
    tested = run_test(resolve(TestSettings, flags=values).settings, reporter=Silent())
    assert summary["clean"] == {name: tested["metrics"][name] for name in summary["clean"]}
    for name in ("noise", "lighting"):
        own = [row["metrics"] for row in summary["rows"] if row["corruption"] == name]
        assert summary["means"][name]["kl"] == pytest.approx(np.mean([one["kl"] for one in own]))
    assert summary["mean"]["top1"] == pytest.approx(np.mean([one["top1"] for one in summary["means"].values()]))
    assert summary["mean_error"] == pytest.approx(1 - summary["mean"]["top1"])
    rows = table(tmp_path / "r" / "corruptions.csv")
    assert [row["corruption"] for row in rows] == ["clean", "noise", "noise", "lighting", "lighting"]
    assert float(rows[2]["kl"]) == pytest.approx(summary["rows"][2]["metrics"]["kl"], abs=1e-6)
    pictures = {path.name for path in (tmp_path / "r").glob("*.png")}
    assert pictures == {f"{kind}_{metric}.png" for kind in ("heat_map", "curves") for metric in ("kl", "top1", "ece")}


def test_rows_depend_neither_on_batches_nor_on_workers_nor_on_the_cache(trained, votes):
    found = [
        sweep(trained, votes, **changes)["rows"]
        for changes in ({"batch_size": 1}, {"batch_size": 5, "workers": 2, "cache": "none"}, {"batch_size": 64})
    ]
    assert found[0] == found[1] == found[2]
    assert sweep(trained, votes, seed=1)["rows"][1:3] != found[0][1:3]


def test_a_row_is_what_the_corrupted_images_give(labelled, tmp_path):
    """The images corrupted by hand, saved as files and tested as any data set."""
    run, data = labelled
    summary = sweep(run, data, severities="4", corruptions="noise")
    shutil.copytree(data, tmp_path / "by_hand")
    paths = sorted((tmp_path / "by_hand" / "test").rglob("*.png"))
    assert len(paths) == 12
    for path in paths:
        pixels = np.array(Image.open(path).convert("RGB"))
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        made = corrupt(image, "noise", 4)[0].mul(255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(made).save(path)
    values = {"checkpoint": run, "data": tmp_path / "by_hand", "workers": 0}
    tested = run_test(resolve(TestSettings, flags=values).settings, reporter=Silent())
    row = summary["rows"][1]["metrics"]
    assert row == {name: tested["metrics"][name] for name in row}
    assert tested["metrics"]["nll"] != summary["clean"]["nll"]


@pytest.mark.parametrize("kind", ["labels", "votes"])
def test_a_saved_set_gives_the_very_rows(kind, labelled, trained, votes, tmp_path):
    run, data = labelled if kind == "labels" else (trained, votes)
    made = sweep(run, data, save_images=tmp_path / "set", results=tmp_path / "a")
    files = sorted(path.relative_to(tmp_path / "set") for path in (tmp_path / "set").rglob("*.png"))
    assert len(files) == 4 * 12 and not list((tmp_path / "set").rglob("*.part"))
    if kind == "labels":
        assert {file.parts[2] for file in files} == {"anger", "happiness", "sadness"}
    read = sweep(run, data, corrupted_root=tmp_path / "set", results=tmp_path / "b")
    assert read["rows"] == made["rows"]
    published = table(tmp_path / "b" / "tinyimagenetc_results.csv")
    assert list(published[0]) == ["corruption_type", "difficulty", "valid_acc"] and len(published) == 4
    assert not (tmp_path / "a" / "tinyimagenetc_results.csv").exists()


def test_class_folders_of_other_names_are_read(labelled, tmp_path):
    """Tiny-ImageNet-C's way: images under their class, called other than the clean ones."""
    run, data = labelled
    made = sweep(run, data, save_images=tmp_path / "set")
    for number, path in enumerate(sorted((tmp_path / "set").rglob("*.png"))):
        path.rename(path.with_name(f"val_{number}.png"))
    read = sweep(run, data, corrupted_root=tmp_path / "set")
    for a, b in zip(made["rows"][1:], read["rows"][1:], strict=True):
        assert a["metrics"]["accuracy"] == b["metrics"]["accuracy"] and a["images"] == b["images"]
        assert a["metrics"]["nll"] == pytest.approx(b["metrics"]["nll"], rel=1e-9)


def test_sets_that_cannot_be_read(labelled, trained, votes, tmp_path):
    run, data = labelled
    with pytest.raises(DataError, match="is not a folder"):
        sweep(run, data, corrupted_root=tmp_path / "no")
    (tmp_path / "empty" / "noise").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no corrupted images"):
        sweep(run, data, corrupted_root=tmp_path / "empty")
    sweep(run, data, save_images=tmp_path / "set")
    with pytest.raises(DataError, match=r"lacks color, lighting/2; it holds lighting/1-4, noise/1-4"):
        sweep(run, data, corrupted_root=tmp_path / "set", corruptions="color,lighting", severities="2,4")
    next((tmp_path / "set" / "noise" / "4").rglob("*.png")).unlink()
    with pytest.raises(DataError, match="lacks 1 of the 12 images of test"):
        sweep(run, data, corrupted_root=tmp_path / "set")
    with pytest.raises(DataError, match="have no targets of this kind"):
        sweep(trained, votes, corrupted_root=tmp_path / "set")


def test_it_goes_on_where_it_was_stopped(trained, votes, tmp_path, monkeypatch):
    whole = sweep(trained, votes)
    done, resumed = [], []

    def counted(*arguments, **options):
        if len(done) == 3 and not resumed:
            options["stopping"].number = 2
            raise options["stopping"].error("", "")
        done.append(1)
        return evaluate(*arguments, **options)

    evaluate = robustness.evaluate
    monkeypatch.setattr(robustness, "evaluate", counted)
    with pytest.raises(Stopped, match="3 rows are in") as stopped:
        sweep(trained, votes, results=tmp_path / "r")
    assert stopped.value.exit_code == 130
    assert len(json.loads((tmp_path / "r" / "robustness.json").read_text())["rows"]) == 3
    resumed.append(True)
    done.clear()
    summary = sweep(trained, votes, results=tmp_path / "r")
    assert summary["rows"] == whole["rows"] and summary["computed"] == len(done) == 2
    done.clear()
    heard = Heard()
    assert sweep(trained, votes, results=tmp_path / "r", reporter=heard)["computed"] == 0 and not done
    assert any("5 of 5 rows are in" in note for note in heard.notes)
    # Two rows more.
    assert sweep(trained, votes, results=tmp_path / "r", severities="1,2,4")["computed"] == 2


def test_rows_of_another_evaluation_are_not_taken(trained, votes, tmp_path):
    sweep(trained, votes, results=tmp_path / "r", severities="1", corruptions="noise")
    with pytest.raises(UsageError, match="rows of another evaluation: seed 0 there, 3 now"):
        sweep(trained, votes, results=tmp_path / "r", seed=3)
    path = tmp_path / "r" / record.FILE
    held = json.loads(path.read_text())
    del held["decoding"]  # as it was written before reduced JPEGs were placed right
    path.write_text(json.dumps(held))
    with pytest.raises(UsageError, match=r": version of decoding not recorded there, \d+ now"):
        sweep(trained, votes, results=tmp_path / "r", severities="1", corruptions="noise")
    assert sweep(trained, votes, results=tmp_path / "r", seed=3, force=True, severities="1")["computed"] == 3
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        sweep(trained, votes, results=tmp_path / "full")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[1]["metrics"].pop("ece"), "row 2, noise at severity 1, has other metrics .*: ece"),
        (lambda rows: [row["metrics"].pop("ece") for row in rows], "row 1, clean at severity 0, .*: ece"),
        (lambda rows: rows[0]["metrics"].update(kl="x"), r"rows\[0\].metrics.kl must be a finite number, got .x."),
        (lambda rows: rows[0]["metrics"].update(kl=1e308), "has a number above 1e.100: kl"),
        (lambda rows: rows[0].pop("severity"), r"rows\[0\].severity is missing"),
        (lambda rows: rows.append(rows[0]), "row 3, clean at severity 0, stands twice"),
    ],
)
def test_an_edited_record_is_told_by_row(trained, votes, tmp_path, change, told):
    how = {"results": tmp_path / "r", "severities": "1", "corruptions": "noise"}
    sweep(trained, votes, **how)
    path = tmp_path / "r" / record.FILE
    held = json.loads(path.read_text())
    change(held["rows"])
    path.write_text(json.dumps(held))
    with pytest.raises(DataError, match=told) as caught:
        sweep(trained, votes, **how)
    assert "--force" in caught.value.hint


def test_baselines(labelled, tmp_path):
    run, data = labelled
    summary = sweep(run, data, results=tmp_path / "a")
    own = sweep(run, data, baseline=tmp_path / "a" / "corruptions.csv", fail_under="mce=0.9,relative_mce=2")
    errors = [1 - row["metrics"]["accuracy"] for row in summary["rows"]]
    if sum(errors[1:3]) and sum(errors[3:]):
        assert own["mce"] == pytest.approx(1, abs=1e-5)
        assert own["missed"][0].startswith("mce is 1")
    halves = tmp_path / "tiny.csv"
    rows = [(name, level, 50.0) for name in ("noise", "lighting") for level in (1, 4)]
    with halves.open("w", newline="") as stream:
        csv.writer(stream).writerows([("corruption_type", "difficulty", "valid_acc"), *rows])
    other = sweep(run, data, baseline=halves)
    assert other["mce"] == pytest.approx(np.mean([sum(errors[1:3]), sum(errors[3:])]))
    assert "relative_mce" not in other  # the published table has no clean row


def test_baselines_that_cannot_be_compared(tmp_path):
    wanted = [("fog", 1), ("fog", 2)]

    def given(text):
        path = tmp_path / "b.csv"
        path.write_text(text)
        return lambda: read_baseline(path, wanted, accuracy="accuracy")

    for text, told in {
        "a,b\n1,2\n": "no column corruption, severity, accuracy",
        "corruption,severity,accuracy\nfog,1,0.5\n": "lacks 1 of the 2 rows that are compared: fog 2",
        "corruption,severity,accuracy\nfog,1,0.5\nfog,2,x\n": "line 3: 'fog', '2', 'x'",
        "corruption,severity,accuracy\nfog,1,0.5\nfog,1,0.4\n": "line 3: fog 1 stands there twice",
        "corruption,severity,accuracy\nfog,1,nan\n": "line 2: the accuracy is 'nan'",
        "corruption,severity,accuracy\nfog,1,-0.5\nfog,2,0.1\n": "must be shares",
        "corruption,severity,accuracy\nfog,1\n": "line 2",
    }.items():
        with pytest.raises(DataError, match=told):
            given(text)()
    with pytest.raises(UsageError, match="is not a file"):
        read_baseline(tmp_path / "none.csv", wanted, accuracy="accuracy")


def test_ratings_and_gray_models(tmp_path):
    data = make_ratings(tmp_path / "ratings", split=True)
    values = {"labels": data / "ratings.csv", "task": "ratings", "channels": 1, "epochs": 1}
    runs.train(settings(data / "images", tmp_path / "run", **values), reporter=Silent())
    options = {"labels": data / "ratings.csv", "corruptions": "lighting", "severities": "1,3"}
    summary = sweep(tmp_path / "run", data / "images", **options)
    assert summary["shown"] == ["ccc", "r", "rmse"] and "mean_error" not in summary
    assert summary["rows"][1]["metrics"]["rmse"] != summary["clean"]["rmse"]
    with pytest.raises(UsageError, match="mCE compares classification errors"):
        sweep(tmp_path / "run", data / "images", baseline=tmp_path / "x.csv", **options)
    with pytest.raises(UsageError, match="no metric 'mce'"):
        sweep(tmp_path / "run", data / "images", fail_under="mce=1", **options)


def test_bad_images_are_told_once(trained, votes, tmp_path):
    data = tmp_path / "votes"
    shutil.copytree(votes, data)
    (data / "images" / "test" / "004.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read"):
        sweep(trained, data)
    summary = sweep(trained, data, on_error="skip", results=tmp_path / "r")
    assert {row["images"] for row in summary["rows"]} == {11} and len(summary["skipped"]) == 1
    again = sweep(trained, data, on_error="skip", results=tmp_path / "r")
    assert again["computed"] == 0 and again["skipped"] == summary["skipped"]


def test_a_strength_out_of_range_is_told_before_anything_is_read(trained, votes):
    values = {"checkpoint": trained, "data": votes / "nowhere", "corrupt": "noise=2"}
    with pytest.raises(UsageError, match=r"strength of noise must be in \[0, 1\]; got 2"):
        run_test(resolve(TestSettings, flags=values).settings, reporter=Silent())
    with pytest.raises(UsageError, match="fog has no single strength"):
        run_test(resolve(TestSettings, flags={**values, "corrupt": "fog=0.5"}).settings, reporter=Silent())
