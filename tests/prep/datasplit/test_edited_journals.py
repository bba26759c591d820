"""Journals that somebody else wrote or edited: nothing outside the folder is touched, and no original is lost.

Real journals of datasplit and relabel are mutated by seeded mutators: values replaced (by paths that lead out, by
links, by values of the wrong type or from other rows), lines lost, doubled, moved, cut, bytes flipped. Each is written
with its chain as it was, with a chain made anew (as one would who knows the rule), and without one, as earlier versions
did. What follows is counted: refused in words, carried out, unexpected, escaped (the world outside has changed), lost
(the content of an original, or of a file that is no part of the split, is nowhere any more). The last three are zero.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import random
import shutil
from pathlib import Path

import pytest
from splitting import class_folders, picture, tree

from affectkit.core.chained_lines import link_line, unlink_line
from affectkit.core.files import digest_of
from affectkit.core.progress import Silent
from affectkit.core.stopping import Never
from affectkit.errors import AffectkitError, Stopped
from affectkit.prep.augmentation.pipeline import load_pipeline
from affectkit.prep.datasplit import relabel as relabelling
from affectkit.prep.datasplit.plan import SplitRules
from affectkit.prep.datasplit.split import SplitOptions, split_folder, undo_split

SIZES = {"a": 6, "b": 4}
RELABELLED = "pth,label\na/s00_0000.png,b\nb/s00_0000.png,a\na/s01_0001.png,c\n"


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch):
    """Tests need not outlive a loss of power."""
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)


class StopLater:
    """A signal that comes after some looks."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0

    def error(self, message: str, hint: str = "") -> Stopped:
        return Stopped(message, hint)


def split(path: Path, output: Path | None = None, *, balance: bool = False, stopping=None):
    rules = SplitRules(train_split=0.7, seed=1, balance_train=balance, balance_test=balance)
    options = SplitOptions(output=output, workers=1)
    pipeline = load_pipeline(None)
    return split_folder(
        path, rules=rules, options=options, pipeline=pipeline, reporter=Silent(), stopping=stopping or Never()
    )


def relabel(path: Path, labels: Path, output: Path | None = None, *, stopping=None):
    return relabelling.relabel(path, labels, output=output, reporter=Silent(), stopping=stopping or Never())


class Scene:
    """A folder with a journal, made once and copied for each mutation, in a world that must stay as it is.

    Attributes:
        world: holds ``ds`` (the folder with the journal), ``outside`` and, of copies, ``source``.
        command: that of the journal.
        copies: whether ``ds`` holds copies of ``source``.
    """

    def __init__(self, world: Path, command: str, *, copies: bool, balance: bool = False, stop: int | None = None):
        self.world, self.command, self.copies, self.balance = world, command, copies, balance
        self.kept = [picture(800 + number) for number in range(3)]
        path = class_folders(world / ("source" if copies else "ds"), SIZES)
        (world / "outside" / "a").mkdir(parents=True)
        for number, data in enumerate(self.kept[:2]):
            (world / "outside" / "a" / f"canary{number}.png").write_bytes(data)
        (world / "labels.csv").write_text(RELABELLED)
        self.originals = collections.Counter(tree(path).values())
        stopping = Never() if stop is None else StopLater(stop)
        if stop is None:
            self.rerun(world, stopping)
        else:
            with pytest.raises(Stopped):
                self.rerun(world, stopping)
        ds = world / "ds"
        (ds / "notes.txt").write_text("mine")
        (ds / "train" / "a" / "bystander.txt").write_bytes(self.kept[2])
        (ds / "out").symlink_to(world / "outside", target_is_directory=True)
        (ds / "in").symlink_to("train", target_is_directory=True)
        self.path = Path("ds") / f".affectkit-{command}" / "journal.jsonl"
        self.lines = (world / self.path).read_bytes().splitlines(keepends=True)
        self.rows = []
        before = ""
        for line in self.lines:
            body, before = unlink_line(line, before)
            self.rows.append(json.loads(body))
        self.outside = self.state(world)
        self.bystanders = {hashlib.sha256(data).hexdigest() for data in (b"mine", self.kept[2])}

    def rerun(self, world: Path, stopping=None) -> None:
        path, output = (world / "source", world / "ds") if self.copies else (world / "ds", None)
        if self.command == "datasplit":
            split(path, output, balance=self.balance, stopping=stopping)
        else:
            relabel(path, world / "labels.csv", output, stopping=stopping)

    def undo(self, world: Path, *, force: bool) -> None:
        how = {"force": force, "reporter": Silent(), "stopping": Never()}
        if self.command == "datasplit":
            undo_split(world / "ds", **how)
        else:
            relabelling.undo_relabel(world / "ds", dry_run=False, **how)

    def state(self, world: Path) -> dict[str, tuple[str, int]]:
        """Content and kind of all outside of ``ds``."""
        found = {}
        for folder, _, names in os.walk(world):
            if Path(folder) == world / "ds" or world / "ds" in Path(folder).parents:
                continue
            for name in names:
                path = Path(folder) / name
                found[str(path.relative_to(world))] = (digest_of(path), path.lstat().st_mode)
        return found

    def losses(self, world: Path) -> bool:
        """Whether content of originals or bystanders is nowhere any more."""
        there = collections.Counter(
            hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (world / "ds").rglob("*")
            if path.is_file() and not path.is_symlink()
        )
        originals = collections.Counter() if self.copies else self.originals
        return bool(originals - there) or not self.bystanders <= there.keys()


HOSTILE = (
    "../outside/a/canary0.png", "train/../../outside/a/canary0.png", "out/a/canary0.png", "in/a/s00_0000.png",
    "notes.txt", "train/a/bystander.txt", "train//a/s00_0000.png", "./train/a/s00_0000.png", "", ".", "..", "/", "\0",
    "\ud800", "a" * 300,
    "train/a", ".affectkit-datasplit/journal.jsonl", "train\\..\\..\\x", None, True, -1, 10**25, 1e308, [], {}, [[]], 0,
    "o", "a", "made", "undoing", "staged", "unstaged", "train", "test", "symlink",
)  # fmt: skip


def places(value, front=()):
    """The places of all values in a row."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*front, key)
        yield from places(inner, (*front, key))


def put(row, place, value):
    for key in place[:-1]:
        row = row[key]
    row[place[-1]] = value


def got(row, place):
    for key in place:
        row = row[key]
    return row


LEADING_OUT = ("../../outside/a", "../outside/a", "../out/a", "out/a", "{world}/outside/a", "../in/a", "in/a", "a")


def led_out(rng: random.Random, rows: list, world: Path) -> None:
    """Let a row name a file that is none of the split, all of the row in agreement, its hash too."""
    lengths = {"o": 7, "a": 6}  # without the chain
    planned = [row for row in rows[1:] if isinstance(row, list) and row and len(row) == lengths.get(str(row[0]))]
    if not planned:
        return
    row = rng.choice(planned)
    label = rng.choice(LEADING_OUT).format(world=world)
    name = rng.choice(("canary0.png", "canary1.png", "bystander.txt", "s00_0000.png"))
    place = f"{label}/{name}" if rng.random() < 0.6 else f"train/{label}/{name}"
    known = world / "ds" / place
    digest = digest_of(known) if known.is_file() else "0" * 32
    if row[0] == "a":
        row[3] = place
        made = [one for one in rows if isinstance(one, list) and one and one[0] == "made" and isinstance(one[1], list)]
        if made and rng.random() < 0.5:
            made[0][1].append([place, digest])
        return
    end = rng.choice((3, 4))
    row[end], row[6] = place, digest
    if rng.random() < 0.3:
        row[7 - end] = f"train/a/{name}"
    if rng.random() < 0.5:
        row[1] = label


def mutated_rows(rng: random.Random, rows: list, world: Path) -> list:
    rows = json.loads(json.dumps(rows))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind = rng.choice(("out", "out", "value", "value", "borrow", "drop", "double", "swap", "add", "verb"))
        number = rng.randrange(len(rows))
        row = rows[number]
        spots = list(places(row))
        if kind == "out":
            led_out(rng, rows, world)
        elif kind == "value" and spots:
            absolute = (str(world / "outside/a/canary0.png"), str(world / "ds"), str(world / "ds" / "train"))
            put(row, rng.choice(spots), json.loads(json.dumps(rng.choice((*HOSTILE, *absolute)))))
        elif kind == "borrow" and spots:
            other = rng.choice(rows)
            theirs = list(places(other))
            if theirs:
                spot = rng.choice(spots)
                same = [place for place in theirs if place == spot] or theirs
                put(row, spot, json.loads(json.dumps(got(other, rng.choice(same)))))
        elif kind == "drop" and len(rows) > 1:
            del rows[number]
        elif kind == "double":
            rows.insert(rng.randrange(len(rows)), row)
        elif kind == "swap":
            other = rng.randrange(len(rows))
            rows[number], rows[other] = rows[other], rows[number]
        elif kind == "add":
            verb = rng.choice(("undoing", "unstaged", "staged", "moved", "made all", "done", "rm", 3))
            rows.insert(rng.randrange(1, len(rows) + 1), [verb])
        elif kind == "verb" and isinstance(row, list) and row:
            row[0] = rng.choice(("o", "a", "x", "planned", "made", "tables", "undoing"))
        for one in rows:  # a plan that counts right gets further
            if isinstance(one, list) and len(one) == 2 and one[0] == "planned" and rng.random() < 0.7:
                one[1] = sum(isinstance(r, list) and bool(r) and r[0] in ("o", "a", "x") for r in rows)
    return rows


def written(rng: random.Random, rows: list) -> bytes:
    """Rows with a chain made anew, or as earlier versions wrote them."""
    if rng.random() < 0.5:
        if rows and isinstance(rows[0], dict) and rows[0].get("journal") == 2:
            rows = [{**rows[0], "journal": 1}, *rows[1:]]
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    lines, chain = [], ""
    for row in rows:
        if not row or not isinstance(row, dict | list):
            lines.append(json.dumps(row) + "\n")
            continue
        line, chain = link_line(json.dumps(row), chain)
        lines.append(line)
    return "".join(lines).encode()


def mutated_bytes(rng: random.Random, lines: list[bytes]) -> bytes:
    """The file with its chain as it was: bytes changed, lines lost, doubled, moved, the file cut."""
    kind, lines = rng.choice(("flip", "insert", "delete", "cut", "lose", "double", "swap")), list(lines)
    number, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    data = bytearray(b"".join(lines))
    at = rng.randrange(len(data))
    if kind == "flip":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "insert":
        data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 3))))
    elif kind == "delete":
        del data[at : at + rng.choice((1, 20))]
    elif kind == "cut":
        del data[at:]
    elif kind == "lose":
        del lines[number]
    elif kind == "double":
        lines.insert(other, lines[number])
    else:
        lines[number], lines[other] = lines[other], lines[number]
    return bytes(data) if kind in ("flip", "insert", "delete", "cut") else b"".join(lines)


def try_mutations(scene: Scene, place: Path, seed: int, count: int) -> tuple[collections.Counter, list[str]]:
    """Try mutations of the journal of ``scene``; what followed, and what should not have."""
    counts: collections.Counter = collections.Counter()
    faults = []
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        world = place / "world"
        shutil.copytree(scene.world, world, symlinks=True)
        (world / "ds" / "out").unlink()
        (world / "ds" / "out").symlink_to(world / "outside", target_is_directory=True)
        rows = json.loads(json.dumps(scene.rows).replace(str(scene.world), str(world)))
        raw = rng.random() < 0.25
        data = mutated_bytes(rng, scene.lines) if raw else written(rng, mutated_rows(rng, rows, world))
        (world / scene.path).write_bytes(data)
        steps = rng.choice((("undo",), ("force",), ("rerun", "undo"), ("undo", "force"), ("rerun", "force")))
        counts["tried"] += 1
        for step in steps:
            try:
                if step == "rerun":
                    scene.rerun(world)
                else:
                    scene.undo(world, force=step == "force")
                counts["carried out"] += 1
            except AffectkitError as error:
                counts["refused"] += 1
                if not error.message or "Traceback" in str(error):
                    faults.append(f"{number} {step}: refused without words")
            except Exception as error:
                counts["unexpected"] += 1
                faults.append(f"{number} {step}: {type(error).__name__}: {error}")
            if scene.state(world) != scene.outside:
                counts["escaped"] += 1
                faults.append(f"{number} {step}: escaped")
            if scene.losses(world):
                counts["lost"] += 1
                faults.append(f"{number} {step}: lost")
        shutil.rmtree(world)
    return counts, faults


SCENES = {
    "split in place": {"command": "datasplit", "copies": False, "balance": True},
    "split stopped": {"command": "datasplit", "copies": False, "balance": True, "stop": 8},
    "split into another": {"command": "datasplit", "copies": True},
    "relabelled in place": {"command": "relabel", "copies": False},
    "relabelling stopped": {"command": "relabel", "copies": False, "stop": 4},
    "relabelled into another": {"command": "relabel", "copies": True},
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    made: dict[str, Scene] = {}

    def scene(name: str) -> Scene:
        if name not in made:
            made[name] = Scene(tmp_path_factory.mktemp("scene"), **SCENES[name])
        return made[name]

    return scene


@pytest.mark.parametrize("name", SCENES)
def test_mutated_journals_touch_nothing_outside_and_lose_nothing(tmp_path, scenes, name):
    counts, faults = try_mutations(scenes(name), tmp_path, seed=1, count=60)
    assert faults == []
    assert counts["tried"] == 60 and counts["refused"] > 30, counts


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_many_mutated_journals(tmp_path, scenes, name):
    counts, faults = try_mutations(scenes(name), tmp_path, seed=2, count=1500)
    print(name, dict(counts), *faults[:20], sep="\n")
    assert faults == []
    assert counts["tried"] == 1500 and counts["refused"] > 750, counts
