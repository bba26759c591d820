"""Clips are read strictly: the right frames and sound, or one clear reason."""

from __future__ import annotations

import shutil

import av
import numpy as np
import pytest
import torch
from clips import pictures, tone, write_clip
from torchvision.transforms import functional as vision

from affectkit.core.clipspec import CREMAD, RML, ClipSpec, SoundSpec, with_sound_level
from affectkit.data.media import video_clip
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.media_file import ClipError
from affectkit.data.media.video_clip import read_clip
from affectkit.data.media.waveforms import average_channels

SIZE = 24


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "a.flv", 3, seconds=0.8, seed=5)


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def expected(frame, box, size):
    """torchvision's antialiased resize of a box on [0, 1], in 8 bits."""
    top, left, side = box
    part = torch.from_numpy(frame[top : top + side, left : left + side]).permute(2, 0, 1).float() / 255
    return (vision.resize(part, [size, size], antialias=True) * 255).permute(1, 2, 0).numpy()


def test_the_frames_around_the_middle_cut_and_resized_as_published(clip):
    whole = decoded(clip)
    found = read_clip(clip, CREMAD, size=SIZE)
    assert found.frames.shape == (31, SIZE, SIZE, 3) and found.frames.dtype == np.uint8
    middle = len(whole) // 2
    checked = 0
    for place, number in enumerate(range(middle - 15, middle + 16)):
        frame = whole[min(max(number, 0), len(whole) - 1)]
        assert np.abs(found.frames[place] - expected(frame, (0, 100, 280), SIZE)).max() <= 1
        checked += 1
    assert checked == 31
    alone = read_clip(clip, CREMAD, size=SIZE, reach=0)
    assert np.array_equal(alone.frames, found.frames[15:16])
    # another crop gives other pictures, so the comparison above can fail
    assert np.abs(found.frames[15] - expected(whole[middle], (40, 100, 280), SIZE)).max() > 20


def test_a_short_clip_repeats_its_ends(tmp_path):
    path = write_clip(tmp_path / "short.flv", seconds=0.2)
    found = read_clip(path, CREMAD, size=SIZE)
    assert len(found.frames) == 31
    assert np.array_equal(found.frames[0], found.frames[5]) and np.array_equal(found.frames[-1], found.frames[-5])


@pytest.mark.parametrize(("size", "side"), [((320, 240), 190), ((720, 480), 380)])
def test_the_central_square_of_rml(tmp_path, size, side):
    path = write_clip(tmp_path / "a.avi", 1, seconds=0.3, size=size, codecs=("mpeg4", "libmp3lame"))
    frame = decoded(path)[4]
    found = read_clip(path, RML, size=SIZE, reach=0).frames[0]
    box = ((size[1] - side) // 2, (size[0] - side) // 2, side)
    assert np.abs(found - expected(frame, box, SIZE)).max() <= 1


def test_whole_frames_and_crops_larger_than_they_are(tmp_path):
    path = write_clip(tmp_path / "a.avi", 1, seconds=0.3, size=(160, 120), codecs=("mpeg4", "libmp3lame"))
    frame = decoded(path)[4]
    whole = read_clip(path, ClipSpec(crop=None, anchor="centre"), size=SIZE, reach=0).frames[0]
    part = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
    assert np.abs(whole - (vision.resize(part, [SIZE, SIZE], antialias=True) * 255).permute(1, 2, 0).numpy()).max() <= 1
    clamped = read_clip(path, CREMAD, size=SIZE, reach=0).frames[0]
    assert np.abs(clamped - expected(frame, (0, 20, 120), SIZE)).max() <= 1


def test_sound_is_decoded_whole_averaged_and_resampled(tmp_path, clip):
    found = read_clip(clip, with_sound_level(CREMAD, "unit"), size=SIZE, frames=False)
    assert found.frames is None and found.rate == 44100
    assert found.seconds == pytest.approx(0.8, abs=0.08)
    wanted = tone(3, 0.8, seed=5)
    both = np.correlate(found.sound[4000:24000], wanted[4000:20000], mode="valid")
    assert both.max() > 0.9 * np.square(wanted[4000:20000]).sum()
    half = read_clip(clip, ClipSpec(sound=SoundSpec(rate=22050)), size=SIZE, frames=False)
    assert abs(2 * len(half.sound) - len(found.sound)) <= 2


def stereo(path):
    """Full scale on the left, silence on the right."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="stereo")
        values = np.stack([np.full(8000, 16384), np.zeros(8000)]).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(values.T.reshape(1, -1).copy(), format="s16", layout="stereo")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_channels_are_averaged(tmp_path):
    found = read_clip(stereo(tmp_path / "a.wav"), ClipSpec(sound=SoundSpec(rate=8000)), size=8, frames=False)
    assert found.sound == pytest.approx(np.full(8000, 0.25), abs=1e-6)


def faults(folder, clip):
    folder.mkdir(exist_ok=True)
    write_clip(folder / "no-sound.flv", sound=False, seconds=0.3)
    write_clip(folder / "silent.flv", silent=True, seconds=0.3)
    (folder / "truncated.flv").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    (folder / "empty.flv").write_bytes(b"")
    (folder / "undecodable.flv").write_bytes(b"no video at all" * 50)
    (folder / "pointer.flv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 265922\n")
    shutil.copy(stereo(folder / "x.wav"), folder / "no-video.flv")
    return folder


def test_each_fault_has_its_reason(tmp_path, clip):
    folder = faults(tmp_path / "f", clip)
    reasons = ("no-sound", "silent", "truncated", "empty", "undecodable", "pointer", "no-video", "missing")
    for reason in reasons:
        with pytest.raises(ClipError) as caught:
            read_clip(folder / f"{reason}.flv", CREMAD, size=SIZE)
        assert caught.value.reason == reason and f"{reason}.flv" in caught.value.message
        if reason == "pointer":
            assert "git lfs pull" in caught.value.hint
    with pytest.raises(ClipError, match=r"at most 0.5 s") as caught:
        read_clip(clip, CREMAD, size=SIZE, longest=0.5)
    assert caught.value.reason == "over-long"


def test_what_is_not_wanted_need_not_be_there(tmp_path, clip):
    folder = faults(tmp_path / "f", clip)
    for name in ("no-sound", "silent"):
        assert len(read_clip(folder / f"{name}.flv", CREMAD, size=SIZE, reach=0, sound=False).frames) == 1
    assert len(read_clip(stereo(folder / "y.wav"), CREMAD, size=SIZE, frames=False).sound) == 44100


def test_names_of_videos():
    assert is_video_name("a.FLV") and is_video_name("b.mp4") and not is_video_name("c.wav") and not is_video_name("d")
    assert len(pictures(0, 3, size=(64, 48))) == 3


def test_few_pictures_are_kept_and_a_wrong_guess_of_their_number_does_not_matter(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "long.flv", 2, seconds=4.0, size=(64, 48), seed=1)
    wanted = read_clip(path, CREMAD, size=SIZE, reach=2).frames
    kept = []
    whole = video_clip._pass
    monkeypatch.setattr(video_clip, "_pass", lambda *args, **named: kept.append(whole(*args, **named)) or kept[-1])
    scan = video_clip.scan_container
    for guess, passes in ((120, 1), (110, 2), (3, 2), (124, 1)):

        def guessed(*args, guess=guess, **named):
            found = scan(*args)
            found.pictures = np.arange(guess)
            return found

        monkeypatch.setattr(video_clip, "scan_container", guessed)
        kept.clear()
        assert np.array_equal(read_clip(path, CREMAD, size=SIZE, reach=2).frames, wanted)
        assert len(kept) == passes and kept[-1].count == 120
        assert max(len(heard.pictures) for heard in kept) <= 2 * (2 + video_clip.SPARE) + 1
    frame = decoded(path)[60]
    assert np.abs(wanted[2] - expected(frame, (0, 8, 48), SIZE)).max() <= 1


def test_a_clip_that_is_cut_anywhere_is_cut_short(tmp_path, clip):
    raw = clip.read_bytes()
    path = tmp_path / "cut.flv"
    checked = 0
    for end in np.linspace(len(raw) // 20, len(raw) - 5, 40).astype(int):
        path.write_bytes(raw[:end])
        with pytest.raises(ClipError, match="truncated|cut short|lacks") as caught:
            read_clip(path, CREMAD, size=8, reach=0)
        assert caught.value.reason == "truncated"
        checked += 1
    assert checked == 40
    whole = read_clip(clip, CREMAD, size=8)
    # The length of the last tag, at the end, is no part of it; and what is no chain of tags is FFmpeg's to judge.
    for odd in (raw[:-4], raw[:-2], raw + bytes(100)):
        path.write_bytes(odd)
        assert np.array_equal(read_clip(path, CREMAD, size=8).frames, whole.frames)


def test_titles_in_other_encodings_are_no_fault(tmp_path, clip):
    raw = clip.read_bytes()
    assert raw.count(b"Lavf") == 1
    path = tmp_path / "latin.flv"
    path.write_bytes(raw.replace(b"Lavf", b"L\xe9vf"))
    assert np.array_equal(read_clip(path, CREMAD, size=8).frames, read_clip(clip, CREMAD, size=8).frames)


def test_damaged_bytes_are_told_as_faults_and_nothing_else(tmp_path, clip):
    raw, path = clip.read_bytes(), tmp_path / "damaged.flv"
    rng = np.random.default_rng(0)
    refused = 0
    for number in range(60):
        spoilt = np.frombuffer(raw, np.uint8).copy()
        places = rng.integers(0, 600 if number % 2 else len(raw), 3)
        spoilt[places] = rng.integers(0, 256, 3)
        path.write_bytes(spoilt.tobytes())
        try:
            read_clip(path, CREMAD, size=8, reach=0)
        except ClipError as fault:
            assert "damaged.flv" in fault.message
            refused += 1
    assert refused > 10


def test_pieces_of_sound_of_several_forms_follow_each_other():
    left = av.AudioFrame.from_ndarray(np.array([[16384, 0, -16384, 0]], np.int16), format="s16", layout="stereo")
    right = av.AudioFrame.from_ndarray(np.array([[0.5, 0.25]], np.float32), format="fltp", layout="mono")
    eight = av.AudioFrame.from_ndarray(np.array([[128, 192]], np.uint8), format="u8", layout="mono")
    for frame in (left, right, eight):
        frame.sample_rate = 8000
    assert average_channels([left, left]).tolist() == [0.25, -0.25, 0.25, -0.25]
    assert average_channels([left, right, eight]).tolist() == [0.25, -0.25, 0.5, 0.25, 0.0, 0.5]
    assert average_channels([right]).dtype == average_channels([]).dtype == np.float32
