"""Frames that are taken are the same, byte for byte, whether all that lies between them is decoded or not."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from affectkit.data.media import video_stream
from affectkit.data.media.decoding_plan import DECODED, LEFT_OUT, REFERENCES, plan_decoding
from affectkit.data.media.frame_decoder import FrameDecoder
from affectkit.data.media.media_file import ClipError
from affectkit.data.media.video_stream import VideoStream

COUNT, FPS = 75, 25
SOURCE = f"testsrc2=s=96x64:r={FPS},noise=alls=12:allf=t"
X264 = "-c:v libx264 -preset veryfast -threads 1 -sc_threshold 0 -pix_fmt yuv420p"
X265 = (
    "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=0:pools=1:frame-threads=1:rc-lookahead=20"
)
VP9 = "-c:v libvpx-vp9 -cpu-used 8 -b:v 200k -pix_fmt yuv420p"
CODINGS = {
    "closed.mp4": f"{X264} -g 12 -bf 2",
    "long.mkv": f"{X264} -g 250 -bf 2",
    "pyramid.mp4": f"{X264} -g 24 -bf 5 -x264-params b-pyramid=normal:b-adapt=0",
    "open.mp4": f"{X264} -g 12 -bf 3 -x264-params open-gop=1",
    "open.ts": f"{X264} -g 12 -bf 3 -x264-params open-gop=1",
    "refresh.mp4": f"{X264} -g 12 -x264-params intra-refresh=1",
    "slices.ts": f"{X264} -g 35 -bf 2 -x264-params slices=4",
    "no-b.flv": f"{X264} -g 12 -bf 0",
    "no-b.avi": f"{X264} -g 12 -bf 0",
    "headers.mkv": f"{X264} -g 12 -bf 2 -x264-params repeat-headers=1",
    "closed-265.mp4": f"{X265}:keyint=12:min-keyint=12:open-gop=0:b-pyramid=1:bframes=4",
    "open-265.mp4": f"{X265}:keyint=12:min-keyint=12:open-gop=1:bframes=4",
    "open-265.ts": f"{X265}:keyint=12:min-keyint=12:open-gop=1:bframes=4",
    "refresh-265.mkv": f"{X265}:keyint=12:min-keyint=12:intra-refresh=1",
    "vp9.webm": f"{VP9} -deadline realtime -g 12",
    "hidden-vp9.mp4": f"{VP9} -deadline good -g 24 -auto-alt-ref 1 -lag-in-frames 16",
    "svt-av1.mkv": "-c:v libsvtav1 -preset 12 -g 16 -pix_fmt yuv420p",
    "forward-av1.webm": "-c:v libsvtav1 -preset 10 -g 16 -pix_fmt yuv420p -svtav1-params irefresh-type=1",
    "aom-av1.mp4": "-c:v libaom-av1 -cpu-used 8 -g 16 -lag-in-frames 12 -pix_fmt yuv420p",
    "mjpeg.mov": "-c:v mjpeg -q:v 4 -pix_fmt yuvj420p",
    "mjpeg.avi": "-c:v mjpeg -q:v 4 -pix_fmt yuvj420p",
    "prores.mov": "-c:v prores_ks -pix_fmt yuv422p10le",
}
WHOLE = {
    "interlaced.mp4": f"{X264} -g 12 -bf 2 -flags +ildct+ilme",
    "interlaced.ts": f"{X264} -g 12 -bf 2 -flags +ildct+ilme",
    "b.avi": f"{X264} -g 12 -bf 2",
    "mpeg4.mp4": "-c:v mpeg4 -g 12 -bf 2",
    "mpeg2.mpg": "-c:v mpeg2video -g 12 -bf 2",
    "mpeg2.ts": "-c:v mpeg2video -g 12 -bf 2",
}
"""Those of which all is decoded: two fields a packet or one, slots in place of times, entries that are not known."""
EVERY = ((0.2, 0), (1.3, 0), (0.0, 7), (0.0, 40))


def ffmpeg(*arguments: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def encode(path: Path, coding: str, *, source: str = SOURCE, count: int = COUNT) -> Path:
    if not path.exists():
        ffmpeg("-f", "lavfi", "-i", source, "-frames:v", count, *coding.split(), path)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("planned")


@pytest.fixture(autouse=True)
def _all_are_large(monkeypatch):
    monkeypatch.setattr(video_stream, "LARGE", 0)


def read(path: Path, every, seconds=None, *, whole: bool) -> tuple[dict, np.ndarray | None]:
    """Return what a stream gives, and which packets were decoded by its plan; None: it had none."""
    stream, frames, reason = VideoStream(path, every=every, seconds=seconds, whole=whole), [], ""
    try:
        for frame in stream:
            frames.append((frame.number, frame.time, frame.pixels.tobytes()))
    except ClipError as error:
        reason = error.reason
    assert len(frames) > 0
    found = {"frames": frames, "count": stream.count, "end": stream.end, "reason": reason, "notes": stream.notes}
    return found, stream._decoder._plan


def compare(path: Path, every, seconds=None, *, least: float = 0.0) -> dict:
    """Assert that leaving packets out changes nothing, and that at least a share of them was not decoded for sure."""
    right, nothing = read(path, every, seconds, whole=True)
    found, plan = read(path, every, seconds, whole=False)
    assert nothing is None
    assert found == right
    share = 0.0 if plan is None else float((plan != DECODED).mean())
    assert share >= least if least else plan is None
    return right


@pytest.mark.parametrize("name", CODINGS)
def test_frames_are_the_same_however_they_are_coded(root, name):
    path = encode(root / name, CODINGS[name])
    alone = name.split(".")[0].endswith(("vp9", "av1"))  # of which only whole groups are left out
    for every in EVERY:
        right = compare(path, every, least=0.01 if alone and every != (0.0, 40) else 0.4)
        assert right["count"] == COUNT and right["end"] == pytest.approx(COUNT / FPS, abs=0.002)
    compare(path, (0.5, 0), 1.7, least=0.01)


@pytest.mark.parametrize("name", WHOLE)
def test_where_it_is_not_known_what_frames_need_all_is_decoded(root, name):
    path = encode(root / name, WHOLE[name])
    compare(path, (0.5, 0))
    compare(path, (0.0, 40), 2.0)


def test_against_pyav_alone(root):
    path = encode(root / "pyramid.mp4", CODINGS["pyramid.mp4"])
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    found = {frame.number: frame for frame in VideoStream(path, every=(0.0, 16))}
    assert sorted(found) == list(range(0, COUNT, 16))
    for number, frame in found.items():
        time, pixels = frames[number]
        assert frame.time == pytest.approx(time, abs=1e-6) and (frame.pixels == pixels).all()


@pytest.fixture(scope="module")
def film(root) -> Path:
    return encode(root / "film.mp4", CODINGS["closed.mp4"])


def _copied(film: Path, name: str, *before: object, after: tuple = ()) -> Path:
    ffmpeg(*before, "-i", film, *after, "-c", "copy", film.with_name(name))
    return film.with_name(name)


CONDITIONS = {
    "edit-list": lambda film: _copied(film, "edit.mp4", "-ss", 1.3),
    "begins-amid": lambda film: _copied(film, "amid.mp4", after=("-ss", 1.3)),
    "begins-amid.mkv": lambda film: _copied(film, "amid.mkv", "-ss", 1.3),
    "turned": lambda film: _copied(film, "turned.mp4", "-display_rotation", 90),
    "late": lambda film: _copied(
        film, "late.mkv", "-f", "lavfi", "-i", "sine=d=3", "-itsoffset", 0.7, after=("-map", 1, "-map", 0)
    ),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_frames_are_the_same_whatever_the_container_does(film, name):
    path = CONDITIONS[name](film)
    for every in EVERY:
        compare(path, every, least=0.3)
    compare(path, (0.5, 0), 1.1, least=0.3)


def test_frames_of_a_variable_rate_are_the_same(root):
    path = root / "variable.mp4"
    kept = f"{SOURCE},select=not(between(mod(n\\,17)\\,3\\,9))"
    encode(path, f"-fps_mode vfr {X264} -g 12 -bf 2", source=kept)
    for every in EVERY:
        compare(path, every, least=0.3)


def _joined(path: Path, one: Path, two: Path, *, headed: bool) -> Path:
    """Two files in one track, the second one's parameter sets in its first packet alone, or in none."""
    with av.open(str(path), "w") as out, av.open(str(one)) as first, av.open(str(two)) as second:
        track = out.add_stream_from_template(first.streams.video[0])
        data = bytes(second.streams.video[0].codec_context.extradata)  # ISO/IEC 14496-15, 5.3.3.1.2
        sps = data[8 : 8 + int.from_bytes(data[6:8])]
        pps = data[11 + len(sps) :][: int.from_bytes(data[9 + len(sps) : 11 + len(sps)])]
        headers = b"".join(len(part).to_bytes(4) + part for part in (sps, pps)) if headed else b""
        for container, shift in ((first, 0.0), (second, COUNT / FPS)):
            for packet in container.demux(video=0):
                if not packet.size:
                    continue
                made = av.Packet((headers if shift and packet.pts == 0 else b"") + bytes(packet))
                made.time_base, made.duration, made.is_keyframe = packet.time_base, packet.duration, packet.is_keyframe
                made.pts, made.dts = (value + round(shift / packet.time_base) for value in (packet.pts, packet.dts))
                made.stream = track
                out.mux(made)
    return path


def test_what_a_packet_between_states_for_all_after_it_is_not_left_out(root, film):
    small = encode(root / "small.mp4", f"{X264} -g 12 -bf 2", source=SOURCE.replace("96x64", "64x48"))
    path = _joined(root / "joined.mkv", film, small, headed=True)
    right = compare(path, (1.3, 0))
    assert right["count"] == 2 * COUNT and not right["reason"]
    sizes = [len(pixels) for _, _, pixels in right["frames"]]
    assert sizes == [96 * 64 * 3] * 3 + [64 * 48 * 3] * 2
    path = _joined(root / "alike.mkv", film, film, headed=False)
    assert compare(path, (1.3, 0), least=0.5)["count"] == 2 * COUNT


def test_files_joined_byte_by_byte(root):
    names = ("slices.ts", "open.ts")
    whole = root / "joined.ts"
    whole.write_bytes(b"".join(encode(root / name, CODINGS[name]).read_bytes() for name in names))
    for every in EVERY:
        assert compare(whole, every, least=0.4)["count"] == 2 * COUNT


def _layered(path: Path, made: Path) -> Path:
    """A video of H.265 whose B frames that others refer to stand in a temporal layer of their own, above them those to
    which none refers: within their layer, none refers to either."""
    data = bytearray(made.read_bytes())
    data[data.index(b"hvcC") + 4 + 21] = data[data.index(b"hvcC") + 4 + 21] & ~0x38 | 3 << 3
    highest, lifted = -1, 0
    with av.open(str(made)) as container:
        for packet in container.demux(video=0):
            if not packet.size:
                continue
            place = packet.pos
            while (data[place + 4] >> 1 & 63) > 31:  # up to the slice
                place += 4 + int.from_bytes(data[place : place + 4])
            if packet.pts < highest:
                refers = data[place + 4] >> 1 & 63 == 1  # TRAIL_R, to which others refer
                data[place + 4], data[place + 5] = data[place + 4] & 0x81, data[place + 5] & 0xF8 | (2 if refers else 3)
                lifted += refers
            highest = max(highest, packet.pts)
    assert lifted > 3
    path.write_bytes(data)
    return path


def test_frames_of_temporal_layers_are_not_taken_for_ones_that_none_refers_to(root):
    coding = f"{X265}:keyint=24:min-keyint=24:open-gop=0:b-pyramid=1:bframes=5:b-adapt=0"
    path = _layered(root / "layered.mp4", encode(root / "one-layer.mp4", coding))
    for every in ((0.12, 0), (0.0, 7), (0.0, 40)):
        right, _ = read(path, every, whole=True)
        found, plan = read(path, every, whole=False)
        assert found == right and (plan is None or not (plan == REFERENCES).any())
        assert right["frames"] == read(root / "one-layer.mp4", every, whole=True)[0]["frames"]


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.ts", "cut.flv"])
def test_a_cut_is_found_and_the_rows_before_it_are_kept(film, name):
    path = film.with_name(name)
    ffmpeg("-i", film, "-c", "copy", "-movflags", "+faststart", path)
    data = path.read_bytes()
    for share in (0.35, 0.6, 0.8, 0.97):
        path.write_bytes(data[: int(len(data) * share)])
        for every in ((0.2, 0), (1.3, 0), (0.0, 40)):
            assert compare(path, every, least=0.3)["reason"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("codec", ["264", "265"])
def test_at_random(tmp_path, codec, seed):
    _at_random(tmp_path, codec, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 64))
@pytest.mark.parametrize("codec", ["264", "265"])
def test_more_at_random(tmp_path, codec, seed):
    _at_random(tmp_path, codec, seed)


def _at_random(folder: Path, codec: str, seed: int) -> None:
    rng = random.Random(f"{codec} {seed}")
    group, count, bframes = rng.randint(1, 40), rng.randint(20, 80), rng.randint(0, 5)
    gop, pyramid = rng.randint(0, 1), rng.choice(["none", "strict", "normal"])
    name = f"a.{rng.choice(['mp4', 'mkv', 'ts'])}"
    if codec == "264":
        more = f"open-gop={gop}:b-pyramid={pyramid}:slices={rng.randint(1, 3)}:ref={rng.randint(1, 4)}"
        coding = f"{X264} -g {group} -bf {bframes} -x264-params {more}"
    else:
        coding = f"{X265}:keyint={group}:min-keyint=1:open-gop={gop}:bframes={bframes}:b-pyramid={rng.randint(0, 1)}"
    path = encode(folder / name, coding, count=count)
    for _ in range(4):
        every = rng.choice([(rng.uniform(0.05, 2.0), 0), (0.0, rng.randint(2, 50))])
        seconds = rng.choice([None, rng.uniform(0.1, 3.0)])
        right, _ = read(path, every, seconds, whole=True)
        found, _ = read(path, every, seconds, whole=False)
        assert found == right, (name, coding, count, every, seconds)


def test_no_frame_is_taken_after_a_damaged_one_that_it_refers_to(root):
    """FFmpeg, asked to leave out pictures to which none refers, takes what it cannot parse for one of them."""
    film = encode(root / "long.mkv", CODINGS["long.mkv"])
    film = _copied(film, "long.mp4")
    right, found_out = read(film, (0.0, 30), whole=True)[0]["frames"], 0
    with av.open(str(film)) as container:
        packets = [bytes(packet)[4] for packet in container.demux(video=0) if packet.size]
    for number in [at for at, head in enumerate(packets) if head & 0x60 and 3 < at < 60][::3]:
        path = _damaged(film, number, random.Random(number).randbytes(3000))
        whole, _ = read(path, (0.0, 1), whole=True)
        if not whole["reason"] or len(whole["frames"]) > number:  # nonsense that can be decoded
            continue
        found, _ = read(path, (0.0, 30), whole=False)
        assert found["reason"] and found["frames"] == right[: len(found["frames"])]
        found_out += 1
    assert found_out > 3


def test_a_wanted_frame_that_does_not_come_out_is_damage(film, monkeypatch):
    """A decoder that begins anew at what is no entry gives nothing, and says nothing."""
    monkeypatch.setattr(FrameDecoder, "_entries", lambda decoder: np.ones(COUNT, bool))
    with pytest.raises(ClipError, match="damaged after 1.0 s"):
        list(VideoStream(film, every=(1.0, 0)))


def test_the_last_packets_are_decoded_with_what_they_refer_to():
    entries = np.isin(np.arange(30), [0, 10, 20, 27])
    plan = plan_decoding(entries, np.arange(30), np.arange(30) == 0, tail=True)
    assert plan.tolist() == [DECODED] + [LEFT_OUT] * 19 + [REFERENCES] * 2 + [DECODED] * 8


def test_frames_shown_before_the_entry_that_was_decoded_first_need_the_group_before():
    entries, stamps = np.isin(np.arange(9), [0, 3, 6]), np.array([0, 1, 2, 5, 3, 4, 8, 6, 7])
    plan = plan_decoding(entries, stamps, stamps == 7, tail=False)
    assert plan.tolist() == [LEFT_OUT] * 3 + [REFERENCES] * 5 + [DECODED]


def _damaged(film: Path, number: int, nonsense: bytes = b"\x55") -> Path:
    """The film with nonsense in place of a packet, in the order of the file."""
    path, data = film.with_name(f"damaged-{number}.mp4"), bytearray(film.read_bytes())
    with av.open(str(film)) as container:
        packet = next(packet for at, packet in enumerate(container.demux(video=0)) if at == number)
    data[packet.pos + 5 : packet.pos + packet.size] = (nonsense * packet.size)[: packet.size - 5]
    path.write_bytes(data)
    return path


def test_a_damaged_packet_matters_where_a_frame_needs_it(film):
    every = (1.0, 0)  # frames 0, 25 and 50, of groups of 12
    right, plan = read(film, every, whole=False)
    assert plan[[20, 35, 46]].tolist() == [LEFT_OUT] * 3
    for number in (20, 35, 46):  # of no group with such a frame, or behind it
        assert read(_damaged(film, number), every, whole=True)[0]["reason"]
        assert read(_damaged(film, number), every, whole=False)[0] == right
    for number in (24, 48):  # entries before frames 25 and 50
        path = _damaged(film, number)
        found, _ = read(path, every, whole=False)
        with pytest.raises(ClipError, match=rf"cannot be decoded after {number / FPS:.1f} s"):
            list(VideoStream(path, every=every))
        assert found["reason"] == "undecodable" and found["frames"] == [
            frame for frame in right["frames"] if frame[0] < number
        ]
