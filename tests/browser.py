"""A browser for slow tests: Chromium, driven by Playwright, which brings no browser of its own here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path(os.environ.get("AFFECTKIT_CHROMIUM", "/usr/bin/chromium"))
AXE = os.environ.get("AFFECTKIT_AXE", "")
"""Path of axe.min.js, of the npm package axe-core, which is not handed on with the code."""
IMPACTS = ("serious", "critical")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser; skip the test where it or Playwright is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the extra browser is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"there is no browser at {CHROMIUM} (AFFECTKIT_CHROMIUM names one)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser: Any, path: Path, *, width: int = 1280, scheme: str = "light", **more: Any) -> Iterator[Any]:
    """Open a file without a network; fail where the page reports an error or asks for anything."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, accept_downloads=True, **more
    )
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else
            faults.append(f"it asks for {request.url}"))  # fmt: skip
    page.goto(path.as_uri())
    yield page
    assert faults == []
    context.close()


def serious_faults(page: Any) -> list[str]:
    """What axe-core finds that is serious, or worse; of a page that was opened with ``bypass_csp``."""
    if not Path(AXE).is_file():
        pytest.skip("AFFECTKIT_AXE names no axe.min.js of axe-core")
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{one['id']}: {node['html'][:200]}" for one in found if one["impact"] in IMPACTS for node in one["nodes"]]
