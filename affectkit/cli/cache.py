"""``affectkit cache``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import nothing
from affectkit.config import Resolved, setting


@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """Settings of ``affectkit cache``."""

    names: tuple[str, ...] = setting((), "Stores, by the beginning of their names.", argument=True, metavar="NAME...")
    clear: bool = setting(False, "Remove the named stores, or all where none is named.")
    older_than: float | None = setting(None, "Those alone that were last used so many days ago.", low=0, metavar="DAYS")


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "cache", CacheSettings, writes=nothing)
    def cache(resolved: Resolved[CacheSettings], console: Console) -> None:
        """Show or clear the features of frozen encoders that train keeps on disk.

        A store holds what one encoder gave for one way of bringing images to its input; train finds features there by
        the bytes of an image. Clearing costs time, never results. AFFECTKIT_CACHE says where the cache is.

        Examples:
            affectkit cache
            affectkit cache --clear --older-than 30
            affectkit cache --clear
        """
        from affectkit.errors import UsageError
        from affectkit.features.store import clear, root, stores

        s = resolved.settings
        found = stores()
        unknown = [name for name in s.names if not any(_name(store).startswith(name) for store in found)]
        if unknown:
            raise UsageError(
                f"{root()} has no store {', '.join(unknown)}.", "affectkit cache lists the stores there are."
            )
        chosen = [
            store
            for store in found
            if (not s.names or any(_name(store).startswith(name) for name in s.names))
            # One that was used in the future, before the clock was set back, is as old as it is far from now.
            and (s.older_than is None or abs(time.time() - store["used"]) >= s.older_than * 86400)
        ]
        if s.clear:
            for store in chosen:
                clear(Path(store["folder"]))
        console.result({"folder": str(root()), "stores": chosen, "cleared": s.clear})
        _render(chosen, console, cleared=s.clear, where=root())


def _render(stores: list[dict[str, Any]], console: Console, *, cleared: bool, where: Path) -> None:
    rows = [
        [
            _name(store)[:12],
            store["title"] or "?",
            f"{store['identity'].get('size', '?')} {store['identity'].get('fit', '')}".strip(),
            f"{store['identity'].get('precision', '?')} {store['identity'].get('device', '')}".strip(),
            f"{store['rows']:,}",
            f"{store['bytes'] / 2**20:,.1f} MB",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(store["used"])),
        ]
        for store in stores
    ]
    if rows:
        console.table(["store", "encoder", "images", "numbers", "features", "size", "last used"], rows)
    size = sum(store["bytes"] for store in stores) / 2**20
    console.note(f"{len(stores)} store(s), {size:,.1f} MB, {'removed from' if cleared else 'in'} {where}")


def _name(store: dict[str, Any]) -> str:
    return Path(store["folder"]).name
