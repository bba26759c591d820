"""FER+: the authors' rule on the real label file, and preparation from generated images."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affectkit.core import files
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.layouts.duplicates import COPY
from affectkit.data.media.images import read_image
from affectkit.errors import DataError, UsageError
from affectkit.prep.images import ferplus, output_folder
from affectkit.prep.images.ferplus import FerplusOptions, apply_vote_rule
from affectkit.prep.images.ferplus_download import COLUMNS, EMOTIONS, read_labels

SHARED = Path(os.environ.get("AFFECTKIT_TEST_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
HEADER = "Usage,Image name," + ",".join(COLUMNS)
ROWS = [
    ("Training", "fer0000000.png", (8, 0, 1, 1, 0, 0, 0, 0, 0, 0)),  # neutral
    ("Training", "", (0, 0, 0, 0, 0, 0, 0, 0, 0, 10)),
    ("Training", "fer0000001.png", (5, 5, 0, 0, 0, 0, 0, 0, 0, 0)),  # half is not more than half
    ("Training", "fer0000002.png", (1, 1, 1, 1, 1, 1, 1, 1, 1, 1)),
    ("Training", "fer0000003.png", (1, 1, 0, 0, 0, 0, 0, 0, 8, 0)),
    ("Training", "fer0000004.png", (0, 4, 0, 0, 0, 0, 0, 0, 0, 6)),
    ("Training", "fer0000005.png", (0, 0, 0, 5, 1, 1, 1, 1, 1, 0)),  # sadness: 5 of 5
    ("Training", "fer0000000.png", (8, 0, 1, 1, 0, 0, 0, 0, 0, 0)),  # the same picture again
    ("Training", "fer0000006.png", (0, 0, 0, 0, 0, 0, 0, 10, 0, 0)),  # contempt, its file is missing
    ("PublicTest", "fer0000007.png", (0, 9, 0, 0, 0, 0, 0, 0, 0, 1)),
    ("PrivateTest", "fer0000008.png", (0, 0, 0, 0, 6, 3, 1, 0, 0, 0)),
]


def prepare_ferplus(source: Path, output: Path, *, reporter=None, **options):
    return ferplus.prepare_ferplus(source, output, FerplusOptions(**options), reporter=reporter)


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (48, 48), dtype=np.uint8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for folder in ("train/images", "rest"):
        (root / folder).mkdir(parents=True)
    for number in (0, 1, 2, 3, 4, 5, 7, 8):
        place = root / ("train/images" if number < 7 else "rest") / f"fer{number:07}.png"
        Image.fromarray(picture(number)).save(place)
    write_labels(root)
    return root


def write_labels(root: Path, rows: list = ROWS) -> None:
    lines = [f"{usage},{name}," + ",".join(map(str, votes)) for usage, name, votes in rows]
    (root / "fer2013new.csv").write_text("\n".join([HEADER, *lines]) + "\n")


def write_pixels(root: Path, rows: list = ROWS) -> None:
    lines = ["emotion,pixels,Usage"]
    for usage, name, _ in rows:
        number = int(name[3:10]) if name else 999
        lines.append(f"0,{' '.join(map(str, picture(number).ravel()))},{usage}")
    (root / "fer2013.csv").write_text("\n".join(lines) + "\n")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_rule_keeps_the_published_numbers() -> None:
    path = SHARED / "ferplus" / "fer2013new.csv"
    if not path.is_file():
        pytest.skip(f"the FER+ label file is not at {path} (AFFECTKIT_TEST_DATA names its folder's parent)")
    labels = read_labels(path)
    assert Counter(labels.splits) == {"train": 28_709, "valid": 3_589}
    top, reasons = apply_vote_rule(labels.votes, "majority")
    kept = Counter(split for split, reason in zip(labels.splits, reasons, strict=True) if not reason)
    assert kept == {"train": 25_060, "valid": 3_199}
    assert max(int(row) for row, reason in zip(top, reasons, strict=True) if not reason) < len(EMOTIONS)
    assert sum(not name for name in labels.names) == 158
    _, reasons = apply_vote_rule(labels.votes, "distribution")
    without = Counter(split for split, reason in zip(labels.splits, reasons, strict=True) if reason)
    assert without == {"train": 148 + 3, "valid": 10 + 2}


def test_rule_row_by_row() -> None:
    """Against the rule written once more, plainly, on random votes of ten raters."""
    votes = np.random.default_rng(1).multinomial(10, np.random.default_rng(2).dirichlet(np.ones(10) * 0.3, 600))
    top, reasons = apply_vote_rule(votes, "majority")
    _, shares = apply_vote_rule(votes, "distribution")
    seen = Counter()
    for row, best, reason, share in zip(votes.tolist(), top.tolist(), reasons, shares, strict=True):
        left = [0 if count == 1 else count for count in row]
        winners = [index for index, count in enumerate(left) if count > sum(left) / 2]
        if not sum(left):
            expected = ferplus.NO_VOTES
        elif not winners:
            expected = ferplus.NO_MAJORITY
        else:
            assert best == winners[0]
            expected = {8: ferplus.TOP_UNKNOWN, 9: ferplus.TOP_NO_FACE}.get(winners[0], "")
        assert reason == expected
        assert share == ("" if sum(left[:8]) else ferplus.NO_EMOTION)
        seen[reason] += 1
    assert all(seen[reason] for reason in ("", ferplus.NO_MAJORITY, ferplus.TOP_UNKNOWN, ferplus.TOP_NO_FACE))
    assert apply_vote_rule(np.ones((1, 10), dtype=int), "majority")[1] == [ferplus.NO_VOTES]


def test_majority(source: Path, tmp_path: Path) -> None:
    report = prepare_ferplus(source, tmp_path / "out", target="majority")
    assert (tmp_path / "out/train.csv").read_text() == (
        "filename,label," + ",".join(EMOTIONS) + "\n"
        "images/train/fer0000000.png,neutral,8,0,0,0,0,0,0,0\n"
        "images/train/fer0000005.png,sadness,0,0,0,5,0,0,0,0\n"
    )
    assert report.by_rule == {"train": 4, "valid": 1, "test": 1}
    assert {name: number for name, number in report.kept["train"].items() if number} == {"neutral": 1, "sadness": 1}
    assert report.dropped["train"] == {
        ferplus.UNNAMED: 1,
        ferplus.NO_MAJORITY: 1,
        ferplus.NO_VOTES: 1,
        ferplus.TOP_UNKNOWN: 1,
        ferplus.TOP_NO_FACE: 1,
        ferplus.REPEATED: 1,
        ferplus.MISSING: 1,
    }
    for split, total in (("train", 9), ("valid", 1), ("test", 1)):
        assert sum(report.kept[split].values()) + sum(report.dropped[split].values()) == total
    assert report.images == 4 and report.files_written == 7 and not report.already_done
    assert f"{ferplus.MISSING}: fer0000006.png" in report.notes
    assert f"{ferplus.REPEATED}: fer0000000.png" in report.notes
    json.dumps(report.to_dict())


def test_distribution_is_read_back(source: Path, tmp_path: Path) -> None:
    report = prepare_ferplus(source, tmp_path / "out")
    found = find_dataset(tmp_path / "out")
    assert found.layout == "tables" and found.classes == EMOTIONS and found.notes == ()
    assert {name: len(split) for name, split in found.splits.items()} == {"train": 4, "valid": 1, "test": 1}
    assert {name: split.counts() for name, split in found.splits.items()} == report.kept
    test = found.splits["test"]
    np.testing.assert_array_equal(test.votes[0], [0, 0, 0, 0, 6, 3, 0, 0])
    np.testing.assert_allclose(test.distribution[0, 4:6], [2 / 3, 1 / 3], rtol=1e-6)
    assert test.labels is None
    np.testing.assert_array_equal(read_image(test.path(0), channels=1)[:, :, 0], picture(8))


def test_from_pixels(source: Path, tmp_path: Path) -> None:
    write_pixels(source)
    for target in ("majority", "distribution"):
        out = tmp_path / target
        report = prepare_ferplus(source, out, target=target)
        assert ferplus.MISSING not in report.dropped["train"]
        checked = 0
        for split in find_dataset(out).splits.values():
            for index, name in enumerate(split.ids):
                expected = picture(int(name[-11:-4]))
                np.testing.assert_array_equal(read_image(split.path(index), channels=1)[:, :, 0], expected)
                checked += 1
        assert checked == report.images == {"majority": 5, "distribution": 7}[target]
    torn = tmp_path / "majority/images/test/fer0000008.png"
    whole = torn.read_bytes()
    torn.write_bytes(whole[:-1])
    assert prepare_ferplus(source, tmp_path / "majority", target="majority").files_written == 1
    assert torn.read_bytes() == whole


@pytest.mark.parametrize("name", ["icml_face_data.csv", "icml_face_data/icml_face_data.csv", "faces.csv"])
def test_the_other_file_of_the_same_rows(source: Path, tmp_path: Path, name: str) -> None:
    """Its columns stand in another order, with blanks in the header; a file of another name is known by its columns."""
    plain, other = tmp_path / "plain", tmp_path / "other"
    for root in (plain, other):
        root.mkdir()
        write_labels(root)
    write_pixels(plain)
    _, *rows = (plain / "fer2013.csv").read_text().splitlines()
    lines = ["emotion, Usage, pixels"]
    for row in rows:
        emotion, pixels, usage = row.split(",")
        lines.append(f"{emotion},{usage},{pixels}")
    (other / name).parent.mkdir(exist_ok=True)
    (other / name).write_text("\n".join(lines) + "\n")
    (other / "notes.csv").write_bytes(b"\xff\xfe not a table")
    prepare_ferplus(plain, tmp_path / "a", target="majority")
    report = prepare_ferplus(other, tmp_path / "b", target="majority")
    one, two = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert json.loads(two.pop("manifest.json"))["pixel_file"] == Path(name).name and one.pop("manifest.json")
    assert one == two and len(one) > 3
    assert any("faces.csv" in note for note in report.notes) == (name == "faces.csv")


def test_of_several_files_with_pixels_one_is_read_and_named(source: Path, tmp_path: Path) -> None:
    both, two = tmp_path / "both", tmp_path / "two"
    for root, copies in ((both, ["icml_face_data.csv"]), (two, ["b.csv"])):
        root.mkdir()
        write_labels(root)
        write_pixels(root)
        for name in copies:
            shutil.copy(root / "fer2013.csv", root / name)
    report = prepare_ferplus(both, tmp_path / "a")
    assert "fer2013.csv was read, not icml_face_data.csv" in report.notes
    lines = (both / "icml_face_data.csv").read_text().splitlines()
    usages = ("Training", "PublicTest", "PrivateTest")
    last = next(usage for usage in usages if usage in lines[-1])
    changed = lines[-1].replace(last, next(usage for usage in usages if usage != last))
    for name, rows, why in (
        ("shorter", lines[:-1], "it has 10 rows, the label file 11"),
        ("other", [*lines[:-1], changed], "its usage differs from the label file's in 1 row"),
        ("bare", ["emotion,pixels"], "it cannot be read: .*no column Usage"),
    ):
        (both / "icml_face_data.csv").write_text("\n".join(rows) + "\n")
        notes = prepare_ferplus(both, tmp_path / name).notes
        assert any(re.match(f"fer2013.csv was read, not icml_face_data.csv, and {why}", note) for note in notes), notes
    (two / "fer2013.csv").rename(two / "a.csv")
    with pytest.raises(DataError, match=r"several files in .*a\.csv, .*b\.csv"):
        prepare_ferplus(two, tmp_path / "b")


def test_pixels_in_another_order_are_refused(source: Path, tmp_path: Path) -> None:
    write_pixels(source, [*ROWS[:-2], ROWS[-1], ROWS[-2]])
    with pytest.raises(DataError, match=r"usage differs from the label file's at lines 11, 12"):
        prepare_ferplus(source, tmp_path / "out")
    write_pixels(source, ROWS[:-1])
    with pytest.raises(DataError, match="has 10 rows, the label file 11"):
        prepare_ferplus(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # Rows beyond the label file's do no harm: the shared label file lacks the private test rows.
    write_pixels(source, [*ROWS, ROWS[0]])
    assert prepare_ferplus(source, tmp_path / "out").images == 7
    text = (source / "fer2013.csv").read_text()
    (source / "fer2013.csv").write_text(text.replace("\n0,", "\n0,300 ", 1))
    with pytest.raises(DataError, match="line 2 does not hold 2304 values"):
        prepare_ferplus(source, tmp_path / "other")


def test_second_run_does_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = prepare_ferplus(source, out)
    before = contents(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = prepare_ferplus(source, out)
    assert again.already_done and again.files_written == 0
    assert (again.kept, again.dropped, again.notes) == (first.kept, first.dropped, first.notes)
    assert contents(out) == before
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["target"] == "distribution" and manifest["affectkit"] and manifest["rule"]


@pytest.mark.parametrize("steps", [0, 1, 3, 6])
def test_killed_run_is_finished(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    prepare_ferplus(source, whole)
    real, calls = os.replace, []

    def replace(old: str, new: str) -> None:
        calls.append(new)
        # The first rename is the marker's.
        if len(calls) > steps + 1:
            raise KeyboardInterrupt
        real(old, new)

    monkeypatch.setattr(files.os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        prepare_ferplus(source, out)
    monkeypatch.undo()
    assert not (out / "manifest.json").exists()
    report = prepare_ferplus(source, out)
    assert not report.already_done and report.files_written == 6 + 3 - steps
    assert contents(out) == contents(whole)


def test_what_is_missing_is_mended(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_ferplus(source, out)
    before = contents(out)
    (out / "images/train/fer0000000.png").unlink()
    (out / "images/train/fer0000005.png").write_bytes(b"torn")
    (out / "valid.csv").write_text("torn")
    report = prepare_ferplus(source, out)
    assert report.files_written == 3 and not report.already_done
    assert contents(out) == before


def test_other_content_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        prepare_ferplus(source, out)
    assert contents(out) == {"mine.txt": b"keep"}
    (out / "mine.txt").unlink()
    (out / "manifest.json").write_text("[1, 2]")
    with pytest.raises(UsageError, match=r"manifest\.json is not affectkit's"):
        prepare_ferplus(source, out)
    (out / "manifest.json").unlink()
    prepare_ferplus(source, out)
    with pytest.raises(UsageError, match="another preparation: target distribution there, majority now"):
        prepare_ferplus(source, out, target="majority")
    # More images than the finished run saw: nothing that could be called done.
    Image.fromarray(picture(6)).save(source / "rest" / "fer0000006.png")
    with pytest.raises(UsageError, match="another preparation: images"):
        prepare_ferplus(source, out)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        prepare_ferplus(source, tmp_path / "file")


def test_output_inside_the_source(source: Path) -> None:
    first = prepare_ferplus(source, source / "out")
    assert prepare_ferplus(source, source / "out").already_done
    assert first.images == 6


def test_hard_links_and_their_fallback(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_ferplus(source, tmp_path / "linked", link="hardlink")
    original = source / "train/images/fer0000000.png"
    assert (tmp_path / "linked/images/train/fer0000000.png").samefile(original)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(output_folder.os, "link", refuse)
    prepare_ferplus(source, tmp_path / "copied", link="hardlink")
    assert not (tmp_path / "copied/images/train/fer0000000.png").samefile(original)
    assert contents(tmp_path / "copied") == contents(tmp_path / "linked")
    with pytest.raises(UsageError, match="link must be one of copy, hardlink"):
        prepare_ferplus(source, tmp_path / "x", link="symlink")


def test_sources_that_are_not_complete(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="target must be one of majority, distribution"):
        prepare_ferplus(source, out, target="both")
    with pytest.raises(DataError, match="does not exist"):
        prepare_ferplus(tmp_path / "no", out)
    shutil.copytree(source, tmp_path / "differ")
    Image.fromarray(picture(77)).save(tmp_path / "differ/rest/fer0000000.png")
    with pytest.raises(DataError, match="images of the same name differ"):
        prepare_ferplus(tmp_path / "differ", out)
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(DataError, match=r"fer2013new\.csv is not in"):
        prepare_ferplus(bare, out)
    write_labels(bare)
    with pytest.raises(DataError, match=r"neither fer2013\.csv nor icml_face_data\.csv, .* and no fer#######\.png"):
        prepare_ferplus(bare, out)
    assert not out.exists()


def test_label_file_one_level_down(source: Path, tmp_path: Path) -> None:
    (source / "rest" / "fer2013new.csv").write_bytes((source / "fer2013new.csv").read_bytes())
    (source / "fer2013new.csv").unlink()
    assert prepare_ferplus(source, tmp_path / "out").images == 6


def test_faults_of_the_label_file(tmp_path: Path) -> None:
    path = tmp_path / "fer2013new.csv"
    good = "Training,fer0000000.png,10,0,0,0,0,0,0,0,0,0"
    wrong = [
        good.replace("fer0000000.png", "../x.png"),
        good.replace("Training", "Other"),
        good.replace(",10,", ",ten,"),
        good.replace(",10,", ",-1,"),
        good + ",0",
    ]
    path.write_text("\n".join([HEADER, good, *wrong, good]) + "\n")
    with pytest.raises(DataError, match="lines 3, 4, 5, 6, 7"):
        read_labels(path)
    path.write_text("filename,label\n")
    with pytest.raises(DataError, match="columns must be Usage, Image name, neutral"):
        read_labels(path)


def test_rows_of_one_image_with_other_votes(source: Path, tmp_path: Path) -> None:
    rows = [*ROWS, ("Training", "fer0000005.png", (0, 9, 0, 0, 0, 0, 0, 0, 0, 0))]
    rows.append(("PublicTest", "fer0000000.png", (9, 0, 0, 0, 0, 0, 0, 0, 0, 0)))
    write_labels(source, rows)
    report = prepare_ferplus(source, tmp_path / "out")
    assert report.dropped["train"][ferplus.REPEATED_OTHER] == 1
    assert report.kept["valid"] == {name: int(name in ("neutral", "happiness")) for name in EMOTIONS}
    assert any("more than one split" in note and "fer0000000.png" in note for note in report.notes)


def test_progress_counts_every_image(source: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []

    class Counting:
        def note(self, text: str) -> None: ...
        def warn(self, text: str) -> None: ...
        def finish(self) -> None: ...

        def start(self, label: str, total: int | None, unit: str = "", *, done: int = 0) -> None:
            self.writing = label.startswith("writing")
            told.append(("start", (total or 0) * self.writing))

        def advance(self, count: int = 1, text: str = "") -> None:
            told.append(("advance", count * self.writing))

    prepare_ferplus(source, tmp_path / "out", reporter=Counting())
    assert sum(n for kind, n in told if kind == "start") == sum(n for kind, n in told if kind == "advance") == 6


def copied_rows() -> list:
    """Twelve training images, six of validation and four of test, each with votes of its own class."""
    usages = ["Training"] * 12 + ["PublicTest"] * 6 + ["PrivateTest"] * 4
    return [(usage, f"fer{number:07}.png", [9 if k == number % 8 else 0 for k in range(10)])
            for number, usage in enumerate(usages)]  # fmt: skip


# Of validation 12 and 13 are images 0 and 1 of train; of test 18 is 2 of train, 19 is 14 of validation.
SAME_AS = {12: 0, 13: 1, 18: 2, 19: 14}


@pytest.mark.parametrize("form", ["images", "pixels"])
@pytest.mark.parametrize("drop", [False, True])
def test_copies_across_splits_are_counted_or_left_out(tmp_path: Path, form: str, drop: bool) -> None:
    root, rows = tmp_path / "source", copied_rows()
    root.mkdir()
    write_labels(root, rows)
    pixels = {number: picture(SAME_AS.get(number, number)) for number in range(len(rows))}
    if form == "images":
        for number, values in pixels.items():
            Image.fromarray(values).save(root / rows[number][1])
    else:
        lines = [f"0,{' '.join(map(str, pixels[n].ravel()))},{usage}" for n, (usage, _, _) in enumerate(rows)]
        (root / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    report = prepare_ferplus(root, tmp_path / "out", target="majority", drop_copies=drop)
    ending = ": left out" if drop else "; --drop-copies leaves them out"
    assert [note for note in report.notes if "copies of" in note] == [
        f"valid: 2 of 6 images are copies of train images{ending}",
        f"test: 2 of 4 images are copies of train (1) and valid (1) images{ending}",
    ]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["report"]["copies"] == report.copies
    assert report.copies["test"] == {
        "compared_with": ["train", "valid"], "items": 4, "copies_of": {"train": 1, "valid": 1}, "copies": 2,
        "dropped": drop,
    }  # fmt: skip
    found = find_dataset(tmp_path / "out").splits
    gone = set(SAME_AS) if drop else set()
    for split, numbers in (("train", range(12)), ("valid", range(12, 18)), ("test", range(18, 22))):
        kept = [number for number in numbers if number not in gone]
        assert [Path(name).stem for name in found[split].ids] == [f"fer{number:07}" for number in kept]
        assert report.by_rule[split] == len(numbers)
        assert report.dropped[split].get(COPY, 0) == len(numbers) - len(kept)
    again = prepare_ferplus(root, tmp_path / "out", target="majority", drop_copies=drop)
    assert again.already_done and again.copies == report.copies
    with pytest.raises(UsageError, match="--drop-copies"):
        prepare_ferplus(root, tmp_path / "out", target="majority", drop_copies=not drop)


def test_a_preparation_of_before_copies_were_counted_is_done(source: Path, tmp_path: Path) -> None:
    prepare_ferplus(source, tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["report"]["copies"]
    path.write_text(json.dumps(manifest))
    assert prepare_ferplus(source, tmp_path / "out").already_done
