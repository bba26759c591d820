"""``infer`` on folders as they are: photographs, videos, animations, what cannot be read, names of any bytes."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from films import write_film
from PIL import Image
from support import AMBIGUITY, CLASSES, FACE_COLUMNS, TINY, Heard, invoke

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.data.media.animation_stream import AnimationStream
from affectkit.data.media.animations import count_frames
from affectkit.data.media.video_stream import Sampler
from affectkit.errors import UsageError
from affectkit.inference.infer import infer
from affectkit.inference.merge import merge
from affectkit.settings.inference import InferSettings


def run(checkpoint, *paths, reporter=None, stdin="", **changes):
    values = {"paths": list(map(str, paths)), "checkpoint": checkpoint, "workers": 0, "batch_size": 3, **changes}
    out = io.StringIO()
    chosen = resolve(InferSettings, flags=values).settings
    summary = infer(chosen, reporter=reporter or Silent(), listed=io.StringIO(stdin), stdout=out)
    return summary, out.getvalue()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def pictures(count: int, size: int = 32) -> list[Image.Image]:
    rng = np.random.default_rng(count)
    return [Image.fromarray(rng.integers(0, 255, (size, size, 3), dtype=np.uint8)) for _ in range(count)]


@pytest.fixture
def phone(tmp_path):
    """A folder as of a telephone: two photographs, two videos, what is neither, and what cannot be read."""
    folder = tmp_path / "phone"
    folder.mkdir()
    for number, picture in enumerate(pictures(2)):
        picture.save(folder / f"IMG_{number}.png")
    write_film(folder / "clip.mp4", 10)
    write_film(folder / "old.3gp", 5)
    (folder / "IMG_9.CR2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + bytes(100))
    (folder / "cut.mp4").write_bytes(b"")
    (folder / "notes.txt").write_text("x")
    (folder / "IMG_1.xmp").write_text("x")
    (folder / "code.ts").write_text("export {}")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    return folder


def test_a_folder_of_both_has_a_table_of_each_and_a_reason_for_the_rest(trained, phone, tmp_path):
    heard = Heard()
    summary, text = run(trained, phone, results=tmp_path / "r", every="2", reporter=heard)
    assert text == "" and any("1 .ts, 1 .txt, 1 .xmp" in note for note in heard.notes)
    photographs = rows_of((tmp_path / "r" / "inference_results.csv").read_text())
    films = rows_of((tmp_path / "r" / "videos" / "inference_results.csv").read_text())
    assert [row["Image Name"] for row in photographs] == ["IMG_0.png", "IMG_1.png"]
    assert [(row["Video Name"], row["Frame"]) for row in films] == [
        *(("clip.mp4", str(k)) for k in range(0, 10, 2)), *(("old.3gp", str(k)) for k in range(0, 5, 2)),
    ]  # fmt: skip
    skipped = rows_of((tmp_path / "r" / "skipped.csv").read_text())
    assert [row["Image Name"] for row in skipped] == ["IMG_9.CR2", "loop.jpg", "cut.mp4"]
    assert "camera raw" in skipped[0]["Reason"] and "empty" in skipped[2]["Reason"]
    record = json.loads((tmp_path / "r" / "inference.json").read_text())
    assert record == {**summary, "video_results": record["video_results"]}
    assert (record["images"], record["skipped"], record["passed_over"]) == (2, 3, {".txt": 1, ".xmp": 1, ".ts": 1})
    assert (record["video_results"]["videos"], record["video_results"]["skipped"]) == (3, 1)


def test_both_are_what_a_command_for_each_would_have_made(trained, phone, tmp_path):
    (phone / "cut.mp4").unlink()
    run(trained, phone, results=tmp_path / "both")
    films = sorted(map(str, [phone / "clip.mp4", phone / "old.3gp"]))
    run(trained, phone / "IMG_0.png", phone / "IMG_1.png", results=tmp_path / "images")
    run(trained, *films, results=tmp_path / "films")
    named = str(phone) + "/"
    for one, other in ((tmp_path / "both", "images"), (tmp_path / "both" / "videos", "films")):
        expected = (tmp_path / other / "inference_results.csv").read_text()
        assert (one / "inference_results.csv").read_text() == expected.replace(named, "")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_on_standard_output_both_are_in_one_table_in_any_order(trained, phone, form):
    paths = [phone / "IMG_0.png", phone / "clip.mp4"]
    _, text = run(trained, *paths, every="5", format=form)
    assert text == run(trained, *paths[::-1], every="5", format=form)[1]
    rows = rows_of(text) if form == "csv" else list(map(json.loads, text.splitlines()))
    assert list(rows[0]) == [
        "Image Name",
        "Frame",
        "Time",
        *FACE_COLUMNS,
        "Predicted Label",
        "Confidence",
        *CLASSES,
        *AMBIGUITY,
    ]
    assert all(list(row) == list(rows[0]) for row in rows)
    assert [row["Frame"] in ("", None) for row in rows] == [True, False, False]
    _, alone = run(trained, paths[0])
    assert [float(rows[0][key]) for key in CLASSES] == [float(rows_of(alone)[0][key]) for key in CLASSES]
    _, listed = run(trained, "-", stdin="".join(f"{path}\n" for path in paths), every="5", format=form)
    assert listed == text


def test_both_resume_and_are_brought_up_to_date(trained, phone, tmp_path):
    (phone / "cut.mp4").unlink()
    results = tmp_path / "r"
    run(trained, phone, results=results, every="2")
    with pytest.raises(UsageError, match="exists"):
        run(trained, phone, results=results, every="2")
    before = (results / "inference.json").read_bytes(), (results / "skipped.csv").read_bytes()
    heard = Heard()
    run(trained, phone, results=results, every="2", resume=True, reporter=heard)
    assert sum("nothing to do" in note for note in heard.notes) == 2
    assert ((results / "inference.json").read_bytes(), (results / "skipped.csv").read_bytes()) == before
    shutil.copy(phone / "clip.mp4", phone / "d.mp4")
    write_film(phone / "clip.mp4", 7)
    (phone / "old.3gp").unlink()
    shutil.copy(phone / "IMG_0.png", phone / "A.png")
    summary, _ = run(trained, phone, results=results, every="2", resume=True)
    assert summary["since_before"]["new"] == 1
    assert summary["video_results"]["since_before"] == {
        "new": 1, "kept": 0, "changed": ["clip.mp4"], "gone": ["old.3gp"],
    }  # fmt: skip
    run(trained, phone, results=tmp_path / "fresh", every="2")
    for name in ("inference_results.csv", "skipped.csv", "videos/inference_results.csv", "videos/videos.csv"):
        assert (results / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes(), name
    found, fresh = (
        sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        for root in (results, tmp_path / "fresh")
    )
    assert found == fresh


def test_shards_take_the_photographs_and_name_the_videos(trained, phone, tmp_path):
    for number in (1, 2):
        run(trained, phone, results=tmp_path / "r", shard=f"{number}/2")
    record = merge(tmp_path / "r", reporter=Silent())
    assert (record["images"], record["skipped"]) == (2, 5)
    reasons = {row["Image Name"]: row["Reason"] for row in rows_of((tmp_path / "r" / "skipped.csv").read_text())}
    assert "--shard" in reasons["clip.mp4"] and "--shard" in reasons["old.3gp"]


def test_both_are_drawn_into_one_folder(trained, phone, tmp_path):
    with pytest.raises(UsageError, match="images and videos"):
        run(trained, phone / "IMG_0.png", phone / "clip.mp4", annotate=tmp_path / "a.mp4")
    run(trained, phone / "IMG_0.png", phone / "clip.mp4", annotate=tmp_path / "drawn", every="5")
    drawn = sorted(path.name for path in (tmp_path / "drawn").rglob("*") if path.is_file())
    assert drawn == ["IMG_0.png", "clip.mp4"]


# --- animations and pages ------------------------------------------------------------------------------------------

DURATIONS = [100, 300, 200, 500]


@pytest.fixture
def moving(tmp_path):
    folder = tmp_path / "moving"
    folder.mkdir()
    first, *rest = pictures(4)
    for name in ("a.gif", "b.png", "c.webp"):
        first.save(folder / name, save_all=True, append_images=rest, duration=DURATIONS)
    first.save(folder / "d.tif", save_all=True, append_images=rest)
    first.save(folder / "e.gif")
    first.save(folder / "f.png")
    return folder


def test_frames_are_counted_by_content(moving):
    assert {path.name: count_frames(path) for path in sorted(moving.iterdir())} == {
        "a.gif": 4, "b.png": 4, "c.webp": 4, "d.tif": 4, "e.gif": 1, "f.png": 1,
    }  # fmt: skip
    (moving / "bad.gif").write_bytes(b"GIF89a")
    assert count_frames(moving / "bad.gif") == 1 and count_frames(moving / "gone.gif") == 1


def test_one_row_of_an_animation_comes_with_a_note_of_what_was_not_sampled(trained, moving, tmp_path):
    summary, text = run(trained, moving)
    assert len(rows_of(text)) == 6
    assert summary["more_frames"] == {"images": 4, "frames_not_looked_at": 12}
    for number in (1, 2):
        run(trained, moving, results=tmp_path / "r", shard=f"{number}/2")
    assert merge(tmp_path / "r", reporter=Silent())["more_frames"] == summary["more_frames"]
    assert (
        "12 others not; --every predicts them"
        in invoke("infer", moving, "--checkpoint", trained, "--workers", "0").stderr
    )


@pytest.mark.parametrize("name", ["a.gif", "b.png", "c.webp"])
def test_frames_have_the_times_that_the_file_says(trained, moving, name):
    _, text = run(trained, moving / name, every="0.3s")
    begins = np.cumsum([0, *DURATIONS[:-1]]) / 1000
    sampler = Sampler((0.3, 0))
    taken = [number for number, time in enumerate(begins) if sampler.takes(number, time)]
    found = [(int(row["Frame"]), float(row["Time"])) for row in rows_of(text)]
    assert found == [(number, pytest.approx(begins[number])) for number in taken] and len(taken) == 3
    film = AnimationStream(moving / name)
    assert [picture.number for picture in film] == [0, 1, 2, 3] and film.end == pytest.approx(sum(DURATIONS) / 1000)


def test_frames_are_predicted_as_the_same_pictures_alone(trained, moving, tmp_path):
    for number, picture in enumerate(pictures(4)):
        picture.save(tmp_path / f"{number}.png")
    _, alone = run(trained, *(tmp_path / f"{k}.png" for k in range(4)))
    for name in ("b.png", "d.tif"):
        _, frames = run(trained, moving / name, every="1")
        for one, other in zip(rows_of(frames), rows_of(alone), strict=True):
            assert [float(one[key]) for key in CLASSES] == pytest.approx(
                [float(other[key]) for key in CLASSES], abs=1e-5
            )


def test_pages_have_numbers_and_no_times(trained, moving, tmp_path):
    summary, _ = run(trained, moving, every="0.5s", results=tmp_path / "r")
    assert summary["images"] == 2 and summary["video_results"]["videos"] == 4
    rows = rows_of((tmp_path / "r" / "videos" / "inference_results.csv").read_text())
    pages = [(row["Frame"], row["Time"]) for row in rows if row["Video Name"] == "d.tif"]
    assert pages == [(str(number), "") for number in range(4)]
    told = next(
        row for row in csv.DictReader((tmp_path / "r" / "videos" / "videos.csv").open()) if row["Video Name"] == "d.tif"
    )
    assert (told["Sampled Frames"], told["To"], told["Seconds Seen"]) == ("4", "", "")
    assert not list((tmp_path / "r" / "videos" / "timelines").glob("d.tif*"))
    _, text = run(trained, moving / "d.tif", every="3")
    assert [row["Frame"] for row in rows_of(text)] == ["0", "3"]


def test_a_picture_for_where_an_apng_cannot_be_played_is_no_frame(tmp_path):
    first, *rest = pictures(3)
    first.save(tmp_path / "a.png", save_all=True, append_images=rest, default_image=True, duration=100)
    found = [picture.pixels for picture in AnimationStream(tmp_path / "a.png")]
    assert count_frames(tmp_path / "a.png") == 2 and len(found) == 2
    assert all((one == np.asarray(other)).all() for one, other in zip(found, rest, strict=True))


# --- links and folders ----------------------------------------------------------------------------------------------


def test_links_and_folders_that_cannot_be_followed_cost_a_row(trained, phone, tmp_path, monkeypatch):
    from affectkit.core import folders

    (phone / "album").symlink_to("/nowhere")
    (phone / "gone.mp4").symlink_to("nowhere.mp4")
    (phone / "locked").mkdir()
    real = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(folders.os, "scandir", scandir)
    summary, _ = run(trained, phone, results=tmp_path / "r", recursive=True)
    reasons = {row["Image Name"]: row["Reason"] for row in rows_of((tmp_path / "r" / "skipped.csv").read_text())}
    assert set(reasons) == {"IMG_9.CR2", "album", "cut.mp4", "gone.mp4", "locked", "loop.jpg"}
    assert "no permission" in reasons["locked"] and "/nowhere" in reasons["album"]
    assert summary["images"] == 2 and summary["video_results"]["videos"] == 4
    run(trained, phone, results=tmp_path / "r", recursive=True, resume=True)
    assert len(rows_of((tmp_path / "r" / "skipped.csv").read_text())) == 6


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_name_that_is_no_text_goes_through_every_output(trained, tmp_path, form):
    folder = os.fsencode(tmp_path) + b"/im"
    os.mkdir(folder)
    for name, picture in zip((b"a\xff.png", rb"a\xff.png"), pictures(2), strict=True):
        picture.save(tmp_path / "x.png")
        shutil.move(os.fsencode(tmp_path / "x.png"), folder + b"/" + name)
    with open(folder + b"/bad\xfe.png", "wb") as stream:
        stream.write(b"broken")
    options = ("--checkpoint", trained, "--workers", "0", "--format", form, "--annotate", tmp_path / "drawn")
    done = invoke("infer", tmp_path / "im", *options, "--results", tmp_path / "r", "--json")
    assert done.returncode == 4, done.stderr
    told = json.loads(done.stdout)
    path = tmp_path / "r" / f"inference_results.{form}"
    if form == "csv":
        rows = rows_of(path.read_text(encoding="utf-8"))
    else:
        rows = pq.read_table(path).to_pylist() if form == "parquet" else list(map(json.loads, path.open()))
    assert [row["Image Name"] for row in rows] == [r"a\x5cxff.png", r"a\xff.png"]
    assert rows_of((tmp_path / "r" / "skipped.csv").read_text(encoding="utf-8"))[0]["Image Name"] == r"bad\xfe.png"
    assert told["skipped_first"][0]["image"] == r"bad\xfe.png" and r"bad\xfe.png" in done.stderr
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == [r"a\x5cxff.png", r"a\xff.png"]
    again = invoke("infer", tmp_path / "im", *options, "--results", tmp_path / "r", "--resume")
    assert again.returncode == 4 and "nothing to do" in again.stderr


def test_a_name_that_is_no_text_can_be_trained_and_tested_on(tmp_path, no_figures):
    for split, label in ((s, c) for s in ("train", "valid", "test") for c in ("a", "b")):
        folder = tmp_path / "data" / split / label
        folder.mkdir(parents=True)
        for number, picture in enumerate(pictures(3, 24)):
            picture.save(tmp_path / "x.png")
            shutil.move(os.fsencode(tmp_path / "x.png"), os.fsencode(folder) + b"/x\xff%d.png" % number)
    with open(os.fsencode(tmp_path / "data/test/a") + b"/bad\xfe.png", "wb") as stream:
        stream.write(b"broken")
    shared = ("--data", tmp_path / "data", "--workers", "0")
    options = ("--no-pretrained", "--epochs", "1", "--image-size", "24", "--output", tmp_path / "run")
    done = invoke("train", "--model", TINY, *options, *shared, "--on-error", "skip")
    assert done.returncode == 0, done.stderr
    tested = ("--checkpoint", tmp_path / "run", "--results", tmp_path / "t", "--on-error", "skip", "--json")
    done = invoke("test", *tested, *shared)
    assert done.returncode == 4 and r"bad\xfe.png" in done.stderr
    assert json.loads(done.stdout)["skipped"][0]["image"] == r"test/a/bad\xfe.png"
    names = [row["Image Name"] for row in rows_of((tmp_path / "t" / "test_results.csv").read_text(encoding="utf-8"))]
    assert names == [rf"test/{label}/x\xff{k}.png" for label in "ab" for k in range(3)]


def told_of(folder) -> dict[str, bytes]:
    """The tables in ``folder``."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*") if p.suffix != ".json"}


def test_results_lose_videos_that_have_all_gone(trained, phone, tmp_path):
    results = tmp_path / "r"
    run(trained, phone, results=results)
    for name in ("clip.mp4", "old.3gp", "cut.mp4"):
        (phone / name).unlink()
    heard = Heard()
    summary, _ = run(trained, phone, results=results, resume=True, reporter=heard)
    assert any("3 (clip.mp4, cut.mp4, old.3gp) gone" in note for note in heard.notes)
    assert summary["video_results"]["videos"] == 0 and summary["video_results"]["skipped"] == 0
    assert rows_of((results / "videos" / "inference_results.csv").read_text()) == []
    assert not list(results.rglob("*.mp4.png"))
    run(trained, phone, results=tmp_path / "fresh")
    for name in ("inference_results.csv", "skipped.csv"):
        assert (results / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes(), name
    run(trained, phone, results=results, resume=True)  # and again
    assert json.loads((results / "inference.json").read_text())["skipped"] == summary["skipped"]


def test_results_of_videos_alone_are_not_taken_for_those_of_images(trained, phone, tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    shutil.move(phone / "clip.mp4", films / "clip.mp4")
    run(trained, films, results=tmp_path / "f")
    before = told_of(tmp_path / "f")
    shutil.copy(phone / "IMG_0.png", films)
    with pytest.raises(UsageError, match="videos alone"):
        run(trained, films, results=tmp_path / "f", resume=True)
    assert told_of(tmp_path / "f") == before
    run(trained, films, results=tmp_path / "both")
    (films / "IMG_0.png").unlink()
    with pytest.raises(UsageError, match="those of images"):
        run(trained, films, results=tmp_path / "both", resume=True)


def test_a_table_in_another_format_is_not_vouched_for_by_the_marks_of_a_later_run(trained, phone, tmp_path):
    results = tmp_path / "r"
    run(trained, phone, results=results)
    pictures(3)[2].save(phone / "IMG_0.png")
    write_film(phone / "clip.mp4", 7)
    run(trained, phone, results=results, resume=True, format="parquet")
    heard = Heard()
    run(trained, phone, results=results, resume=True, reporter=heard)
    assert sum("anew for csv" in note for note in heard.notes) == 2
    run(trained, phone, results=tmp_path / "fresh")
    for name in ("inference_results.csv", "videos/inference_results.csv"):
        assert (results / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes(), name


def test_a_growing_table_in_another_format_is_not_resumed(trained, phone, tmp_path, monkeypatch):
    from affectkit.inference import infer as module

    results = tmp_path / "r"
    real = module.predict_images

    def broken(*args, **options):
        for batch in real(*args, **options):
            yield batch
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "predict_images", broken)
        for form in ("csv", "jsonl"):
            with pytest.raises(KeyboardInterrupt):
                run(trained, phone, results=results, resume=form != "csv", format=form, batch_size=1)
            assert (results / f"inference_results.{form}.part").exists()
    run(trained, phone, results=results, resume=True)
    run(trained, phone, results=tmp_path / "fresh")
    for name in ("inference_results.csv", "skipped.csv"):
        assert (results / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes(), name
    assert not list(results.rglob("*.part"))


def test_a_video_that_changes_while_it_is_sampled_is_sampled_again(trained, phone, tmp_path, monkeypatch):
    from affectkit.inference.video import infer as module

    results = tmp_path / "r"
    real = module.VideoProgress.summary

    def changed(*args):
        write_film(phone / "clip.mp4", 7)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module.VideoProgress, "summary", changed)
        run(trained, phone / "clip.mp4", every="2", results=results)
    run(trained, phone / "clip.mp4", every="2", results=results, resume=True)
    run(trained, phone / "clip.mp4", every="2", results=tmp_path / "fresh")
    name = "inference_results.csv"
    assert (results / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
