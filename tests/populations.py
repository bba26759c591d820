"""Endless populations of items, whose metrics are known, and samples of them: what intervals and tests must hold in."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from affectkit.statistics.measures import ItemValues, Measure, class_measures, mean_measures, rating_measures

Sample = tuple[list[tuple[Measure, float]], np.ndarray | None]
Pairs = tuple[list[tuple[Measure, Measure, float]], np.ndarray | None]

CLASSES = np.array([0.4, 0.3, 0.2, 0.1])
"""Shares of the classes."""
CONFUSION = np.array([[0.8, 0.1, 0.05, 0.05], [0.15, 0.7, 0.1, 0.05], [0.1, 0.15, 0.7, 0.05], [0.15, 0.15, 0.1, 0.6]])
"""Chance of each predicted class, a row for each true one."""


def true_metrics(confusion: np.ndarray) -> dict[str, float]:
    joint = CLASSES[:, None] * confusion
    right = np.diag(joint)
    return {
        "accuracy": float(right.sum()),
        "balanced_accuracy": float(np.diag(confusion).mean()),
        "macro_f1": float(np.mean(2 * right / (joint.sum(0) + joint.sum(1)))),
    }


def draw_predictions(rng: np.random.Generator, true: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    return np.minimum((rng.random(len(true))[:, None] > confusion.cumsum(1)[true]).sum(1), 3)


def mean(values: np.ndarray, name: str) -> Measure:
    return mean_measures({name: ItemValues(np.asarray(values, dtype=np.float64))})[0]


def ratings(predicted: np.ndarray, actual: np.ndarray) -> dict[str, Measure]:
    return {measure.name: measure for measure in rating_measures(predicted, actual, ("x",))}


def independent(rng: np.random.Generator, n: int) -> Sample:
    """n items: classes, an exponential and a log-normal mean, normal ratings, ratings with heavy tails and skewed
    errors."""
    true = rng.choice(4, n, p=CLASSES)
    truth = true_metrics(CONFUSION)
    found = [(m, truth[m.name]) for m in class_measures(true, draw_predictions(rng, true, CONFUSION), 4)]
    found.append((mean(rng.exponential(size=n), "exponential"), 1.0))
    found.append((mean(rng.lognormal(size=n), "lognormal"), math.exp(0.5)))
    q = rng.normal(size=n)
    p = 0.1 + 0.8 * (0.7 * q + math.sqrt(0.51) * rng.normal(size=n))
    square = 1 + 0.64 - 1.12 + 0.01
    truth = {"ccc": 1.12 / 1.65, "r": 0.7, "r2": 1 - square, "rmse": math.sqrt(square), "rmse_fitted": math.sqrt(0.51)}
    found += [(measure, truth[name]) for name, measure in ratings(p, q).items() if name in truth]
    q = rng.standard_t(5, size=n)
    skewed = ratings(0.7 * q + rng.exponential(size=n) - 1, q)["ccc"]
    found.append((renamed(skewed, "ccc_skewed"), 2 * 0.7 * (5 / 3) / (1.49 * (5 / 3) + 1)))
    return found, None


def renamed(measure: Measure, name: str) -> Measure:
    from dataclasses import replace

    return replace(measure, name=name)


def clustered(rng: np.random.Generator, count: int) -> Sample:
    """``count`` clusters of 5 to 25 items: what is guessed in some more than in others, an accuracy of 95%, a skewed
    mean, ratings."""
    cluster = np.repeat(np.arange(count), rng.integers(5, 26, count))
    n = len(cluster)
    true = rng.choice(4, n, p=CLASSES)
    guessed = rng.random(n) < 0.6 * rng.beta(2, 4, count)[cluster]  # 20% on the whole
    predicted = np.where(guessed, rng.integers(0, 4, n), draw_predictions(rng, true, CONFUSION))
    truth = true_metrics(0.8 * CONFUSION + 0.05)
    found = [(m, truth[m.name]) for m in class_measures(true, predicted, 4)]
    right = rng.random(n) < rng.beta(11.4, 0.6, count)[cluster]
    found.append((mean_measures({"accuracy_95": ItemValues(right * 1.0, "max")})[0], 0.95))
    found.append((mean(rng.exponential(size=n) * rng.gamma(2, 0.5, count)[cluster], "skewed"), 1.0))
    q = math.sqrt(0.2) * rng.normal(size=count)[cluster] + math.sqrt(0.8) * rng.normal(size=n)
    e = math.sqrt(0.3) * rng.normal(size=count)[cluster] + math.sqrt(0.7) * rng.normal(size=n)
    truth = {"ccc": 1.12 / 1.65, "r": 0.7, "rmse": math.sqrt(0.53)}
    by_name = ratings(0.1 + 0.8 * (0.7 * q + math.sqrt(0.51) * e), q)
    return found + [(by_name[name], value) for name, value in truth.items()], cluster


def two_models(rng: np.random.Generator, n: int, *, gain: float = 0.0) -> Pairs:
    """n items and two models that err alike in part; the second is better by what ``gain`` (0 to 1) says."""
    true = rng.choice(4, n, p=CLASSES)
    base, other = draw_predictions(rng, true, CONFUSION), (1 - gain) * CONFUSION + gain * np.eye(4)

    def own(confusion: np.ndarray) -> np.ndarray:
        return np.where(rng.random(n) < 0.6, base, draw_predictions(rng, true, confusion))

    first, second = own(CONFUSION), own(other)
    here, there = true_metrics(CONFUSION), true_metrics(0.6 * CONFUSION + 0.4 * other)
    measures = zip(class_measures(true, first, 4), class_measures(true, second, 4), strict=True)
    found = [(a, b, here[a.name] - there[a.name]) for a, b in measures]
    shared = 0.8 * rng.normal(size=n)
    a, b = (np.exp(shared + 0.6 * rng.normal(size=n)) for _ in range(2))
    found.append((mean(a, "lognormal"), mean((1 - gain) * b, "lognormal"), math.exp(0.5) * gain))
    q, e = rng.normal(size=n), rng.normal(size=n)
    rs = (0.7, 0.7 + 0.5 * gain)
    errors = [math.sqrt(0.5) * (e + rng.normal(size=n)) for _ in rs]
    p = [0.8 * (r * q + math.sqrt(1 - r * r) * error) for r, error in zip(rs, errors, strict=True)]
    x, y = (ratings(values, q) for values in p)
    found.append((x["ccc"], y["ccc"], 1.6 * (rs[0] - rs[1]) / 1.64))
    found.append((x["rmse"], y["rmse"], math.sqrt(1.64 - 1.6 * rs[0]) - math.sqrt(1.64 - 1.6 * rs[1])))
    return found, None


def two_models_of_clusters(rng: np.random.Generator, count: int) -> Pairs:
    """Two models that are equal on the whole and differ from cluster to cluster."""
    cluster = np.repeat(np.arange(count), rng.integers(5, 26, count))
    n = len(cluster)
    true = rng.choice(4, n, p=CLASSES)
    base = draw_predictions(rng, true, CONFUSION)

    def own() -> np.ndarray:
        predicted = np.where(rng.random(n) < 0.5, base, draw_predictions(rng, true, CONFUSION))
        return np.where(rng.random(n) < 0.6 * rng.beta(2, 4, count)[cluster], rng.integers(0, 4, n), predicted)

    found = [(a, b, 0.0) for a, b in zip(class_measures(true, own(), 4), class_measures(true, own(), 4), strict=True)]
    shared = 0.6 * rng.normal(size=n)
    a, b = (np.exp(0.5 * rng.normal(size=count)[cluster] + shared + 0.4 * rng.normal(size=n)) for _ in range(2))
    found.append((mean(a, "lognormal"), mean(b, "lognormal"), 0.0))
    q = math.sqrt(0.2) * rng.normal(size=count)[cluster] + math.sqrt(0.8) * rng.normal(size=n)
    both, sides = rng.normal(size=n), []
    for _ in range(2):
        e = (
            math.sqrt(0.3) * rng.normal(size=count)[cluster]
            + math.sqrt(0.4) * both
            + math.sqrt(0.3) * rng.normal(size=n)
        )
        sides.append(ratings(0.8 * (0.7 * q + math.sqrt(0.51) * e), q))
    return found + [(sides[0][name], sides[1][name], 0.0) for name in ("ccc", "rmse")], cluster


def repeated(
    rng: np.random.Generator, n: int, repeats: int, *, spread: float, clusters: np.ndarray | None = None
) -> dict[str, tuple[list[Measure], list[Measure]]]:
    """Two recipes of ``repeats`` trainings each, equal on the whole: items are hard or easy, each recipe is better on
    some, trainings differ by ``spread`` and on every item."""
    hard, favour = rng.normal(size=n), rng.normal(0, 0.5, n)
    if clusters is not None:
        hard = 0.7 * hard + 0.7 * rng.normal(size=int(clusters.max()) + 1)[clusters]
    true = np.arange(n) % 2
    found: dict[str, tuple[list[Measure], list[Measure]]] = {"accuracy": ([], []), "skewed": ([], [])}
    for side, sign in enumerate((0.5, -0.5)):
        for _ in range(repeats):
            z = 1.2 + hard + sign * favour + spread * rng.normal() + 0.9 * rng.normal(size=n)
            found["accuracy"][side].append(class_measures(true, np.where(z > 0, true, 1 - true), 2)[0])
            found["skewed"][side].append(mean(np.exp(-z / 2), "skewed"))
    return found


def coverage(
    make: Callable[[np.random.Generator], Sample], repeats: int, *, seed: int, defined: float = 0.98, **options: object
) -> dict[str, float]:
    """Share of ``repeats`` samples in which the interval of ``estimates`` holds the truth, by measure; of those with
    one, which are more than ``defined`` of them."""
    from affectkit.statistics.intervals import estimates

    held: dict[str, list[bool]] = {}
    for number in range(repeats):
        sample, cluster = make(np.random.default_rng([seed, number]))
        found = estimates([measure for measure, _ in sample], clusters=cluster, seed=number, **options)
        for each, (_, truth) in zip(found, sample, strict=True):
            if not math.isnan(each.low):
                held.setdefault(each.name, []).append(each.low <= truth <= each.high)
    assert all(len(values) > defined * repeats for values in held.values()), {k: len(v) for k, v in held.items()}
    return {name: float(np.mean(values)) for name, values in held.items()}


def compared(
    make: Callable[[np.random.Generator], Pairs], repeats: int, *, seed: int, **options: object
) -> dict[str, tuple[float, float]]:
    """Share of ``repeats`` samples in which the interval of ``differences`` holds the truth, and in which p is at most
    0.05, by measure."""
    from affectkit.statistics.paired import differences

    held: dict[str, list[tuple[bool, bool]]] = {}
    for number in range(repeats):
        pairs, cluster = make(np.random.default_rng([seed, number]))
        found = differences([(a, b) for a, b, _ in pairs], clusters=cluster, seed=number, **options)
        for each, (_, _, truth) in zip(found, pairs, strict=True):
            held.setdefault(each.name, []).append((each.low <= truth <= each.high, each.p <= 0.05))
    shares = {name: np.mean(values, axis=0) for name, values in held.items()}
    return {name: (float(share[0]), float(share[1])) for name, share in shares.items()}
