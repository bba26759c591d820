"""Videos of all containers and conditions: every frame once, at its time, by the numbers that the frames show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from video_conditions import CONDITIONS
from video_judge import Verdict, clicks_of, judge, judge_clip, table
from video_zoo import KINDS, Cell, Zoo, draw, read_number

from affectkit.core.clipspec import RML
from affectkit.core.spec import InputSpec
from affectkit.data.loading.clips import read_inputs
from affectkit.data.media.video_clip import read_clip

SIDE = 96


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Zoo:
    return Zoo(tmp_path_factory.mktemp("zoo"), CONDITIONS)


def _check(verdicts: dict[tuple[str, str], Verdict], least: int) -> None:
    """Print the matrix; it holds a cell for each container, ``least`` of them a video, and none is wrong."""
    print("\n" + table(verdicts))
    assert len(verdicts) == len(KINDS) > 0
    assert sum(one.kind != "n.a." for one in verdicts.values()) >= least
    assert {cell: one.text for cell, one in verdicts.items() if one.kind == "WRONG"} == {}


LEAST = {
    "b-frames": 8,
    "b-dropped": 8,
    "late-start": 10,
    "sound-first": 9,
    "data-track": 7,
    "rotated": 5,
    "equal": 7,
    "glitch": 7,
    "back": 7,
    "ahead": 7,
    "wraps": 2,
    "joined": 2,
    "overlap": 2,
    "interlaced": 7,
    "two-tracks": 5,
    "cover": 2,
    "unknown": 9,
}
"""Containers that can carry a condition, where these are not all."""


CLIPS = ("b-frames", "dropped", "late-start", "sound-first", "rotated")
"""Conditions of the clips that are read in each run; the others are slow."""


def _clips(quick: Sequence[str]) -> list:
    return [one if one in quick else pytest.param(one, marks=pytest.mark.slow) for one in CONDITIONS]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_frames_and_times(zoo, condition):
    verdicts = {(kind, condition): judge(zoo.cell(kind, condition)) for kind in KINDS}
    _check(verdicts, LEAST.get(condition, len(KINDS)))


def _read_rml(path: Path, sound: bool) -> tuple[np.ndarray, np.ndarray | None, int]:
    clip = read_clip(path, RML, size=SIDE, sound=sound, longest=60.0)
    return clip.frames[RML.reach], clip.sound, RML.sound.rate


@pytest.mark.parametrize("condition", _clips(CLIPS))
def test_clips_of_rml(zoo, condition):
    verdicts = {(kind, condition): judge_clip(zoo.cell(kind, condition), _read_rml) for kind in KINDS}
    _check(verdicts, LEAST.get(condition, len(KINDS)))


def _read_audiovisual(path: Path, sound: bool) -> tuple[np.ndarray, None, int]:
    needs = "both" if sound else "image"
    spec = InputSpec(task="audiovisual", height=SIDE, width=SIDE, clip=replace(RML, needs=needs))
    found = read_inputs(path, spec)
    assert ("audio" in found) is sound
    return found["image"].permute(1, 2, 0).numpy(), None, 0


@pytest.mark.parametrize("condition", _clips(CLIPS[:3]))
def test_clips_of_audiovisual_inference(zoo, condition):
    verdicts = {(kind, condition): judge_clip(zoo.cell(kind, condition), _read_audiovisual) for kind in KINDS}
    _check(verdicts, LEAST.get(condition, len(KINDS)))


class TestJudge:
    """The judge finds what is wrong."""

    def test_numbers_are_read_upright_alone(self):
        for number in (0, 1, 74, 2048, 4095):
            picture = np.repeat(draw(number)[..., None], 3, 2)
            assert read_number(picture) == number
            assert read_number(picture[::-1]) is None
            assert read_number(picture[:, ::-1]) is None
            assert read_number(np.rot90(picture)) is None

    def _cell(self, **more) -> Cell:
        times = [(at / 25,) * 2 for at in range(5)]
        return Cell("mp4", "constant", Path("a.mp4"), list(range(5)), times, **more)

    def _judged(self, given: list[tuple[float, int]], **more) -> str:
        frames = [(time, np.repeat(draw(number)[..., None], 3, 2)) for time, number in given]
        return str(judge(self._cell(**more), lambda path: iter(frames)))

    def test_faults(self):
        right = [(at / 25, at) for at in range(5)]
        assert self._judged(right) == "ok"
        assert "4 of 5 frames" in self._judged(right[:-1])
        assert "4 of 5 frames, lost [2]" in self._judged(right[:2] + right[3:])
        assert "WRONG" in self._judged([right[1], right[0], *right[2:]])
        assert "WRONG" in self._judged([*right, right[-1]])
        assert "+0.030 s at frame 4" in self._judged([*right[:-1], (0.19, 4)])
        assert "not refused" in self._judged(right, refused=("truncated",))

    def test_clicks(self):
        samples = np.zeros(3 * 8000)
        for second in (1, 2):
            samples[second * 8000 :][:400] = np.sin(np.arange(400))
        assert np.allclose(clicks_of(samples, 8000), [1, 2], atol=0.002)
