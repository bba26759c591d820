"""``affectkit train``."""

from __future__ import annotations

from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console, shown, span
from affectkit.cli.folds import render_folds
from affectkit.cli.next_steps import next_steps
from affectkit.cli.options import OUTPUT, command
from affectkit.cli.outputs import resumed_or_new
from affectkit.cli.reporting import REPORT, check_report, report_asked
from affectkit.config import Resolved, option_name, plain
from affectkit.core.text import count_text
from affectkit.errors import EXIT_PARTIAL
from affectkit.settings.training import TrainSettings
from affectkit.slurm.job_policy import TRAIN
from affectkit.tasks import headline_metrics

PARTS = {"valid": "validation", "test": "test"}
PRINT_CONFIG = typer.Option(
    False, "--print-config", help="Print every setting and where it came from, and stop.", rich_help_panel=OUTPUT
)
VERBOSE = typer.Option(
    False, "--verbose", help="Show all metrics at the end, not the two that matter most.", rich_help_panel=OUTPUT
)

BRIEF = Brief(
    options={
        "Data": "data labels augment",
        "Model": "model task init image_size",
        "Training": "epochs batch_size lr optimizer schedule class_weights folds seed device",
        "Output": "output resume force config",
    },
    required=("data", "output"),
    unless={"data": "--resume", "output": "--resume"},
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(
        app,
        "train",
        TrainSettings,
        writes=resumed_or_new,
        extra={"print_config": (bool, PRINT_CONFIG), "verbose": (bool, VERBOSE), **REPORT},
        slurm=TRAIN,
        brief=BRIEF,
        models=True,
    )
    def train(resolved: Resolved[TrainSettings], console: Console) -> None:
        """Train a model on labelled pictures or prepared clips, or continue a run with --resume.

        The run folder holds the settings, the history, checkpoints, pictures and the state for resuming. Ctrl-C,
        SIGTERM and SIGUSR1 save at the end of the step.

        Examples:
            affectkit train --data faces --output runs/first
            affectkit train --data faces --output runs/tuned --init builtin --epochs 10
            affectkit train --model vca --data images --labels ratings.csv --output runs/vca
        """
        if console.extra["print_config"]:
            _print_config(_stored(resolved), console)
            return
        for text in _by_data(resolved):
            console.note(text)
        from affectkit.training.run import train as run

        check_report(console, resolved.settings.resume or resolved.settings.output, needs="--output")
        sources = {name: source for name, source in resolved.sources.items() if source != "default"}
        result = run(resolved.settings, given=_given(resolved), sources=sources, reporter=console)
        render(result, console)
        report_asked(console, result["run"])
        if not console.json:
            for number, text in enumerate(next_steps(result, resolved.settings)):
                console.note(f"{'next:' if not number else '     '} {text}")
        if result["skipped"]:
            console.warn(
                f"{count_text(len(result['skipped']), 'image')} could not be read; metrics.json names what was skipped."
            )
            raise typer.Exit(EXIT_PARTIAL)


def _given(resolved: Resolved[TrainSettings]) -> frozenset[str]:
    """Return the names of the settings that the user gave, by flag or file."""
    return frozenset(name for name, source in resolved.sources.items() if source.startswith(("flag", "file")))


def _by_data(resolved: Resolved[TrainSettings]) -> list[str]:
    """Describe what the recipe of a model has set as its study does for this dataset."""
    found: dict[str, list[str]] = {}
    for name, source in resolved.sources.items():
        if source.startswith("recipe of") and " for " in source:
            found.setdefault(source, []).append(f"--{name.replace('_', '-')} {getattr(resolved.settings, name)}")
    return [f"{source}: {', '.join(options)}" for source, options in found.items()]


def _stored(resolved: Resolved[TrainSettings]) -> Resolved[TrainSettings]:
    """Return, with ``--resume``, the settings of that run and where they come from; else ``resolved``."""
    root = resolved.settings.resume
    if root is None:
        return resolved
    from affectkit.training.run import resumed_settings

    given = _given(resolved)
    settings = resumed_settings(resolved.settings, given)
    sources = {name: resolved.sources[name] if name in given else f"run {root}" for name in resolved.sources}
    return Resolved(settings, sources)


def render(result: dict[str, Any], console: Console) -> None:
    """Show the metrics of the best epoch, of the repeats or of the folds, on the validation and, where there is one,
    test split: the headline metrics, or with ``--verbose`` all.
    """
    every = bool(console.extra.get("verbose"))
    if "out_of_fold" in result:
        render_folds(result, console, only=None if every else headline_metrics(result["out_of_fold"]))
        return
    console.result(result)
    left_out: set[str] = set()
    for part, title, prefix in (("valid", "validation", ""), ("test", "test", "test_")):
        if part not in result:
            continue
        shown_first = headline_metrics(result[part], result.get("monitor", ""))
        values = {name: value for name, value in result[part].items() if every or name in shown_first}
        left_out |= set(result[part]) - set(values)
        over = result.get("repeats", [result])[0].get(f"{part}_over_classes", {})
        if "repeats" in result:
            spread, interval = result[f"{prefix}sd"], result[f"{prefix}interval"]
            rows = [
                [name, shown(values[name], over.get(name, "")), shown(spread[name]), span(interval[name])]
                for name in values
            ]
            console.table([title, "mean", "sd", "95% of the mean"], rows, title=f"{len(result['repeats'])} repeats")
            continue
        columns, rows = (
            [title, f"epoch {result['best_epoch']}"],
            [[name, shown(values[name], over.get(name, ""))] for name in values],
        )
        if intervals := result.get(f"{part}_intervals"):
            columns.append("95% interval")
            rows = [[*row, span(intervals[row[0]]) if row[0] in intervals else ""] for row in rows]
        console.table(columns, rows)
    if every:
        _quantiles(result, console)
    if left_out:
        console.note(f"{count_text(len(left_out), 'more metric')}: --verbose shows them, the run folder has them.")
    console.note(f"run folder: {result['run']}")


def _quantiles(result: dict[str, Any], console: Console) -> None:
    """Show both quantile analyses of ratings over repeats, where there are some."""
    for part, ratings in result.get("quantiles", {}).items():
        rows = []
        for rating, found in ratings.items():
            for key, title in (("mean_of_analyses", "mean of the analyses"), ("pooled", "pooled, then binned")):
                counts = [f"{found[key][name]:,}" if name in found[key] else "" for name in ("n", "bins")]
                rows.append([rating, title, *counts, *(shown(found[key][name]) for name in ("r", "r2", "rmse"))])
        console.table([PARTS[part], "analysis", "n", "bins", "r", "R2", "RMSE"], rows, title="Quantiles over repeats")


def _print_config(resolved: Resolved[TrainSettings], console: Console) -> None:
    from dataclasses import fields

    values = plain(resolved.settings)
    console.result({name: {"value": values[name], "source": resolved.sources[name]} for name in values})
    rows = [
        [option_name(entry), _text(values[entry.name]), resolved.sources[entry.name]]
        for entry in fields(resolved.settings)
    ]
    console.table(["setting", "value", "from"], rows)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
