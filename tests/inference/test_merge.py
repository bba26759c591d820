"""Inference in shards: once merged, the files are byte for byte those of one run."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from support import Heard
from typer.testing import CliRunner

from affectkit.cli.app import app
from affectkit.config import resolve
from affectkit.core import shard_removal
from affectkit.core.progress import Silent
from affectkit.core.shard_parts import find_parts
from affectkit.errors import DataError, Stopped, UsageError
from affectkit.inference import infer as module
from affectkit.inference import merge as merging
from affectkit.inference import prediction_table
from affectkit.inference.infer import infer
from affectkit.inference.merge import merge
from affectkit.settings.inference import InferSettings

ODD = ["a\u2028b.png", "c\x85d.png", "e\rf.png", "l\nm.png", 'g",h.png', "trailing .png"]


def run(checkpoint, *paths, shard=None, stdin="", reporter=None, **changes):
    values = {"paths": list(map(str, paths)), "checkpoint": checkpoint, "workers": 0, "batch_size": 2, **changes}
    chosen = resolve(InferSettings, flags={**values, "shard": shard}).settings
    return infer(chosen, reporter=reporter or Silent(), listed=io.StringIO(stdin), stdout=io.StringIO())


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def without_parts(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in tree(folder).items() if not name.startswith("shard-")}


def put_together(folder: Path, **changes):
    return merge(folder, reporter=Silent(), **changes)


@pytest.fixture
def images(votes, tmp_path):
    """Twelve images, two of them unreadable, and some whose names are odd."""
    folder = tmp_path / "images"
    shutil.copytree(votes / "images" / "test", folder)
    for name in ("003.png", "008.png"):
        (folder / name).write_bytes(b"broken")
    return folder


@pytest.fixture
def results(tmp_path):
    """One folder name for both ways, since the record holds it."""
    return tmp_path / "r"


@pytest.fixture
def whole(trained, images, results, tmp_path):
    """What one run leaves: a function of (format)."""

    def make(**changes):
        run(trained, images, results=results, **changes)
        results.rename(tmp_path / "whole")
        found = tree(tmp_path / "whole")
        shutil.rmtree(tmp_path / "whole")
        return found

    return make


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_merged_shards_are_what_one_run_writes(trained, images, results, whole, form, count):
    for name in (*ODD, *([os.fsdecode(b"i\xff.png")] if form != "parquet" else [])):
        shutil.copy(images / "000.png", images / name)
    expected = whole(format=form)
    assert sorted(expected) == ["inference.json", f"inference_results.{form}", "inputs.csv", "skipped.csv"]
    total = 0
    for number in range(count, 0, -1):
        summary = run(trained, images, results=results, format=form, shard=f"{number}/{count}")
        assert summary["shard"] == f"{number}/{count}"
        total += summary["images"] + summary["skipped"]
    record = put_together(results)
    assert total == summary["listed"] == record["images"] + record["skipped"] >= 18
    assert record["parts"] == count and record["skipped"] == 2 and not record["already_done"]
    assert without_parts(results) == expected
    assert put_together(results, remove_parts=True)["already_done"]
    assert tree(results) == expected


def test_a_merge_that_was_killed_while_removing_is_finished_by_the_next(trained, images, results, whole, monkeypatch):
    expected = whole()
    for number in (1, 2, 3):
        run(trained, images, results=results, shard=f"{number}/3")
    made = put_together(results)

    real, removed = shard_removal.remove_part, []

    def stop(path):
        if removed:
            raise KeyboardInterrupt
        removed.append(real(path))

    with monkeypatch.context() as patch:
        patch.setattr(shard_removal, "remove_part", stop)
        with pytest.raises(KeyboardInterrupt):
            put_together(results, remove_parts=True)
    assert len(find_parts(results)) == 2
    assert put_together(results) == {**made, "already_done": True}
    assert tree(results) == expected


def test_shards_of_another_run_are_not_removed_for_one_that_was_killed(trained, images, results, monkeypatch):
    for number in (1, 2):
        run(trained, images, results=results, shard=f"{number}/2")
    put_together(results)
    with monkeypatch.context() as patch:
        patch.setattr(shard_removal, "remove_part", lambda path: None)
        patch.setattr(Path, "unlink", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            put_together(results, remove_parts=True)
    record = json.loads((results / "shard-1-of-2" / "shard.json").read_text())
    (results / "shard-1-of-2" / "shard.json").write_text(json.dumps({**record, "identity": {}}))
    with pytest.raises(DataError, match="cannot be put together"):
        put_together(results)
    assert len(find_parts(results)) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"tables": {"../../x.csv": {"columns": ["a"], "rows": 1, "sha256": ""}}},
            "'../../x.csv' is no name of a table",
        ),
        ({"tables": []}, "tables must be an object, got a list of 0"),
        ({"listed": "12"}, "listed must be a count, got '12'"),
        ({"listed": 10**25}, "listed must be a count, got 1"),
        ({"identity": None}, "identity must be an object, got null"),
        ({"identity": {"format": "../x"}}, "identity.format must be one of csv, jsonl, parquet, got '../x'"),
        ({"summary": 3}, "summary must be an object, got 3"),
    ],
)
def test_a_damaged_record_of_a_shard_is_named(trained, images, results, change, words):
    for number in (1, 2):
        run(trained, images, results=results, shard=f"{number}/2")
    path = results / "shard-2-of-2" / "shard.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    before = tree(results)
    with pytest.raises(DataError) as caught:
        put_together(results)
    assert f"damaged: shard.json of shard 2/2: {words}" in caught.value.message and tree(results) == before


def test_images_that_are_all_skipped(trained, images, results, whole):
    for path in images.iterdir():
        path.write_bytes(b"broken")
    expected = whole()
    for number in (1, 2):
        run(trained, images, results=results, shard=f"{number}/2")
    record = put_together(results)
    assert (record["images"], record["skipped"], len(record["skipped_first"])) == (0, 12, 12)
    assert without_parts(results) == expected and expected["inference_results.csv"].count(b"\n") == 1


def test_images_that_are_all_good(trained, images, results, whole):
    for name in ("003.png", "008.png"):
        (images / name).unlink()
    expected = whole()
    for number in (1, 2):
        run(trained, images, results=results, shard=f"{number}/2")
    (results / "skipped.csv").write_text("of an earlier result")
    assert put_together(results)["skipped"] == 0
    assert without_parts(results) == expected and sorted(expected) == [
        "inference.json",
        "inference_results.csv",
        "inputs.csv",
    ]


def test_a_part_has_positions_and_an_empty_one_is_complete(trained, images, results):
    summary = run(trained, images, results=results, shard="4/4")
    folder = results / "shard-4-of-4"
    names = ["inference.json", "inference_results.csv", "inputs.csv", "shard.json", "skipped.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    found = {}
    for name in names[1::3]:
        with (folder / name).open(newline="") as stream:
            found[name] = [row[:2] for row in csv.reader(stream)]
    head = ["Position", "Image Name"]
    assert found["inference_results.csv"] == [head, ["7", "007.png"], ["11", "011.png"]]
    assert found["skipped.csv"] == [head, ["3", "003.png"]]
    assert (summary["listed"], summary["images"], summary["skipped"]) == (12, 2, 1)
    empty = run(trained, images, results=results.with_name("e"), shard="13/13")
    assert (empty["listed"], empty["images"], empty["skipped"]) == (12, 0, 0)
    assert Path(empty["results"]).read_text().startswith("Position,Image Name,")
    heard = Heard()
    run(trained, images, results=results.with_name("e"), shard="13/13", reporter=heard)
    assert any("nothing to do" in note for note in heard.notes)


def test_a_complete_shard_is_left_alone_and_a_damaged_one_named(trained, images, results, monkeypatch):
    run(trained, images, results=results, shard="1/2")
    before = tree(results)
    heard = Heard()
    with monkeypatch.context() as patch:
        patch.setattr(module, "predict_images", lambda *_, **__: pytest.fail("predicted again"))
        for more in ({}, {"resume": True}):
            assert run(trained, images, results=results, shard="1/2", reporter=heard, **more)["images"] == 6 - 1
    assert tree(results) == before and sum("nothing to do" in note for note in heard.notes) == 2
    with pytest.raises(UsageError, match="format csv there, jsonl now"):
        run(trained, images, results=results, shard="1/2", format="jsonl")
    with pytest.raises(UsageError, match="were made otherwise: inputs"):
        run(trained, images / "000.png", results=results, shard="1/2")
    with pytest.raises(UsageError, match="holds shard-1-of-2; --shard 3/3"):
        run(trained, images, results=results, shard="3/3")
    table = results / "shard-1-of-2" / "inference_results.csv"
    table.write_bytes(table.read_bytes()[:-3])
    with pytest.raises(DataError, match="complete, but damaged: inference_results.csv"):
        run(trained, images, results=results, shard="1/2")
    run(trained, images, results=results, shard="1/2", force=True)
    assert tree(results) == before


def stop_after(monkeypatch, batches):
    """A context in which a signal comes after so many batches."""
    real = module.predict_images

    def cut(*args, **kwargs):
        for number, batch in enumerate(real(*args, **kwargs)):
            yield batch
            if number == batches:
                os.kill(os.getpid(), signal.SIGTERM)

    patch = monkeypatch.context()
    patch.__enter__().setattr(module, "predict_images", cut)
    return patch


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_stopped_shard_is_continued_to_the_same_bytes(trained, images, results, whole, monkeypatch, form):
    for name in ODD:
        shutil.copy(images / "000.png", images / name)
    expected = whole(format=form)
    for number in (1, 2):
        patch = stop_after(monkeypatch, number)
        with pytest.raises(Stopped, match="images are done") as caught:
            run(trained, images, results=results, format=form, shard=f"{number}/2")
        patch.__exit__(None, None, None)
        assert caught.value.exit_code == 75 and "--resume" in caught.value.hint
        part = next((results / f"shard-{number}-of-2").glob("*.part"))
        with part.open("ab") as stream:
            # A name may hold the end of a line, in CSV as it is.
            stream.write(b'"17","torn\nli' if form == "csv" else b'{"Position": 17, "Image')
    with pytest.raises(DataError, match=r"not finished: shards 1/2, 2/2\. .*--shard 1/2 --resume"):
        put_together(results)
    with pytest.raises(UsageError, match="exists"):
        run(trained, images, results=results, format=form, shard="1/2")
    for number in (1, 2):
        heard = Heard()
        run(trained, images, results=results, format=form, shard=f"{number}/2", resume=True, reporter=heard)
        assert any("resuming after" in note for note in heard.notes)
    put_together(results)
    assert without_parts(results) == expected


def test_a_shard_killed_before_its_record_is_finished(trained, images, results, whole, monkeypatch):
    expected = whole()
    run(trained, images, results=results, shard="2/2")

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prediction_table, "end_part", killed)
        with pytest.raises(KeyboardInterrupt):
            run(trained, images, results=results, shard="1/2")
    assert (results / "shard-1-of-2" / "inference_results.csv").exists()
    with pytest.raises(DataError, match="not finished: shard 1/2"):
        put_together(results)
    run(trained, images, results=results, shard="1/2", resume=True)
    put_together(results)
    assert without_parts(results) == expected


@pytest.mark.parametrize("change", ["one more", "one less", "last ones gone"])
def test_a_resume_whose_images_have_changed_is_of_those_that_there_are(trained, images, results, monkeypatch, change):
    patch = stop_after(monkeypatch, 1)
    with pytest.raises(Stopped):
        run(trained, images, results=results, shard="1/2")
    patch.__exit__(None, None, None)
    if change == "one more":
        shutil.copy(images / "000.png", images / "0005.png")
    else:
        for number in [0] if change == "one less" else range(6, 12):
            (images / f"{number:03}.png").unlink()
    run(trained, images, results=results, shard="1/2", resume=True)
    resumed = tree(results)
    run(trained, images, results=results, shard="1/2", force=True)
    assert tree(results) == resumed


def test_shards_that_saw_other_images_are_not_merged(trained, images, results):
    run(trained, images, results=results, shard="1/2")
    shutil.copy(images / "000.png", images / "new.png")
    run(trained, images, results=results, shard="2/2")
    before = tree(results)
    with pytest.raises(DataError, match="12 items .* in shard 1/2; 13 items .* in shard 2/2"):
        put_together(results)
    assert tree(results) == before
    run(trained, images, results=results, shard="1/2", force=True)
    assert put_together(results)["images"] == 11


def test_a_list_on_standard_input_is_shared_out_too(trained, images, results):
    names = [f"{images}/{k:03}.png" for k in (5, 1, 5, 0, 7)]
    for number in (1, 2, 3):
        run(trained, "-", results=results, shard=f"{number}/3", stdin="\n".join(names))
    assert put_together(results)["images"] == 4
    with (results / "inference_results.csv").open(newline="") as stream:
        assert [row["Image Name"] for row in csv.DictReader(stream)] == [names[k] for k in (0, 1, 3, 4)]
    with pytest.raises(DataError, match="no image to predict"):
        run(trained, "-", results=results.with_name("none"), shard="2/3", stdin="\n")
    assert list(results.with_name("none").iterdir()) == []


def test_another_checkpoint_is_not_merged(trained, images, results):
    for number in (1, 2):
        run(trained, images, results=results, shard=f"{number}/2")
    record = results / "shard-2-of-2" / "shard.json"
    told = json.loads(record.read_text())
    told["identity"] |= {"checkpoint_sha256": "0" * 64, "precision": "bf16"}
    record.write_text(json.dumps(told))
    with pytest.raises(DataError) as caught:
        put_together(results)
    assert (
        "different SHA-256 of the checkpoint" in caught.value.message and "different precision" in caught.value.message
    )


def test_another_result_is_kept_unless_forced(trained, images, results, whole):
    expected = whole()
    for number in (1, 2):
        run(trained, images, results=results, shard=f"{number}/2")
    (results / "inference_results.csv").write_text("mine")
    with pytest.raises(UsageError, match="exists, and is not what the shards make"):
        put_together(results)
    assert (results / "inference_results.csv").read_text() == "mine" and not (results / "inference.json").exists()
    put_together(results, force=True)
    assert without_parts(results) == expected
    (results / "inference_results.csv").rename(results / "inference_results.csv.part")
    with pytest.raises(UsageError, match=r"inference_results\.csv\.part exists"):
        put_together(results)


def test_a_killed_merge_leaves_no_table_and_the_next_finishes(trained, images, results, whole, monkeypatch):
    expected = whole()
    for number in (1, 2):
        run(trained, images, results=results, shard=f"{number}/2")
    real, checked = os.replace, 0
    for steps in range(3):
        calls = []

        def replace(old, new, calls=calls, steps=steps):
            if Path(new).parent == results:
                calls.append(new)
                if len(calls) > steps:
                    raise KeyboardInterrupt
            real(old, new)

        with monkeypatch.context() as patch:
            patch.setattr(merging.os, "replace", replace)
            with pytest.raises(KeyboardInterrupt):
                put_together(results)
        assert not (results / "inference_results.csv").exists()
        checked += 1
    (results / ".merging-left").mkdir()
    assert not put_together(results)["already_done"]
    assert checked == 3 and without_parts(results) == expected
    assert sorted(p.name for p in results.iterdir() if p.is_dir()) == ["shard-1-of-2", "shard-2-of-2"]


def test_exit_codes_and_words_at_the_command_line(trained, images, results):
    def affectkit(*arguments):
        done = CliRunner().invoke(app, [str(item) for item in arguments])
        return done.exit_code, done.stdout, done.stderr

    infer_as = ("infer", images, "--checkpoint", trained, "--results", results, "--workers", "0", "--shard")
    code, _, err = affectkit("infer", images, "--checkpoint", trained, "--shard", "1/2")
    assert code == 2 and "--shard needs --results" in err
    code, _, err = affectkit(*infer_as, "3/2")
    assert code == 2 and "--shard: must be I/N" in err and "'3/2'" in err
    code, _, err = affectkit("merge", results)
    assert code == 2 and "does not exist" in err
    code, _, err = affectkit(*infer_as, "1/2")
    assert code == 4 and f"once all are done: affectkit merge {results}" in err
    code, _, err = affectkit("merge", results)
    assert code == 1 and "missing: shard 2/2. Run the same command with --shard 2/2." in err
    assert affectkit(*infer_as, "2/2")[0] == 4
    code, out, err = affectkit("merge", results, "--json", "--remove-shards")
    assert code == 4 and json.loads(out)["images"] == 10 and "2 images skipped" in err
    code, _, err = affectkit("merge", results)
    assert code == 4 and "no shard; nothing to do" in err
    (results / "skipped.csv").unlink()
    assert affectkit("merge", results)[0] == 0
    code, _, err = affectkit("merge", images)
    assert code == 1 and "holds no shard" in err
    data = results.with_name("faces")
    small = ("prep", "schematic", data, "--train", "8", "--valid", "8", "--test", "8", "--size", "24", "--shard")
    assert [affectkit(*small, f"{k}/2")[0] for k in (2, 1)] == [0, 0]
    code, out, err = affectkit("merge", data, "--json")
    assert code == 0 and json.loads(out)["settings"]["train"] == 8 and "of 2 shards" in err
    assert affectkit(*small, "2/2")[0] == 0


@pytest.mark.parametrize("resume", [True, False])
def test_a_shard_without_new_images_learns_of_those_of_others(trained, images, results, whole, resume):
    """It kept its old list, and merge asked for a run from the beginning."""
    for number in (1, 2):
        run(trained, images, results=results, shard=f"{number}/2")
    last = max(path.name for path in images.iterdir())
    for path in list(images.iterdir()):
        assert path.name <= last
    shutil.copy(images / "000.png", images / "zz.png")  # behind all: the others keep their places
    place = sorted(path.name for path in images.iterdir()).index("zz.png") % 2 + 1
    heard = Heard()
    run(trained, images, results=results, shard=f"{place}/2", resume=True)
    before = tree(results / f"shard-{3 - place}-of-2")
    record = run(trained, images, results=results, shard=f"{3 - place}/2", resume=resume, reporter=heard)
    assert record["listed"] == 13 and any("13 images are listed now" in text for text in heard.notes)
    after = tree(results / f"shard-{3 - place}-of-2")
    assert {name for name in after if after[name] != before[name]} == {"inference.json", "shard.json"}
    put_together(results)
    merged = without_parts(results)
    shutil.rmtree(results)
    expected = whole()
    assert {name: data for name, data in merged.items() if name != "inference.json"} == {
        name: data for name, data in expected.items() if name != "inference.json"
    }
