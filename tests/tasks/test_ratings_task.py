"""The task of ratings: which column is which, what is measured, what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.metrics import mean_squared_error, r2_score

from affectkit.core.spec import InputSpec
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.tasks.base import Results
from affectkit.tasks.ratings import RatingsTask


def spec(*classes: str) -> InputSpec:
    return InputSpec(task="ratings", height=8, width=8, classes=classes or ("arousal", "valence"))


def split(tmp_path, count: int = 60, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    ratings = np.stack([rng.uniform(1, 9, count).round(2), rng.uniform(1, 9, count).round(1)], 1)
    names = [f"{k}.png" for k in range(count)]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    return Split("test", tmp_path, names, (), ratings=ratings, scale=(1, 9))


def results_of(data: Split, seed: int = 1, classes: tuple[int, ...] = (0, 1)) -> Results:
    noise = np.random.default_rng(seed).normal(0, 1, data.ratings.shape)
    outputs = (0.6 * data.ratings + 1.5 + noise)[:, classes].astype(np.float32)
    return Results(data, outputs, {})


def test_each_column_stands_under_its_own_name(tmp_path):
    """The published inference script wrote arousal under the name of valence."""
    data = split(tmp_path)
    task, found = RatingsTask(spec()), results_of(data)
    table = task.table(found)
    assert list(table) == [
        "Image Name", "Actual Valence", "Predicted Valence", "Actual Arousal", "Predicted Arousal",
    ]  # fmt: skip
    np.testing.assert_array_equal(table["Actual Arousal"], data.ratings[:, 0])
    np.testing.assert_array_equal(table["Predicted Arousal"], found.outputs[:, 0])
    np.testing.assert_array_equal(table["Predicted Valence"], found.outputs[:, 1])
    assert task.columns() == ["Predicted Valence", "Predicted Arousal"]
    assert task.rows(torch.tensor([[1.0, 2.0]])) == [[2.0, 1.0]]
    tables = task.tables(found)
    np.testing.assert_array_equal(tables["test_Valence_actual_predicted.csv"]["Predicted"], found.outputs[:, 1])
    np.testing.assert_array_equal(tables["test_Arousal_actual_predicted.csv"]["Actual"], data.ratings[:, 0])


def test_metrics_agree_with_scipy_scikit_learn_and_pandas(tmp_path):
    data = split(tmp_path, 200)
    task, found = RatingsTask(spec()), results_of(data)
    metrics = task.metrics(found)
    single = {}
    for column, name in enumerate(("arousal", "valence")):
        actual, predicted = data.ratings[:, column], found.outputs[:, column].astype(np.float64)
        line = stats.linregress(predicted, actual)
        fitted = line.intercept + line.slope * predicted
        gap = (actual.mean() - predicted.mean()) ** 2
        bins = pd.qcut(actual, 25, duplicates="drop")
        means = pd.DataFrame({"a": actual, "p": predicted}).groupby(bins, observed=True).mean()
        single[name] = {
            "ccc": 2 * np.mean((actual - actual.mean()) * (predicted - predicted.mean()))
            / (actual.var() + predicted.var() + gap),
            "r": stats.pearsonr(predicted, actual).statistic,
            "r2": r2_score(actual, predicted),
            "rmse": mean_squared_error(actual, predicted) ** 0.5,
            "r2_fitted": r2_score(actual, fitted),
            "rmse_fitted": mean_squared_error(actual, fitted) ** 0.5,
            "quantile_r": stats.pearsonr(means["a"], means["p"]).statistic,
            "quantile_r2": r2_score(means["a"], means["p"]),
            "quantile_rmse": mean_squared_error(means["a"], means["p"]) ** 0.5,
        }  # fmt: skip
    checked = 0
    for name, values in single.items():
        for key, value in values.items():
            assert metrics[f"{name}_{key}"] == pytest.approx(value, rel=1e-9), (name, key)
            checked += 1
    for key in ("ccc", "r", "r2", "rmse", "r2_fitted", "rmse_fitted"):
        assert metrics[key] == pytest.approx((single["arousal"][key] + single["valence"][key]) / 2, rel=1e-9)
    assert checked == 18
    assert list(metrics) == list(task.metric_direction)
    assert set(task.intervals(found)) <= set(metrics)


def test_the_loss_follows_the_epochs(tmp_path):
    task = RatingsTask(spec(), epochs=4)
    outputs, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 4.0]])
    expected = {0.0: 0.7, 0.2499: 0.7, 0.25: 0.7, 0.4999: 0.7, 0.5: 0.6, 0.7499: 0.6, 0.75: 0.5, 0.999: 0.5}
    for progress, weight in expected.items():
        loss = task.loss(outputs, {"target": target}, progress)["loss"]
        assert float(loss) == pytest.approx(weight * 0.75 + (1 - weight) * 4), progress


def test_one_output(tmp_path):
    data = split(tmp_path)
    task = RatingsTask(spec("valence"))
    found = results_of(data, classes=(1,))
    metrics = task.metrics(found)
    assert list(metrics) == list(task.metric_direction)
    assert "valence_r" not in metrics and "arousal_quantile_r" not in metrics
    assert metrics["r"] == pytest.approx(stats.pearsonr(found.outputs[:, 0], data.ratings[:, 1]).statistic, rel=1e-6)
    assert list(task.table(found)) == ["Image Name", "Actual Valence", "Predicted Valence"]
    assert float(task.loss(torch.tensor([[3.0]]), {"target": torch.tensor([[1.0]])}, 0.0)["loss"]) == 4
    assert "valence_arousal.png" not in task.figures(found, lambda index: None)


def test_files_say_the_split_and_pictures_the_measures_of_the_table(tmp_path, monkeypatch):
    from affectkit.reports import ratings as drawings

    given = {}
    for kind in ("draw_scatter", "draw_valence_arousal_plane", "quantile_figure"):
        monkeypatch.setattr(drawings, kind, lambda path, **facts: given.__setitem__(path.name, facts))
    task = RatingsTask(spec(), scale=(1.0, 9.0))
    parts = {"train": "training", "valid": "validation", "test": "test", "all": "all items"}
    for name, part in parts.items():
        first = f"{name}_" if name in ("train", "valid") else ""
        found = results_of(split(tmp_path).with_name(name))
        tables = {f"{first or 'test_'}{one}_actual_predicted.csv" for one in ("Valence", "Arousal")}
        assert set(task.tables(found)) == {"quantiles.csv", *tables}
        given.clear()
        for file, draw in task.figures(found, lambda index: None).items():
            draw(tmp_path / file)
        scatters = {one: f"{first or 'test_'}{one.title()}_scatter_plot.png" for one in ("valence", "arousal")}
        assert set(given) == {*scatters.values(), f"{first}valence_arousal.png", f"{first}quantiles.png"}
        assert all((facts["part"], facts["low"], facts["high"]) == (part, 1, 9) for facts in given.values())
        metrics = task.metrics(found)
        for one, file in scatters.items():
            measures = given[file]["measures"]
            shown = [key for titles in drawings.MEASURES.values() for key in titles]
            assert len(shown) == 6 and set(measures) == set(shown)
            assert all(measures[key] == metrics[f"{one}_{key}"] for key in shown)


def test_constant_predictions_are_told_and_give_no_number(tmp_path):
    data = split(tmp_path)
    task = RatingsTask(spec())
    found = results_of(data)
    found.outputs[:, 0] = 4.25
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = task.metrics(found)
        told = task.warnings(found)
    assert np.isnan([metrics["arousal_r"], metrics["arousal_ccc"], metrics["r"]]).all()
    assert np.isfinite([metrics["valence_r"], metrics["arousal_rmse"]]).all()
    assert any("arousal: every prediction is 4.25" in text for text in told)


def test_what_is_not_there_is_refused(tmp_path):
    data = split(tmp_path)
    data.ratings[:, 0] = np.nan
    with pytest.raises(DataError, match="no column arousal") as caught:
        RatingsTask(spec()).select_items(data, training=True)
    assert "--outputs valence" in caught.value.hint
    RatingsTask(spec("valence")).select_items(data)
    with pytest.raises(DataError, match="no ratings"):
        RatingsTask(spec()).select_items(Split("train", tmp_path, data.ids, ("a", "b"), labels=np.zeros(60, np.int64)))
    with pytest.raises(DataError, match="scale of 1 to 9.*trained on -1 to 1"):
        RatingsTask(spec("valence"), scale=(-1, 1)).select_items(data)
    with pytest.raises(UsageError, match="joy"):
        RatingsTask(spec("valence", "joy"))
    with pytest.raises(UsageError, match="--label-smoothing"):
        RatingsTask.from_options(spec(), {"label_smoothing": 0.1})


def test_what_a_checkpoint_records_makes_the_same_task(tmp_path):
    task = RatingsTask(spec(), loss="mse+ccc:0.5", epochs=7)
    task.fit(split(tmp_path))
    again = RatingsTask.from_options(spec(), task.recorded_options())
    assert again.scale == (1, 9) and again.expression == "mse+ccc:0.5"
    found = results_of(split(tmp_path))
    assert again.metrics(found) == task.metrics(found)
