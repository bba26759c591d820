"""Links in a dataset that lead out of its folder: which of them are followed, and why.

A table, or an archive that was unpacked, must not make a command read files that have nothing to do with it. A link
that leads out of the folder is therefore followed in these cases alone:

- the user says so, by ``--follow-links``;
- datasplit's manifest in the folder vouches for it: the link leads to the very file of the source that the manifest
  names for it, and that file has the content of which the manifest holds the hash. (Whoever writes a manifest can name
  any file, but cannot know the content of one that is private);
- git-annex or DVC made it: the file lies in the ``annex/objects`` of the innermost ``.git``, or in the innermost
  ``.dvc/cache``, around the folder. These are real folders of the tree in which the dataset itself lies, and hold
  nothing but what was added to its repository. Caches elsewhere need ``--follow-links``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from affectkit.core.contained_paths import digest_inside, name_fault, path_below
from affectkit.core.files import read_json
from affectkit.core.forms import matcher
from affectkit.errors import DataError

INSIDE, TOLD = "inside", "--follow-links"
MANIFEST = "manifest.json"
HINT = "Where that is meant, --follow-links follows such links."
CHANGED = ", whose content is not that of which datasplit's manifest holds the hash"
MANIFEST_FORM = {
    "command": Literal["datasplit"], "settings": {"link": Literal["symlink"], "source": str}, "files": list[list[Any]],
}  # fmt: skip
"""What a manifest that vouches for links has; see ``core.forms``."""
_OF_DATASPLIT = matcher(MANIFEST_FORM)
ANNEX = ("annex", "objects")


class Links:
    """Judges the links below ``root``.

    Args:
        follow: whether the user has allowed all of them.
    """

    def __init__(self, root: Path, *, follow: bool = False) -> None:
        self.root, self.follow = Path(root), follow
        self.real = os.path.realpath(root)

    def way(self, name: str) -> str | None:
        """Return why the file or folder ``name``, a relative path without ``..``, is read although links may stand in
        it: ``INSIDE``, ``TOLD``, "datasplit", "git-annex" or "DVC"; None where it is not.
        """
        target = os.path.realpath(os.path.join(self.root, name))
        if _below(target, self.real):
            return INSIDE
        if self.follow:
            return TOLD
        there, digest = self._vouched.get(os.path.normpath(name), ("", ""))
        if there == target and digest_inside(target) == digest:
            return "datasplit"
        return self.store_of(target)

    def changed(self, name: str) -> bool:
        """Return whether datasplit linked ``name`` to the file that it leads to, and its content is another now."""
        target = os.path.realpath(os.path.join(self.root, name))
        there, digest = self._vouched.get(os.path.normpath(name), ("", ""))
        return there == target and digest_inside(target) != digest

    def path(self, name: str) -> Path:
        """Return the file or folder that a table calls ``name``.

        Raises:
            DataError: it is no name of something below the folder, or a link that is not followed.
        """
        path = self.root / path_below(self.root, name)
        if self.way(name) is None:
            changed = CHANGED if self.changed(name) else ""
            raise DataError(
                f"{name!r} is a link that leads out of the folder {self.root}, to {path.resolve()}{changed}.", HINT
            )
        return path

    def store_of(self, target: str) -> str | None:
        """Return "git-annex" or "DVC" where the real path ``target`` lies in such a store of a repository around the
        folder; else None.
        """
        for kind, store in self._stores:
            if _below(target, store) and (kind == "DVC" or _holds(os.path.relpath(target, store), ANNEX)):
                return kind
        return None

    @cached_property
    def _stores(self) -> list[tuple[str, str]]:
        """Return the innermost ``.git`` and ``.dvc`` around the folder that are real folders: that of a submodule is a
        file or a link, and its files lie in ``.git/modules`` of the repository around it.
        """
        around = (self.real, *map(str, Path(self.real).parents))
        found = []
        for kind, name, inner in (("git-annex", ".git", ""), ("DVC", ".dvc", "cache")):
            places = (os.path.join(folder, name) for folder in around)
            place = next((p for p in places if os.path.isdir(p) and not os.path.islink(p)), None)
            if place is not None:
                found.append((kind, os.path.join(place, inner)))
        return found

    @cached_property
    def _vouched(self) -> dict[str, tuple[str, str]]:
        """Return the real path and the content hash of the files that datasplit linked, by the names of their links."""
        try:
            manifest = read_json(self.root / MANIFEST)
        except DataError:
            return {}
        return dict(_linked(manifest))


def _linked(manifest: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield names, real paths and content hashes in a manifest of datasplit; none where it is something else.

    Files that are themselves links out of the source are those of its git-annex or DVC repository, which datasplit
    reads as well; others are not vouched for.
    """
    if not _OF_DATASPLIT(manifest) or not os.path.isabs(source := manifest["settings"]["source"]):
        return
    there = Links(Path(source))
    for row in manifest["files"]:
        if len(row) < 7 or row[3] != "symlinked" or not all(isinstance(row[place], str) for place in (0, 4, 6)):
            continue
        name, own, digest = row[0], row[4], row[6]
        if name_fault(own):
            continue
        target = os.path.realpath(os.path.join(source, own))
        if _below(target, there.real) or there.store_of(target):
            yield name, (target, digest)


def not_there(path: str) -> str:
    """Return why there is no file ``path``: where it is a link, what would bring its content."""
    if not os.path.islink(path):
        return "files are missing"
    target = os.readlink(path)
    if _holds(target, ANNEX):
        return "files whose content is not here (git annex get fetches it)"
    if _holds(target, (".dvc", "cache")) or _holds(target, ("files", "md5")):
        return "files whose content is not here (dvc pull fetches it)"
    return "files are missing (links to nothing)"


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _holds(path: str, names: tuple[str, ...]) -> bool:
    """Return whether the folders ``names`` follow each other in ``path``."""
    parts = tuple(path.split(os.sep))
    return any(parts[at : at + len(names)] == names for at in range(len(parts)))
