"""What ``infer`` tells before rows come: how much there is, in bars too, and that a model of crops gets photographs."""

from __future__ import annotations

import io

import pytest
from films import write_film
from PIL import Image
from support import Heard

from affectkit.config import resolve
from affectkit.core.assets import BUILTIN_MODEL, PREFIX
from affectkit.core.shards import Shard
from affectkit.errors import DataError, Stopped
from affectkit.inference import infer as module
from affectkit.inference.infer import infer
from affectkit.inference.inputs import find_inputs
from affectkit.inference.whole_pictures import note_on_whole_pictures
from affectkit.settings.inference import InferSettings


def run(checkpoint, *paths, stdin="", **changes):
    """Predict; return what was heard."""
    values = {"paths": list(map(str, paths)), "checkpoint": checkpoint, "workers": 0, "batch_size": 2, **changes}
    heard = Heard()
    chosen = resolve(InferSettings, flags=values).settings
    infer(chosen, reporter=heard, listed=io.StringIO(stdin), stdout=io.StringIO())
    return heard


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mixed"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png", "deep/d.png"):
        Image.new("L", (40, 40), 90).save(folder / name)
    write_film(folder / "film.mp4", 10)
    (folder / "notes.txt").write_text("x")
    return folder


def test_what_there_is_comes_first_and_bars_have_totals(trained, folder):
    heard = run(trained, folder, recursive=True, every="2")
    assert heard.notes[0] == "inputs: 4 images and 1 video"
    assert heard.started == [("listing", None, "files"), ("predicting", 4, "images"), ("film.mp4", 5, "frames")]
    assert run(trained, folder / "a.png").notes[0] == "inputs: 1 image"
    listed = run(trained, "-", stdin=f"{folder / 'b.png'}\n{folder / 'deep' / 'd.png'}\n")
    assert listed.notes[0] == "inputs: 2 images" and listed.started[-1] == ("predicting", 2, "images")


def test_it_comes_before_the_model_is_loaded(trained, folder, monkeypatch):
    def fails(*args, **options):
        raise DataError("no model.")

    monkeypatch.setattr(module, "_load", fails)
    heard = Heard()
    chosen = resolve(InferSettings, flags={"paths": [str(folder)], "checkpoint": trained}).settings
    with pytest.raises(DataError, match="no model"):
        infer(chosen, reporter=heard, listed=io.StringIO(), stdout=io.StringIO())
    assert heard.notes == ["inputs: 3 images and 1 video"]


def test_several_videos_are_numbered(trained, folder):
    write_film(folder / "second.mp4", 4)
    heard = run(trained, folder / "film.mp4", folder / "second.mp4", every="1")
    # Of films that are named, the names are what was written.
    assert [one[0].rsplit("/", 1)[-1] for one in heard.started[1:]] == ["film.mp4 (1 of 2)", "second.mp4 (2 of 2)"]
    assert [one[1:] for one in heard.started[1:]] == [(10, "frames"), (4, "frames")]


def test_a_shard_and_what_is_left_of_a_stopped_run_count_their_own(trained, folder, tmp_path, monkeypatch):
    for number in range(7):
        Image.new("L", (40, 40), number).save(folder / f"e{number}.png")
    (folder / "film.mp4").unlink()
    heard = run(trained, folder, shard="2/3", results=tmp_path / "shards")
    assert heard.notes[0] == "inputs: 10 images, of which shard 2/3 takes 3"
    assert heard.started[-1] == ("predicting", 3, "images")

    class Once:
        """A signal after the second batch."""

        asked = 0

        def requested_anywhere(self, group):
            self.asked += 1
            return self.asked == 2

        def error(self, done, how, resumable):
            return Stopped(done)

        def __enter__(self):
            return self

        def __exit__(self, *error): ...

    with monkeypatch.context() as patch:
        patch.setattr(module, "StopFlag", lambda reporter: Once())
        with pytest.raises(Stopped, match="4 images are done"):
            run(trained, folder, results=tmp_path / "results")
    heard = run(trained, folder, results=tmp_path / "results", resume=True)
    assert heard.started[-1] == ("predicting", 6, "images") and heard.done == 6


def test_shares_of_shards_are_those_that_they_take():
    for count in range(1, 6):
        for items in range(12):
            shards = [Shard(number, count) for number in range(1, count + 1)]
            assert [one.share(items) for one in shards] == [sum(map(one.mine, range(items))) for one in shards]


class Engine:
    """What the note reads of an engine."""

    def __init__(self, *, takes_faces=False, side=48, pictures=None, clip=None):
        self.takes_faces = takes_faces
        self.spec = type("Spec", (), {"height": side, "width": side, "clip": clip})
        self.header = type("Header", (), {"training": {} if pictures is None else {"pictures": pictures}})


def crops(square=24, side=100):
    return {"looked_at": 24, "square": square, "longer_side": side}


@pytest.mark.parametrize(
    ("engine", "sizes", "said"),
    [
        (Engine(takes_faces=True), [(600, 400)], "the model takes face crops, which 0.png (600x400 pixels) is not."),
        (Engine(takes_faces=True), [(512, 512)], ""),  # 512 pixels are no large crop, whatever the model takes
        (Engine(takes_faces=True), [(513, 513)], "which 0.png (513x513 pixels) is not."),
        (Engine(takes_faces=True, side=224), [(896, 800)], ""),
        (Engine(takes_faces=True, side=224), [(897, 800)], "is not."),
        (Engine(takes_faces=True), [(48, 48), (60, 48), (61, 48), (48, 61)], ""),  # half of them: not most
        (Engine(takes_faces=True), [(48, 48), (48, 61), (61, 48)], "which 2 of the 3 looked at are not, such as 1.png"),
        (Engine(), [(600, 400)], ""),  # any pictures, as far as is known
        (Engine(pictures=crops(square=21)), [(600, 400)], ""),  # trained on photographs
        (Engine(pictures=crops()), [(600, 400)], "square ones of about 100 pixels, which 0.png (600x400 pixels)"),
        (Engine(pictures=crops(side=200)), [(800, 800)], ""),
        (Engine(pictures={"looked_at": "many"}), [(600, 400)], ""),
        (Engine(takes_faces=True, clip=object()), [(600, 400)], ""),
    ],
)  # fmt: skip
def test_the_rule_by_which_pictures_are_no_crops(tmp_path, engine, sizes, said):
    for number, size in enumerate(sizes):
        Image.new("L", size).save(tmp_path / f"{number}.png")
    note = note_on_whole_pictures(engine, find_inputs([str(tmp_path)], recursive=False))
    assert said in note if said else note == ""


def test_of_many_pictures_some_are_looked_at_from_first_to_last(tmp_path):
    for number in range(50):
        (tmp_path / f"{number:02}.png").write_bytes(b"")
    (tmp_path / "deep").mkdir()
    for number in range(50):
        (tmp_path / "deep" / f"{number:02}.png").write_bytes(b"")
    inputs = find_inputs([str(tmp_path)], recursive=True)
    chosen = [path.relative_to(tmp_path).as_posix() for path in inputs.some("image", 4)]
    assert chosen == ["00.png", "25.png", "deep/00.png", "deep/25.png"]
    assert len(inputs.some("image", 1_000)) == 100 and inputs.some("video", 4) == []


def test_the_note_comes_once_and_only_where_pictures_are_taken_whole(tmp_path):
    builtin = f"{PREFIX}{BUILTIN_MODEL}"
    for number in range(3):
        Image.new("L", (300, 200), 90).save(tmp_path / f"{number}.png")

    def said(**changes):
        return [
            note
            for note in run(builtin, tmp_path, **changes).notes
            if "whole" in note and not note.startswith("faces: ")
        ]

    assert said() == []
    (note,) = said(faces="none")
    assert (
        "which 3 of the 3 looked at are not, such as 0.png (300x200 pixels). --faces auto finds the faces first."
        in note
    )
    write_film(tmp_path / "films" / "wide.mp4", 4)
    film = [note for note in run(builtin, tmp_path / "films", faces="none").notes if "whole" in note]
    assert len(film) == 1 and "wide.mp4" in film[0]


def test_a_model_trained_on_square_pictures_says_so_of_photographs(trained, tmp_path):
    """Its checkpoint knows what pictures it has seen, whatever the network."""
    Image.new("L", (300, 200), 90).save(tmp_path / "a.png")
    (note,) = [note for note in run(trained, tmp_path).notes if "whole" in note]
    assert "trained on square ones of about" in note and "a.png (300x200 pixels) is not" in note
