"""CSV tables: written whole, numbers with as many digits as can be relied on."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from affectkit.core.files import write_text
from affectkit.core.names import written_name


def number(value: Any) -> Any:
    """``value`` as a table shows it: six decimals for a real number (float32 holds no more), empty for NaN."""
    if isinstance(value, Integral | str) or not isinstance(value, Real):
        return value
    value = float(value)
    if math.isnan(value):
        return ""
    return f"{value:.6f}" if abs(value) < 1e6 else f"{value:.6g}"


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write ``columns`` (all of one length) as CSV with a header."""
    write_text(path, table_text(columns))


def table_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """``columns`` as CSV; names of files are as ``core.names.written_name`` writes them."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([written_name(value) if isinstance(value, str) else number(value) for value in row])
    return buffer.getvalue()
