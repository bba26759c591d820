"""Differences of two models by group of items: where one is better, and whether it is so everywhere alike.

That one model does worse in some group and another does not is no evidence that they differ there: what is tested is
the difference of the models itself, between groups (Gelman and Stern 2006, "The difference between 'significant' and
'not significant' is not itself statistically significant", The American Statistician 60).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectkit.comparison.clusters import Clusters
from affectkit.comparison.differences import pairs_of
from affectkit.comparison.tested_models import TestedModel
from affectkit.core.progress import Reporter
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.groups import analyse_measures, top_classes, write_groups
from affectkit.evaluation.item_groups import IMAGE, ItemGroups, find_groups
from affectkit.settings.by import By
from affectkit.statistics.paired import joint_measures

FILES = {"groups": "difference_groups", "gaps": "difference_gaps"}
"""Names of the files of a comparison by group."""


def difference_groups(
    models: Sequence[TestedModel],
    by: Sequence[By],
    metrics: Sequence[str],
    *,
    root: Path | None,
    labels: Path | None,
    table: Path | None,
    clusters: Clusters | None,
    all_pairs: bool,
    min_group: int,
    seed: int,
    reporter: Reporter,
) -> dict[str, Any]:
    """Return every difference, second minus first, by group; see ``evaluation.groups.analyse_measures``.

    Args:
        models: of one training each, with the same items in the same order.
        by: columns, or ``image:`` and a property.
        metrics: names of measures that all have.
        root: folder of the data set; None where it is not there.
        labels, table: as of ``find_groups``.
        clusters: what items belong to; None where they are independent.
        all_pairs: every two models; else each other one with the first.
        min_group: groups of fewer items are in no gap and no test.
        seed: of permutations.
        reporter: gets notes.

    Raises:
        UsageError: a model is of several trainings, or there is no such column.
        DataError: the images are not there, or a column is known of no item.
    """
    if repeated := [model.name for model in models if len(model.runs) > 1]:
        raise UsageError(
            f"--by: {repeated[0]} is of several trainings, and groups are of models that were trained once.",
            "Compare single repeats by group: RUN/repeat-1.",
        )
    split = models[0].runs[0].results.split
    if root is None and any(name.startswith(IMAGE) for one in by for name in one.names):
        raise DataError(f"--by {IMAGE}...: the images are not to be found.", "Name their folder with --data DIR.")
    split = split if root is None else replace(split, root=root)
    found = find_groups(split, by, root=root, labels=labels, table=table, cluster="none", reporter=reporter)
    own = ItemGroups(found.groupings, clusters and clusters.values, clusters and clusters.column)
    pairs = pairs_of(models, all_pairs=all_pairs)
    families = {}
    for first, second in pairs:
        sides = [(second.runs[0].measures[name], first.runs[0].measures[name]) for name in metrics]
        name = f" ({second.name} minus {first.name})"
        families[name if len(pairs) > 1 else ""] = [one for one, _ in joint_measures(sides)]
    shared = {"top": top_classes(split), "min_group": min_group, "seed": seed, "reporter": reporter}
    return analyse_measures(families, own, tested=metrics, **shared)


def write_difference_groups(folder: Path, analysis: dict[str, Any]) -> None:
    """Write ``difference_groups.csv``, ``difference_gaps.csv`` and ``difference_groups.png``."""
    write_groups(folder, analysis, {}, names=FILES)
