"""Two commands on one folder: the second is refused at once, whichever they are, and nothing of it is left."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from locking import locked_elsewhere
from PIL import Image
from support import in_ranks, invoke

from affectkit.cli import options
from affectkit.cli.app import app
from affectkit.cli.console import Console
from affectkit.core import folder_lock
from affectkit.core.folder_lock import Output
from affectkit.errors import LockedError
from affectkit.features import store

WRITES = {
    "prep ferplus": "SOURCE --output OUT",
    "prep fer2013": "SOURCE --output OUT",
    "prep affectnet": "SOURCE --output OUT",
    "prep affectnet-fused": "SOURCE --output OUT",
    "prep afew-va": "SOURCE --output OUT",
    "prep emotic": "SOURCE --output OUT",
    "prep schematic": "OUT",
    "prep cremad": "SOURCE --output OUT",
    "prep rml": "SOURCE --output OUT",
    "prep ravdess": "SOURCE --output OUT",
    "prep meld": "SOURCE --output OUT",
    "prep emovoxceleb": "SOURCE --output OUT",
    "prep av-features": "SOURCE --output OUT",
    "datasplit": "OUT",
    "relabel": "OUT --labels-csv TABLE",
    "pipeline save": "FILE --force",
    "describe": "SOURCE --results OUT --force",
    "train": "--data SOURCE --output OUT --force",
    "test": "--checkpoint builtin --data SOURCE --results OUT --force",
    "compare": "SOURCE TABLE --results OUT --force",
    "eval-corruptions": "--checkpoint builtin --data SOURCE --results OUT --force",
    "corruptions": "IMAGE --preview FILE --force",
    "reconstruct": "--checkpoint builtin --data SOURCE --results OUT --force",
    "infer": "SOURCE --results OUT --force",
    "matrix": "--checkpoint builtin --data SOURCE --results OUT --force",
    "merge": "OUT --force",
    "quantiles": "TABLE --results OUT --force",
    "convert": "IMAGE FILE --force",
    "export": "builtin FILE.onnx --force",
    "calibrate": "builtin --data SOURCE --abstain coverage=0.5 --output FILE.safetensors --force",
    "demo": "OUT",
    "verify-resume": "--data SOURCE --keep-files OUT",
    "completions": "--write OUT",
}
"""Options of every command that writes, with what it writes as OUT, a folder, or FILE."""

MORE = (
    ("datasplit", "SOURCE --output-path OUT --force"),
    ("datasplit", "OUT --undo --force"),
    ("datasplit", "SOURCE --output-path OUT --undo"),
    ("relabel", "SOURCE --labels-csv TABLE --output-path OUT"),
    ("relabel", "OUT --undo --force"),
    ("train", "--resume OUT"),
    ("train", "--data SOURCE --output OUT --folds 3 --fold 2"),
    ("train", "--resume OUT --fold 2"),
    ("eval-corruptions", "--checkpoint builtin --data SOURCE --save-images OUT"),
    ("datasplit", "SOURCE --output-path SOURCE --preview FILE"),
    ("infer", "SOURCE --results OUT --resume"),
    ("infer", "SOURCE --annotate OUT --force"),
    ("infer", "SOURCE --annotate FILE.mp4 --force"),
    ("infer", "SOURCE --labels TABLE --results OUT --force"),
    ("infer", "SOURCE --results OUT --shard 1/2"),
    ("infer", "SOURCE --results OUT/.. --annotate OUT --shard 1/2"),
    ("prep schematic", "OUT --shard 2/2"),
)

APART = {
    "download": "locks each file once its name is known (tests/download/test_zenodo.py)",
    "cache": "stores of features take segments of several runs, each whole (tests/features)",
    "pipeline show": "writes nothing",
    "models": "writes nothing",
    "guide": "writes nothing",
    "media-info": "writes nothing",
    "doctor": "writes nothing",
    "report": "one page, written whole and renamed: of two the later stands (tests/pages)",
    "serve": "a private folder of its own; --keep has a folder a job (tests/serve)",
}
"""Commands that lock nothing, and why."""


def commands() -> dict[str, object]:
    found: dict[str, object] = {}

    def walk(command, path):
        for name, inner in getattr(command, "commands", {}).items():
            if getattr(inner, "commands", None):
                walk(inner, [*path, name])
            elif not inner.hidden:
                found[" ".join([*path, name])] = inner

    walk(typer.main.get_command(app), [])
    return found


def test_every_command_locks_what_it_writes_or_says_why_not():
    assert set(commands()) == WRITES.keys() | APART.keys()
    assert not WRITES.keys() & APART.keys()


OUTPUTS = {"output", "output_path", "results", "annotate", "save_images", "preview", "keep_files", "write"}
CHANGED = {("merge", "folder"), ("demo", "folder"), ("datasplit", "path"), ("relabel", "path"), ("train", "resume")}
INPUTS = {
    "source", "data", "checkpoint", "labels", "labels_csv", "test_data", "test_labels", "init", "resume", "baseline",
    "config", "corrupted_root", "frost_textures", "image", "published", "pipeline_yaml", "file", "groups",
    "label_map",
}  # fmt: skip
"""Settings that are paths, of all commands: what is written, changed in place, and read."""


def test_every_path_option_is_known_and_every_output_is_tried():
    tried = dict(WRITES)
    for name, text in MORE:
        tried[name] += f" {text}"
    checked = 0
    for name, command in commands().items():
        for one in command.params:
            if "Path" not in type(one.type).__name__ or (name, one.name) == ("verify-resume", "output"):
                continue
            if getattr(one, "hidden", False):  # another name of one that is tried
                continue
            if one.name == "report":  # a page, written whole at the end, of a folder that is locked
                continue
            if name in APART or (one.name not in OUTPUTS and (name, one.name) not in CHANGED):
                assert one.name in INPUTS or name in APART, f"{name} {one.name}: is it an input or an output?"
                continue
            written = f"--{one.name.replace('_', '-')} " if one.param_type_name == "option" else ""
            assert re.search(rf"{written}(OUT|FILE)", tried[name]), f"{name} {one.name}"
            checked += 1
    assert checked >= 25, checked


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("source")
    (root / "a").mkdir()
    Image.new("RGB", (24, 24)).save(root / "a" / "0.png")
    (root / "table.csv").write_text("Actual,Predicted\n1,1\n2,2\n")
    return root


def arguments(text: str, source: Path, out: Path) -> list[str]:
    named = {"SOURCE": source, "TABLE": source / "table.csv", "IMAGE": source / "a" / "0.png"}
    words = [str(named.get(word, word)) for word in text.split()]
    return [word.replace("OUT", str(out)).replace("FILE", str(out)) for word in words]


@pytest.mark.parametrize(("name", "text"), [*WRITES.items(), *MORE])
def test_a_second_command_is_refused_at_once(source, tmp_path, name, text):
    out, kind = tmp_path / "out", "folder"
    words = arguments(text, source, out)
    target = out
    if "--shard" in words:
        number, count = words[words.index("--shard") + 1].split("/")
        target, kind = out / f"shard-{number}-of-{count}", "shard"
    elif "--fold" in words:
        target, kind = out / f"fold-{words[words.index('--fold') + 1]}", "shard"
    elif "FILE" in text:
        target, kind = Path(next(word for word in words if word.startswith(str(out)))), "file"
    with locked_elsewhere(target, kind) as pid:
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        done = invoke(*name.split(), *words)
        assert done.returncode == 1, done.stdout + done.stderr
        assert f"is being written by process {pid} on {os.uname().nodename} (" in done.stderr, done.stderr
        assert f"remove {Output(target, kind).lock} and run this again" in " ".join(done.stderr.split())
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("name", ["datasplit", "relabel"])
def test_a_dry_run_locks_nothing(source, tmp_path, name):
    (tmp_path / "out" / "a").mkdir(parents=True)
    table = tmp_path / "t.csv"
    table.write_text("pth,label\n")
    more = ["--labels-csv", table] if name == "relabel" else []
    with locked_elsewhere(tmp_path / "out"):
        done = invoke(name, tmp_path / "out", *more, "--dry-run")
    assert "is being written" not in done.stderr


def test_print_config_locks_nothing(source, tmp_path):
    with locked_elsewhere(tmp_path / "out"):
        assert invoke("train", "--data", source, "--output", tmp_path / "out", "--print-config").returncode == 0


def test_merge_waits_for_no_shard_and_shards_not_for_each_other(tmp_path):
    words = ("prep", "schematic", tmp_path / "out", "--train", "8", "--valid", "8", "--test", "8", "--size", "24")
    with locked_elsewhere(tmp_path / "out" / "shard-1-of-2", "shard") as pid:
        assert invoke(*words, "--shard", "2/2").returncode == 0
        done = invoke("merge", tmp_path / "out")
        assert done.returncode == 1
        assert f"shard-1-of-2 in {tmp_path / 'out'} is being written by process {pid} " in done.stderr
        assert "shard-1-of-2 in" in invoke(*words).stderr, "nor does a run of all begin"
    assert invoke(*words, "--shard", "1/2").returncode == 0
    with locked_elsewhere(tmp_path / "out") as pid:  # a merge
        assert f"is being written by process {pid} " in invoke(*words, "--shard", "1/2").stderr
    assert invoke("merge", tmp_path / "out").returncode == 0
    assert invoke(*words).returncode == 0
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert "manifest.json" in left and not [name for name in left if name.startswith(".")], left


def test_a_finished_folder_that_may_only_be_read(tmp_path, monkeypatch):
    words = ("prep", "schematic", tmp_path / "out", "--train", "8", "--valid", "8", "--test", "8", "--size", "24")
    assert invoke(*words).returncode == 0
    opened = os.open

    def read_only(path, flags, *mode, **named):
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(tmp_path)):
            raise OSError(30, "Read-only file system", str(path))
        return opened(path, flags, *mode, **named)

    monkeypatch.setattr(os, "open", read_only)
    done = invoke(*words)
    assert done.returncode == 0 and "nothing to do" in done.stderr
    done = invoke("merge", tmp_path / "out")
    assert done.returncode == 0 and "nothing to do" in done.stderr


def test_a_failed_command_leaves_no_folder_and_no_lock(source, tmp_path):
    for words in (
        ("quantiles", source / "a" / "0.png", "--results", tmp_path / "x" / "out"),
        ("test", "--checkpoint", source / "none", "--data", source, "--results", tmp_path / "x" / "out"),
        ("merge", tmp_path / "x" / "out"),
    ):
        assert invoke(*words).returncode in (1, 2)
        assert list(tmp_path.iterdir()) == []


def test_of_several_processes_the_first_alone_locks(tmp_path):
    given = SimpleNamespace(device="cpu")

    def work():
        with options._locked([Output(tmp_path / "out")], given, Console(quiet=True), several=True):
            assert bool(folder_lock._held) == (os.environ["RANK"] == "0")

    assert in_ranks(2, work) == [0, 0]
    assert list(tmp_path.iterdir()) == []

    def refused():
        block = options._locked([Output(tmp_path / "out")], given, Console(quiet=True), several=True)
        with pytest.raises(LockedError, match="is being written by process"), block:
            raise AssertionError

    with locked_elsewhere(tmp_path / "out"):
        assert in_ranks(2, refused) == [0, 0]


def test_two_that_clear_one_store(tmp_path, monkeypatch):
    """The other removes a file, and then the folder, between the listing and the removal here."""
    for gone in ("a.npy", "."):
        folder = tmp_path / "store"
        folder.mkdir()
        for name in ("a.npy", "b.npy", store.RECORD):
            (folder / name).touch()
        listed = Path.iterdir

        def then_removed(here, gone=gone, listed=listed):
            names = list(listed(here))
            (here / gone).unlink() if gone != "." else shutil.rmtree(here)
            return iter(names)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "iterdir", then_removed)
            store.clear(folder)
        assert not folder.exists()


# --- in processes of their own ---------------------------------------------------------------------------------------


def start(*words: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "affectkit", *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 90
    while not (path.exists() and path.stat().st_size) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert path.exists() and path.stat().st_size, process.communicate(timeout=5)


def test_two_inferences_give_each_image_one_row(tmp_path):
    """One waits for its list of images when the other starts, twice: until it is killed, and until it ends."""
    (tmp_path / "images").mkdir()
    for number in range(12):
        Image.new("RGB", (32, 32), (20 * number, 90, 90)).save(tmp_path / "images" / f"{number:02}.png")
    results = tmp_path / "results"
    words = ("--checkpoint", "builtin", "--faces", "none", "--results", results, "--resume", "--workers", "0")
    first = start("infer", "-", *words)
    wait_for(results / ".lock", first)
    second = start("infer", tmp_path / "images", *words)
    _, told = second.communicate(timeout=120)
    assert second.returncode == 1 and f"is being written by process {first.pid} on " in told
    assert "affectkit infer -" in told, "the command of the other"
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode == 130 and not (results / ".lock").exists()
    killed = start("infer", "-", *words)
    wait_for(results / ".lock", killed)
    killed.kill()
    killed.communicate(timeout=60)
    assert (results / ".lock").exists()
    done = invoke("infer", tmp_path / "images", *words)
    assert done.returncode == 0, done.stderr
    assert f"took over the lock of {results} from process {killed.pid} on" in done.stderr
    with (results / "inference_results.csv").open() as stream:
        names = [row["Image Name"] for row in csv.DictReader(stream)]
    assert names == [f"{number:02}.png" for number in range(12)]
    assert not (results / ".lock").exists()


def test_two_preparations_end_as_one(tmp_path):
    words = ("--train", "400", "--valid", "8", "--test", "8", "--size", "24")
    for name in ("one", "two"):
        processes = [start("prep", "schematic", tmp_path / name, *words) for _ in range(1 + (name == "two"))]
        told = [process.communicate(timeout=120)[1] for process in processes]
        codes = [process.returncode for process in processes]
        # The second may start once the first has ended, and then has nothing to do.
        assert 0 in codes and set(codes) <= {0, 1}, told
        for code, text in zip(codes, told, strict=True):
            assert code == 0 or "is being written by" in text, text
    made = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    ]
    assert made[0] == made[1] and len(made[0]) > 416
