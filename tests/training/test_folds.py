"""Cross-validation from its plan to its tables: what stays together, what each fold sees, and what is put together."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import (
    CLASSES,
    Heard,
    blob,
    invoke,
    make_ratings,
    set_up,
    settings,
    stop_after,
    vca_settings,
    without_figures,
)

from affectkit.core.progress import Silent
from affectkit.errors import DataError, Stopped, UsageError
from affectkit.slurm.folds import folds_to_submit
from affectkit.tasks.distribution import DistributionTask
from affectkit.training import run as runs
from affectkit.training.folds import merge_folds, plan_run

pytestmark = pytest.mark.usefixtures("no_figures")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def make_people(root, *, people=6, each=4, order=None, splits=False, column="subject", single=0):
    """Images of people, a table of labels and who they are; ``single``: so many people more with one image each."""
    rng, rows = np.random.default_rng(0), []
    (root / "images").mkdir(parents=True)
    for person in range(people + single):
        for number in range(each if person < people else 1):
            name = f"images/{column}{person}_{number}.png"
            blob(rng, kind := (person + number) % 3).save(root / name)
            split = [["train", "valid"][(person + number) % 5 == 0]] if splits else []
            rows.append([name, CLASSES[kind], f"p{person}", *split])
    rows = rows if order is None else [rows[k] for k in np.random.default_rng(order).permutation(len(rows))]
    with (root / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "label", column, *(["split"] if splits else [])], *rows])
    return root


def plan_of(data, tmp_path, *, heard=None, **changes):
    return plan_run(settings(data, tmp_path / "run", **changes), reporter=heard or Silent())[0]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return make_people(tmp_path_factory.mktemp("people") / "data")


@pytest.fixture(scope="module")
def whole(people, tmp_path_factory):
    """A run of three folds by subject."""
    with without_figures():
        root = tmp_path_factory.mktemp("whole") / "run"
        result = runs.train(settings(people, root, folds="3", group_by="subject", epochs=1), reporter=Silent())
    return root, result


def test_each_item_is_predicted_once_by_a_model_that_has_not_seen_its_subject(people, whole):
    root, result = whole
    rows = rows_of(root / "out_of_fold" / "out_of_fold_results.csv")
    with (people / "labels.csv").open(newline="") as stream:
        table = {row["filename"]: row for row in csv.DictReader(stream)}
    assert sorted(row["Image Name"] for row in rows) == sorted(table) and len(rows) == 24
    assert all(row["Group"] == table[row["Image Name"]]["subject"] for row in rows)
    assert len({(row["Group"], row["Fold"]) for row in rows}) == 6  # a subject, a fold
    for number in (1, 2, 3):
        chosen = settings(people, root / f"fold-{number}", folds="3", group_by="subject", fold=number)
        setup = set_up(chosen)
        parts = {name: {table[one]["subject"] for one in split.ids} for name, split in setup.splits().items()}
        assert parts["train"] | parts["valid"] | parts["test"] == {f"p{k}" for k in range(6)}
        assert not (parts["train"] & parts["test"] or parts["valid"] & parts["test"] or parts["train"] & parts["valid"])
        held = {row["Image Name"] for row in rows if row["Fold"] == str(number)}
        assert held == set(setup.test.ids) and sum(map(len, setup.splits().values())) == 24
    right = sum(row["True Label"] == row["Predicted Label"] for row in rows)
    assert result["out_of_fold"]["accuracy"] == pytest.approx(right / 24)
    assert result["out_of_fold_interval_over"] == "groups" and result["groups"] == 6


def test_a_model_of_a_fold_is_calibrated_with_a_warning(whole, people, tmp_path):
    root, _ = whole
    more = ["--data", people, "--labels", people / "labels.csv", "--split", "all", "--temperature", "none"]
    done = invoke("calibrate", root / "fold-1", *more, "--output", tmp_path / "new.safetensors")
    assert done.returncode == 0 and "of fold 1 of a cross-validation" in done.stderr


def test_the_table_of_folds_is_what_their_runs_found(whole):
    root, result = whole
    rows = rows_of(root / "fold_metrics.csv")
    assert [row["fold"] for row in rows] == [
        "1", "2", "3", "mean", "sd", "t_low", "t_high", "corrected_low", "corrected_high", "folds", "pooled",
    ]  # fmt: skip
    own = [json.loads((root / f"fold-{k}" / "metrics.json").read_text()) for k in (1, 2, 3)]
    losses = [one["test"]["loss"] for one in own]
    assert [float(row["loss"]) for row in rows[:3]] == pytest.approx(losses, abs=1e-6)
    assert float(rows[3]["loss"]) == pytest.approx(np.mean(losses), abs=2e-6)
    assert result["sd"]["loss"] == pytest.approx(np.std(losses, ddof=1))
    held = np.array([one["test_images"] for one in own])
    assert held.sum() == 24 and result["held_out_to_trained_on"] == pytest.approx(np.mean(held / (24 - held)))
    (plain, wide) = (np.ptp(result[name]["loss"]) for name in ("t_interval", "corrected_interval"))
    assert wide / plain == pytest.approx(np.sqrt(1 + 3 * result["held_out_to_trained_on"]))
    # The loss of all items is the mean of the folds' by their sizes: it is a mean over items.
    assert result["out_of_fold"]["loss"] == pytest.approx(np.average(losses, weights=held), rel=1e-5)
    assert float(rows[-1]["loss"]) == pytest.approx(result["out_of_fold"]["loss"], abs=1e-6)
    assert (
        "Bengio and Grandvalet" in result["caveat"]
        and json.loads((root / "status.json").read_text())["state"] == "done"
    )
    counts = rows_of(root / "folds.csv")
    assert [sum(int(row[name]) for name in CLASSES) for row in counts] == [int(row["items"]) for row in counts]
    assert [int(row["groups"]) for row in counts] == [2, 2, 2]


FILES = ("fold_items.csv", "folds.csv", "fold_metrics.csv", "metrics.json", "out_of_fold/out_of_fold_results.csv")


def assert_same(whole, other):
    for name in (*FILES, *(f"fold-{k}/{file}" for k in (1, 2, 3) for file in ("best.safetensors", "history.csv"))):
        assert digest(whole / name) == digest(other / name), name


def test_folds_spread_over_processes_are_put_together_into_the_same_bytes(people, whole, tmp_path):
    root, heard = tmp_path / "run", Heard()
    chosen = settings(people, root, folds="3", group_by="subject", epochs=1)
    found = runs.train(replace(chosen, fold=2), reporter=heard)
    assert (found["fold"], found["missing"]) == (2, [1, 3]) and "test" in found
    with pytest.raises(DataError, match="2 of 3 folds in .* are not done: 1, 3"):
        merge_folds(root, reporter=Silent())
    with pytest.raises(UsageError, match=r"other settings: --lr \(0.001, now 0.5\)"):
        runs.train(replace(chosen, fold=1, lr=0.5), reporter=Silent())
    again = runs.train(replace(chosen, fold=2), reporter=heard)  # is done
    assert again["best_epoch"] == found["best_epoch"] and any("nothing to do" in text for text in heard.notes)
    runs.train(replace(chosen, resume=root, fold=1), given=frozenset({"resume", "fold"}), reporter=Silent())
    assert runs.train(replace(chosen, fold=3), reporter=Silent())["missing"] == []
    assert not (root / "status.json").exists()
    merge_folds(root, reporter=Silent())
    assert_same(whole[0], root)
    done = Heard()
    merge_folds(root, reporter=done)
    assert any("nothing to do" in text for text in done.notes)
    forced = replace(chosen, fold=3, force=True)  # what was put together does not hold meanwhile
    runs.train(forced, reporter=Silent())
    assert not (root / "status.json").exists()


def test_a_stopped_run_ends_as_if_it_had_not_been_and_tells_changed_data(whole, tmp_path, monkeypatch):
    data = make_people(tmp_path / "data")
    chosen = settings(data, tmp_path / "cut", folds="3", group_by="subject", epochs=1)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)  # in the second fold
        with pytest.raises(Stopped) as caught:
            runs.train(chosen, reporter=Silent())
    assert f"--resume {tmp_path / 'cut'}" in caught.value.hint
    assert json.loads((tmp_path / "cut" / "status.json").read_text())["state"] == "stopped"
    held = tmp_path / "kept.csv"
    (data / "labels.csv").rename(held)
    (data / "labels.csv").write_text(held.read_text().replace(",p5", ",p4"))
    with pytest.raises(DataError, match="have changed since the run began"):
        runs.train(replace(chosen, resume=tmp_path / "cut"), reporter=Silent())
    held.replace(data / "labels.csv")
    runs.train(replace(chosen, resume=tmp_path / "cut"), reporter=Silent())
    assert_same(whole[0], tmp_path / "cut")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut").rglob("*") if path.is_file()}
    runs.train(replace(chosen, resume=tmp_path / "cut"), reporter=Silent())
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_fold_refuses_labels_and_files_other_than_those_with_which_the_run_began(tmp_path):
    data = make_people(tmp_path / "data")
    chosen = settings(data, tmp_path / "run", folds="3", group_by="subject", epochs=1)
    runs.train(replace(chosen, fold=1), reporter=Silent())
    table, image = data / "labels.csv", next((data / "images").iterdir())
    text, pixels = table.read_text(), image.read_bytes()
    lines = text.splitlines()
    # Two images of a person change places, so that the folds come out as they were.
    pair = [k for k, line in enumerate(lines) if line.endswith(",p0")][:2]
    cells = [lines[k].split(",") for k in pair]
    assert cells[0][1] != cells[1][1]
    for k, own, other in zip(pair, cells, cells[::-1], strict=True):
        lines[k] = ",".join((own[0], other[1], *own[2:]))
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="labels, or the sizes of the files, .* have changed since the run began"):
        runs.train(replace(chosen, fold=2), reporter=Silent())
    table.write_text(text)
    image.write_bytes(pixels + b" ")
    with pytest.raises(DataError, match="have changed since the run began"):
        merge_folds(tmp_path / "run", reporter=Silent())
    image.write_bytes(pixels)
    runs.train(replace(chosen, fold=2), reporter=Silent())


def test_the_order_of_rows_changes_nothing(whole, tmp_path):
    data = make_people(tmp_path / "data", order=5)
    runs.train(settings(data, tmp_path / "run", folds="3", group_by="subject", epochs=1), reporter=Silent())
    assert digest(tmp_path / "run" / "fold_items.csv") == digest(whole[0] / "fold_items.csv")
    # The order of the classes is that of their names; so the weights are the same, too.
    assert digest(tmp_path / "run/fold-1/best.safetensors") == digest(whole[0] / "fold-1/best.safetensors")


def test_loso_holds_out_each_subject_once_also_one_of_one_item(tmp_path):
    data = make_people(tmp_path / "data", people=3, single=1)
    root = tmp_path / "run"
    result = runs.train(settings(data, root, folds="loso", group_by="subject", epochs=1), reporter=Silent())
    assert [row["group"] for row in result["folds"]] == ["p0", "p1", "p2", "p3"]
    assert [row["held_out"] for row in result["folds"]] == [4, 4, 4, 1]
    assert result["out_of_fold_items"] == 13 and len(rows_of(root / "out_of_fold/out_of_fold_results.csv")) == 13
    assert [row["group"] for row in rows_of(root / "fold_metrics.csv")[:4]] == ["p0", "p1", "p2", "p3"]


# --- the plan ---


def test_training_and_validation_are_pooled_and_a_test_split_stays_apart(votes, tmp_path):
    heard = Heard()
    plan = plan_of(votes, tmp_path, heard=heard, folds="5")
    assert len(plan.split) == 84 and np.bincount(plan.fold).tolist() == [17, 17, 17, 17, 16]
    assert any("pools 48 of train and 36 of valid" in text for text in heard.notes)
    assert any("the test split (12) stays apart" in text for text in heard.notes)
    train, valid, held = plan.parts(2, 0.25)
    assert (len(valid), len(held)) == (pytest.approx(0.25 * 67, abs=1.5), 17) and len(train) + len(valid) == 67
    assert plan.split.ids == sorted(plan.split.ids)


def test_groups_are_columns_or_texts_in_file_names(people, tmp_path):
    by_column = plan_of(people, tmp_path, folds="3", group_by="subject")
    by_name = plan_of(people, tmp_path, folds="3", group_by=r"subject(\d+)_")
    named = plan_of(people, tmp_path, folds="2", group_by=r"(?P<who>subject\d)_(\d)(?P<end>\.png)")
    assert by_name.units.names == [str(k) for k in range(6)] and named.units.names[0] == "subject0/.png"
    assert (by_column.units.of_items == by_name.units.of_items).all()
    for group_by, words in (
        (r"subject([0-3])_", "8 of 24 file names of images do not match"),
        ("person", "no column 'person'"),
        (r"subject([0-9_", "no regular expression"),
        (r"file:subject", "parentheses are missing"),
    ):
        with pytest.raises((UsageError, DataError), match=words.replace("(", r"\(")):
            plan_of(people, tmp_path, folds="3", group_by=group_by)


def test_a_table_of_groups_is_joined_and_must_know_every_item(people, tmp_path):
    names = sorted((people / "images").iterdir())
    table = tmp_path / "sessions.csv"
    rows = [[path.name, f"session{k % 4}"] for k, path in enumerate(names)]
    table.write_text("\n".join(map(",".join, [["filename", "session"], *rows])))
    assert plan_of(people, tmp_path, folds="4", group_by="session", groups=table).units.names == [
        f"session{k}" for k in range(4)
    ]
    table.write_text("\n".join(map(",".join, [["filename", "session"], *rows[:-2]])))
    with pytest.raises(DataError, match="2 of 24 images have nothing in the column 'session'"):
        plan_of(people, tmp_path, folds="3", group_by="session", groups=table)


def test_too_few_groups_are_refused(people, tmp_path):
    with pytest.raises(UsageError, match="--folds 7 needs at least 7 groups by .*; there are 6: p0"):
        plan_of(people, tmp_path, folds="7", group_by="subject")
    with pytest.raises(UsageError, match="there are no groups"):
        plan_of(people, tmp_path, folds="loso")
    two = make_people(tmp_path / "two", people=2)
    with pytest.raises(UsageError, match="needs at least 3 groups.*one to choose the epoch by"):
        plan_of(two, tmp_path, folds="2", group_by="subject")
    three = make_people(tmp_path / "three", people=3)
    with pytest.raises(UsageError, match="trained on one") as caught:
        plan_of(three, tmp_path, folds="2", group_by="subject")
    assert "--folds loso" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_what_makes_folds_doubtful_is_warned_of(people, tmp_path):
    told = plan_of(people, tmp_path, folds="3").warnings()
    assert told == ["the table has a column 'subject'; folds without --group-by subject mix subjects."]
    assert plan_of(people, tmp_path, folds="3", group_by="none").warnings() == []
    rare = make_people(tmp_path / "rare")
    text = (rare / "labels.csv").read_text().splitlines()
    first = next(k for k, line in enumerate(text) if ",anger," in line)
    text = [line.replace(",anger,", ",sadness,") if k != first else line for k, line in enumerate(text)]
    (rare / "labels.csv").write_text("\n".join(text))
    told = plan_of(rare, tmp_path, folds="3", group_by="subject").warnings()
    assert any("anger (1 item: in 1 of 3)" in one for one in told)
    assert any("all items of anger are in one fold" in one for one in told)


def test_the_folds_of_loso_are_counted_before_they_are_submitted(people, tmp_path):
    chosen = settings(people, tmp_path / "run", folds="loso", group_by="subject")
    assert folds_to_submit(chosen, reporter=Silent()) == (tmp_path / "run", [1, 2, 3, 4, 5, 6])
    assert folds_to_submit(replace(chosen, fold=2), reporter=Silent()) is None
    assert folds_to_submit(settings(people, tmp_path / "run"), reporter=Silent()) is None


def test_copies_stay_in_one_fold(tmp_path):
    data = make_people(tmp_path / "data", people=8)
    for person in range(4):  # the same picture under other names
        (data / f"images/subject{person}_0.png").write_bytes((data / "images/subject7_3.png").read_bytes())
    heard = Heard()
    plan = plan_of(data, tmp_path, heard=heard, folds="4", group_by="none")
    at = [
        plan.split.ids.index(name)
        for name in (*(f"images/subject{k}_0.png" for k in range(4)), "images/subject7_3.png")
    ]
    assert len(set(plan.fold[at])) == 1 and len(plan.units.names) == 28
    assert "4 images: exact copies of others, which stay in one fold with them" in heard.notes


def test_ratings_are_balanced_by_quantiles(tmp_path):
    data = make_ratings(tmp_path / "data", count=100)
    chosen = {"labels": data / "ratings.csv", "folds": "4", "task": "ratings"}
    plan = plan_of(data / "images", tmp_path, **chosen)
    means = np.array([plan.split.ratings[plan.fold == k].mean(0) for k in range(4)])
    drawn = np.array(
        [plan.split.ratings[np.random.default_rng(0).permutation(plan.fold) == k].mean(0) for k in range(4)]
    )
    assert (means.std(0) < 0.5 * drawn.std(0)).all() and np.ptp(np.bincount(plan.fold)) <= 2
    assert {"mean valence", "mean arousal"} <= set(plan.table())


def test_features_of_a_frozen_encoder_are_computed_once_for_all_folds(tmp_path, monkeypatch):
    from affectkit.features import extractor

    encoded, forward = [], extractor.forward_in_blocks

    def counted(call, inputs, *args):
        encoded.append(len(inputs[0]))
        return forward(call, inputs, *args)

    monkeypatch.setattr(extractor, "forward_in_blocks", counted)
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    data = make_ratings(tmp_path / "data", count=24)
    chosen = vca_settings(data, tmp_path / "run", folds="3", epochs=1, monitor="loss")
    result = runs.train(chosen, reporter=Silent())
    assert result["out_of_fold_items"] == 24 and "ccc" in result["out_of_fold"]
    assert 24 * 2 < sum(encoded) <= 24 * 3  # as it is, and two views; for each fold anew it would be twice that


def test_pooled_metrics_use_the_temperature_of_each_fold(votes, tmp_path, monkeypatch):
    fitted = iter((2.0, 0.5))

    def calibrate(self, results, mode):
        return self.spec.with_(temperature=next(fitted)), {"fitted": True, "reason": "", "n": 1, "to": "targets",
                                                           "cross_validated_nll": 0.0,
                                                           "cross_validated_nll_uncalibrated": 0.0}  # fmt: skip

    monkeypatch.setattr(DistributionTask, "calibrate", calibrate)
    result = runs.train(settings(votes, tmp_path / "run", folds="2", epochs=1), reporter=Silent())
    assert [row["temperature"] for row in result["folds"]] == [2.0, 0.5]
    held = [row["held_out"] for row in result["folds"]]
    for name in ("kl", "brier", "loss", "brier_uncalibrated"):
        values = [row["test"][name] for row in result["folds"]]
        assert result["out_of_fold"][name] == pytest.approx(np.average(values, weights=held), rel=1e-5), name
    assert result["out_of_fold"]["brier"] != pytest.approx(result["out_of_fold"]["brier_uncalibrated"], rel=1e-3)
    low, high = result["out_of_fold_intervals"]["kl"]
    assert low < result["out_of_fold"]["kl"] < high and result["out_of_fold_interval_over"] == "items"


def test_two_processes_train_two_folds_and_agree_on_the_tables(people, whole, tmp_path):
    from support import in_ranks

    def work() -> None:
        torch.set_num_threads(1)
        runs.train(settings(people, tmp_path / "run", folds="3", group_by="subject", epochs=1), reporter=Silent())

    assert in_ranks(2, work, timeout=120) == [0, 0]
    assert digest(tmp_path / "run/fold_items.csv") == digest(whole[0] / "fold_items.csv")
    assert json.loads((tmp_path / "run/metrics.json").read_text())["out_of_fold_items"] == 24
