"""The page in Chromium: files dropped, rows read back, the camera, cancelling, two tabs; nothing from elsewhere."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("httpx", reason="the extra web is not installed")
pytest.importorskip("playwright", reason="the extra browser is not installed")

from playwright.sync_api import Browser, Page, expect, sync_playwright
from serving import face, film, png, scene, served

import affectkit

pytestmark = pytest.mark.slow
CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
DROP = """async (files) => {
  const data = new DataTransfer();
  for (const [name, type, text] of files) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], name, { type }));
  }
  const target = document.getElementById("drop");
  target.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true }));
  target.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
ROWS = """(card) => [...card.querySelectorAll("table.rows tr")].map(
  (row) => [...row.children].map((one) => one.textContent))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=OPTIONS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "two.png").write_bytes(png(scene()))
    (folder / "smile.png").write_bytes(png(face()))
    film(folder / "film.mp4", 50)
    film(folder / "long.mp4", 900, fps=25)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tmp")
    with served(folder, "--every", "0.2s") as (_, told, client):
        yield told, client


class Visit:
    """A tab at the page, and what went wrong in it."""

    def __init__(self, browser: Browser, told: dict, **context: object) -> None:
        self.context = browser.new_context(accept_downloads=True, **context)
        self.told, self.errors, self.asked = told, [], []
        self.page = self.tab()

    def tab(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(self.told["address"])
        expect(page.locator("body")).to_have_attribute("data-ready", "yes")
        return page

    def close(self) -> None:
        """Nothing was asked of others, and nothing failed but what a file was refused for."""
        assert [url for url in self.asked if not url.startswith((self.told["url"], "blob:"))] == []
        assert [text for text in self.errors if "status of 4" not in text] == []
        self.context.close()


@pytest.fixture
def visit(browser, server):
    found = Visit(browser, server[0], viewport={"width": 1280, "height": 900})
    yield found
    found.close()


def drop(page: Page, *sent: tuple[str, str, bytes]) -> None:
    page.evaluate(DROP, [[name, kind, base64.b64encode(data).decode()] for name, kind, data in sent])


def rows_of(card) -> list[dict[str, object]]:
    """The rows that a card shows, numbers as numbers."""
    header, *rows = card.evaluate(ROWS)
    return [dict(zip(header, map(_value, row), strict=True)) for row in rows]


def labelled(row: dict[str, object]) -> str:
    """What the page calls a face."""
    return f"{row['Predicted Label']}{'?' if round(row['Margin'], 6) < 0.1 else ''}"


def _value(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text or None


def test_a_photograph_is_dropped_and_its_rows_are_those_of_the_api(visit, server, files):
    page, (_, client) = visit.page, server
    assert "token" not in page.url
    name = "<script>document.title='broken'<script>.png"
    drop(page, (name, "image/png", (files / "two.png").read_bytes()), ("bad.jpg", "image/jpeg", b"no picture"))
    expect(page.locator("#status")).to_have_text("All files are done.")
    card = page.locator("#pictures .card").first
    expect(card.locator("h3")).to_have_text(name)
    assert page.title() == "affectkit"
    own = client.post("/predict", files={"file": (name, (files / "two.png").read_bytes())}).json()["rows"]
    assert rows_of(card) == own and len(own) == 2
    assert [labelled(row) for row in own] == [text.split("· ")[1] for text in card.locator("h4").all_inner_texts()]
    expect(card.locator("svg rect.box")).to_have_count(2)
    box = card.locator("svg rect.box").first
    assert [float(box.get_attribute(key)) for key in ("x", "y", "width", "height")] == [
        own[0][key] for key in ("x", "y", "width", "height")
    ]
    shown = card.locator(".face").first.locator("td:last-child").first.inner_text()
    assert shown == f"{100 * max(own[0][name] for name in affectkit.load('builtin').spec.classes):.1f}%"
    refused = client.post("/predict", files={"file": ("bad.jpg", b"no picture")}).json()["error"]
    expect(page.locator("#pictures .card").nth(1).locator(".fault")).to_have_text(refused)


def test_downloads(visit, server, files, tmp_path):
    page, (_, client) = visit.page, server
    page.set_input_files("#files", [files / "two.png", files / "smile.png"])
    expect(page.locator("#status")).to_have_text("All files are done.")
    with page.expect_download() as table:
        page.get_by_role("button", name="Download the table").click()
    sent = [("file", (name, (files / name).read_bytes())) for name in ("two.png", "smile.png")]
    found = client.post("/predict?csv=1", files=sent).json()
    assert Path(table.value.path()).read_text() == found["csv_header"] + found["csv"]
    with page.expect_download() as drawn:
        page.get_by_role("button", name="Download annotated picture").first.click()
    assert drawn.value.suggested_filename == "two-annotated.png"
    assert Path(drawn.value.path()).read_bytes() == client.post("/annotate", files=sent[:1]).content
    with page.expect_download() as report:
        page.get_by_role("button", name="Download the report").click()
    text = Path(report.value.path()).read_text()
    assert "two.png" in text and "smile.png" in text and text.count("data:image/") >= 3
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#pictures .card")).to_have_count(0)


def test_a_film_is_dropped_its_rows_and_its_timeline(visit, server, files):
    page, (_, client) = visit.page, server
    drop(page, ("film.mp4", "video/mp4", (files / "film.mp4").read_bytes()))
    card = page.locator(".film")
    expect(card.locator("text=Done:")).to_be_visible(timeout=60_000)
    job = client.get("/jobs").json()["jobs"][-1]["job"]
    own = client.get(f"/jobs/{job}").json()
    assert own["state"] == "done" and len(own["rows"]) == 50
    assert rows_of(card) == own["rows"]
    expect(card.locator("canvas.lane")).to_have_count(own["videos"][0]["faces"])
    lane = card.locator("canvas.lane").first
    size = lane.bounding_box()
    lane.click(position={"x": size["width"] * 0.5, "y": 8})
    expect(card.locator("text=at 2.40 s")).to_be_visible()  # the frame that is shown at 2.5 s
    rows = [row for row in own["rows"] if row["Time"] == pytest.approx(2.4)]
    assert len(rows) == 2
    boxes = card.locator("svg rect.box")
    assert [float(boxes.nth(k).get_attribute("x")) for k in range(2)] == [row["x"] for row in rows]
    assert card.locator("h4").all_inner_texts() == [f"{row['Face']} · {labelled(row)}" for row in rows]
    with page.expect_download() as table:
        card.get_by_role("button", name="Download the table").click()
    read = list(csv.DictReader(io.StringIO(Path(table.value.path()).read_text())))
    assert [float(row["Confidence"]) for row in read] == pytest.approx(
        [row["Confidence"] for row in own["rows"]], abs=1e-6
    )
    with page.expect_download() as report:
        card.get_by_role("button", name="Download the report").click()
    assert "film.mp4" in Path(report.value.path()).read_text()


def test_a_film_is_cancelled(visit, server, files):
    page, (_, client) = visit.page, server
    before = len(client.get("/jobs").json()["jobs"])
    page.set_input_files("#files", files / "long.mp4")
    expect(page.locator(".film progress")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".film >> text=Cancelled.")).to_be_visible()
    for _ in range(100):
        if client.get("/health").json()["waiting"] == 0:
            break
        page.wait_for_timeout(100)
    assert client.get("/health").json()["waiting"] == 0
    assert len(client.get("/jobs").json()["jobs"]) == before


def test_the_camera(visit, server):
    page = visit.page
    page.locator("#rate").select_option("5")
    page.get_by_role("button", name="Use the camera").click()
    told = page.locator("#live p.small").first
    expect(told).to_contain_text("frames", timeout=30_000)
    expect(page.locator("#camera")).to_be_disabled()
    for _ in range(50):
        if int(told.inner_text().split()[0]) >= 5:
            break
        page.wait_for_timeout(100)
    assert int(told.inner_text().split()[0]) >= 5
    assert page.locator("#live .halves > div").nth(1).inner_text().strip()
    page.get_by_role("button", name="Stop the camera").click()
    expect(page.locator("#camera")).to_be_enabled()
    count = told.inner_text()
    page.wait_for_timeout(600)
    assert told.inner_text() == count


def test_two_tabs(visit, server, files):
    first, second = visit.page, visit.tab()
    first.set_input_files("#files", [files / "film.mp4", files / "two.png"])
    second.set_input_files("#files", [files / "film.mp4", files / "smile.png"])
    for page, faces in ((first, 2), (second, 1)):
        expect(page.locator("#status")).to_have_text("All files are done.", timeout=90_000)
        expect(page.locator("#pictures .face")).to_have_count(faces)
        expect(page.locator(".film >> text=Done: 50 rows")).to_be_visible()


def test_by_keyboard_and_to_a_screen_reader(visit, files):
    page = visit.page
    page.set_input_files("#files", [files / "two.png"])
    expect(page.locator("#status")).to_have_text("All files are done.")
    seen = []
    page.locator("body").evaluate("() => document.activeElement.blur()")
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("() => document.activeElement.id || document.activeElement.textContent.trim()"))
    wanted = ["Skip to the results", "files", "camera", "rate", "table", "report", "clear", "5 more"]
    assert [name for name in seen if name in wanted][: len(wanted)] == wanted
    assert page.get_attribute("#status", "aria-live") == "polite"
    assert page.locator("#pictures img").get_attribute("alt").startswith("two.png: ")
    nameless = """() => [...document.querySelectorAll("button, a, input, select, img, progress, video, canvas")]
      .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.alt || one.labels?.length))
      .map((one) => one.outerHTML)"""
    assert page.evaluate(nameless) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off(browser, server, files, tmp_path, scheme, width):
    visit = Visit(browser, server[0], viewport={"width": width, "height": 800}, color_scheme=scheme)
    visit.page.set_input_files("#files", [files / "two.png", files / "film.mp4"])
    expect(visit.page.locator("#status")).to_have_text("All files are done.", timeout=60_000)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    paper = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (shade < 300) == (scheme == "dark")
    visit.page.screenshot(path=str(tmp_path / f"page-{scheme}-{width}.png"), full_page=True)
    visit.page.goto(server[0]["url"] + "docs")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    visit.close()


def test_without_the_token_the_page_says_what_is_missing(browser, server):
    page = browser.new_context().new_page()
    answer = page.goto(server[0]["url"])
    assert answer.status == 401 and "The token is missing" in page.content()
    assert json.loads(page.request.get(server[0]["url"] + "health").text())["error"]
    page.context.close()
