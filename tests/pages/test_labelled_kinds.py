"""Pages of train, test, eval-corruptions and quantiles, of folders by hand: numbers, older and unfinished folders."""

from __future__ import annotations

import html
import json
import re

import pytest
from pages.result_folders import data_of, predicted, shares, text_of, write_csv, write_picture

from affectkit.errors import DataError
from affectkit.pages.make import make_report

NAMES = ("calm", "<i>glad", "sad")


def samples(root, count=12, *, folder="results", stem="test_results"):
    """A table of samples of ``root / "data"``, with pictures, as test writes it; its rows by name."""
    true, guessed = shares(count, 3, seed=1), shares(count, 3, seed=2)
    rows = []
    for k in range(count):
        name = f"images/p{k}.png"
        write_picture(root / "data" / name, k)
        label = NAMES[max(range(3), key=lambda c, k=k: float(true[k][c]))]
        rows.append([name, label, *predicted(guessed[k], NAMES)[:2], *true[k], *guessed[k], "0.1"])
    header = ["Image Name", "True Label", "Predicted Label", "Confidence", *[f"true {name}" for name in NAMES],
              *[f"predicted {name}" for name in NAMES], "kl"]  # fmt: skip
    write_csv(root / folder / f"{stem}.csv", header, rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def results_of_test(root):
    rows = samples(root)
    record = {
        "checkpoint": "run/best.safetensors", "task": "distribution", "data": str(root / "data"), "split": "test",
        "images": len(rows), "classes": list(NAMES), "class_counts": {name: 4 for name in NAMES}, "skipped": [],
        "metrics": {"top1": 0.41666, "kl": 0.123456, "ece": None}, "intervals": {"top1": [0.25, 0.58]},
        "remarks": ["sad has <few> images."], "copies": {"copies": 0, "items": 12, "compared_with": ["train"]},
    }  # fmt: skip
    (root / "results" / "results.json").write_text(json.dumps(record))
    return root / "results", rows


def results_by_group(root):
    """A folder of ``test --by``."""
    folder, _ = results_of_test(root)
    record = json.loads((folder / "results.json").read_text())
    groups = [
        {"name": name, "n": n, "clusters": 3, "classes": 3, "counted": n > 5, "why_not": "" if n > 5 else "few",
         "metrics": {"top1": 0.4, "kl": None}, "intervals": {"top1": [0.3, 0.5]}, "methods": {"top1": "exact"}}
        for name, n in (("<b>old", 6), ("young", 6), ("(not known)", 2))
    ]  # fmt: skip
    gap = {"metric": "top1", "gap": 0.12, "low": 0.0, "high": 0.3, "lowest": "<b>old", "highest": "young",
           "method": "MOVER", "p": 0.03, "by_chance": 0.08, "p_holm": 0.06, "tests": 2}  # fmt: skip
    record["groups"] = {
        "cluster": "actor", "min_group": 5, "metrics": {"top1": "max", "kl": "min"}, "tested": ["top1", "kl"],
        "columns": [{"name": "age", "groups": groups, "gaps": [gap], "notes": ["age: <of> some."]}],
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(record))
    return folder


def cells_of_matrix(root):
    """A folder of ``matrix``."""
    root.mkdir(parents=True)
    found = {"model": "a", "data": "x", "failed": "", "n": 10, "of": 12, "left_out": {"<calm>": 2}, "absent": [],
             "metrics": {"accuracy": 0.75, "kl": None}, "intervals": {"accuracy": [0.5, 0.9]}}  # fmt: skip
    record = {
        "models": [{"name": "a", "checkpoint": "a.pt", "task": "classification"}], "shown": ["accuracy"],
        "data": [{"name": "x", "data": "x", "split": "test", "items": 12}, {"name": "y", "data": "y"}], "failed": 1,
        "cells": [found, {"model": "a", "data": "y", "failed": "no <class> in common"}],
        "metrics": {"accuracy": "max", "kl": "min"}, "label_map": {"happy": "happiness", "calm": ""},
    }  # fmt: skip
    (root / "matrix.json").write_text(json.dumps(record))
    return root


def test_groups_and_their_gaps_are_shown(tmp_path):
    make_report(results_by_group(tmp_path), tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert cells(text, "young") == ["6", "3", "0.4000 [0.3000, 0.5000]", "\u2013"]
    assert cells(text, "(not known)")[0] == "2" and cells(text, "&lt;b&gt;old")[0] == "6"
    assert cells(text, "<em>gap</em>")[2] == "0.1200 [0.0000, 0.3000]"
    assert cells(text, "<em>p, Holm</em>")[2] == "0.060" and "corrected for 2 tests" in text


def test_a_matrix_shows_cells_and_what_is_left_out(tmp_path):
    made = make_report(cells_of_matrix(tmp_path / "m"), tmp_path / "page.html")
    assert made["kind"] == "matrix"
    text = text_of(tmp_path / "page.html")
    assert cells(text, "a")[:2] == ["0.7500 [0.5000, 0.9000]", "\u2013"] and "10 of 12" in text
    assert cells(text, "a on x") == ["left out: &lt;calm&gt; (2)"]
    assert cells(text, "a on y") == ["not computed: no &lt;class&gt; in common"]


def cells(text, name):
    """The cells of the row called ``name``."""
    row = re.search(rf"<th scope=\"row\">(?:<span[^>]*></span>)?{re.escape(name)}</th>(.*?)</tr>", text, re.DOTALL)[1]
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]


def test_a_test_shows_metrics_confusion_and_every_sample(tmp_path):
    folder, rows = results_of_test(tmp_path)
    made = make_report(folder, tmp_path / "page.html")
    assert (made["kind"], made["pictures"], made["without_picture"]) == ("test", 12, 0)
    text, grid = text_of(tmp_path / "page.html"), data_of(tmp_path / "page.html")["grid"]
    assert cells(text, "top1")[:2] == ["0.4167", "0.2500 to 0.5800"]
    assert cells(text, "ece")[0] == "\u2013"
    assert "sad has &lt;few&gt; images." in text
    assert "<i>" not in text
    for true in NAMES:
        shown = html.escape(true)
        counts = [sum((row["True Label"], row["Predicted Label"]) == (true, own) for row in rows) for own in NAMES]
        assert cells(text, shown)[:3] == [str(count) for count in counts]
    assert sorted(map(tuple, grid["rows"])) == sorted(tuple(row.values()) for row in rows)
    record = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**record, "split": "valid"}))
    make_report(folder, tmp_path / "valid.html")
    assert "Confusion on test data" in text and "Confusion on validation data" in text_of(tmp_path / "valid.html")
    wrong = [row[1] != row[2] for row in grid["rows"]]
    assert wrong == sorted(wrong, reverse=True)  # mistakes first, the most confident before the others
    mistakes = [float(row[3]) for row in grid["rows"] if row[1] != row[2]]
    assert mistakes == sorted(mistakes, reverse=True)


def test_reliability_is_that_of_the_metrics(tmp_path):
    from affectkit.metrics.calibration import reliability

    folder, rows = results_of_test(tmp_path)
    make_report(folder, tmp_path / "page.html")
    (chart,) = data_of(tmp_path / "page.html")["charts"]
    pairs = [(float(row["Confidence"]), float(row[f"true {row['Predicted Label']}"])) for row in rows]
    bins = reliability(*map(list, zip(*pairs, strict=True)))
    seen = bins.count > 0
    assert [one["x"] for one in chart["points"]] == pytest.approx(bins.confidence[seen].tolist())
    assert [one["y"] for one in chart["points"]] == pytest.approx(bins.agreement[seen].tolist())


def run_folder(root, *, done=True, epochs=3):
    run = root / "run"
    samples(root, folder="run/valid", stem="valid_results")
    losses = [0.9, 0.5, 0.7][:epochs]
    write_csv(run / "history.csv", ["epoch", "lr", "train_loss", "valid_loss", "valid_top1", "valid_ece_uncalibrated"],
              [[k + 1, 0.001, 1.0 - k / 4, loss, 0.5, 0.1] for k, loss in enumerate(losses)])  # fmt: skip
    write_csv(run / "timing.csv", ["epoch", "train_images_per_second"], [[k + 1, 100] for k in range(epochs)])
    settings = {"model": "tiny", "data": str(root / "data"), "epochs": 9, "early_stop": 1, "monitor": "loss", "lr": 0.5}
    config = {"settings": settings, "sources": {"lr": "flag", "model": "file x.yaml"}, "affectkit": "0.1.0",
              "data": {"layout": "tables", "train": {"images": 200, "fingerprint": "abc"}}}  # fmt: skip
    import yaml

    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "status.json").write_text(json.dumps({"state": "done" if done else "stopped"}))
    if done:
        counts = {"train": dict(zip(NAMES, (9, 5, 6), strict=True)), "valid": dict(zip(NAMES, (3, 4, 5), strict=True))}
        metrics = {
            "best_epoch": 2, "epochs": 3, "monitor": "loss", "seed": 0, "temperature": 1.25, "classes": list(NAMES),
            "class_counts": counts, "skipped": [],
            "calibration": {"fitted": True, "reason": "", "n": 12, "to": "labels", "cross_validated_nll": 0.7,
                            "cross_validated_nll_uncalibrated": 0.8},
            "valid": {"loss": 0.5, "top1": 0.58333, "ece": 0.04, "ece_uncalibrated": 0.09},
        }  # fmt: skip
        (run / "metrics.json").write_text(json.dumps(metrics))
    return run


def test_a_run_shows_why_its_epoch_was_chosen_and_what_guessing_gives(tmp_path):
    run = run_folder(tmp_path)
    made = make_report(run, tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert made["kind"] == "training"
    assert "Epoch 2 of 3 was kept: it has the lowest loss on validation data, 0.5000" in text
    assert "none of the last 1 was better" in text
    assert cells(text, "validation")[:4] == ["12", "33.3%", "25.0% (calm)", "58.3%"]
    assert "went from 0.8000 to 0.7000" in text
    assert cells(text, "--lr") == ["0.5", "flag"]
    assert cells(text, "--epochs") == ["9", "default"]
    assert f"affectkit train --config {run / 'config.yaml'} --output NEW-FOLDER" in text
    assert cells(text, "all")[:2] == ["20", "12"]
    charts = [chart for chart in data_of(tmp_path / "page.html")["charts"] if chart["kind"] == "lines"]
    assert [chart["title"] for chart in charts] == ["loss (monitored)", "top1", "learning rate"]
    assert charts[0]["series"][1]["values"] == [0.9, 0.5, 0.7]
    assert charts[0]["marked"] == 2
    assert "The most confident mistakes" in text


def test_a_run_that_goes_on_or_stopped_shows_its_epochs(tmp_path):
    run = run_folder(tmp_path, done=False)
    make_report(run, tmp_path / "page.html")
    assert "The run was stopped" in text_of(tmp_path / "page.html")
    for name in ("history.csv", "timing.csv"):
        (run / name).unlink()
    make_report(run, tmp_path / "page.html")
    assert "No epoch is complete yet." in text_of(tmp_path / "page.html")
    (run / "config.yaml").write_text("just: text")
    with pytest.raises(DataError, match="has no settings"):
        make_report(run, tmp_path / "page.html")


def test_a_run_of_an_earlier_version_shows_its_figures(tmp_path):
    run = run_folder(tmp_path)
    for path in (run / "valid").iterdir():
        path.unlink()
    write_picture(run / "plots" / "confusion.png")
    (run / "plots" / "damaged.png").write_text("no picture")
    import yaml

    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["sources"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    make_report(run, tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert text.count("<figure>") == 1
    assert "confusion matrix (confusion.png)" in text
    assert cells(text, "--lr") == ["0.5", "set by flag, file or recipe"]


ROWS = [
    ("clean", 0, 0.9, 0.1),
    ("fog", 1, 0.8, 0.2),
    ("fog", 5, 0.4, 0.6),
    ("<b>", 1, 0.95, 0.05),
    ("<b>", 5, 0.7, 0.3),
]


def sweep(root, *, record=True, finished=True):
    folder = root / "robust"
    write_csv(folder / "corruptions.csv", ["corruption", "severity", "images", "top1", "kl"],
              [[name, severity, 50, top1, kl] for name, severity, top1, kl in ROWS])  # fmt: skip
    if record:
        rows = [{"corruption": name, "severity": severity, "images": 50, "metrics": {"top1": top1, "kl": kl}}
                for name, severity, top1, kl in ROWS]  # fmt: skip
        found = {"split": "test", "shown": ["kl", "top1"], "rows": rows if finished else rows[:3]}
        if finished:
            found |= {"means": {}, "mean_error": 0.2875, "ce": {"fog": 0.5, "<b>": 0.25}, "mce": 0.375}
        (folder / "robustness.json").write_text(json.dumps(found))
    return folder


def test_a_sweep_shows_every_number_and_how_far_it_is_from_clean(tmp_path):
    make_report(sweep(tmp_path), tmp_path / "page.html")
    raw = text_of(tmp_path / "page.html")
    assert "<b></th>" not in raw
    heat = raw[: raw.index("Every row")]
    levels = {name: re.findall(rf"<th scope=\"row\">{name}</th>(.*?)</tr>", heat) for name in ("fog", "&lt;b&gt;")}
    assert [re.findall(r'class="h(\d)">([\d.]+)', row) for row in levels["fog"]] == [
        [("2", "0.2000"), ("5", "0.6000")], [("2", "0.8000"), ("5", "0.4000")],
    ]  # fmt: skip
    assert [re.findall(r'class="h(\d)">([\d.]+)', row) for row in levels["&lt;b&gt;"]] == [
        [("0", "0.0500"), ("3", "0.3000")], [("0", "0.9500"), ("3", "0.7000")],
    ]  # fmt: skip
    assert "0.3750" in heat
    for name, severity, top1, kl in ROWS:
        rest = raw[raw.index("Every row") :]
        assert [str(severity), "50", f"{top1:.4f}", f"{kl:.4f}"] in [
            re.findall(r"<td class=\"num\">([\d.]+)</td>", row)
            for row in re.findall(rf"<th scope=\"row\">{name.replace('<b>', '&lt;b&gt;')}</th>(.*?)</tr>", rest)
        ]
    charts = data_of(tmp_path / "page.html")["charts"]
    assert [chart["title"] for chart in charts] == ["fog", "<b>"]
    assert charts[0]["series"][0]["values"] == [0.2, 0.6]
    assert charts[0]["series"][1]["values"] == [0.1, 0.1]


def test_sweeps_that_are_not_done_and_of_earlier_versions(tmp_path):
    make_report(sweep(tmp_path, finished=False), tmp_path / "page.html")
    assert "The run was stopped" in text_of(tmp_path / "page.html")
    folder = sweep(tmp_path / "old", record=False)
    assert make_report(folder, tmp_path / "page.html")["kind"] == "corruptions"
    (folder / "corruptions.csv").write_text("corruption,severity,images,top1\n")
    with pytest.raises(DataError, match="holds no row yet"):
        make_report(folder, tmp_path / "page.html")


def test_quantiles_show_every_bin(tmp_path):
    folder = tmp_path / "quantiles"
    rows = [["a<b>.csv", k + 1, f"{k:.6f}", f"{k + 1:.6f}", 7, f"{k + 0.5:.6f}", f"{k / 2:.6f}"] for k in range(4)]
    header = ["file", "bin", "low", "high", "count", "actual_mean", "predicted_mean"]
    write_csv(folder / "quantiles.csv", header, rows)
    one = {"file": "a<b>.csv", "n": 28, "left_out": 2, "bins": 4, "r": 0.99, "r2": 0.5, "rmse": None,
           "items": {"r": 0.9, "ccc": 0.8, "rmse": 0.3}}  # fmt: skip
    summary = {"actual": "Actual", "predicted": "Predicted", "bins": 5, "files": [one], "missed": ["too low"]}
    (folder / "summary.json").write_text(json.dumps(summary))
    make_report(folder, tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert "<b>" not in text
    assert cells(text, "a&lt;b&gt;.csv") == ["28", "2", "4", "0.9900", "0.5000", "\u2013", "0.9000", "0.8000", "0.3000"]
    for row in rows:
        assert cells(text, str(row[1])) == [str(cell) for cell in row[2:]]
    (chart,) = data_of(tmp_path / "page.html")["charts"]
    assert [(one["x"], one["y"]) for one in chart["points"]] == [(float(row[5]), float(row[6])) for row in rows]
    assert "Pooled" not in text
    summary |= {"pooled": {**one, "file": "all files, pooled", "n": 56, "r": 0.77},
                "mean_of_analyses": {"r": 0.61, "r2": None, "rmse": 0.2}}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    make_report(folder, tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert cells(text, "mean of the 1 analyses")[3:6] == ["0.6100", "\u2013", "0.2000"]
    assert cells(text, "pooled: all items, then bins")[:4] == ["56", "2", "4", "0.7700"]
    (folder / "quantiles.csv").unlink()
    with pytest.raises(DataError, match="holds no quantile analysis"):
        make_report(folder, tmp_path / "page.html")


def test_repeats_show_their_table(tmp_path):
    run = tmp_path / "run"
    rows = [["1", "0", "2", "0.5"], ["2", "1", "3", "0.7"], ["mean", "", "", "0.6"], ["sd", "", "", "0.141421"]]
    write_csv(run / "repeats.csv", ["repeat", "seed", "best_epoch", "loss"], rows)
    make_report(run, tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    for row in rows:
        assert cells(text, row[0]) == row[1:]
    assert "pooled" not in text
    header = ["part", "rating", "analysis", "repeats", "n", "bins", "r", "r2", "rmse"]
    own = [["valid", "arousal", "mean of the repeats' analyses", "2", "", "", "0.5", "0.1", "2.0"],
           ["valid", "arousal", "pooled: all repeats, then bins", "2", "16", "14", "0.4", "0.2", "2.1"]]  # fmt: skip
    write_csv(run / "repeats_quantiles.csv", header, own)
    write_csv(run / "valid" / "pooled_valid_results.csv", ["Repeat", "Image Name"], [["1", "a.png"]])
    make_report(run, tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert "another number" in text and "pooled: all repeats, then bins" in text
    assert cells(text, "valid")[1:] == ["mean of the repeats&#39; analyses", *own[0][3:]]


def test_folds_show_their_tables_and_what_is_out_of_fold(tmp_path):
    run = tmp_path / "run"
    counts = [["1", "12", "3", "p0, p1, p2", "5", "7"], ["2", "11", "2", "p3, p4", "6", "5"]]
    write_csv(run / "folds.csv", ["fold", "items", "groups", "first groups", "anger", "joy"], counts)
    (run / "config.yaml").write_text("settings: {folds: '2'}\n")
    make_report(run, tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert "affectkit merge says which are missing" in text and cells(text, "2") == counts[1][1:]
    rows = [["1", "p", "12", "2", "0.5"], ["mean", "", "", "", "0.6"], ["corrected_low", "", "", "", "0.3"]]
    write_csv(run / "fold_metrics.csv", ["fold", "group", "held_out", "best_epoch", "accuracy"], rows)
    record = {"out_of_fold": {"accuracy": 0.625}, "out_of_fold_intervals": {"accuracy": [0.5, 0.75]},
              "out_of_fold_interval_over": "groups", "caveat": "the t-interval is too narrow",
              "folds": [{}, {}], "items": 1023}  # fmt: skip
    (run / "config.yaml").write_text("settings: {folds: '2', task: auto, model: resnet18}\n")
    (run / "metrics.json").write_text(json.dumps(record))
    make_report(run, tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert "which are missing" not in text and "the t-interval is too narrow" in text
    assert cells(text, "corrected_low") == rows[2][1:]
    assert cells(text, "accuracy")[:2] == ["0.6250", "0.5000 to 0.7500"]
    facts = text[: text.index("<h2")]
    assert "resnet18" in facts and "1,023" in facts and "auto" not in facts


def test_every_kind_has_its_module_and_template(tmp_path):
    from affectkit.pages.kinds import KINDS
    from affectkit.pages.rendering import TEMPLATES

    assert len(KINDS) >= 5
    for name in KINDS:
        assert callable(KINDS.resolve(name))
        assert (TEMPLATES / f"{name}.html").is_file()
    with (TEMPLATES / "report.css").open() as stream:
        assert "@media print" in stream.read()


@pytest.mark.parametrize(
    ("name", "better", "words"),
    [
        ("valence_ccc", "max", "concordance correlation, of valence"),
        ("arousal_quantile_rmse", "min", "over the means of quantile bins of arousal"),
        ("kl", "min", "Kullback-Leibler divergence"),
        ("dead_codes_audio", "", "codes that never occur, of the audio"),
        ("of_ones_own", "", ""),
    ],
)
def test_metrics_have_their_words(name, better, words):
    from affectkit.pages.metric_words import describe

    found = describe(name)
    assert found[0] == better
    assert words in found[1]


def test_prepared_clips_are_not_looked_for_as_pictures(tmp_path):
    folder, _ = results_of_test(tmp_path)
    (tmp_path / "data" / "store").mkdir()
    assert make_report(folder, tmp_path / "page.html")["pictures"] == 0
    assert "Prepared clips have no pictures" in text_of(tmp_path / "page.html")
