"""Facts of the tracks of a file, and why each is read or not."""

from __future__ import annotations

import re
from typing import Any

from av.stream import Disposition

from affectkit.data.media.media_file import NOT_SHOWN, Tracks, describe_codec

LOSSLESS = {"alac", "flac", "tta", "wavpack"}
"""Codecs whose samples have the depth of the format in which they are decoded, where that is 16 bits."""


def describe_tracks(container: Any, tracks: Tracks) -> list[dict[str, Any]]:
    """Return the facts of each track of an opened file, in its order; None for what is not stated.

    Args:
        tracks: those that are read.
    """
    return [_describe(stream, container, tracks) for stream in container.streams]


def _describe(stream: Any, container: Any, tracks: Tracks) -> dict[str, Any]:
    facts = {
        "index": stream.index,
        "kind": stream.type or "unknown",
        "codec": describe_codec(stream),
        "profile": stream.profile if stream.codec_context is not None else None,
        "language": stream.language,
        "default": bool(stream.disposition & Disposition.default),
        "read": stream in (tracks.video, tracks.sound),
        "why": _why(stream, container, tracks),
        "time_base": str(stream.time_base) if stream.time_base else None,
        "frames_stated": stream.frames or None,
    }
    context = stream.codec_context
    if context is not None and stream.type == "video":
        parts = context.format.components if context.format else ()
        facts |= {
            "width": context.width,
            "height": context.height,
            "rate": float(stream.average_rate) if stream.average_rate else None,
            "format": context.format.name if context.format else None,
            "bit_depth": parts[0].bits if parts else None,
        }
    elif context is not None and stream.type == "audio":
        facts |= {
            "sample_rate": context.sample_rate,
            "channels": context.layout.nb_channels,
            "layout": context.layout.name,
            "bit_depth": _sound_depth(context),
        }
    return facts


def _why(stream: Any, container: Any, tracks: Tracks) -> str:
    """Return why a track is read, or is not."""
    if stream.type not in ("video", "audio"):
        return "neither picture nor sound"
    if stream.disposition & NOT_SHOWN:
        return "a cover or preview"
    if stream.codec_context is None:
        return "its codec cannot be decoded"
    chosen = tracks.video if stream.type == "video" else tracks.sound
    word = "video" if stream.type == "video" else "sound"
    if stream is not chosen:
        default = chosen.disposition & Disposition.default and not stream.disposition & Disposition.default
        return f"track {chosen.index} is the default" if default else f"track {chosen.index} comes first"
    others = [
        other
        for other in container.streams
        if other.type == stream.type and other is not stream and not other.disposition & NOT_SHOWN
    ]
    if not others:
        return f"the only {word} track"
    if stream.disposition & Disposition.default:
        return f"the default {word} track"
    usable = all(other.codec_context is not None for other in others if other.index < stream.index)
    return f"the first {word} track" if usable else f"the first {word} track that can be decoded"


def _sound_depth(context: Any) -> int | None:
    """Return the bits of a stored sample; None where the codec has none, or does not state them."""
    if stated := re.match(r"pcm_[a-z]+(\d+)", context.name):
        return int(stated[1])
    if context.name in LOSSLESS and context.format is not None and context.format.bits == 16:
        return 16
    return None
