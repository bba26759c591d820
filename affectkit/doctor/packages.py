"""Check the versions of the installed packages. Reads metadata alone and imports none of the packages."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.core.libraries import BUILT_AGAINST_TORCH, OPENCV, install_advice, requirement_of, trio_of
from affectkit.core.version import VERSION

# What the report lists, in its order; the last six are optional.
SHOWN = (
    "torch", "torchvision", "torchaudio", "timm", "open_clip_torch", "albumentations", *OPENCV, "moviepy",
    "imageio-ffmpeg", "av", "numpy", "pillow", "safetensors", "pyyaml", "matplotlib", "tensorboard", "pyarrow",
    "psutil", "huggingface_hub", "typer", "rich", "starlette", "uvicorn", "python-multipart", "submitit",
    "dask", "wandb",
)  # fmt: skip

# Bounds that the project sets for a reason that is reported: package, allowed versions, severity, why.
REASONS = {
    "typer": ("<0.29", "warning", "0.29 imports pydantic at start, which makes every command about 0.1 s slower"),
    "albumentations": ("==2.0.8", "error", "other versions draw other augmentations under the same names"),
    "opencv": ("<5", "error", "OpenCV 5 comes without the face cascade that finds faces in videos"),
}


@dataclass(frozen=True)
class Problem:
    """Describe a problem: ``severity`` (``"error"`` or ``"warning"``), what it is, why it matters, how to fix it."""

    severity: str
    what: str
    why: str
    fix: str


def installed_versions() -> dict[str, list[str]]:
    """Return versions by normalised package name, the one that is imported first; more than one where metadata is torn.

    A copy in a folder further down ``sys.path`` is hidden by the first and does not count.
    """
    versions: dict[str, list[str]] = {}
    places: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        if Path(str(getattr(distribution, "_path", ""))).name.startswith("~"):
            continue  # what pip left of a package that it replaced; Python does not import it
        try:
            name = _normal(distribution.metadata["Name"])
            version = distribution.version or ""
        except (TypeError, KeyError, AttributeError, OSError):
            # An empty or half-deleted dist-info folder. OSError: of the package importlib_metadata, which takes the
            # standard library's place wherever something has imported it.
            continue
        place = str(distribution.locate_file(""))
        if places.setdefault(name, place) == place and version not in versions.get(name, []):
            versions.setdefault(name, []).append(version)
    return versions


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def known_versions(installed: Mapping[str, list[str]]) -> dict[str, str | None]:
    """Return the version of Python, affectkit and each package of ``SHOWN``; None where it is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version(), "affectkit": VERSION}
    for name in SHOWN:
        found[name] = installed.get(_normal(name), [None])[0]
    return found


def package_problems(installed: Mapping[str, list[str]], failed: Collection[str] = ()) -> list[Problem]:
    """Return the problems that the versions alone show.

    Args:
        installed: what ``installed_versions`` gave.
        failed: packages that were imported and did not load, which is reported apart.
    """
    return [
        *_torn(installed),
        *_trio(installed, failed),
        *_opencv(installed),
        *_albumentationsx(installed),
        *_bounds(installed),
    ]


def _torn(installed: Mapping[str, list[str]]) -> list[Problem]:
    shown = {_normal(name) for name in SHOWN}
    return [
        Problem(
            "warning",
            f"{name} is recorded in several versions: {', '.join(versions)}",
            "an upgrade was cut off, and nothing shows which files are there",
            f"pip uninstall -y {name} (until it reports that it is not installed), then pip install {name}",
        )
        for name, versions in installed.items()
        if len(versions) > 1 and name in shown
    ]


def _trio(installed: Mapping[str, list[str]], failed: Collection[str]) -> list[Problem]:
    versions = first_versions(installed)
    trio = trio_of(versions.get("torch"))
    faults = [name for name in (trio.misfits(versions) if trio else ()) if name not in failed]
    if not faults:
        return []
    there = ", ".join(f"{name} {versions[name]}" for name in ("torch", *faults))
    why = "their compiled parts are built against one torch and fail, or crash, beside another"
    return [Problem("error", f"{there} do not belong together", why, install_advice(versions))]


def first_versions(installed: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the version of each package that is imported."""
    return {name: versions[0] for name, versions in installed.items()}


def _minor(versions: list[str] | None) -> str:
    """Return ``2.12`` of ``2.12.1+cu130``; empty where there is none."""
    match = re.match(r"\d+\.\d+", versions[0]) if versions else None
    return match[0] if match else ""


def _opencv(installed: Mapping[str, list[str]]) -> list[Problem]:
    there = [name for name in OPENCV if name in installed]
    problems = []
    if len(there) > 1:
        versions = {installed[name][0] for name in there}
        problems.append(
            Problem(
                "error" if len(versions) > 1 else "warning",
                "several OpenCV packages are installed: " + ", ".join(f"{name} {installed[name][0]}" for name in there),
                "they write the same files, so which build is imported depends on the order of installation",
                f"pip uninstall -y {' '.join(there)}, then pip install {requirement_of('opencv-python-headless')}",
            )
        )
    five = [name for name in there if int((_minor(installed[name]) or "0").partition(".")[0]) >= 5]
    if five:
        problems.append(
            Problem(
                "error",
                f"{five[0]} {installed[five[0]][0]} is installed",
                REASONS["opencv"][2],
                f"pip install {requirement_of('opencv-python-headless')}",
            )
        )
    return problems


def _albumentationsx(installed: Mapping[str, list[str]]) -> list[Problem]:
    if "albumentationsx" not in installed:
        return []
    return [
        Problem(
            "error",
            f"AlbumentationsX {installed['albumentationsx'][0]} is installed",
            "it takes the place of albumentations under the same import name, is under the AGPL and sends usage data",
            "pip uninstall -y albumentationsx albumentations, then pip install albumentations==2.0.8",
        )
    ]


def _own_metadata() -> tuple[list[str], str]:
    """Return affectkit's requirements and the Pythons it is for; empty where it runs without an installation."""
    try:
        own = importlib.metadata.distribution("affectkit")
        return own.requires or [], own.metadata["Requires-Python"] or ""
    except Exception:
        return [], ""


def _bounds(installed: Mapping[str, list[str]]) -> list[Problem]:
    try:
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet
    except ImportError:
        fix = "pip install packaging"
        return [Problem("error", "packaging is not installed", "matplotlib and huggingface_hub need it", fix)]
    lines, pythons = _own_metadata()
    problems = []
    if not SpecifierSet(pythons).contains(platform.python_version(), prereleases=True):
        what = f"Python {platform.python_version()} is running"
        problems.append(Problem("error", what, f"affectkit is for Python {pythons}", "install it under one of these"))
    wanted = {_normal(item.name): item for item in map(Requirement, lines) if _applies(item)}
    for name, (bound, _, _) in REASONS.items():
        if name != "opencv":  # checked apart, since it has several names
            wanted.setdefault(name, Requirement(f"{name}{bound}"))
    known = trio_of(installed.get("torch", [None])[0]) is not None
    for name, item in wanted.items():
        version = installed.get(name, [None])[0]
        if known and version and name in ("torch", *BUILT_AGAINST_TORCH):
            continue  # older than pip takes today, but they work together, or it is reported already that they do not
        if version is not None and _allowed(item.specifier, version):
            continue
        if name == "opencv-python-headless" and version and version.startswith("5."):
            continue  # reported already
        problems.append(_bound_problem(item, name, version))
    return problems


def _applies(requirement: Any) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _allowed(specifier: Any, version: str) -> bool:
    try:
        return bool(specifier.contains(version, prereleases=True))
    except Exception:  # a version that is none ("", "unknown")
        return False


def _bound_problem(item: Any, name: str, version: str | None) -> Problem:
    bound, severity, why = REASONS.get(name, ("", "error", ""))
    fix = f'pip install "{item.name}{item.specifier}"'
    if version is None:
        return Problem("error", f"{name} is not installed", f"affectkit needs {item.name}{item.specifier}", fix)
    # The reason given is about the bound given: typer 0.25 is too old, and nothing is slow about it.
    if not bound or _allowed(type(item.specifier)(bound), version):
        severity, why = "error", f"affectkit is made for and tested with {item.name}{item.specifier}"
    return Problem(severity, f"{name} {version or '(no version)'} is installed", why, fix)
