"""Find the pictures and films that a run has read, where they are still what they were."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from affectkit.core.contained_paths import path_inside
from affectkit.core.text import count_text, list_some, read_name
from affectkit.data.media.file_identity import Mark, is_same_file
from affectkit.errors import DataError

MOST_PARENTS = 6


class Originals:
    """Find originals by the names that tables have for them.

    A file that is known by its mark is taken where its content is the same, whatever its name. Of files without a mark
    (tables of tests, and of earlier versions) those are taken that lie in a folder that the record names, or are named
    by it themselves: a name in a table does not lead out of there.

    Args:
        roots: folders that names are relative to, and files, as the record has them.
        marks: what marked the content of each file, by name.
        results: folder of the results, from whose parents relative paths are looked up, as from the current folder.
        images: folder that is looked into first.

    Attributes:
        missing: names that were looked for and are not there.
        changed: names whose files have another content by now.
    """

    def __init__(
        self,
        roots: Sequence[str],
        *,
        results: Path,
        marks: Mapping[str, Mark] | None = None,
        images: Path | None = None,
    ) -> None:
        self.marks, self.images, self.files = marks or {}, images, set(roots)
        parents = list(results.absolute().parents)[:MOST_PARENTS]
        self.bases = [Path.cwd(), *(parent for parent in parents if parent != Path.cwd())]
        self.roots = [folder for text in roots if text != "-" for folder in self._under_bases(Path(text))]
        self.missing: list[str] = []
        self.changed: list[str] = []

    def find(self, name: str) -> Path | None:
        """Return the file that a table calls ``name``; None where it is not there, or has another content."""
        mark, seen = self.marks.get(name), False
        for path in self._places(read_name(name), trusted=mark is not None):
            if not os.path.isfile(path):
                continue
            if mark is None or is_same_file(mark, path):
                return path
            seen = True
        (self.changed if seen else self.missing).append(name)
        return None

    def described(self, shown: int = 3) -> list[str]:
        """Describe in sentences what was not found, and what to do; nothing where all was."""
        texts = []
        if self.missing:
            where = list_some([str(root) for root in ([self.images] if self.images else self.roots)], shown)
            looked = f" in {where}" if where else ""
            count = count_text(len(set(self.missing)), "original is", "originals are")
            texts.append(
                f"{count} not where the record says{looked}: no picture of these is shown. Make the report again with "
                "--images and the folder that they are in now."
            )
        if self.changed:
            count = count_text(len(set(self.changed)), "original has", "originals have")
            texts.append(
                f"{count} changed since ({list_some(list(dict.fromkeys(self.changed)), shown)}): no picture is shown "
                "of what was not predicted."
            )
        return texts

    def _under_bases(self, path: Path) -> list[Path]:
        path = Path(os.path.expanduser(path))
        places = [path] if path.is_absolute() else [base / path for base in self.bases]
        return [place for place in places if os.path.isdir(place)]

    def _places(self, name: str, *, trusted: bool) -> Iterator[Path]:
        for root in ([self.images] if self.images else []) + self.roots:
            if trusted:
                yield root / name
            else:
                yield from _inside(root, name)
        if self.images:
            yield from _inside(self.images, Path(name).name)
        if trusted or name in self.files:
            path = Path(os.path.expanduser(name))
            yield from [path] if path.is_absolute() else (base / path for base in self.bases)
        # Names of several inputs begin with the folder.
        for root in self.roots:
            yield from _inside(root, Path(name).name)


def _inside(root: Path, name: str) -> Iterator[Path]:
    try:
        yield path_inside(root, name)
    except DataError:
        return


def count_reasons(reasons: Sequence[str]) -> list[tuple[str, int]]:
    """Return reasons with how often each occurs, the most frequent first."""
    return Counter(reasons).most_common()
