"""Lines of JSON: what their form costs beside reading them."""

from __future__ import annotations

import io
import json
import time

import pytest
from benchmarks.measuring import show

from affectkit.core.forms import Count
from affectkit.core.json_lines import JsonLines


@pytest.mark.benchmark
def test_the_form_of_lines_costs_less_than_half_of_reading_them(capsys):
    """200,000 lines, CPU seconds."""
    entry = {
        "name": "images/train/0001.png",
        "rows": 1,
        "mark": [123456, 17 * 10**17, 17 * 10**17, "ab" * 32],
        "end": 5,
    }
    form = {"name": str, "rows": Count, "mark": tuple[int, int, int, str] | None, "end": Count}
    data, best = (json.dumps(entry) + "\n").encode() * 200_000, {}
    for _ in range(3):
        for name, read in (("plain", lambda s: map(json.loads, s)), ("form", lambda s: JsonLines(form).read(s, "t"))):
            begin = time.process_time()
            assert sum(1 for _ in read(io.BytesIO(data))) == 200_000
            best[name] = min(best.get(name, 1e9), time.process_time() - begin)
    show(capsys, ("200,000 lines", "json.loads alone, s", "with the form, s", "ratio"),
         [("CPU", best["plain"], best["form"], best["form"] / best["plain"])])  # fmt: skip
    assert best["form"] < 1.5 * best["plain"]
