"""``affectkit media-info``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import nothing
from affectkit.config import Resolved, setting
from affectkit.core.text import count_text, list_some
from affectkit.errors import EXIT_PARTIAL

if TYPE_CHECKING:
    from affectkit.doctor.media_files import MediaSurvey


@dataclass(frozen=True, kw_only=True)
class MediaInfoSettings:
    """Settings of ``affectkit media-info``."""

    paths: tuple[str, ...] = setting(
        (),
        "Videos, animations, sound files, folders, glob patterns, or - for a list of paths on standard input.",
        argument=True,
        metavar="PATH...",
    )
    decode: bool = setting(
        False, "Decode every frame strictly, as infer --every 1 does, so that damage in the middle is found."
    )
    levels: bool = setting(True, "Decode the sound whole and measure its levels.")
    recursive: bool = setting(False, "Look into sub-folders too.")

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return [] if self.paths else ["PATHS is needed: videos, folders, patterns, or - for a list on standard input."]


BRIEF = Brief(options={"Options": "paths decode levels recursive json"}, required=("paths",))


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "media-info", MediaInfoSettings, writes=nothing, brief=BRIEF)
    def media_info(resolved: Resolved[MediaInfoSettings], console: Console) -> None:
        """Show what video files are and what is read of them: tracks, times, frames, colours, sound levels, faults.

        The first frame and the sound are decoded, of the rest the packets are read, so that a file that was cut is
        found; --decode reads every frame too. Times are a player's, as of infer.

        With --json there is one JSON object a line for each file. Exits 4 where a file is faulty.

        Examples:
            affectkit media-info talk.mp4
            affectkit media-info clips --recursive --json
            affectkit media-info talk.mp4 --decode
        """
        from affectkit.core.files import to_json
        from affectkit.doctor.media_files import MediaSurvey

        settings = resolved.settings
        survey = MediaSurvey(
            settings.paths,
            recursive=settings.recursive,
            listed=sys.stdin,
            decode=settings.decode,
            levels=settings.levels,
        )
        faulty = []
        for report in _watched(survey, console):
            if console.json:
                console.line(to_json(report, indent=None))
            else:
                _show(report, console)
            faulty += [report["file"]] if report["faults"] else []
        if survey.passed_over:
            console.note(f"passed over: {survey.passed_over}")
        if faulty:
            console.warn(f"faulty: {len(faulty):,} of {count_text(len(survey), 'file')} ({list_some(faulty)})")
            raise typer.Exit(EXIT_PARTIAL)


def _watched(survey: MediaSurvey, console: Console) -> Iterator[dict[str, Any]]:
    """Yield the reports with progress, of which nothing stands on the terminal while one is shown."""
    count, shown = len(survey), sys.stdout.isatty()
    console.start(f"examining 1 of {count:,}" if shown else "examining", None if shown else count, "files")
    for done, report in enumerate(survey, 1):
        console.advance()
        if shown:
            console.finish()
        yield report
        if shown and done < count:
            console.start(f"examining {done + 1:,} of {count:,}", None)
    console.finish()


def _show(report: dict[str, Any], console: Console) -> None:
    """Show the block of a file."""
    rows = [
        *_file_rows(report),
        *([f"track {track['index']}", _track(track)] for track in report["tracks"]),
        *_time_rows(report),
        *_picture_rows(report["picture"]),
        *_sound_rows(report["sound"]),
        *(["note", note] for note in report["notes"]),
        *(["fault", f"{fault['message']} {fault['hint']}".strip()] for fault in report["faults"]),
    ]
    if not report["faults"]:
        partly = "first frame" in report["decoded"]
        rows.append(["fault", "none found; --decode reads every frame" if partly else "none"])
    console.table(["file", report["file"]], rows)
    console.line()


def _file_rows(report: dict[str, Any]) -> list[list[str]]:
    size = "" if report["bytes"] is None else f", {count_text(report['bytes'], 'byte')}"
    container, end = report["container"], report["end"]
    rows = [["kind", f"{report['kind'] or 'unreadable'}{size}"]]
    if container:
        rate = f", {container['bit_rate'] / 1000:,.0f} kbit/s" if container.get("bit_rate") else ""
        rows.append(["container", f"{container['name']} ({container['long_name']}){rate}"])
    if end:
        word = {True: "whole", False: "cut off", None: "not known"}[end["whole"]]
        rows.append(["end", f"{word}: {end['reason']}" if end["reason"] else word])
    return rows


def _track(track: dict[str, Any]) -> str:
    """Describe a track on a line."""
    codec = track["codec"] + (f" ({track['profile']})" if track["profile"] else "")
    language = track["language"] if track["language"] != "und" else ""
    parts = [track["kind"], codec, language or "", "default" if track["default"] else ""]
    if "width" in track:
        parts += [f"{track['width']}x{track['height']}", track["format"] or ""]
        parts += [f"{track['rate']:.6g} frames/s" if track["rate"] else "no rate stated"]
    if "layout" in track:
        parts += [track["layout"], f"{track['sample_rate']:,} Hz"]
        parts += [f"{track['bit_depth']} bits" if track["bit_depth"] else ""]
    if track["frames_stated"] and track["kind"] == "video":
        parts.append(f"{track['frames_stated']:,} frames stated")
    parts.append(f"ticks of {track['time_base']} s" if track["time_base"] else "")
    return f"{', '.join(filter(None, parts))}; {'read' if track['read'] else 'not read'}: {track['why']}"


def _time_rows(report: dict[str, Any]) -> list[list[str]]:
    rows, length, pictures = [], report["length"], report["pictures"]
    if length:
        known = [f"{length[key]:.3f} s {word}" for key, word in LENGTHS.items() if length.get(key) is not None]
        rows.append(["length", ", ".join(known) or "not known"])
        for word in ("picture", "sound"):
            begin, end = length.get(f"{word}_start"), length.get(f"{word}_end")
            if begin is not None:
                rows.append([word, f"from {begin:.3f} s" + (f" to {end:.3f} s" if end is not None else "")])
    if pictures and "count" in pictures:
        rows.append(["frames", _frames(pictures)])
        if pictures.get("key_frames") is not None:
            usual = pictures["key_gap_usual"]
            frames = count_text(pictures["key_gap_pictures"] or 0, "frame")
            apart = f", usually {usual:.3f} s ({frames}) apart" if usual else ""
            rows.append(["key frames", f"{pictures['key_frames']:,}{apart}"])
    return rows


LENGTHS = {"by_stamps": "by time stamps", "stated": "stated"}


def _frames(pictures: dict[str, Any]) -> str:
    """Describe the number of pictures, their rate and their gaps."""
    parts = [f"{pictures['count']:,}"]
    if "decoded" in pictures:
        parts.append(f"{pictures['decoded']:,} decoded")
    if pictures["rate"]:
        parts.append(f"{pictures['rate']:.6g}/s on average, {'constant' if pictures['constant'] else 'variable'}")
    if pictures["gap_usual"] is not None:
        least, usual, most = (f"{pictures[f'gap_{name}']:.4f} s" for name in ("smallest", "usual", "largest"))
        parts.append(f"{usual} apart" if least == most else f"usually {usual} apart, {least} to {most}")
    if pictures.get("equal_times"):
        parts.append(f"{count_text(pictures['equal_times'], 'time')} twice")
    if pictures["times"] != "stated":
        parts.append(f"times: {pictures['times']}")
    return ", ".join(parts)


def _picture_rows(picture: dict[str, Any] | None) -> list[list[str]]:
    if not picture:
        return []
    shown = f"{picture['displayed_width']}x{picture['displayed_height']}"
    if "matrix" not in picture:
        return [["shown", shown]]
    turned = [f"turned {picture['rotation']:g} degrees clockwise"] if picture["rotation"] else []
    turned += ["mirrored"] if picture["mirrored"] else []
    turned += [f"pixels {picture['pixel_aspect']:g}:1"] if picture["pixel_aspect"] != 1 else []
    colours = f"matrix {picture['matrix']}, range {picture['range']}, transfer {picture['transfer']}"
    kinds = {"hdr": "HDR", "interlaced": "interlaced", "alpha": "alpha"}
    more = [word for key, word in kinds.items() if picture[key]]
    stored = f"stored {picture['width']}x{picture['height']} {picture['format']}"
    return [
        ["shown", ", ".join([shown, stored, *(turned or ["upright, square pixels"])])],
        ["colours", ", ".join([colours, *(more or ["SDR, progressive, opaque"])])],
    ]


def _sound_rows(sound: dict[str, Any] | None) -> list[list[str]]:
    if not sound or not sound["samples"]:
        return []
    level = f"peak {_level(sound['peak_dbfs'])}, RMS {_level(sound['rms_dbfs'])}"
    rows = [["level", f"{level} (a sine of full scale: -3.01)"]]
    if len(sound["by_channel"]) > 1:
        rows += [
            ["", f"{one['name']}: peak {_level(one['peak_dbfs'])}, RMS {_level(one['rms_dbfs'])}"]
            for one in sound["by_channel"]
        ]
    if sound["silence_seconds"]:
        longest = f"{sound['silence_seconds']:.2f} s below -60 dBFS, {sound['silence_longest']:.2f} s at a stretch"
        rows.append(["silence", "all of it" if sound["silent"] else longest])
    if sound["holes"]:
        first = ", ".join(f"{hole['seconds']:.3f} s at {hole['at']:.3f} s" for hole in sound["holes_first"][:3])
        more = f" and {sound['holes'] - 3:,} more, {sound['holes_seconds']:.3f} s in all" if sound["holes"] > 3 else ""
        rows.append(["holes", f"{first}{more}"])
    if sound["repeated_seconds"]:
        rows.append(["overlap", f"{sound['repeated_seconds']:.3f} s of sound are there twice by its stamps"])
    return rows


def _level(decibels: float | None) -> str:
    return "none (zeros)" if decibels is None else f"{decibels:.2f} dBFS"
