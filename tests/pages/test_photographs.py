"""Pages of photographs: every number of the table, names as text, pictures that moved or changed, older folders."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil

import pytest
from pages.result_folders import CLASSES, data_of, photographs, shares, text_of, write_csv, write_picture

from affectkit.core.progress import Silent
from affectkit.errors import DataError, UsageError
from affectkit.pages.make import make_report

ODD = ("<b>bold</b>.png", "=1+1.png", "a & b.png", "'\"quotes.png", "\u202egnp.exe.png", "päge.png")


class Notes(Silent):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


def test_every_cell_of_the_table_is_in_the_page(tmp_path):
    folder, header, rows = photographs(tmp_path, [f"p{k:02}.png" for k in range(30)], empty=["empty.png"])
    page = tmp_path / "page.html"
    made = make_report(folder, page)
    grid = data_of(page)["grid"]
    assert grid["columns"] == header
    assert sorted(grid["rows"]) == sorted(row for row in rows if row[1])
    margins = [sorted(map(float, row[-8:]))[-1] - sorted(map(float, row[-8:]))[-2] for row in grid["rows"]]
    assert margins == sorted(margins)  # the doubtful ones first
    assert made == {"report": str(page), "kind": "inference", "bytes": page.stat().st_size, "pictures": 30,
                    "without_picture": 0}  # fmt: skip
    assert all(address.startswith("data:image/webp;base64,") for address in grid["pictures"])
    assert "Photographs without a face: 1" in text_of(page)
    assert "empty.png" in text_of(page)
    counts = {name: sum(row[-10] == name for row in rows) for name in CLASSES}
    for name, count in counts.items():
        cells = re.search(rf"</span>{name}</th><td class=\"num\">([\d,]+)</td>", text_of(page))
        assert int(cells[1]) == count


def test_names_are_text_wherever_they_stand(tmp_path):
    classes = ("<script>alert(1)</script>", "</script><b>x", "{{ 7 * 7 }}", "neutral")
    folder, _, rows = photographs(tmp_path, ODD, classes=classes)
    write_csv(
        folder / "skipped.csv", ["Image Name", "Reason"], [["<img src=x onerror=alert(2)>", "it is <i>empty</i>."]]
    )
    page = tmp_path / "page.html"
    make_report(folder, page)
    raw = page.read_text(encoding="utf-8")
    assert raw.count("<script") == 2
    assert raw.count("</script>") == 2
    assert "<img" not in text_of(page)
    assert "49" not in re.findall(r"<th scope=\"row\">.*?</th>", text_of(page))
    assert html.escape("<img src=x onerror=alert(2)>") in raw
    assert "\u202e" not in text_of(page)  # shown as an escape, so that the name looks like no other
    grid = data_of(page)["grid"]
    assert {row[0] for row in grid["rows"]} == set(ODD)
    assert [grid["columns"][k] for k in grid["classes"]] == list(classes)
    assert len(grid["rows"]) == len(rows)


def test_the_policy_allows_this_script_and_nothing_else(tmp_path):
    folder, _, _ = photographs(tmp_path, ["a.png"])
    page = tmp_path / "page.html"
    make_report(folder, page)
    raw = page.read_text(encoding="utf-8")
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', raw)[1])
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", raw, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not re.findall(r'(?:src|href|action)="(?!#)', text_of(page))
    assert " style=" not in text_of(page)


def test_two_hundred_faces_stay_far_below_five_megabytes(tmp_path):
    folder, _, _ = photographs(tmp_path, [f"{k}.png" for k in range(200)])
    assert make_report(folder, tmp_path / "page.html")["bytes"] < 5_000_000


def test_pictures_that_moved_or_changed_are_told_and_found_again(tmp_path):
    folder, _, _ = photographs(tmp_path, ["a.png", "b.png", "c.png"])
    write_picture(tmp_path / "photos" / "b.png", seed=77)
    (tmp_path / "photos" / "c.png").unlink()
    page, notes = tmp_path / "page.html", Notes()
    assert make_report(folder, page, reporter=notes)["pictures"] == 1
    assert any(text.startswith("1 original is not where") for text in notes.texts)
    assert any(text.startswith("1 original has changed since (b.png)") for text in notes.texts)
    assert all(html.escape(text, quote=True).replace("&#x27;", "&#39;") in text_of(page) for text in notes.texts)
    shutil.move(tmp_path / "photos", tmp_path / "elsewhere")
    assert make_report(folder, page)["pictures"] == 0
    assert make_report(folder, page, images=tmp_path / "elsewhere")["pictures"] == 1


def test_a_record_of_others_brings_no_file_of_this_machine_into_the_page(tmp_path):
    folder, header, rows = photographs(tmp_path / "sent", ["a.png"], marks=False)
    secret = write_picture(tmp_path / "private" / "secret.png")
    for name in (str(secret), "../../private/secret.png"):
        write_csv(folder / "inference_results.csv", header, [[name, *rows[0][1:]]])
        for paths in ([str(tmp_path / "sent" / "photos")], ["x", "y"]):
            record = json.loads((folder / "inference.json").read_text())
            (folder / "inference.json").write_text(json.dumps({**record, "paths": paths}))
            assert make_report(folder, tmp_path / "page.html")["pictures"] == 0
    write_csv(folder / "inference_results.csv", header, rows)
    record["paths"] = [str(tmp_path / "sent" / "photos")]
    (folder / "inference.json").write_text(json.dumps(record))
    assert make_report(folder, tmp_path / "page.html")["pictures"] == 1


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_other_formats_of_the_table_give_the_same_numbers(tmp_path, form):
    folder, header, rows = photographs(tmp_path, ["a.png", "b.png"], form=form, empty=["c.png"])
    make_report(folder, tmp_path / "page.html")
    grid = data_of(tmp_path / "page.html")["grid"]
    assert (grid["columns"], sorted(grid["rows"])) == (header, sorted(rows[:2]))


def test_columns_of_later_versions_are_shown_and_missing_ones_tolerated(tmp_path):
    folder, header, rows = photographs(tmp_path / "new", ["a.png"], more=["Roll", "Left Eye x"])
    make_report(folder, tmp_path / "page.html")
    grid = data_of(tmp_path / "page.html")["grid"]
    assert grid["columns"] == header
    assert grid["rows"] == rows
    assert [header[k] for k in grid["classes"]] == list(CLASSES)
    old = tmp_path / "old"
    write_picture(old / "photos" / "a.png")
    own = shares(1)[0]
    write_csv(old / "results" / "inference_results.csv", ["Image Name", "Predicted Label", "Confidence", *CLASSES],
              [["a.png", "neutral", own[0], *own]])  # fmt: skip
    (old / "results" / "inference.json").write_text(json.dumps({"paths": [str(old / "photos")]}))
    made = make_report(old / "results", tmp_path / "page.html")
    assert made["pictures"] == 1
    assert data_of(tmp_path / "page.html")["grid"]["rows"][0][3:] == own


def test_a_run_that_was_stopped_shows_its_whole_rows(tmp_path):
    folder, _, rows = photographs(tmp_path, ["a.png", "b.png"])
    table = folder / "inference_results.csv"
    table.rename(folder / "inference_results.csv.part")
    part = folder / "inference_results.csv.part"
    part.write_bytes(part.read_bytes()[:-20])  # killed within the last row
    notes = Notes()
    make_report(folder, tmp_path / "page.html", reporter=notes)
    assert data_of(tmp_path / "page.html")["grid"]["rows"] == rows[:1]
    assert any("was stopped" in text for text in notes.texts)


def test_a_damaged_table_is_named_with_its_line(tmp_path):
    folder, _, _ = photographs(tmp_path, ["a.png", "b.png"])
    table = folder / "inference_results.csv"
    table.write_text(table.read_text() + "c.png,1\n")
    with pytest.raises(DataError, match=r"damaged at line 4: it has 2 values, not 17"):
        make_report(folder, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_ratings_are_summed_up_and_listed(tmp_path, monkeypatch):
    photos, folder = tmp_path / "photos", tmp_path / "results"
    rows = [[f"p{k}.png", f"{k / 10 - 0.5:.6f}", f"{0.3 - k / 20:.6f}"] for k in range(11)]
    for row in rows:
        write_picture(photos / row[0])
    write_csv(folder / "inference_results.csv", ["Image Name", "Predicted Valence", "Predicted Arousal"], rows)
    record = {"task": "ratings", "classes": ["arousal", "valence"], "paths": [str(photos)]}
    (folder / "inference.json").write_text(json.dumps(record))
    make_report(folder, tmp_path / "page.html")
    assert data_of(tmp_path / "page.html")["grid"]["ratings"] == [1, 2]
    found = re.search(r"Predicted Valence</th>(.*?)</tr>", text_of(tmp_path / "page.html"), re.DOTALL)[1]
    assert re.findall(r">(-?[\d.]+)</td>", found) == ["0.0000", "0.3317", "-0.5000", "0.5000"]
    monkeypatch.setattr("affectkit.pages.photographs.MOST_CELLS", 12)
    make_report(folder, tmp_path / "page.html")
    # None is more doubtful than another, and charts are drawn of what is listed.
    assert "Of 11 pictures the first 4 are listed and in the charts; means are over all" in text_of(
        tmp_path / "page.html"
    )
    assert len(data_of(tmp_path / "page.html")["grid"]["rows"]) == 4


def test_folders_without_results_and_odd_files_are_refused(tmp_path):
    page = tmp_path / "page.html"
    folder, _, _ = photographs(tmp_path / "run", ["a.png"])
    with pytest.raises(UsageError, match="does not exist"):
        make_report(tmp_path / "nothing", page)
    with pytest.raises(UsageError, match="is a file"):
        make_report(folder / "inference.json", page)
    with pytest.raises(DataError, match="holds no results") as error:
        make_report(folder.parent, page)
    assert error.value.hint == f"Did you mean {folder}?"
    shard = tmp_path / "shards" / "shard-1-of-2"
    shard.parent.mkdir()
    photographs(tmp_path / "one", ["a.png"])[0].rename(shard)
    with pytest.raises(DataError, match="holds no results") as error:
        make_report(shard.parent, page)
    assert error.value.hint == f"It holds shards: affectkit merge {shard.parent} puts them together."
    with pytest.raises(UsageError, match=r"must end in \.html"):
        make_report(folder, tmp_path / "page.pdf")
    with pytest.raises(UsageError, match="--images"):
        make_report(folder, page, images=tmp_path / "nothing")
    (folder / "inference_results.csv").unlink()
    with pytest.raises(DataError, match="nothing to report yet"):
        make_report(folder, page)


def test_what_was_left_out_is_told(tmp_path):
    folder, _, _ = photographs(tmp_path, ["a.png"])
    record = json.loads((folder / "inference.json").read_text())
    record |= {"min_score": 0.9, "faces_left_out": {"below_min_score": 2, "beyond_max_faces": 1_000}}
    record |= {"more_frames": {"images": 3, "frames_not_looked_at": 1_234}}
    (folder / "inference.json").write_text(json.dumps(record))
    make_report(folder, tmp_path / "page.html")
    shown = text_of(tmp_path / "page.html")
    assert "3: the first frame was predicted, 1,234 others were not" in shown
    assert "below min score: 2, beyond max faces: 1,000" in shown
