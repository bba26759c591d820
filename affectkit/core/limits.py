"""Bounds on what files from others may ask for, all in one place. Importing this loads nothing heavy.

Each is far above what a file of ours needs, and is checked before memory is taken or time is spent. A message names
the value and the bound.
"""

from __future__ import annotations

MAX_DEPTH = 100
"""Levels of nesting in a JSON or YAML file."""
MAX_CONFIG_BYTES = 1_000_000
MAX_CONFIG_NODES = 20_000
"""Keys, values and list items in a YAML file; one that has more is no file of settings."""
MAX_RECORD_NODES = 1_000_000
"""The same of what a run recorded about itself, all class names of its data among it."""
MAX_CONFIG_FAULTS = 20
"""Faults of settings that are listed; looking for the name that was meant costs a search each."""
MAX_CONFIG_DIGITS = 40
"""Digits of a number in a YAML file."""
MAX_JSON_BYTES = 1_000_000_000
MAX_JSON_LINE = 64_000_000
"""Bytes of a line in a file of JSON lines: a video with 100,000 faces has one of 30 MB."""
MAX_INTEGER = 2**63 - 1
"""What torch and NumPy can count."""

MAX_TENSOR_TABLE = 16_000_000
"""Bytes of the table at the beginning of a .safetensors file, which names its tensors: about 100,000 of them."""
MAX_ONNX_BYTES = 2**31 - 1
"""Of an ONNX file: protocol buffers count no further."""
MAX_ONNX_FIELDS = 2_000_000
"""Fields of its messages: graphs of the greatest networks of timm have about 100,000."""
MAX_CLASSES = 100_000
MAX_INPUT_SIDE = 4096
"""Pixels; as --image-size."""
MAX_WINDOW, MAX_RATE, MAX_SECONDS = 2**20, 1_000_000, 36_000
"""Samples, samples a second and seconds in the specification of a sound."""
MAX_SPEC_NUMBER = 1e30
"""Size of a number in the specification of an input; float32 holds 3.4e38."""
BUILD_FACTOR = 8
BUILD_ALLOWANCE = 512 * 2**20
"""A model that is built for a checkpoint may take ``BUILD_FACTOR`` times the bytes of the file's tensors, and these."""
BUILD_TENSORS = 200_000
"""Tensors that may be made for it: the greatest networks of timm have about 2,000."""

MAX_TABLE_LINE = 16_000_000
"""Characters in a row of a CSV table."""
MAX_TABLE_COLUMNS = 16_384
"""As a sheet of Excel."""
MAX_TABLE_NUMBER = 1e100
"""Size of a number in a table: squares and their sums stay finite."""
MAX_VOTES = 1_000_000_000
"""Of one clip in a table of prepared clips."""
MAX_LIST_BYTES = 1_000_000_000
"""Of a list of paths on standard input: ten million paths."""
MAX_PATH = 1_000_000
"""Characters in a line of it; one longer than a path of the system is passed over as one that is not there."""


def over(what: str, value: float, limit: float, unit: str = "") -> str:
    """Return the sentence for a ``value`` above its ``limit``.

    >>> over("table a.csv: line 3", 17, 16, "characters")
    'table a.csv: line 3 has 17 characters; at most 16 are read.'
    """
    return f"{what} has {value:,}{' ' if unit else ''}{unit}; at most {limit:,} are read."
