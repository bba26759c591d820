"""Sample formats and layouts: against libswresample, whose matrix for 16-bit samples is normalised."""

from __future__ import annotations

import av
import numpy as np
import pytest

from affectkit.data.media.sound_channels import sample_values, stereo_matrix

ROOT = 0.5**0.5
LAYOUTS = (
    "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "5.0", "5.1", "5.1(side)", "6.1", "7.1", "7.1(wide)",
    "hexagonal", "octagonal", "stereo", "downmix",
)  # fmt: skip


def of_swresample(layout):
    """(2, channels): what FFmpeg makes of one channel after the other, at 20,000 of 32,768."""
    count, columns = av.AudioLayout(layout).nb_channels, []
    for channel in range(count):
        values = np.zeros((64, count), np.int16)
        values[:, channel] = 20000
        frame = av.AudioFrame.from_ndarray(values.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = 48000
        made = av.AudioResampler(format="s16p", layout="stereo", rate=48000).resample(frame)
        columns.append(made[0].to_ndarray()[:, 32] / 20000)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_channels_are_brought_to_two_as_swresample_does(layout):
    ours = stereo_matrix(av.AudioLayout(layout))
    assert ours == pytest.approx(of_swresample(layout), abs=2e-4)
    assert ours.sum(1).max() <= 1 + 1e-6  # cannot clip


def test_five_channels_are_those_of_bs_775():
    left = np.array([1, 0, ROOT, 0, ROOT, 0]) / (1 + 2 * ROOT)
    assert stereo_matrix(av.AudioLayout("5.1")) == pytest.approx(np.stack([left, left[[1, 0, 2, 3, 5, 4]]]), abs=1e-6)


def test_one_channel_goes_to_both_as_it_is_and_others_of_a_side_stay_there():
    assert stereo_matrix(av.AudioLayout("mono")).tolist() == [[1.0], [1.0]]
    assert stereo_matrix(av.AudioLayout("stereo")).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    high = stereo_matrix(av.AudioLayout("7.1.4"))
    assert high.sum(1) == pytest.approx([1, 1]) and (high[:, 8:] > 0).tolist() == [[True, False] * 2, [False, True] * 2]


WAVE = np.sin(np.arange(600) / 7)


def stored(name, channels):
    """A frame of ``WAVE`` at growing levels, in a format of FFmpeg's by its name; and those levels."""
    kind = name.rstrip("p")
    levels = np.linspace(0.2, 0.8, channels)
    values = levels[:, None] * WAVE
    if kind in ("s16", "s32"):
        bits = int(kind[1:])
        values = np.rint(values * 2 ** (bits - 1)).astype(f"int{bits}")
    elif kind == "u8":
        values = np.rint(128 + values * 128).astype(np.uint8)
    else:
        values = values.astype(np.float32 if kind == "flt" else np.float64)
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values.T.reshape(1, -1)), format=kind, layout=layout)
    frame.sample_rate = 48000
    if name.endswith("p"):
        (frame,) = av.AudioResampler(format=name, layout=layout, rate=48000).resample(frame)
    return frame, levels


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
@pytest.mark.parametrize(
    "name", ["u8", "u8p", "s16", "s16p", "s32", "s32p", "flt", "fltp", "dbl", "dblp", "s64", "s64p"]
)
def test_samples_of_every_format_have_full_scale_1(name, channels):
    if name.startswith("s64"):
        frame, levels = stored("s32", channels)
        (frame,) = av.AudioResampler(format=name, layout=frame.layout, rate=48000).resample(frame)
    else:
        frame, levels = stored(name, channels)
    assert frame.format.name == name
    values = sample_values(frame)
    assert values.shape == (channels, 600) and values.dtype == np.float32
    assert values == pytest.approx(levels[:, None] * WAVE, abs=0.5 / 128 if name.startswith("u8") else 2e-5)
