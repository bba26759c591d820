"""Settings of ``affectkit matrix``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from affectkit.config import choice_fault, setting
from affectkit.settings.audiovisual import published_mask, published_mode
from affectkit.settings.common import (
    DATA,
    Runtime,
    chosen_engine,
    clip_file,
    fitting,
    followed_links,
    ignored_columns,
    label_map_file,
    verified,
)

SPLITS = ("train", "valid", "test", "all")


class Named(NamedTuple):
    """A path and what tables call it."""

    name: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class MatrixSettings(Runtime):
    """Settings of ``affectkit matrix``."""

    checkpoint: tuple[str, ...] = setting(
        (), "A checkpoint, as of test; once for each model. NAME=PATH names it.", group=DATA, repeated=True,
        metavar="[NAME=]PATH",
    )  # fmt: skip
    data: tuple[str, ...] = setting(
        (), "A folder with a dataset; once for each. NAME=PATH names it.", group=DATA, repeated=True,
        metavar="[NAME=]PATH",
    )  # fmt: skip
    label_map: Path | None = label_map_file()
    split: tuple[str, ...] = setting(
        ("test",),
        "Split to test on; of several, as test,valid, the first that a dataset has.",
        group=DATA,
        metavar="NAME,...",
        default_text="test",
    )
    ignore_columns: tuple[str, ...] = ignored_columns()
    follow_links: bool = followed_links()
    clip_weights: str | None = clip_file()
    mode: str | None = published_mode()
    mask: str | None = published_mask()
    verify: bool = verified()
    engine: str = chosen_engine()
    fit: str | None = fitting()
    on_error: str = setting("fail", "What a bad image does.", choices=("fail", "skip"), group=DATA)
    results: Path | None = setting(None, "Folder for tables and pictures.", group=DATA, metavar="FOLDER")
    force: bool = setting(False, "Write into a --results that is not empty.", group=DATA)

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = [f"--{name} is needed, once or more." for name in ("checkpoint", "data") if not getattr(self, name)]
        faults += [choice_fault("--split", name, SPLITS) for name in self.split if name not in SPLITS]
        if self.force and self.results is None:
            faults.append("--force needs --results.")
        for name in ("checkpoint", "data"):
            counts = Counter(one.name for one in named(getattr(self, name)))
            faults += [f"--{name}: two are called {one!r}; name them: NAME=PATH." for one in counts if counts[one] > 1]
        return faults


def named(texts: tuple[str, ...]) -> list[Named]:
    """Read ``NAME=PATH``, or ``PATH``, which is then called after its last part, with as many before it as tell it
    from the others.

    >>> [one.name for one in named(("runs/a", "second=runs/b", "other/a"))]
    ['runs/a', 'second', 'other/a']
    """
    found = []
    for text in texts:
        name, equals, path = text.partition("=")
        found.append(("", Path(text)) if not (equals and name and path) or Path(text).exists() else (name, Path(path)))
    bare = [path for name, path in found if not name]

    def short(path: Path) -> str:
        parts = path.parts
        for count in range(1, len(parts) + 1):
            ending = parts[-count:]
            if sum(other.parts[-count:] == ending for other in bare) == 1:
                return "/".join(ending)
        return str(path)

    return [Named(name or short(path), path) for name, path in found]
