from __future__ import annotations

import os

import pytest
from films import write_film
from PIL import Image

from affectkit.data.media.stated_sizes import describe_pictures, is_square, picture_size, stated_video
from affectkit.data.media.video_stream import VideoStream


def test_the_size_of_a_picture_is_read_from_its_head_alone(tmp_path):
    Image.new("RGB", (301, 200)).save(tmp_path / "whole.png")
    head = (tmp_path / "whole.png").read_bytes()[:60]
    (tmp_path / "cut.png").write_bytes(head)
    assert picture_size(tmp_path / "whole.png") == picture_size(tmp_path / "cut.png") == (301, 200)
    (tmp_path / "text.png").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("text.png", "pipe.png", "none.png", "."):
        assert picture_size(tmp_path / name) is None


def test_pictures_are_summed_up_as_numpy_would(tmp_path):
    for number, size in enumerate([(100, 100), (100, 125), (125, 100), (100, 126), (640, 480)]):
        Image.new("L", size).save(tmp_path / f"{number}.png")
    paths = [*(tmp_path / f"{number}.png" for number in range(5)), tmp_path / "none.png"]
    assert describe_pictures(paths) == {"looked_at": 5, "square": 3, "longer_side": 125}
    assert is_square((100, 125)) and not is_square((100, 126))
    assert describe_pictures([tmp_path / "none.png"]) is None


@pytest.mark.parametrize("every", [(0.0, 1), (0.0, 7), (0.5, 0), (0.04, 0), (0.01, 0)])
@pytest.mark.parametrize("seconds", [None, 0.9, 60.0])
def test_the_frames_that_a_video_states_are_those_that_are_taken_give_or_take_one(tmp_path, every, seconds):
    film = write_film(tmp_path / "film.mp4", 40)
    stated = stated_video(film).taken(every, seconds)
    taken = sum(1 for _ in VideoStream(film, every=every, seconds=seconds))
    assert abs(stated - taken) <= 1


def test_a_video_that_cannot_be_opened_states_nothing(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("text.mp4", "empty.mp4", "none.mp4"):
        assert stated_video(tmp_path / name) is None
