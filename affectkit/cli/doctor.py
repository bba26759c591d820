"""``affectkit doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import nothing
from affectkit.config import Resolved
from affectkit.errors import EXIT_FAILED


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """Settings of ``affectkit doctor``."""


BRIEF = Brief(options={"Output": "json"})


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "doctor", DoctorSettings, writes=nothing, brief=BRIEF)
    def doctor(resolved: Resolved[DoctorSettings], console: Console) -> None:
        """Say what is installed, which device and precision auto means and why, and what is wrong.

        Exits 1 where something is wrong that will make runs fail.

        Examples:
            affectkit doctor
            affectkit doctor --json
        """
        from affectkit.doctor.environment import examine

        found = examine()
        console.result(found.to_dict())
        for title, rows in _sections(found.to_dict()):
            console.table([title, ""], rows)
            if not console.json:
                console.line()
        if not console.json:
            console.line(_verdict(found.problems))
        if any(problem.severity == "error" for problem in found.problems):
            raise typer.Exit(EXIT_FAILED)


def _sections(found: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Return titles and rows of the tables: packages, machine, what auto means, tools, face detectors, places."""
    from affectkit.doctor.face_detectors import detector_rows

    machine, device, ffmpeg, cascade = (found[key] for key in ("machine", "device", "ffmpeg", "cascade"))
    tools = [
        [
            "ffmpeg",
            f"{ffmpeg['version']}, {ffmpeg['path']}" if ffmpeg.get("version") else ffmpeg.get("problem", "none"),
        ],
        ["PyAV", ", ".join(f"{name} {version}" for name, version in found["pyav"].items()) or "not usable"],
        ["face cascade", f"{cascade.get('path')}" if cascade.get("loads") else "not usable"],
    ]
    auto = [
        ["device", f"{device.get('auto')}: {device.get('description')} ({device.get('reason')})"],
        ["precision", f"{device.get('precision')} ({device.get('precision_reason')})"],
        *(["CUDA device", ", ".join(f"{key} {value}" for key, value in one.items())] for one in found["cuda"]),
    ]
    places = [
        [
            place["name"],
            f"{place['path']} ({_size(place['size'])}{'' if place['writable'] else ', not writable'})"
            if place["exists"]
            else f"{place['path']} (not made yet{'' if place['writable'] else ', and cannot be'})",
        ]
        for place in found["caches"]
    ]
    return [
        ("package", [[name, version or "-"] for name, version in found["versions"].items()]),
        (
            "machine",
            [
                ["system", machine["system"]],
                ["python", machine["python"]],
                ["processors", f"{machine['cpus']} free to this process; {machine['threads']}"],
                ["memory", f"{_size(machine['memory'])}, {_size(machine['memory_available'])} free"],
                ["shared memory", _size(machine["shared_memory"])],
            ],
        ),
        ("auto means", auto),
        ("tool", tools),
        ("faces", detector_rows(found["faces"])),
        ("cache", places + [[name, value] for name, value in found["offline"].items()]),
    ]


def _size(count: int | None) -> str:
    """Write bytes as a person reads them."""
    if count is None:
        return "unknown"
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] in ("B", "KiB") else f"{value:.1f} {units[0]}"


def _verdict(problems: list[Any]) -> str:
    """Describe what is wrong."""
    if not problems:
        return "Nothing is wrong with this environment."
    return "\n".join(f"{p.severity}: {p.what}\n  why:  {p.why}\n  fix:  {p.fix}" for p in problems)
