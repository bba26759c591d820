"""Compiled packages that do not load: which two do not fit, which versions do. Importing this loads nothing heavy."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affectkit.core.memory_errors import find_causes
from affectkit.errors import LibraryError


@dataclass(frozen=True)
class Trio:
    """Releases that work together: torch's minor version, torchvision's, and torchaudio's releases, the best first."""

    torch: str
    torchvision: str
    torchaudio: tuple[str, ...]

    @property
    def command(self) -> str:
        """Return the pip command that installs it."""
        return (
            f'pip install "torch=={self.torch}.*" "torchvision=={self.torchvision}.*" torchaudio=={self.torchaudio[0]}'
        )

    def misfits(self, versions: Mapping[str, str]) -> list[str]:
        """Return which of torchvision and torchaudio, where installed, are not of this trio."""
        wanted = {"torchvision": (self.torchvision,), "torchaudio": self.torchaudio}
        there = [name for name in wanted if name in versions]
        return [name for name in there if not any(_is(versions[name], release) for release in wanted[name])]


# Each was imported, and a compiled function of it called, on the CPU on 28 November 2026; tests/environments.py runs
# tests beside the newest and the oldest that pyproject.toml allows. torchaudio 2.11.1 asks for torch>=2.11 in its
# metadata, but calls torch_exception_get_what_without_backtrace, which torch has from 2.13 on.
TRIOS = (
    Trio("2.14", "0.29", ("2.11.1", "2.11.0")),
    Trio("2.13", "0.28", ("2.11.1", "2.11.0")),
    Trio("2.12", "0.27", ("2.11.0",)),
    Trio("2.11", "0.26", ("2.11.0",)),
)
"""The newest first."""
BUILT_AGAINST_TORCH = ("torchvision", "torchaudio")
OPENCV = (
    "opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python",
)  # fmt: skip
"""The distributions that bring the module cv2, the recommended one first."""
INSTALLED_AS = {"cv2": OPENCV, "PIL": ("pillow",), "yaml": ("pyyaml",), "skimage": ("scikit-image",)}
SIGNS = re.compile(
    r"undefined symbol|symbol not found|Symbol not found|cannot open shared object file|Could not load this library"
    r"|DLL load failed|The specified (?:module|procedure) could not be found|Library not loaded|invalid ELF header"
    r"|wrong ELF class|\.so[\w.]*: file too short|static TLS block|version `\w+_[\d.]+' not found"
    r"|operator \w+::\w+ does not exist|load custom C\+\+ ops"
    r"|numpy\.\w+ size changed|compiled using NumPy 1|_ARRAY_API not found|multiarray failed to import"
)
"""What loaders of Linux, macOS and Windows, and torch and NumPy, say of a compiled file that does not fit."""
GRAPHICS = re.compile(r"lib(GL|EGL|gthread|SM|Xext|X11|xcb)\b")


def load_library(name: str) -> Any:
    """Return the module ``name``, which holds compiled code.

    Raises:
        LibraryError: it is not installed, or does not load; names the versions that do not fit and those that do.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise load_error(name.partition(".")[0], load_failure_reason(error)) from error


def library_error(error: BaseException) -> LibraryError | None:
    """Return ``error`` as one of a package that is missing or does not load; None where it is of another kind."""
    causes = list(find_causes(error))
    for one in reversed(causes):  # the first cause knows most
        if isinstance(one, ModuleNotFoundError) and one.name and one.name.partition(".")[0] in _own_packages():
            return load_error(one.name.partition(".")[0], f"No module named {one.name!r}")
    if not any(_is_sign(one) for one in causes):
        return None
    module = _module_of(causes)
    return load_error(module, load_failure_reason(error)) if module else None


def load_failure_reason(error: BaseException) -> str:
    """Return the loader's reason in one line: the deepest message that states it, folders left out."""
    causes = list(find_causes(error))
    deepest = next((one for one in reversed(causes) if _is_sign(one)), causes[0])
    text = " ".join(next((line for line in _lines(deepest) if SIGNS.search(line)), str(deepest)).split())[:500]
    return re.sub(r"[^\s'\"(]*[/\\]([^\s/\\:]+)", r"\1", text)


def load_error(module: str, reason: str, versions: Mapping[str, str] | None = None) -> LibraryError:
    """Return the error of a ``module`` that does not load for that ``reason``.

    Args:
        versions: by distribution; None: those that are installed.
    """
    names = INSTALLED_AS.get(module, (module,))
    versions = installed_versions(*names, "torch", *BUILT_AGAINST_TORCH) if versions is None else versions
    name = next((one for one in names if one in versions), None)
    if name is None:
        return LibraryError(f"{names[0]} is not installed ({reason}).", f"pip install {names[0]}")
    this = f"{name} {versions[name]}"
    if module in BUILT_AGAINST_TORCH and "torch" in versions:
        return _torch_fault(name, reason, versions)
    if module == "cv2" and GRAPHICS.search(reason):
        return LibraryError(
            f"{this} needs graphics libraries that this machine lacks: {reason}.",
            f"pip uninstall -y {' '.join(names)}, then pip install --force-reinstall {names[0]}",
        )
    if "numpy" in reason.lower() and module != "numpy" and (numpy := installed_versions("numpy").get("numpy")):
        return LibraryError(
            f"{this} was built for another NumPy than {numpy}: {reason}.",
            f"Install the two together: pip install --upgrade {requirement_of(name)} {requirement_of('numpy')}",
        )
    again = f"pip install --force-reinstall --no-deps {name}"
    return LibraryError(f"{this} cannot be loaded: {reason}.", f"{again}; affectkit doctor looks at all packages.")


def _torch_fault(name: str, reason: str, versions: Mapping[str, str]) -> LibraryError:
    pair = f"{name} {versions[name]} does not fit torch {versions['torch']}: {reason}."
    return LibraryError(pair, install_advice(versions))


def install_advice(versions: Mapping[str, str]) -> str:
    """Return how to come by torch, torchvision and torchaudio that fit, from their installed ``versions``."""
    newest, own = TRIOS[0], trio_of(versions.get("torch"))
    if own is None:
        return f"Install three that fit: {newest.command}"
    if not own.misfits(versions):  # by their numbers they fit
        return (
            "They are of one release, but of different builds (CPU, CUDA) or damaged. Install them together, from one "
            f"index: {own.command} --force-reinstall"
        )
    keep = f"Those that fit torch {own.torch}: {own.command}"
    return keep if own in _allowed() else f"Install three that fit: {newest.command}\n{keep}"


def trio_of(torch: str | None) -> Trio | None:
    """Return the trio of a version of torch; None where none is known."""
    return next((trio for trio in TRIOS if torch is not None and _is(torch, trio.torch)), None)


def requirement_of(name: str) -> str:
    """Return the requirement for the distribution ``name`` in affectkit's own metadata, quoted for a shell; else its
    name.
    """
    for line in own_requirements():
        match = re.match(r"[A-Za-z0-9._-]+", line)
        if match and re.sub(r"[-_.]+", "-", match[0]).lower() == name and "extra" not in line:
            return f'"{line.partition(";")[0].strip()}"'
    return name


def own_requirements() -> list[str]:
    """Return affectkit's requirements; empty where its source is run without an installation."""
    try:
        return importlib.metadata.requires("affectkit") or []
    except (importlib.metadata.PackageNotFoundError, OSError, TypeError, KeyError):
        return []


def installed_versions(*names: str) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, OSError, TypeError, KeyError):
            continue
    return found


def _allowed() -> list[Trio]:
    """Return the trios that affectkit's own metadata allows; all where it cannot be read."""
    try:
        from packaging.requirements import Requirement

        own = next(item for item in map(Requirement, own_requirements()) if item.name == "torch")
    except (ImportError, StopIteration, ValueError):
        return list(TRIOS)
    return [trio for trio in TRIOS if own.specifier.contains(f"{trio.torch}.9", prereleases=True)]


def _is(version: str, release: str) -> bool:
    """Return whether ``version`` (``2.12.1+cu130``) is ``release`` (``2.12``) or one of it."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return bool(match) and f"{match[0]}.".startswith(f"{release}.")


def _lines(error: BaseException) -> list[str]:
    """Return the message; of an error that a loader's process passed on with its traceback, those of its causes in
    order.
    """
    text = str(error)
    if "Original Traceback" in text:
        return [line for line in text.splitlines() if re.match(r"[\w.]+(Error|Exception): ", line)]
    return [text]


def _is_sign(error: BaseException) -> bool:
    kinds = (ImportError, OSError, RuntimeError, AttributeError, ValueError)
    # An error of the operating system about a file has a number; those of its loader have none.
    return isinstance(error, kinds) and getattr(error, "errno", None) is None and bool(SIGNS.search(str(error)))


def _module_of(causes: list[BaseException]) -> str | None:
    """Return the package whose compiled part it is: by the file that is named, the operator, or the file that was
    imported.
    """
    text = " ".join(line for one in reversed(causes) for line in _lines(one))
    for pattern in (r"site-packages[/\\](\w+?)(?:[/\\]|\.libs|-)", r"[/\\](torchvision|torchaudio|cv2|torch|av)[/\\]"):
        if found := re.search(pattern, text):
            return found[1]
    if found := re.search(r"operator (\w+)::", text):
        return found[1]
    for one in reversed(causes):
        place, files = one.__traceback__, []
        while place is not None:
            files.append(place.tb_frame.f_code.co_filename)
            place = place.tb_next
        for file in reversed(files):
            if found := re.search(r"site-packages[/\\](\w+)[/\\]", file):
                return found[1]
    return None


def _own_packages() -> set[str]:
    """Return the modules that affectkit's requirements bring, extras left out."""
    lines = [line for line in own_requirements() if "extra ==" not in line]
    names = {re.match(r"[\w.-]+", line)[0].lower().replace("-", "_") for line in lines}
    of_names = {name.replace("-", "_"): module for module, known in INSTALLED_AS.items() for name in known}
    return {of_names.get(name, {"open_clip_torch": "open_clip"}.get(name, name)) for name in names}
