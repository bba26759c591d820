"""Pages of real runs in Chromium: clicked, filtered, hovered; what they read is what the CSV files hold."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from browser import chromium, opened, serious_faults
from films import write_film
from PIL import Image
from support import invoke

pytestmark = pytest.mark.slow

FERPLUS = Path(os.environ.get("AFFECTKIT_TEST_DATA", "/work/shared/data")) / "ferplus" / "ferplus-train-valid.zip"
KINDS = ("photographs", "video", "run", "test", "corruptions", "quantiles", "ratings")


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def make_faces(folder, schematic, count=60):
    """Faces of FER+ where they are, else drawn ones; a file that is none, and names that are markup."""
    folder.mkdir()
    if FERPLUS.is_file():
        with zipfile.ZipFile(FERPLUS) as archive:
            names = sorted(name for name in archive.namelist() if name.startswith("valid/") and name.endswith(".png"))
            pictures = [archive.read(name) for name in names[: 7 * count : 7]]
    else:
        pictures = [path.read_bytes() for path in sorted(schematic.glob("*.png"))[:count]]
    for k, data in enumerate(pictures):
        (folder / f"face{k:03}.png").write_bytes(data)
    (folder / "face000.png").rename(folder / "<img src=x onerror=alert(1)>.png")
    (folder / "face001.png").rename(folder / "=1+1.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def make_film(path, faces):
    """Two faces that go by, gone in the middle third."""
    pictures = [np.asarray(Image.open(one).convert("RGB").resize((150, 150))) for one in faces]

    def draw(number):
        frame = np.full((240, 480, 3), 128, np.uint8)
        if not 20 <= number < 40:
            for k, picture in enumerate(pictures[:2] if number < 20 else pictures[2:4]):
                left = 20 + 220 * k + number // 3
                frame[40:190, left : left + 150] = picture
        return frame

    return write_film(path, 60, draw=draw)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Results of each kind, made by the commands, and their pages."""
    root = tmp_path_factory.mktemp("runs")

    def run(*arguments, code=0):
        done = invoke(*arguments)
        assert done.returncode == code, done.stderr
        return done

    data = root / "data"
    run("prep", "schematic", data, "--train", 240, "--valid", 60, "--test", 60)
    faces = make_faces(root / "faces", data / "images" / "test")
    short = ("--model", "test_resnet", "--no-pretrained", "--image-size", 32, "--epochs", 3, "--batch-size", 16,
             "--workers", 0, "--optimizer", "adamw", "--lr", 0.003, "--data", data)  # fmt: skip
    run("train", *short, "--output", root / "run", "--report", root / "run.html")
    run("train", *short, "--task", "ratings", "--output", root / "rated")
    whole = ("--checkpoint", root / "rated", "--data", data, "--workers", 0)
    run("test", *whole, "--results", root / "ratings", "--report", root / "ratings.html")
    tables = sorted((root / "ratings").glob("*_actual_predicted.csv"))
    run("quantiles", *tables, "--bins", 6, "--results", root / "quantiles", "--report", root / "quantiles.html")
    own = ("--checkpoint", root / "run", "--data", data, "--workers", 0)
    run("test", *own, "--results", root / "test", "--report", root / "test.html")
    run("eval-corruptions", "--checkpoint", "builtin", "--data", data, "--corruptions", "fog,contrast,gaussian_noise",
        "--severities", "1,5", "--results", root / "corruptions", "--report", root / "corruptions.html")  # fmt: skip
    found = ("--results", root / "photographs", "--report", root / "photographs.html")
    run("infer", faces, *found, code=4)
    film = make_film(root / "film.mp4", sorted(faces.glob("face*.png"))[4:8])
    run("infer", film, "--every", "0.2s", "--results", root / "video", "--report", root / "video.html")
    return root


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def classes_of(row):
    names = list(row)
    return names[names.index("Confidence") + 1 : names.index("Margin") if "Margin" in names else None]


def told(page, where):
    return page.locator(where).inner_text()


def shares(text):
    """Numbers of a percentage as the page writes it, and of the table."""
    return float(text.strip("%<>"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_pages_fit_their_window_and_have_no_serious_fault(runs, browser, kind, width, scheme):
    path = runs / f"{kind}.html"
    assert path.stat().st_size < 5_000_000
    with opened(browser, path, width=width, scheme=scheme, bypass_csp=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for summary in page.locator("summary").all()[:6]:
            summary.click()
        assert serious_faults(page) == []


def test_faces_are_filtered_and_exported_as_in_the_table(runs, browser, tmp_path):
    rows = [row for row in rows_of(runs / "photographs" / "inference_results.csv") if row["Face"]]
    label = max({row["Predicted Label"] for row in rows}, key=lambda name: sum(
        row["Predicted Label"] == name for row in rows))  # fmt: skip
    with opened(browser, runs / "photographs.html") as page:
        assert told(page, "#count") == f"{len(rows)} of {len(rows)} faces selected"
        assert page.locator("#grid > li").count() == min(len(rows), 60)
        assert page.locator("img[src='x']").count() == 0
        names = [row["Image Name"] for row in rows]
        assert "<img src=x onerror=alert(1)>.png" in names
        page.get_by_label("Emotion").select_option(index=1 + classes_of(rows[0]).index(label))
        page.get_by_label("Confidence to").fill("0.8")
        wanted = [row for row in rows if row["Predicted Label"] == label and float(row["Confidence"]) <= 0.8]
        assert 0 < len(wanted) < len(rows)
        assert told(page, "#count") == f"{len(wanted)} of {len(rows)} faces selected"
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Export").click()
        waiting.value.save_as(tmp_path / "selected.csv")
        exported = rows_of(tmp_path / "selected.csv")
        assert sorted(map(str, exported)) == sorted(str({**row, "Image Name": "'" * (row["Image Name"][0] == "=")
                                                         + row["Image Name"]}) for row in wanted)  # fmt: skip
        page.get_by_role("button", name="Clear").click()
        page.get_by_label("File name contains").fill("=1+")
        assert told(page, "#count").startswith("1 of")
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Export").click()
        waiting.value.save_as(tmp_path / "one.csv")
        assert rows_of(tmp_path / "one.csv")[0]["Image Name"] == "'=1+1.png"


def test_a_card_has_the_numbers_of_its_row(runs, browser):
    rows = {row["Image Name"]: row for row in rows_of(runs / "photographs" / "inference_results.csv")}
    with opened(browser, runs / "photographs.html", width=390) as page:
        margins = []
        for card in page.locator("#grid > li").all()[:5]:
            row = rows[card.locator(".file").inner_text()]
            assert card.locator("h3 span").first.inner_text() == row["Predicted Label"]
            for line in card.locator(".bars li").all():
                name, shown = line.locator(".of").inner_text(), line.locator(".by").inner_text()
                assert shares(shown) == pytest.approx(100 * float(row[name]), abs=0.11)
            card.locator("summary").click()
            card.locator("dl.row").wait_for()
            cells = card.locator("dl.row dd").all_inner_texts()
            assert cells == [cell or "\u2013" for cell in row.values()]
            ordered = sorted((float(value) for value in [row[name] for name in classes_of(row)]), reverse=True)
            margins.append(ordered[0] - ordered[1])
        assert margins == sorted(margins)
        assert page.locator("#grid img").first.evaluate("image => image.naturalWidth") >= 24
        assert "broken.png" in told(page, "main")


def test_the_timeline_shows_the_frame_and_numbers_of_a_moment(runs, browser):
    rows = rows_of(runs / "video" / "inference_results.csv")
    faces = [row for row in rows if row["Face"]]
    assert faces, "no face was found in the film"
    with opened(browser, runs / "video.html") as page:
        slider = page.get_by_role("slider")
        box = slider.bounding_box()
        moment = next(row for row in faces if float(row["Time"]) >= 0.8)
        end = 6.0
        across = box["x"] + 4 + (float(moment["Time"]) + 0.05) / end * (box["width"] - 8)
        page.mouse.move(across, box["y"] + 60)
        page.mouse.down()
        page.mouse.up()
        assert f"frame {moment['Frame']}:" in told(page, "#frame-text")
        assert page.locator("#still img").evaluate("image => image.naturalWidth") == 320
        own = [row for row in faces if row["Frame"] == moment["Frame"]]
        assert page.locator("#still svg rect.boxed").count() == len(own)
        header = page.locator("#frame-faces thead th").all_inner_texts()[1:]
        assert header == [f"face {row['Face']}" for row in own]
        for line in page.locator("#frame-faces tbody tr").all():
            name = line.locator("th").inner_text()
            for cell, row in zip(line.locator("td").all_inner_texts(), own, strict=True):
                assert shares(cell) == pytest.approx(100 * float(row[name]), abs=0.11)
        place = int(slider.get_attribute("aria-valuenow"))
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert int(slider.get_attribute("aria-valuenow")) == place + 1
        before = slider.inner_html()
        page.keyboard.press("+")
        assert slider.inner_html() != before
        page.keyboard.press("0")
        page.keyboard.press("End")
        assert int(slider.get_attribute("aria-valuenow")) == int(slider.get_attribute("aria-valuemax"))
        assert "face" in slider.get_attribute("aria-valuetext")


def hover(page, chart, share):
    """Point at a chart ``share`` of its width from the left."""
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def test_curves_read_the_values_of_the_history(runs, browser):
    history = rows_of(runs / "run" / "history.csv")
    with opened(browser, runs / "run.html") as page:
        chart = page.locator("#curves .chart").first
        hover(page, chart.locator("svg"), 0.97)
        losses = [f"{float(history[-1][name]):.4f}" for name in ("train_loss", "valid_loss")]
        assert told(page, "#curves .chart:first-child .reading") == (
            f"epoch {history[-1]['epoch']}: training {losses[0]}, validation {losses[1]}"
        )
        chart.locator("svg").focus()
        page.keyboard.press("Home")
        assert f"validation {float(history[0]['valid_loss']):.4f}" in told(page, "#curves .chart:first-child .reading")
        mistakes = sum(row["True Label"] != row["Predicted Label"] for row in
                       rows_of(runs / "run" / "valid" / "valid_results.csv"))  # fmt: skip
        assert f"{mistakes} mistakes" in told(page, "main")
        assert page.locator(".small-grid img").count() > 0


def test_samples_of_a_test_are_filtered_by_truth(runs, browser):
    rows = rows_of(runs / "test" / "test_results.csv")
    wrong = [row for row in rows if row["True Label"] != row["Predicted Label"]]
    with opened(browser, runs / "test.html") as page:
        page.get_by_label("Show", exact=True).select_option("mistakes")
        assert told(page, "#count") == f"{len(wrong)} of {len(rows)} samples selected"
        worst = max(wrong, key=lambda row: float(row["Confidence"]))
        assert page.locator("#grid .file").first.inner_text() == worst["Image Name"]
        assert page.locator("#grid dd").first.inner_text() == worst["True Label"]


def test_corruptions_and_quantiles_read_their_tables(runs, browser):
    rows = rows_of(runs / "corruptions" / "corruptions.csv")
    with opened(browser, runs / "corruptions.html") as page:
        line = page.locator(".heat tbody tr").filter(has_text="fog").first.locator("td").all_inner_texts()
        values = [f"{float(row['kl']):.4f}" for row in rows if row["corruption"] == "fog"]
        assert line[:2] == values
        title = page.locator("#curves .chart h3").first.inner_text()
        hover(page, page.locator("#curves .chart svg").first, 0.97)
        last = next(row for row in rows if (row["corruption"], row["severity"]) == (title, "5"))
        assert f"severity 5: kl {float(last['kl']):.4f}" in page.locator("#curves .reading").first.inner_text()
    bins = rows_of(runs / "quantiles" / "quantiles.csv")
    with opened(browser, runs / "quantiles.html") as page:
        hover(page, page.locator("#file-0 svg"), 0.12)
        text = told(page, "#file-0 .reading")
        near = [row for row in bins if text.startswith(f"bin {row['bin']}:")]
        assert f"mean actual {float(near[0]['actual_mean']):.4f}" in text


def test_ratings_are_read_point_by_point(runs, browser):
    rows = {row["Image Name"]: row for row in rows_of(runs / "ratings" / "test_results.csv")}
    with opened(browser, runs / "ratings.html") as page:
        hover(page, page.locator("#ratings-test svg").first, 0.5)
        name, _, values = told(page, "#ratings-test .chart:first-child .reading").partition(": ")
        row = rows[name]
        shown = [float(text.rpartition(" ")[2]) for text in values.split(", ")]
        assert shown == pytest.approx([float(row["Predicted Valence"]), float(row["Actual Valence"])], abs=6e-5)
        page.get_by_label("Arousal from").fill("0.2")
        wanted = [row for row in rows.values() if float(row["Predicted Arousal"]) >= 0.2]
        assert told(page, "#count").startswith(f"{len(wanted)} of {len(rows)} ")


def test_a_print_holds_all_that_is_selected(runs, browser):
    with opened(browser, runs / "test.html") as page:
        data = page.pdf()
        assert data.startswith(b"%PDF")
        assert page.locator("#grid > li").count() == 60
        page.emulate_media(media="print")
        assert not page.locator("#export").is_visible()
        assert page.locator("#grid > li").first.is_visible()
    assert io.BytesIO(data).getbuffer().nbytes > 10_000
