"""``affectkit convert``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import files
from affectkit.config import Resolved, setting
from affectkit.settings.audiovisual import published_mask, published_mode
from affectkit.settings.common import verified


@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """Settings of ``affectkit convert``."""

    published: Path | None = setting(None, "Checkpoint file as its authors share it.", argument=True, also="checkpoint")
    output: Path | None = setting(None, "Checkpoint to write, OUT.safetensors.", argument=True, also="output")
    outputs: str | None = setting(
        None, "What a model with one output was trained on; its file does not say.", choices=("valence", "arousal")
    )
    clip_weights: str | None = setting(
        None,
        "What the CLIP in the file is compared with: openai (downloaded if needed), a FILE with OpenAI's weights, or "
        "keep (not compared, always written).",
        metavar="openai|FILE|keep",
        default_text="OpenAI's, where they are on this machine",
    )
    mode: str | None = published_mode()
    mask: str | None = published_mask()
    half: bool = setting(False, "Of affectkit's own checkpoint: write its weights in half precision.", renamed="fp16")
    verify: bool = verified("Options")
    force: bool = setting(False, "Replace OUTPUT.")

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        named = {"PUBLISHED, the file to read": self.published, "OUTPUT, the file to write": self.output}
        faults = [f"{name}, is needed." for name, value in named.items() if value is None]
        others = [name for name in ("outputs", "clip_weights", "mode", "mask") if getattr(self, name) is not None]
        if self.half and others:
            faults.append(
                f"--fp16 and --{others[0].replace('_', '-')} exclude each other: published files alone have it."
            )
        return faults


BRIEF = Brief(
    options={
        "Files": "published output force",
        "What the file does not say": "outputs mode mask clip_weights",
        "Of a checkpoint of affectkit": "half",
    },
    required=("published", "output"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "convert", ConvertSettings, writes=files("output"), brief=BRIEF)
    def convert(resolved: Resolved[ConvertSettings], console: Console) -> None:
        """Turn a checkpoint that its authors published into one of affectkit's: VCA, V1 networks, CM-VQVAE, emotion
        distributions.

        The file is recognised by its keys and shapes; no code in it is run. Where its CLIP is OpenAI's, the head alone
        is written (tens of MB), and CLIP referred to by hash; else CLIP's image tower too. Commands that take a
        --checkpoint also take the published file as it is.

        With --fp16 a checkpoint of affectkit's own is written in half precision, at half its size.

        Examples:
            affectkit convert VCA.pth vca.safetensors
            affectkit convert cmvqvae.pth av.safetensors --mode image-only
            affectkit convert runs/first/best.safetensors small.safetensors --fp16
        """
        from affectkit.checkpoints.convert import convert as run

        s = resolved.settings
        if s.half:
            from affectkit.checkpoints.half_precision import halve

            _show(halve(s.published, s.output, force=s.force, verify=s.verify), console)
            return
        summary = run(
            s.published,
            s.output,
            outputs=s.outputs,
            clip_weights=s.clip_weights,
            mode=s.mode,
            mask=s.mask,
            force=s.force,
            reporter=console,
        )
        _show(summary, console)


def _show(summary: dict[str, Any], console: Console) -> None:
    """Show what was written, and from what."""
    from affectkit.checkpoints.convert import megabytes

    console.result(summary)
    rows = [
        ["file", summary["output"]],
        ["recognised", summary["recognised"]],
        *([name, str(value)] for name, value in summary["published"].items()),
        *_clip(summary),
        *([["fit", summary["fit"]]] if "fit" in summary else []),
        ["checksum", f"{summary['checksum']}; that of the source: {summary['source_checksum']}"],
        ["size", f"{megabytes(summary['bytes_after'])}, from {megabytes(summary['bytes_before'])}"],
    ]
    console.table(["checkpoint", ""], rows)


def _clip(summary: dict[str, Any]) -> list[list[str]]:
    if "clip" not in summary:
        return []
    return [["CLIP", "written too" if summary["clip_carried"] else f"by hash, {summary['clip_sha256'][:12]}..."]]
