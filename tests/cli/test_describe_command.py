"""``affectkit describe``: what is printed and written, copies planted in a dataset, damaged files, thresholds."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image
from support import affectkit
from typer.testing import CliRunner

from affectkit.cli.app import app
from affectkit.core.progress import Silent
from affectkit.data.layouts.discovery import Labels, find_dataset
from affectkit.errors import DataError
from affectkit.exploration import near_copies
from affectkit.pages.make import make_report


def run(*arguments: object):
    return CliRunner().invoke(app, ["describe", *map(str, arguments)])


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def picture(seed: int, side: int = 40) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Votes on pictures; valid holds an exact copy of train and a near one, test a near one of another class."""
    root = tmp_path_factory.mktemp("data") / "faces"
    seed = 0
    for split, count in (("train", 8), ("valid", 5), ("test", 4)):
        (root / split).mkdir(parents=True)
        rows = []
        for number in range(count):
            picture(seed).save(root / split / f"s{number}_{seed}.png")
            rows.append([f"{split}/s{number}_{seed}.png", *([7, 2, 1] if number % 2 else [0, 5, 5])])
            seed += 1
        with (root / f"{split}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([["filename", "anger", "fear", "disgust"], *rows])
    (root / "valid/s1_9.png").write_bytes((root / "train/s1_1.png").read_bytes())
    picture(2).crop((1, 0, 39, 38)).resize((70, 70)).save(root / "valid/s2_10.png")
    picture(3).point(lambda value: int(value * 0.7 + 20)).save(root / "test/s0_13.png")
    return root


def test_planted_copies_are_found_and_written(data, tmp_path):
    out = tmp_path / "out"
    done = affectkit("describe", data, "--results", out, "--report", tmp_path / "page.html", "--group-by", r"/s(\d)_")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "near or exact" in done.stdout and "Fleiss' kappa" in done.stdout
    assert f"train --data {data} --labels {out / 'without_near_copies.csv'}" in done.stderr
    summary = json.loads((out / "describe.json").read_text())
    assert [found["splits"]["valid"]["in_earlier"] for found in (summary["copies"], summary["near_copies"])] == [1, 2]
    assert summary["near_copies"]["splits"]["test"]["of"] == {"train": 1, "valid": 0}
    assert summary["near_copies"]["labels_differ"] == 1 and summary["copies"]["labels_differ"] == 0
    assert summary["groups"]["across_count"] == 5 and summary["distributions"]["train"]["ties"] == 4
    pairs = {(row["filename"], row["other"], row["kind"]) for row in table(out / "near_duplicates.csv")}
    assert pairs == {
        ("train/s1_1.png", "valid/s1_9.png", "exact"), ("train/s2_2.png", "valid/s2_10.png", "near"),
        ("train/s3_3.png", "test/s0_13.png", "near"),
    }  # fmt: skip
    images = {row["filename"]: row for row in table(out / "images.csv")}
    assert len(images) == 17 and images["valid/s2_10.png"]["width"] == "70" and images["test/s0_13.png"]["group"] == "0"
    assert [images[name]["in_earlier"] for name in ("valid/s1_9.png", "valid/s2_10.png")] == ["exact", "near"]
    assert {row["class"]: row["count"] for row in table(out / "counts.csv") if row["split"] == "test"}["anger"] == "2"
    assert {path.name for path in out.glob("*.png")} == {
        "classes.png", "entropy.png", "light.png", "near_duplicates.png",
    }  # fmt: skip
    page = (tmp_path / "page.html").read_text()
    assert "train/s3_3.png" in page and "Krippendorff" in page and page.count("data:image") == 4


def alike_folders(root, classes, *, of_each_class=False):
    """Pictures that hardly differ, all or those of each class, in train and valid, labelled in turn; and an exact copy
    across the splits."""
    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        for number in range(6):
            folder = root / split / classes[number % len(classes)]
            folder.mkdir(parents=True, exist_ok=True)
            seed = number % len(classes) if of_each_class else 0
            pixels = np.asarray(picture(seed)).astype(int) + rng.integers(-3, 4, (40, 40, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    (root / "valid" / classes[0] / "copy.png").write_bytes((root / "train" / classes[0] / "0.png").read_bytes())
    return root


def test_near_copies_that_mostly_differ_in_class_are_look_alikes_and_none_is_to_be_left_out(tmp_path):
    root = alike_folders(tmp_path / "drawings", ["anger", "fear", "joy", "calm"])
    told = " ".join(run(root).stderr.split())
    assert "Warning: 79% of the 66 pairs of near copies differ in class: these are look-alikes" in told
    assert "Before any is left out, --results FOLDER draws them in near_duplicates.png; --correlation 0.97" in told
    assert "1 image of later splits has an exact copy in an earlier one" in told
    out, page = tmp_path / "out", tmp_path / "page.html"
    told = " ".join(run(root, "--results", out, "--report", page).stderr.split())
    assert f"look at {out / 'near_duplicates.png'} first" in told and "without_near_copies" not in told
    assert f"--labels {out / 'without_copies.csv'}" in told
    assert "pairs of near copies differ in class: these are look-alikes" in page.read_text()


def test_near_copies_of_one_class_are_copies(tmp_path):
    told = " ".join(run(alike_folders(tmp_path / "burst", ["anger", "fear"], of_each_class=True)).stderr.split())
    assert "look-alikes" not in told and "7 images of later splits have a copy in an earlier one" in told
    assert "look-alikes" not in run(tmp_path / "burst", "--no-near-copies").stderr


def test_the_table_without_copies_is_read_as_labels(data, tmp_path):
    assert run(data, "--results", tmp_path, "-q").exit_code == 0
    for name, left in (("without_copies.csv", (8, 4, 4)), ("without_near_copies.csv", (8, 3, 3))):
        source = find_dataset(data, labels=Labels(tmp_path / name), reporter=Silent())
        assert [len(split) for split in source.splits.values()] == list(left)
        whole = find_dataset(data, reporter=Silent())
        assert source.splits["train"].votes.tolist() == whole.splits["train"].votes.tolist()
        assert "valid/s1_9.png" not in source.splits["valid"].ids
    assert run(data, "--results", tmp_path, "--force", "--no-near-copies", "-q").exit_code == 0
    assert not (tmp_path / "without_near_copies.csv").exists() and not (tmp_path / "near_duplicates.png").exists()


def test_thresholds(data):
    done = run(data, "-q", "--json", "--fail-under", "near_copies_across=2,copies_across=1,items=17,unreadable=0")
    assert done.exit_code == 3 and "near_copies_across is 3; at most 2 was asked for" in done.output
    assert json.loads(done.stdout)["missed"] and "items is" not in done.stderr
    done = run(data, "-q", "--no-near-copies", "--fail-under", "near_copies=9,groups_across=0")
    assert done.exit_code == 3 and done.stderr.count("not defined (NaN)") == 2
    assert run(data, "--fail-under", "accuracy=1").exit_code == 2


def test_too_many_near_copies_are_not_told_and_the_rest_is(data, monkeypatch):
    monkeypatch.setattr(near_copies, "MOST_PAIRS", 0)
    done = run(data, "--json", "--fail-under", "near_copies_across=9")
    assert done.exit_code == 3 and json.loads(done.stdout)["near_copies"] is None
    assert "near copies are not told: there are more than 0 pairs" in done.stderr and "NaN" in done.stderr


def test_a_report_of_a_damaged_record_says_where(data, tmp_path):
    assert run(data, "--results", tmp_path / "out", "-q").exit_code == 0
    record = json.loads((tmp_path / "out/describe.json").read_text())
    for place, value, words in (
        (("images", "all"), {}, "images.all"), (("copies", "splits"), {}, "copies"), (("classes",), None, "classes"),
        (("raters", "train", "all", "number", "mean"), "x", "number.mean"), (("distributions", "other"), None, "other"),
    ):  # fmt: skip
        broken = json.loads(json.dumps(record))
        inner = broken
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        (tmp_path / "out/describe.json").write_text(json.dumps(broken))
        with pytest.raises(DataError, match="describe.json") as caught:
            make_report(tmp_path / "out", tmp_path / "page.html")
        assert words in caught.value.message, caught.value.message


def test_damaged_files_are_counted_named_and_change_the_exit_code(tmp_path):
    root = tmp_path / "data"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        picture(len(name)).save(root / name / "good.png")
    (root / "a/cut.png").write_bytes((root / "a/good.png").read_bytes()[:70])
    (root / "b/zero.jpg").write_bytes(b"")
    (root / "b/evil\x1b[31m.png").write_bytes(b"x" * 40)
    done = run(root, "--results", tmp_path / "out")
    assert done.exit_code == 4 and "3 files cannot be read, of 5" in done.stderr and "\x1b" not in done.stderr
    assert {row["filename"] for row in table(tmp_path / "out/images.csv") if row["unreadable"]} >= {
        "a/cut.png",
        "b/zero.jpg",
    }
    assert run(root, "--fail-under", "unreadable=3").exit_code == 0
    assert run(root, "--fail-under", "unreadable=2").exit_code == 3


def test_a_folder_of_images_without_labels_and_one_without_images(tmp_path):
    (tmp_path / "photos/more").mkdir(parents=True)
    picture(0).save(tmp_path / "photos/one.png")
    picture(0, side=64).save(tmp_path / "photos/more/two.jpg", quality=80)
    (tmp_path / "photos/film.mp4").write_bytes(bytes(99))
    done = run(tmp_path / "photos", "--json")
    summary = json.loads(done.stdout)
    assert done.exit_code == 0 and summary["layout"] == "images without labels" and summary["items"] == 2
    assert summary["near_copies"]["clusters"] == 1 and "1 video passed over" in done.stderr
    (tmp_path / "films").mkdir()
    (tmp_path / "films/film.mp4").write_bytes(bytes(99))
    done = run(tmp_path / "films")
    assert done.exit_code == 1 and "no image in it" in done.stderr and "media-info" in done.stderr
    assert run(tmp_path / "gone").exit_code == 1 and run().exit_code == 2
    assert run(tmp_path / "photos/one.png").exit_code == 1


def test_what_is_passed_over_and_a_dataset_nearby_are_told(tmp_path):
    from affectkit.data.layouts import rafdb

    images = tmp_path / "raf/basic/Image/aligned"
    images.mkdir(parents=True)
    (tmp_path / "raf/basic/EmoLabel").mkdir()
    (tmp_path / "raf/basic/EmoLabel/list_patition_label.txt").write_text("train_00001.jpg 1\ntest_0001.jpg 2\n")
    for number, name in enumerate(("train_00001", "test_0001")):
        picture(number).save(images / f"{name}_aligned.jpg")
    assert rafdb.is_rafdb(tmp_path / "raf/basic")
    done = run(tmp_path / "raf")
    assert done.exit_code == 0 and "2 images" in done.stdout
    assert f"without labels. RAF-DB is in {tmp_path / 'raf/basic'}: name that folder." in done.stderr
    assert "passed over: 1 file that is no image (1 .txt)" in done.stderr
    (tmp_path / "raf/notes.txt").touch()
    assert "passed over: 2 files that are no images (2 .txt)" in run(tmp_path / "raf").stderr


def test_class_folders_one_level_down_are_told(tmp_path):
    for place, seed in (("data/sad", 0), ("data/glad", 1), ("docs", 2)):
        (tmp_path / place).mkdir(parents=True)
        picture(seed).save(tmp_path / place / "one.png")
    done = run(tmp_path)
    hint = f"Is the dataset one level down, in {tmp_path / 'data'}?"
    assert done.exit_code == 0 and "3 images" in done.stdout and f"without labels. {hint}" in done.stderr
    with pytest.raises(DataError) as caught:
        find_dataset(tmp_path)
    assert caught.value.hint == hint
    (tmp_path / "other").mkdir()
    (tmp_path / "other/train.csv").write_text("filename,label\none.png,sad\n")
    assert "without labels" not in run(tmp_path).stderr  # which of the two is not known


def test_pairs_of_exact_copies_alone_leave_no_share_of_near_pairs(tmp_path):
    for kind, seed in (("sad", 0), ("glad", 1)):
        (tmp_path / kind).mkdir()
        picture(seed).save(tmp_path / kind / "one.png")
    picture(0).save(tmp_path / "glad/two.png")
    done = run(tmp_path)
    (exact,) = [line.split() for line in done.stdout.splitlines() if line.split()[-2:-1] == ["exact"]]
    assert exact[:2] == ["exact", "1"] and exact[-3:] == ["1", "exact", "100%"]
    (near,) = [line.split() for line in done.stdout.splitlines() if line.split()[-2:-1] == ["near"]]
    assert near[-3:] == ["0", "near", "-"] and "nan" not in done.stdout
    for split, seed in (("train/sad", 0), ("train/glad", 1), ("valid/sad", 2), ("valid/glad", 1)):
        (tmp_path / "two" / split).mkdir(parents=True)
        picture(seed).save(tmp_path / "two" / split / "one.png")
    assert "1 image of later splits has a copy in an earlier one" in run(tmp_path / "two").stderr


def test_ratings_and_a_subject_column(tmp_path):
    (tmp_path / "im").mkdir()
    rows = []
    for number in range(12):
        picture(number).save(tmp_path / f"im/{number}.png")
        rows.append([f"im/{number}.png", "train" if number < 8 else "test", number % 5, 1 + number % 8, 9 - number % 7])
    with (tmp_path / "ratings.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "split", "subject", "valence", "arousal"], *rows])
    out = tmp_path.with_name("described")
    done = run(tmp_path, "--json", "--results", out)
    summary = json.loads(done.stdout)
    assert (
        done.exit_code == 0
        and summary["ratings"]["train"]["scale"] == [1, 9]
        and summary["groups"]["column"] == "subject"
    )
    valence = [1 + number % 8 for number in range(8)]
    assert summary["ratings"]["train"]["valence"]["mean"] == pytest.approx(np.mean(valence))
    assert (out / "valence_arousal.png").is_file() and "in several splits" in run(tmp_path, "-q").stderr


def test_ratings_that_cannot_be_read_are_left_out_and_told_where_there_are_labels(tmp_path):
    rows = [[f"{number}.png", "ab"[number % 2], -2 if number == 3 else 0.5, -0.5] for number in range(6)]
    for number in range(6):
        picture(number).save(tmp_path / f"{number}.png")
    for name, columns in (("faces.csv", (0, 1, 2, 3)), ("rated.csv", (0, 2, 3))):
        header = ["filename", "label", "valence", "arousal"]
        with (tmp_path / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([[row[k] for k in columns] for row in [header, *rows]])
    done = run(tmp_path, "--labels", tmp_path / "faces.csv", "--json")
    summary = json.loads(done.stdout)
    assert (
        done.exit_code == 0 and summary["ratings"] is None and summary["splits"]["all"]["classes"] == {"a": 3, "b": 3}
    )
    assert "ratings are left out" in done.stderr and "line 5 (valence: -2)" in done.stderr
    done = run(tmp_path, "--labels", tmp_path / "rated.csv")
    assert done.exit_code == 1 and "line 5 (valence: -2)" in done.stderr


def test_results_in_the_dataset_are_refused(data):
    before = sorted(path.name for path in data.iterdir())
    for inside in (data, data / "described"):
        done = run(data, "--results", inside, "--force")
        assert done.exit_code == 2 and re.search("--results .* (lies in|is the folder of) DATA", done.stderr)
    assert sorted(path.name for path in data.iterdir()) == before


def test_no_pair_of_near_copies_is_no_share_of_them(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        picture(0).save(tmp_path / place / "same.png")
        picture(ord(place)).save(tmp_path / place / "own.png")
    done = run(tmp_path)
    assert done.exit_code == 0 and "100%" in done.stdout and "nan" not in done.stdout


def test_ratings_that_are_all_the_same_have_no_correlation(tmp_path):
    (tmp_path / "im").mkdir()
    for number in range(4):
        picture(number).save(tmp_path / f"im/{number}.png")
    rows = [[f"im/{number}.png", 5, 1 + number] for number in range(4)]
    with (tmp_path / "ratings.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "valence", "arousal"], *rows])
    done = run(tmp_path)
    assert done.exit_code == 0 and "5.00" in done.stdout and "nan" not in done.stdout
