"""Settings that a record on the disk was made with, against those asked for now: one comparison, one form of message.

Whatever can be resumed (tables, prepared folders, splits, shards) records its *identity*, plain values that its
content depends on. A later run may add to it only where these are the same; otherwise the user reads each that
differs, under the name that it has on the command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from affectkit.core.assets import edition_of
from affectkit.core.files import to_json
from affectkit.errors import AffectkitError, UsageError

NAMES = {
    "abstain": "--min-confidence (--abstain)",
    "checkpoint_sha256": "SHA-256 of the checkpoint",
    "corrupted_root": "--corrupted-root",
    "data_fingerprint": "images of --data",
    "decoding": "version of decoding",
    "drop_copies": "--drop-copies",
    "every": "--every",
    "face_detector": "face detector",
    "face_detector_sha256": "SHA-256 of the face detector",
    "faces_by": "--faces",
    "filename_col": "--filename-col",
    "fit": "--fit",
    "frost_textures": "--frost-textures",
    "global_multiplier": "--global-multiplier",
    "group_by": "--group-by",
    "label_col": "--label-col",
    "max_faces": "--max-faces",
    "min_face": "--min-face",
    "min_score": "--min-score",
    "on_error": "--on-error",
    "paths": "inputs",
    "plain_csv": "--plain-csv",
    "prior": "--prior",
    "recursive": "--recursive",
    "search_side": "--search-side",
    "smooth": "--smooth",
    "track_gap": "--track-gap",
    "train_split": "--train-split",
    "training_prior": "--training-prior",
    "valence_arousal": "--valence-arousal",
}
"""What users call a value; one without an entry here goes by its key, with spaces for underscores."""

_LONGEST = 60
_MISSING = object()


def short_text(value: Any) -> str:
    """Return ``value`` as short text, its middle left out where it is long.

    >>> short_text(None), short_text(True), short_text(0.5), short_text(["a", "b"]), short_text("x" * 99)
    ('none', 'yes', '0.5', '["a", "b"]', 'xxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxx')
    """
    if value is _MISSING:
        return "not recorded"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    text = value if isinstance(value, str) else to_json(value, indent=None)
    return text if len(text) <= _LONGEST else f"{text[:24]}...{text[-24:]}"


def differing_keys(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """List the keys whose values differ once both are as JSON holds them; a key that is missing counts as None."""
    recorded, asked = _plain(recorded), _plain(asked)
    return [key for key in {**recorded, **asked} if recorded.get(key) != asked.get(key)]


def user_name(key: str) -> str:
    """Return the name by which users know the value at ``key``."""
    return NAMES.get(key, key.replace("_", " "))


def differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Describe how two identities differ; empty where they do not.

    Args:
        recorded: what the record was made with.
        asked: what is asked for now.

    >>> differences({"seed": 1, "fit": "crop"}, {"seed": 2, "fit": "crop", "image_size": 48})
    'seed 1 there, 2 now; image size not recorded there, 48 now'
    """
    return "; ".join(
        f"{user_name(key)} {_named(recorded.get(key, _MISSING))} there, {_named(asked.get(key, None))} now"
        for key in differing_keys(recorded, asked)
    )


def _named(value: Any) -> str:
    """Return ``value`` as short text, that of an edition of the built-in model with its name."""
    name = edition_of(value)
    return f"{short_text(value)} ({name})" if name else short_text(value)


def check_same(
    recorded: Mapping[str, Any],
    asked: Mapping[str, Any],
    *,
    what: str,
    hint: str,
    keys: Iterable[str] | None = None,
    error: type[AffectkitError] = UsageError,
) -> None:
    """Refuse a record that was made with other values than are asked for.

    Args:
        recorded: what the record was made with.
        asked: what is asked for now.
        what: the beginning of the message, as "output /data holds another preparation".
        hint: the next step.
        keys: those that are compared; None: all.
        error: the kind of error.

    Raises:
        AffectkitError: of the kind ``error``: the values differ, and each that does is named.
    """
    if keys is not None:
        chosen = list(keys)
        recorded, asked = ({key: side[key] for key in chosen if key in side} for side in (recorded, asked))
    if text := differences(recorded, asked):
        raise error(f"{what}: {text}.", hint)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(to_json(dict(values), indent=None))
