"""``affectkit describe``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console, shown
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.cli.reporting import REPORT, check_report, report_asked
from affectkit.config import Resolved, value_of
from affectkit.core.pixels import pixels_up_to
from affectkit.core.text import count_text, list_some, percent
from affectkit.errors import EXIT_PARTIAL, ThresholdError
from affectkit.settings.describe import DescribeSettings

MOST_CLASSES = 40
MOST_NAMED = 20

BRIEF = Brief(
    options={
        "Data": "data labels group_by",
        "Copies": "near_copies mirrored",
        "Output": "results fail_under report json force",
    },
    required=("data",),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "describe", DescribeSettings, writes=folders("results"), extra=REPORT, brief=BRIEF)
    def describe(resolved: Resolved[DescribeSettings], console: Console) -> None:
        """Describe a dataset before it is trained on; nothing of it is changed.

        Counts by split and class, entropy of distributions and agreement of raters, ratings, sizes and light of the
        images, files that cannot be read (exit code 4), exact copies and near copies within and across splits with what
        they are labelled, and persons on both sides. Every file is read once.

        Examples:
            affectkit describe faces
            affectkit describe faces --results described --report described.html
            affectkit describe faces --fail-under near_copies_across=0,unreadable=0
        """
        from affectkit.data.layouts.class_columns import Choice
        from affectkit.data.layouts.discovery import Labels
        from affectkit.data.loading.worker_count import choose_threads
        from affectkit.evaluation.thresholds import check_thresholds, missed_thresholds
        from affectkit.exploration.describe import NearSearch
        from affectkit.exploration.describe import describe as run
        from affectkit.exploration.measures import BETTER, measures

        s = resolved.settings
        check_report(console, s.results)
        bounds = check_thresholds(value_of(s.fail_under) or {}, BETTER)
        choice = Choice(s.classes, s.ignore_columns)
        with pixels_up_to(value_of(s.max_pixels)):
            summary = run(
                s.data,
                labels=Labels(
                    s.labels,
                    ratings=True,
                    scale=value_of(s.rating_range),
                    choice=choice,
                    follow_links=s.follow_links,
                ),
                group_by=s.group_by,
                groups=s.groups,
                near=NearSearch(s.distance, s.correlation, s.mirrored) if s.near_copies else None,
                workers=choose_threads(s.workers)[0],
                results=s.results,
                force=s.force,
                reporter=console,
            )
        missed = missed_thresholds(bounds, measures(summary), BETTER, reporter=console)
        console.result(summary | {"missed": missed})
        _render(summary, console)
        if s.results is not None:
            console.note(f"results: {s.results}")
        report_asked(console, s.results)
        _next_step(summary, s, console)
        if missed:
            raise ThresholdError("; ".join(missed) + ".")
        if summary["unreadable"] and "unreadable" not in bounds:
            raise typer.Exit(EXIT_PARTIAL)


def _render(summary: dict[str, Any], console: Console) -> None:
    """Show tables that fit 80 columns; files that cannot be read are warned of."""
    noun = "clip" if "clips" in summary else "image"
    _classes(summary, console, noun)
    _distributions(summary, console)
    _ratings(summary, console)
    _images(summary, console, noun)
    _copies(summary, console)
    _groups(summary["groups"], console)
    for split, names in summary["absent"].items():
        if len(names) < len(summary["classes"]):
            console.warn(f"the {split} split has no {noun} of {list_some(names)}.")
    for one in summary["unreadable"][:MOST_NAMED]:
        console.warn(f"not readable: {one['reason']}")
    if (count := len(summary["unreadable"])) > 0:
        more = f"; {count - MOST_NAMED:,} more stand in images.csv and --json" if count > MOST_NAMED else ""
        console.warn(f"{count_text(count, 'file')} cannot be read, of {summary['items']:,}{more}.")


def _classes(summary: dict[str, Any], console: Console, noun: str) -> None:
    splits, title = summary["splits"], f"{summary['layout']}: {count_text(summary['items'], noun)}"
    names = summary["classes"]
    if not any(one["labelled"] for one in splits.values()):
        console.table(["split", f"{noun}s"], [[name, f"{one['items']:,}"] for name, one in splits.items()], title=title)
        return
    if len(names) > MOST_CLASSES:
        first = next(iter(splits.values()))["classes"]
        names = sorted(names, key=lambda name: -first[name])[:MOST_CLASSES]
        title += f"; the {MOST_CLASSES} most frequent of {len(summary['classes']):,} classes"
    columns = ["class", *(text for name in splits for text in (name, "share"))]
    rows = []
    for name in names:
        cells = [name]
        for one in splits.values():
            count = one["classes"].get(name, 0)
            cells += [f"{count:,}", percent(count / one["labelled"]) if one["labelled"] else "-"]
        rows.append(cells)
    if "clips" in summary and not console.json:
        console.line(_stored(summary["clips"]))
    rows.append(["all", *(text for one in splits.values() for text in (f"{one['labelled']:,}", ""))])
    console.table(columns, rows, title=title)


def _stored(clips: Mapping[str, Any]) -> str:
    """Say what is stored of each clip."""
    if "features" in clips:
        shapes = " and ".join(" x ".join(map(str, shape)) for shape in clips["features"])
        return f"of each clip features of {shapes} are stored"
    text = f"of each clip {count_text(clips['frames'], 'frame')} of {clips['width']} x {clips['height']} pixels"
    if sound := clips.get("sound"):
        seconds = f"{sound['seconds']:g} s of sound" if sound["seconds"] else "its sound"
        text += f" and {seconds} at {sound['rate']:,} Hz"
    return f"{text} are stored"


def _distributions(summary: dict[str, Any], console: Console) -> None:
    if found := summary["distributions"]:
        most = next(iter(found.values()))["most"]
        rows = []
        for name, one in found.items():
            bits, total = one["entropy"], summary["splits"][name]["items"]
            cells = [f"{bits[key]:.2f}" for key in ("mean", "q05", "q50", "q95")]
            rows.append([name, *cells, _part(one["ties"], total), _part(one["without_majority"], total)])
        console.table(
            ["split", "mean", "5%", "50%", "95%", "ties on top", "no majority"],
            rows,
            title=f"Entropy of the distributions in bits, at most {most:.2f}",
        )
    if raters := summary["raters"]:
        rows = [
            [
                split if shown_to == "all" else f"{split}, {shown_to} shown",
                f"{one['number']['mean']:.1f}",
                *(f"{one[key]:.3f}" for key in ("agreement", "fleiss_kappa", "krippendorff_alpha", "leave_one_out")),
            ]
            for split, kinds in raters.items()
            for shown_to, one in kinds.items()
            if len(kinds) == 1 or shown_to != "all"
        ]
        columns = ["split", "raters", "pairs agree", "Fleiss' kappa", "alpha", "one out"]
        console.table(columns, rows, title="Raters; alpha is Krippendorff's, one out a rater against the others")


def _ratings(summary: dict[str, Any], console: Console) -> None:
    if not (found := summary["ratings"]):
        return
    rows = [
        [
            split,
            name,
            *(_number(one[name][key]) for key in ("mean", "sd", "min", "q50", "max")),
            f"{one[name]['missing']:,}",
            _number(one["r"]) if name == "valence" else "",
        ]
        for split, one in found.items()
        for name in ("valence", "arousal")
    ]
    low, high = next(iter(found.values()))["scale"]
    console.table(
        ["split", "rated", "mean", "sd", "min", "median", "max", "missing", "r"],
        rows,
        title=f"Ratings from {low:g} to {high:g}; r of valence and arousal",
    )
    for split, one in found.items():
        words = ("high arousal", "middle", "low arousal")
        cells = [
            [word, *(_part(count, one["both"]) for count in row)] for word, row in zip(words, one["cells"], strict=True)
        ]
        console.table([split, "low valence", "middle", "high valence"], cells)


def _images(summary: dict[str, Any], console: Console, noun: str) -> None:
    rows = []
    for name, one in summary["images"].items():
        if not one["readable"] or (name == "all" and len(summary["splits"]) == 1 and "all" not in summary["splits"]):
            continue
        light = [f"{one[kind][key]:.2f}" for kind in ("brightness", "contrast") for key in ("q05", "q50", "q95")]
        rows.append([name, *light, percent(one["colour"] / one["readable"])])
    if not rows:
        return
    console.table(
        ["split", "bright 5%", "50%", "95%", "contrast 5%", "50%", "95%", "colour"],
        rows,
        title="Light: mean luma and its standard deviation, from 0 to 1",
    )
    every = summary["images"]["all"]
    if every["sizes"] and every["width"]["max"]:
        sizes = [
            [f"{wide} x {high}", f"{count:,}", percent(count / every["readable"])]
            for wide, high, count in every["sizes"]
        ]
        formats = list_some([f"{name} {count:,}" for name, count in every["formats"].items()])
        note = f"; {formats}" if formats else ""
        spread = f"; {every['bytes']['q50'] / 1e3:,.1f} kB in the median" if every["bytes"]["max"] else ""
        title = f"{count_text(every['different_sizes'], 'size')} in pixels{note}{spread}"
        console.table(["width x height", f"{noun}s", "share"], sizes[:5], title=title)


def _copies(summary: dict[str, Any], console: Console) -> None:
    """Show a row a split and kind: how many items have a copy in their split and in each earlier one."""
    kinds = [("exact", summary["copies"]), ("near or exact", summary["near_copies"])]
    splits = list(summary["splits"])
    rows = []
    for kind, found in kinds:
        for name, one in (found["splits"] if found else {}).items():
            cells = [_part(one["of"][other], one["items"]) if other in one["of"] else "" for other in splits[:-1]]
            rows.append([name, kind, _part(one["within"], one["items"]), *cells])
    rows.sort(key=lambda row: splits.index(row[0]))
    columns = ["split", "copies", "within it", *(f"of {other}" for other in splits[:-1])]
    noun = "Clips" if "clips" in summary else "Images"
    where = ", in their split and in earlier ones" if len(splits) > 1 else ""
    console.table(columns, rows, title=f"{noun} that have a copy{where}")
    rows = [
        [
            kind,
            f"{found['clusters']:,}",
            f"{found['largest']:,}",
            _part(found["labels_differ"], found["labelled_clusters"]),
            f"{found['pairs']:,} {'exact' if kind == 'exact' else 'near'}",
            _share(found["pairs_labels_differ"]),
        ]
        for kind, found in kinds
        if found and found["clusters"]
    ]
    if rows:
        columns = ["copies", "clusters", "largest", "with several classes", "pairs", "that differ"]
        console.table(columns, rows, title="Clusters that copies connect; pairs whose classes differ")


def _groups(found: Mapping[str, Any] | None, console: Console) -> None:
    if not found:
        return
    rows = [
        [name, f"{one['groups']:,}", f"{one['items']:,}", f"{one['without']:,}", f"{one['largest']:,}"]
        for name, one in found["splits"].items()
    ]
    console.table(["split", "groups", "items", "without one", "largest"], rows, title=f"Groups by {found['column']}")
    if found["across_count"]:
        some = [
            f"{group} ({', '.join(f'{split} {count:,}' for split, count in parts.items())})"
            for group, parts in list(found["across"].items())[:5]
        ]
        text = f"{count_text(found['across_count'], 'group')} of {found['column']} in several splits: {list_some(some)}"
        more = found["across_count"] - len(some)
        console.warn(text + (f" and {more:,} more" if more > 0 else ""))


def _part(count: int, whole: int) -> str:
    return f"{count:,} ({percent(count / whole)})" if whole else shown(None)


def _number(value: float) -> str:
    return shown(None) if math.isnan(value) else f"{value:.2f}"


def _share(value: float) -> str:
    return shown(None) if math.isnan(value) else percent(value)


def _next_step(summary: dict[str, Any], settings: DescribeSettings, console: Console) -> None:
    """Say what can be done about copies across splits; near ones that are rather look-alikes are warned of."""
    from affectkit.exploration.copies import look_alikes

    searched, alike = summary["near_copies"], look_alikes(summary["near_copies"])
    if alike:
        where = settings.results / "near_duplicates.png" if settings.results is not None else None
        look = f"look at {where} first" if where is not None else "--results FOLDER draws them in near_duplicates.png"
        stricter = f"--correlation {min(1, (1 + settings.correlation) / 2):.3g} asks for pairs that are more alike"
        console.warn(f"{alike}. Before any is left out, {look}; {stricter}.")
        searched = None  # those that are exact are copies all the same
    near = searched or summary["copies"]
    count = sum(one["in_earlier"] for one in near["splits"].values())
    if not count or "clips" in summary:
        if len(near["splits"]) == 1 and settings.results is not None and near["clusters"]:
            console.note(
                "one split: near_duplicates.csv lists its copies; a table without them is written of data with several"
            )
        return
    kind = "an exact copy" if alike else "a copy"
    text = f"{count_text(count, 'image')} of later splits {'has' if count == 1 else 'have'} {kind} in an earlier one"
    if settings.results is None:
        console.note(f"{text}; --results FOLDER writes a table of the others, which train and test take as --labels")
        return
    file = settings.results / ("without_near_copies.csv" if searched else "without_copies.csv")
    console.note(f"{text}; {file} lists the others: train --data {settings.data} --labels {file}")
