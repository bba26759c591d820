"""Conditions of videos: how each is made in the containers that can carry it."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import av
import numpy as np
from video_clocks import (
    after,
    ahead,
    back,
    back_truth,
    between,
    glitch,
    joined,
    late_start,
    overlap,
    segment,
    stamped,
    stuck,
    wraps,
)
from video_zoo import COUNT, CUTS, DECOY, FPS, KINDS, Absent, Cell, Zoo, constant, even, run, seconds_of

END = COUNT / FPS
GAPS = (1, 1, 3, 1, 2, 1, 1, 7, 1, 1)
"""Frames of the constant rate from one kept frame to the next."""


def grid() -> list[int]:
    """Return the places of kept frames on the grid of the constant rate."""
    places = [0]
    while (place := places[-1] + GAPS[(len(places) - 1) % len(GAPS)]) < COUNT:
        places.append(place)
    return places


def _single(kind: str) -> str:
    """Return what makes a container state the time of each frame, not of the first of several."""
    return {"mpg": "-packetsize 110", "ogv": "-page_duration 1"}.get(kind, "")


def variable(zoo: Zoo, cell: Cell) -> None:
    """Frames at uneven times, in ms; on the grid of the constant rate where stamps count frames."""
    if KINDS[cell.kind].steps:
        times, base = [place / FPS for place in grid()], FPS
    else:
        rng = np.random.default_rng(1)
        times, base = (np.cumsum([0, *rng.integers(15, 90, 55)]) / 1000).tolist(), 1000
    cell.numbers, cell.times = list(range(len(times))), [(time,) * 2 for time in times]
    cell.path = zoo.encode(cell, numbers=cell.numbers, times=times, base=base, output=_single(cell.kind))
    cell.clicks = seconds_of(times[-1])


def dropped(zoo: Zoo, cell: Cell) -> None:
    """Frames that a recorder dropped: a file of variable rate, copied packet by packet."""
    places = grid()
    source = zoo.encode(
        cell,
        name=f"{cell.kind}-variable-source",
        numbers=places,
        times=[place / FPS for place in places],
        ext="wmv" if cell.kind == "wmv" else "mkv",
        sound=END,
    )
    cell.path = run(
        f"-i {source} -map 0 -c copy {KINDS[cell.kind].output} {_single(cell.kind)}",
        zoo.path(f"{cell.kind}-dropped", cell.kind),
    )
    cell.numbers, cell.times = places, [(place / FPS,) * 2 for place in places]
    cell.clicks = seconds_of(END)


def b_frames(zoo: Zoo, cell: Cell) -> None:
    """Frames that are decoded in another order than they are shown."""
    kind = KINDS[cell.kind]
    if kind.b_none:
        raise Absent(kind.b_none)
    constant(zoo, cell, video=kind.b)


def b_dropped(zoo: Zoo, cell: Cell) -> None:
    """B frames at uneven times on the grid of the constant rate."""
    kind = KINDS[cell.kind]
    if kind.b_none:
        raise Absent(kind.b_none)
    places = grid()
    cell.path = zoo.encode(
        cell,
        numbers=places,
        times=[place / FPS for place in places],
        video=kind.b,
        sound=END,
        output=_single(cell.kind),
    )
    cell.numbers, cell.times = places, [(place / FPS,) * 2 for place in places]
    if cell.kind == "avi":  # its slots tell of the last but two, when the last comes in
        cell.times[-2:] = [(cell.times[-3][0], late) for _, late in cell.times[-2:]]
    cell.clicks = seconds_of(END)


def sound_late(zoo: Zoo, cell: Cell) -> None:
    """A sound that begins 0.5 s after the picture; in an AVI sound begins at 0."""
    raw, wav = zoo.frames(range(COUNT), [at / FPS for at in range(COUNT)]), zoo.sound(END - 0.5)
    kind = KINDS[cell.kind]
    cell.path = run(
        f"-i {raw} -itsoffset 0.5 -i {wav} -map 0:v -map 1:a -c:v {kind.video} -pix_fmt yuv420p -fps_mode passthrough "
        f"-enc_time_base:v 1/{FPS} -c:a {kind.audio} {kind.output}",
        zoo.path(f"{cell.kind}-sound-late", cell.kind),
    )
    cell.numbers, cell.times, cell.clicks = (
        list(range(COUNT)),
        even(),
        seconds_of(END - 0.5, 0.0 if cell.kind == "avi" else 0.5),
    )


def sound_first(zoo: Zoo, cell: Cell) -> None:
    """The sound's track before the picture's."""
    constant(zoo, cell, first="sound")
    with av.open(str(cell.path)) as container:
        if container.streams[0].type != "audio":
            raise Absent("its tracks have the order of its packets" if cell.kind == "flv" else "picture is put first")


def silent(zoo: Zoo, cell: Cell) -> None:
    """No sound track."""
    cell.path = run(f"-i {zoo.constant(cell.kind)} -map 0:v -c copy", zoo.path(f"{cell.kind}-silent", cell.kind))
    cell.numbers, cell.times = list(range(COUNT)), even()


def data_track(zoo: Zoo, cell: Cell) -> None:
    """A track that is neither picture nor sound: time code, subtitle or data."""
    text = zoo.path("text", "srt")
    text.write_text("1\n00:00:00,500 --> 00:00:01,500\nfirst\n\n2\n00:00:02,000 --> 00:00:02,500\nsecond\n")
    ways = {
        "mp4": ("", "", "-timecode 01:00:00:00"),
        "mov": ("", "", "-timecode 01:00:00:00"),
        "mkv": (f"-i {text}", "-map 2:s", "-c:s srt"),
        "webm": (f"-i {text}", "-map 2:s", "-c:s webvtt"),
        "flv": (f"-i {text}", "-map 2:s", "-c:s text"),
        "ts": (f"-f data -i {text}", "-map 2:d", "-c:d copy"),
        "3gp": (f"-i {text}", "-map 2:s", "-c:s mov_text"),
    }
    if cell.kind not in ways:
        raise Absent("ffmpeg writes no third kind of track")
    inputs, maps, output = ways[cell.kind]
    constant(zoo, cell, inputs=inputs, maps=maps, output=output)
    with av.open(str(cell.path)) as container:
        if all(stream.type in ("video", "audio") for stream in container.streams):
            raise Absent("the track is not kept")


def rotated(zoo: Zoo, cell: Cell) -> None:
    """A quarter of a turn by the display matrix."""
    flat = zoo.encode(cell, name=f"{cell.kind}-flat", turned=True)
    turn = f"-display_rotation 90 -i {flat} -map 0 -c copy {KINDS[cell.kind].output}"
    cell.path = run(turn, zoo.path(f"{cell.kind}-rotated", cell.kind))
    cell.numbers, cell.times, cell.clicks = list(range(COUNT)), even(), seconds_of(END)
    with av.open(str(cell.path)) as container:
        if next(container.decode(video=0)).side_data.get("DISPLAYMATRIX") is None:
            raise Absent("it has no display matrix")


def interlaced(zoo: Zoo, cell: Cell) -> None:
    """Frames of two fields each, of one picture."""
    way = {"mkv": "h264", "mp4": "h264", "mov": "h264", "ts": "h264", "mpg": "mpeg2", "avi": "mpeg4", "flv": "h264"}
    if cell.kind not in way:
        raise Absent("its codec has no fields")
    video = {
        "h264": KINDS["mp4"].video.replace("ultrafast", "veryfast") + " -flags +ilme+ildct -x264opts tff=1:weightp=0",
        "mpeg2": KINDS["mpg"].video + " -flags +ilme+ildct -top 1",
        "mpeg4": KINDS["avi"].video + " -flags +ilme+ildct -top 1",
    }[way[cell.kind]]
    constant(zoo, cell, video=video.replace("-top 1", "-field_order tt"))


def two_tracks(zoo: Zoo, cell: Cell) -> None:
    """Two tracks of pictures, the second of which is the default one."""
    if cell.kind in ("avi", "flv", "ts", "mpg", "wmv", "ogv"):
        raise Absent("it names no default track")
    times = [at / FPS for at in range(COUNT)]
    other = zoo.frames([DECOY + at for at in range(COUNT)], times)
    raw, wav, kind = zoo.frames(range(COUNT), times), zoo.sound(END), KINDS[cell.kind]
    cell.path = run(
        f"-i {other} -i {raw} -i {wav} -map 0:v -map 1:v -map 2:a -c:v {kind.video} -pix_fmt yuv420p -fps_mode "
        f"passthrough -enc_time_base:v 1/{FPS} -c:a {kind.audio} {kind.output} "
        "-disposition:v:0 0 -disposition:v:1 default",
        zoo.path(f"{cell.kind}-two-tracks", cell.kind),
    )
    with av.open(str(cell.path)) as container:
        defaults = [bool(stream.disposition & av.stream.Disposition.default) for stream in container.streams.video]
    if defaults != [False, True]:
        raise Absent(f"the default track is not kept ({defaults})")
    cell.numbers, cell.times, cell.clicks = list(range(COUNT)), even(), seconds_of(END)


def cover(zoo: Zoo, cell: Cell) -> None:
    """An attached picture."""
    image = zoo.path("cover", "jpg")
    if not image.exists():
        run(f"-i {zoo.frames([DECOY], [0.0])} -frames:v 1 -pix_fmt yuvj420p", image)
    if cell.kind == "mkv":
        more = f"-attach {image} -metadata:s:t mimetype=image/jpeg -metadata:s:t filename=cover.jpg"
        cell.path = run(f"-i {zoo.constant('mkv')} -map 0 -c copy {more}", zoo.path("mkv-cover", "mkv"))
    else:
        cell.path = run(
            f"-i {image} -i {zoo.constant(cell.kind)} -map 0 -map 1 -c copy -disposition:v:0 attached_pic "
            f"-disposition:v:1 default {KINDS[cell.kind].output}",
            zoo.path(f"{cell.kind}-cover", cell.kind),
        )
    with av.open(str(cell.path)) as container:
        if not any(one.disposition & av.stream.Disposition.attached_pic for one in container.streams):
            raise Absent("the picture is no attachment")
    cell.numbers, cell.times, cell.clicks = list(range(COUNT)), even(), seconds_of(END)


def unknown(zoo: Zoo, cell: Cell) -> None:
    """A codec that nobody knows: its name altered."""
    names = {
        "mp4": [b"avc1"],
        "mov": [b"avc1"],
        "3gp": [b"mp4v"],
        "mkv": [b"V_MPEG4/ISO/AVC"],
        "webm": [b"V_VP8"],
        "avi": [b"FMP4"],
        "wmv": [b"WMV2"],
        "ogv": [b"theora"],
    }
    cell.refused = ("undecodable", "no-video")
    source = zoo.constant(cell.kind)
    content = source.read_bytes()
    if cell.kind in ("ts", "mpg"):
        raise Absent("a number in a table with a checksum" if cell.kind == "ts" else "it names no codec")
    if cell.kind == "flv":
        content = bytearray(content)
        place = 13
        while place < len(content):
            if content[place] == 9:
                content[place + 11] = content[place + 11] & 0xF0 | 0x0F
            place += 15 + int.from_bytes(content[place + 1 : place + 4])
    else:
        for name in names[cell.kind]:
            if name not in content:
                raise Absent(f"{name} is not there")
            content = content.replace(name, name[:-1] + b"?" if cell.kind not in ("mp4", "mov", "3gp") else b"zzzz")
    if cell.kind == "3gp":  # its codec is a number in a description
        content = bytearray(content)
        content[content.index(b"\x04\x80\x80\x80", content.index(b"esds")) + 5] = 0xBF
    cell.path = zoo.path(f"{cell.kind}-unknown", cell.kind)
    cell.path.write_bytes(bytes(content))


def named(zoo: Zoo, cell: Cell) -> None:
    """A name that looks like the address of a server."""
    folder = zoo.root / "named"
    folder.mkdir(exist_ok=True)
    cell.path = folder / f"2024-05-01T10:30:00.{cell.kind}"
    shutil.copy(zoo.constant(cell.kind), cell.path)
    cell.numbers, cell.times, cell.clicks = list(range(COUNT)), even(), seconds_of(END)


UNSEEN = {("ts", percent): "states neither length nor size" for percent in (20, 40, 80)}
"""Cuts, in percent, that may go unseen: they did before, and every other one is to be refused."""
SEEN_BY_CLIPS = {("ts", 20)}
"""Of these the ones that were seen where the sound is read too."""


def _cut(percent: int) -> Callable[[Zoo, Cell], None]:
    def made(zoo: Zoo, cell: Cell) -> None:
        """A file of which the rest is missing."""
        cell.whole = zoo.constant(cell.kind)
        content = cell.whole.read_bytes()
        cell.path = zoo.path(f"{cell.kind}-cut{percent}", cell.kind)
        cell.path.write_bytes(content[: len(content) * percent // 100])
        cell.numbers, cell.times = list(range(COUNT)), even()
        cell.refused = ("truncated", "undecodable")
        cell.unseen = cell.unseen_clip = UNSEEN.get((cell.kind, percent), "")
        if (cell.kind, percent) in SEEN_BY_CLIPS:
            cell.unseen_clip = ""

    return made


CONDITIONS: dict[str, Callable[[Zoo, Cell], None]] = {
    "constant": constant,
    "silent": silent,
    "variable": variable,
    "dropped": dropped,
    "b-frames": b_frames,
    "b-dropped": b_dropped,
    "late-start": late_start,
    "after-0.5": after(0.52),
    "after-2": after(2.0),
    "sound-late": sound_late,
    "sound-first": sound_first,
    "data-track": data_track,
    "rotated": rotated,
    "equal": stamped(stuck, between(stuck)),
    "glitch": stamped(glitch, between(glitch)),
    "back": stamped(back, back_truth),
    "ahead": ahead,
    "wraps": wraps,
    "joined": joined,
    "overlap": overlap,
    "segment": segment,
    "interlaced": interlaced,
    "two-tracks": two_tracks,
    "cover": cover,
    "unknown": unknown,
    "named": named,
    **{f"cut-{percent}": _cut(percent) for percent in CUTS},
}
