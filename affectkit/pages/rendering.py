"""Put a page together: template, style, scripts and data in one file that loads nothing.

Charts are drawn by small scripts of ours (``chart.js``, ``timeline.js``) as SVG, beside tables of the same numbers. Of
the libraries that could be embedded Plotly (3.6 MB; its basic build 1.1 MB) and Vega-Lite with Vega (0.8 MB, and it
compiles expressions, which the page's policy refuses) would be most of a report, and uPlot (50 kB, MIT) draws on a
canvas, whose lines neither a screen reader nor a keyboard reaches and that does not print sharply.

The page's Content-Security-Policy allows the scripts and the style in it by their hashes (CSP level 3, section 2.3.1)
and pictures that are written in it, and nothing else: no name of a file or class becomes code, however it is written.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from affectkit.core.files import to_json
from affectkit.core.text import printable, readable
from affectkit.core.version import VERSION
from affectkit.pages.page import Page

TEMPLATES = Path(__file__).parent / "templates"
COMMON = ("core.js",)
DASH = "\u2013"


def render(page: Page) -> str:
    """Return ``page`` as HTML."""
    style = _file("report.css")
    script = "\n".join(_file(name) for name in (*COMMON, *page.scripts))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(page.template)
        .render(
            **page.values,
            title=page.title,
            version=VERSION,
            policy=policy,
            style=Markup(style),
            script=Markup(script),
            embedded=embedded_json(page.data),
        )
    )


def embedded_json(value: Any) -> Markup:
    r"""Return ``value`` as JSON that may stand in a script element: nothing in it ends the element or begins another.

    >>> print(embedded_json({"name": "</script><!--"}))
    {"name": "\u003c/script\u003e\u003c!--"}
    """
    text = to_json(value, indent=None)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def text_p(value: float | None) -> str:
    """Return a p-value as the page writes it: three decimals, a small one as below 0.001.

    >>> [text_p(value) for value in (0.0123, 2e-60, None)]
    ['0.012', '< 0.001', '-']
    """
    if value is None or math.isnan(value):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def text_number(value: Any) -> str:
    """Return a number as the page writes it: with four decimals, or as an exponent; a dash for what is not known.

    >>> [text_number(value) for value in (0.123456, 1234.5, 12, 0.00001, "x", True)]
    ['0.1235', '1,234', '12', '1.00e-05', 'x', 'yes']
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    # What is left of zero where sums cancel is zero.
    return f"{value:.4f}" if abs(value) >= 1e-3 or abs(value) < 1e-12 else f"{value:.2e}"


def text_share(value: Any) -> str:
    """Return a share as a percentage with one decimal; 100% and 0% only where the share is 1 or 0.

    >>> [text_share(value) for value in (0.9996, 1.0, 0.0004, 0.0, 0.5)]
    ['>99.9%', '100%', '<0.1%', '0%', '50.0%']
    """
    if value is None or math.isnan(value):
        return DASH
    if value in (0, 1):
        return f"{100 * value:.0f}%"
    if value < 0.0005:
        return "<0.1%"
    return ">99.9%" if value >= 0.9995 else f"{100 * value:.1f}%"


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Control characters and those that turn the direction of text would make a name look like another.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {"number": text_number, "p": text_p, "share": text_share, "readable": readable}
    return environment


@functools.cache
def _file(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return a source expression for ``text`` as the element holds it (see ``base.html``: no space around)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
