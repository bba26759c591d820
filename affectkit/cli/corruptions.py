"""``affectkit corruptions``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import files
from affectkit.config import Parsed, Resolved, setting, value_of
from affectkit.core.pixels import pixels_up_to
from affectkit.corruptions import CORRUPTIONS, GROUPS, SCALES, parse_corruptions
from affectkit.settings.common import pixel_limit


@dataclass(frozen=True, kw_only=True)
class CorruptionsSettings:
    """Settings of ``affectkit corruptions``."""

    image: Path | None = setting(None, "Image to show them on, with --preview.", argument=True)
    preview: Path | None = setting(
        None, "Draw IMAGE under each corruption at five severities: a PNG file.", metavar="FILE.png"
    )
    corruptions: Parsed[tuple[str, ...]] = setting(
        "all",
        "benchmark (the fifteen), validation (the four held out), all (both), alterations (VCA's), or names.",
        parse=parse_corruptions,
        metavar="GROUP|NAME,...",
    )
    scale: str = setting("auto", "Benchmark whose parameters are taken; auto: by --size.", choices=SCALES)
    size: int = setting(224, "Side in pixels that IMAGE is brought to first.", low=8, high=2048, metavar="PIXELS")
    seed: int = setting(0, "Everything random follows from it.", low=0)
    frost_textures: Path | None = setting(
        None, "Folder with photographs of frost.", default_text="textures that are computed", metavar="FOLDER"
    )
    max_pixels: Parsed[int] | None = pixel_limit("Options")
    force: bool = setting(False, "Replace the file of --preview.")

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        if (self.image is None) != (self.preview is None):
            return ["IMAGE and --preview FILE.png go together."]
        return []


BRIEF = Brief(options={"Options": "image preview corruptions size force json"})


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "corruptions", CorruptionsSettings, writes=files("preview"), brief=BRIEF)
    def corruptions(resolved: Resolved[CorruptionsSettings], console: Console) -> None:
        """List the corruptions of eval-corruptions, or draw what they do to an image.

        Examples:
            affectkit corruptions
            affectkit corruptions face.jpg --preview sheet.png
            affectkit corruptions face.jpg --preview fog.png --corruptions fog,snow --size 64
        """
        s = resolved.settings
        names = s.corruptions.value
        if s.preview is None:
            if resolved.sources["corruptions"] == "default":  # a list leaves none out
                names = tuple(CORRUPTIONS)
            groups = {
                name: next((group for group in GROUPS if group != "all" and name in GROUPS[group]), "")
                for name in names  # of no group: those of no study
            }
            listed = [{"name": name, "group": groups[name], "summary": CORRUPTIONS[name].summary} for name in names]
            console.result({"corruptions": listed})
            console.table(["corruption", "group", "what it is"], [list(one.values()) for one in listed])
            return
        from affectkit.robustness.preview import draw_preview

        with pixels_up_to(value_of(s.max_pixels)):
            scale = draw_preview(
                s.image,
                s.preview,
                corruptions=names,
                scale=s.scale,
                seed=s.seed,
                size=s.size,
                textures=s.frost_textures,
                force=s.force,
                reporter=console,
            )
        console.result({"preview": str(s.preview), "scale": scale, "corruptions": list(names)})
        console.note(f"preview: {s.preview}")
