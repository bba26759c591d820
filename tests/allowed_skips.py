"""The skips that CI accepts, each with its reason; any other fails ``.ci/run`` (``pytest --only-allowed-skips``)."""

from __future__ import annotations

import re

ALLOWED = {
    r"the FER\+ label file is not at ": "data of others, which may not be handed on with the code",
    r"CREMA-D's tables are not beside the checkout": "data of others, which may not be handed on with the code",
    r"the reference folder is not beside the checkout": "golden inputs are checked against their maker where it is",
    r"no folder here that root cannot write": "needs a read-only mount; elsewhere the same is tested by permissions",
    r"there is no CUDA device": "CI has no GPU",
    r"the extra web is not installed": "CI installs it with the extra test; a plain installation has no server",
    r"the extra browser is not installed|there is no browser at ": "a browser is no package of Python's",
    r"AFFECTKIT_AXE names no ": "axe-core is a package of npm's, MPL-2, and not handed on with the code",
    r"wandb is not installed": "an account and a network are needed to log there",
    r"pwsh is not installed": "PowerShell is in no distribution's packages",
    r"(zsh|fish) is not installed": "installed by .ci/run where apt is at hand",
    r"Pillow without (AVIF|JPEG 2000)": "Pillow's wheels for some platforms are built without it",
}
"""What a skip says, as a regular expression, and why it may be."""


def is_allowed(reason: str) -> bool:
    """Whether a skip with ``reason`` may be."""
    return any(re.match(pattern, reason) for pattern in ALLOWED)
