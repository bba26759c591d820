"""Files that predictions are written to, and what may be there already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.core.shards import Shard


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Say where the outputs of an inference go; made once, by ``inference.infer``.

    Attributes:
        results: folder of the prediction table; None: rows go to standard output.
        format: of the table: ``csv``, ``jsonl`` or ``parquet``.
        shard: which N-th of the images is predicted; None: all.
        resume: whether a table that stands there is continued, or brought up to date.
        force: whether what stands there is replaced.
        annotate: folder, for one video also file, of annotated pictures; None: none are written.
    """

    results: Path | None = None
    format: str = "csv"
    shard: Shard | None = None
    resume: bool = False
    force: bool = False
    annotate: Path | None = None

    @property
    def may_replace(self) -> bool:
        """Return whether files that stand there already are expected."""
        return self.resume or self.force
