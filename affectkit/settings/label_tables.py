"""Settings of every command that reads tables: which of their columns are classes, which links are followed."""

from __future__ import annotations

from typing import Any

from affectkit.config import setting

DATA = "Data"


def chosen_classes() -> Any:
    """The option ``--classes``, which all commands that read tables have."""
    return setting(
        (),
        "The classes, of a table that does not tell them by what it holds: its columns of votes or shares, or its "
        "labels.",
        group=DATA,
        metavar="NAME,...",
        default_text="columns that hold votes or shares, or the labels",
    )


def ignored_columns() -> Any:
    """The option ``--ignore-columns``."""
    return setting((), "Columns of a table that are passed over.", group=DATA, metavar="NAME,...", default_text="none")


def followed_links() -> Any:
    """The option ``--follow-links``."""
    return setting(
        False,
        "Read files of a table through links that lead out of its folder; those of datasplit, git-annex and DVC need "
        "it not.",
        group=DATA,
    )
