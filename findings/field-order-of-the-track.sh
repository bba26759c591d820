#!/bin/bash
# av 18.1.0 (FFmpeg libraries 8.1), imageio-ffmpeg 0.6.0 (its FFmpeg encodes), NumPy 2.2.6.
#
# One would guess: codec_context.field_order (FFmpeg's AVFieldOrder, what ffprobe prints as field_order) says which
# field of an interlaced video is shown first: 2 "tt" and 5 "bt" the top one, 3 "bb" and 4 "tb" the bottom one, as
# FFmpeg's header explains these values (first letter: coded first; second: displayed first).
#
# What happens: for H.264 that FFmpeg itself wrote, the answer depends on the container and may be the reverse of what
# the frames say. In Matroska a video of top field first says 4 and one of bottom field first 5, each the opposite of the
# header's words; in MP4 both say 2. Only the flag of each frame is right, and PyAV shows that a frame is interlaced
# (frame.interlaced_frame) but not which field is first. libavfilter sees it: select with
# eq(interlace_type,BOTTOMFIRST) lets the frames of bottom field first through.
#
# Why it matters: who deinterlaces single frames by the track's field order takes the later field of half of the files:
# the picture is 1/60 or 1/50 s off its time stamp, and two fields made into two frames play back and forth.
#
# Seen:
#   mp4 tff: field_order 2, frames of bottom field first: 0 of 5
#   mp4 bff: field_order 2, frames of bottom field first: 5 of 5
#   mkv tff: field_order 4, frames of bottom field first: 0 of 5
#   mkv bff: field_order 5, frames of bottom field first: 5 of 5
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 imageio-ffmpeg==0.6.0 numpy==2.2.6
env/bin/python - <<'P'
import subprocess

import av
import av.filter
import imageio_ffmpeg

seen = {}
for ending in ("mp4", "mkv"):
    for order, lead in (("tff", "interleave_top"), ("bff", "interleave_bottom")):
        name = f"{order}.{ending}"
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=50:d=0.2",
             "-vf", f"format=yuv420p,tinterlace={lead},setfield={order}", "-c:v", "libx264", "-flags", "+ildct+ilme",
             name], check=True)
        with av.open(name) as container:
            frames = list(container.decode(video=0))
            stated = container.streams.video[0].codec_context.field_order
        assert all(frame.interlaced_frame for frame in frames)
        graph = av.filter.Graph()
        source = graph.add("buffer", video_size="320x240", pix_fmt="yuv420p", time_base="1/50")
        graph.link_nodes(source, graph.add("select", expr="eq(interlace_type,BOTTOMFIRST)"),
                         graph.add("buffersink")).configure()
        bottom = 0
        for frame in frames:
            graph.push(frame)
            try:
                graph.pull()
                bottom += 1
            except BlockingIOError:
                pass
        seen[name] = int(stated), bottom
        print(f"{ending} {order}: field_order {stated}, frames of bottom field first: {bottom} of {len(frames)}")
assert seen == {"tff.mp4": (2, 0), "bff.mp4": (2, 5), "tff.mkv": (4, 0), "bff.mkv": (5, 5)}
P
