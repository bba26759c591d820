"""``affectkit export``."""

from __future__ import annotations

from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import files
from affectkit.config import Resolved
from affectkit.core.text import count_text
from affectkit.settings.export import ExportSettings

BRIEF = Brief(
    options={
        "Model": "checkpoint output half int8 head_only force",
        "Comparison with torch": "data samples tolerance",
    },
    required=("checkpoint", "output"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "export", ExportSettings, writes=files("output"), brief=BRIEF)
    def export(resolved: Resolved[ExportSettings], console: Console) -> None:
        """Write the model of a checkpoint as an ONNX file, which runs without torch.

        The file holds the network, its preprocessing from uint8 RGB pixels on, and in its metadata all that infer reads
        of a checkpoint. It is compared with torch on random inputs in batches of 1, 2, 7 and 32, with --data on real
        ones too, and written where they agree.

        Examples:
            affectkit export runs/first first.onnx
            affectkit export runs/first first.onnx --data faces
            affectkit export runs/first small.onnx --int8 --data faces
        """
        from affectkit.checkpoints.onnx_export import export as run

        s = resolved.settings
        summary = run(
            s.checkpoint,
            s.output,
            precision=s.precision,
            head_only=s.head_only,
            data=s.data,
            samples=s.samples,
            tolerance=s.tolerance,
            force=s.force,
            reporter=console,
            **s.of_file(),
        )
        _show(summary, console)


def _show(summary: dict[str, Any], console: Console) -> None:
    """Show what was written, and how far it is from torch."""
    from affectkit.checkpoints.convert import megabytes

    console.result(summary)
    shapes = {
        kind: ", ".join(f"{name} {dtype} {_shape(shape)}" for name, (dtype, shape) in summary[kind].items())
        for kind in ("inputs", "outputs")
    }
    compared = [
        [f"compared on {name}", _compared(summary["comparison"][name])]
        for name in ("random", "data")
        if name in summary["comparison"]
    ]
    rows = [
        ["file", summary["output"]],
        ["model", f"{summary['model']}, task {summary['task']}"],
        *([kind, text] for kind, text in shapes.items()),
        ["weights", _weights(summary)],
        *compared,
        ["size", f"{megabytes(summary['bytes_after'])}, from {megabytes(summary['bytes_before'])}"],
    ]
    console.table(["ONNX file", ""], rows)


def _weights(summary: dict[str, Any]) -> str:
    exact = summary["precision"] == "fp32" and summary["tensors_in_half"]
    return summary["precision"] + (f", {exact} tensors stored as fp16, which holds them exactly" if exact else "")


def _shape(shape: list[int | None]) -> str:
    return "x".join("N" if side is None else str(side) for side in shape)


def _compared(found: dict[str, Any]) -> str:
    text = (
        f"{count_text(found['samples'], 'sample')}: largest difference {found['largest_difference']:.2g} (outputs to "
    )
    text += f"{found['largest_output']:.3g})"
    if "changed_labels" in found:
        share = 1 - found["changed_labels"] / found["samples"]
        text += f", {count_text(found['changed_labels'], 'label')} changed ({share:.2%} the same)"
    return text
