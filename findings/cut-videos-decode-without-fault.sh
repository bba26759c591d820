#!/bin/bash
# PyAV 18.1.0 (FFmpeg libraries 8.1), NumPy 2.4.6.
#
# One would guess: a file that was cut off in the middle of a picture shows it when all of it is decoded strictly: the
# half packet is an error, or is flagged as corrupt (AV_PKT_FLAG_CORRUPT), as it is in MP4.
#
# What happens: it depends on the container. The readers of Ogg and Matroska throw the half page or block away and
# report the end of the file, with err_detect=explode too: no error, no flag on any packet or frame, only fewer frames.
# A streamed WebM (as browsers and live recordings have it) and an Ogg file state no length either, so nothing that
# FFmpeg reports tells the cut file from a whole one. Of MPEG-TS this holds for some of the cuts.
#
# Why it matters: data sets are checked for broken downloads by decoding them. Such a check passes these files, and
# labels that belong to a whole clip go to a part of it. What shows the cut are the lengths that the last page, element
# or packet states, which a few reads at the end of the file compare with its size.
#
# Seen (cuts of 12 that decode without a fault, and frames decoded at the first and the last of these cuts, of 60):
#   faststart MP4, H.264: 0 of 12
#   streamed WebM, VP8: 12 of 12, 10 to 51 frames
#   Ogg, VP8: 12 of 12, 1 to 51 frames
#   MPEG-TS, MPEG-4: 3 of 12, 30 to 46 frames
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 numpy==2.4.6
env/bin/python - <<'P'
import av
import numpy as np

av.logging.set_level(av.logging.PANIC)
FRAMES, CUTS = 60, 12
KINDS = {
    "faststart MP4, H.264": ("mp4", "libx264", {"movflags": "faststart"}),
    "streamed WebM, VP8": ("webm", "libvpx", {"live": "1"}),
    "Ogg, VP8": ("ogg", "libvpx", {}),
    "MPEG-TS, MPEG-4": ("mpegts", "mpeg4", {}),
}


def write(form, codec, options):
    rng = np.random.default_rng(0)
    with av.open("whole", "w", format=form, options=options) as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        for _ in range(FRAMES):
            picture = rng.integers(0, 256, (15, 20, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
    return open("whole", "rb").read()


def decode(raw):
    """Frames, and whether anything at all was reported."""
    open("cut", "wb").write(raw)
    frames = 0
    try:
        with av.open("cut", options={"err_detect": "explode", "fflags": "-discardcorrupt"}) as container:
            container.streams.video[0].codec_context.options = {"err_detect": "explode"}
            for packet in container.demux(video=0):
                if packet.is_corrupt:
                    return frames, True
                for frame in packet.decode():
                    if frame.is_corrupt:
                        return frames, True
                    frames += 1
    except av.error.FFmpegError:
        return frames, True
    return frames, False


found = {}
for name, kind in KINDS.items():
    raw = write(*kind)
    assert decode(raw) == (FRAMES, False), name
    results = [decode(raw[: len(raw) * (20 + 6 * cut) // 100 + 3]) for cut in range(CUTS)]
    silent = [frames for frames, fault in results if not fault]
    found[name] = len(silent)
    print(f"{name}: {len(silent)} of {CUTS}" + (f", {silent[0]} to {silent[-1]} frames" if silent else ""))
assert found["faststart MP4, H.264"] == 0, found
assert found["streamed WebM, VP8"] == found["Ogg, VP8"] == CUTS, found
P
