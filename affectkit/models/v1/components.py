"""Names of the V1 components. Importing this loads nothing heavy."""

from __future__ import annotations

from affectkit.core.registry import did_you_mean
from affectkit.errors import UsageError

CENTER_SURROUND, LOCAL_RF, TUNED_NORM, DIV_NORM, MAGNIFICATION = COMPONENTS = (
    "center-surround", "local-rf", "tuned-norm", "div-norm", "cortical-magnification",
)  # fmt: skip


def parse_parts(text: str) -> frozenset[str]:
    """Parse ``"center-surround,local-rf"`` as a set of ``COMPONENTS``.

    Raises:
        UsageError: an unknown component, one twice, none, or two kinds of normalisation.
    """
    parts = [part.strip() for part in text.split(",")]
    unknown = [part for part in parts if part not in COMPONENTS]
    if unknown:
        hint = did_you_mean(unknown[0], COMPONENTS, before=" ")
        raise UsageError(f"must name components of {', '.join(COMPONENTS)}; got {unknown[0]!r}.{hint}")
    if len(set(parts)) < len(parts):
        raise UsageError(f"names a component twice: {text!r}.")
    if {TUNED_NORM, DIV_NORM} <= set(parts):
        raise UsageError("tuned-norm and div-norm stand at the same place: name one of them.")
    return frozenset(parts)
