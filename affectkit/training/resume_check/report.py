"""The report of a resume check: which files are equal, how others differ, and the cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from affectkit.core.files import sha256
from affectkit.core.text import count_text
from affectkit.errors import RunError

FILES = ("history.csv", "best.safetensors", "last.safetensors", "metrics.json")
EPOCHS = 2


@dataclass
class ResumeReport:
    """Result of the check.

    Attributes:
        device: described.
        short: what the short runs were.
        killed_after: the optimizer steps after which one of them was killed.
        again: for each file, how that of the second run differs; empty where it is equal.
        resumed: for each file, how that of the resumed run differs; empty where it is equal.
        hashes: of the files of the uninterrupted run.
        kernels: that are not deterministic.
        options: without which the resume is exact.
        searched: whether a cause was searched for.
    """

    device: str
    short: dict[str, Any]
    killed_after: list[int]
    again: dict[str, str]
    resumed: dict[str, str]
    hashes: dict[str, str]
    kernels: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    searched: bool = False

    @property
    def repeats(self) -> bool:
        """Return whether the uninterrupted run gave the same bytes twice."""
        return not any(self.again.values())

    @property
    def exact(self) -> bool:
        """Return whether the killed and resumed run gave those bytes too."""
        return self.repeats and not any(self.resumed.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the values that ``--json`` prints."""
        return {
            "exact": self.exact,
            "repeats": self.repeats,
            "device": self.device,
            "run": self.short,
            "killed_after_steps": self.killed_after,
            "files": {
                name: {"sha256": self.hashes[name], "again": self.again[name] or "equal",
                       "resumed": self.resumed[name] or "equal"}
                for name in FILES
            },
            "kernels": self.kernels,
            "options": self.options,
        }  # fmt: skip

    def describe(self) -> str:
        """Describe an exact resume in a sentence."""
        kills = " and ".join(map(str, self.killed_after))
        what = (
            f"{count_text(self.short['steps'], 'step')} over "
            f"{count_text(self.short['train_images'], 'image')} in {EPOCHS} epochs"
        )
        return f"resume is exact on {self.device} with these settings ({what}, killed after steps {kills})."

    def error(self) -> RunError | None:
        """Return what is wrong and why; None where the resume is exact."""
        if self.exact:
            return None
        if not self.repeats:
            text = f"the same run twice gave different results on {self.device}, so no resumed run can be exact"
            differing = self.again
        else:
            text = f"a killed and resumed run ended otherwise than the uninterrupted one on {self.device}"
            differing = self.resumed
        text += ": " + "; ".join(f"{name} {how}" for name, how in differing.items() if how) + "."
        cause, hint = self._cause()
        return RunError(f"{text}\n{cause}", hint)

    def _cause(self) -> tuple[str, str]:
        """Return the cause and the next step, in a sentence each."""
        if self.kernels:
            names = ", ".join(self.kernels)
            return (
                f"Kernels without a fixed result were used: {names}.",
                "Add --deterministic (slower), or another --model or --device cpu.",
            )
        if self.options:
            them = "it" if len(self.options) == 1 else "them"
            return (
                f"The cause is {' and '.join(self.options)}: without {them} the resume is exact.",
                "A fault of affectkit: report it with this message, and leave the option out until it is fixed.",
            )
        if self.searched:
            hint = "Add --deterministic (slower), or another --model or --device, and report it with this message."
            return "No option is the cause: it is so with all of them off.", hint
        return "Its cause is not known.", "Report it with this message."


def differ(one: Path, two: Path) -> bool:
    """Return whether two runs left different bytes."""
    return any(sha256(one / name) != sha256(two / name) for name in FILES)


def difference(one: Path, two: Path) -> str:
    """Describe how two files of a run differ, in a few words; empty where they are equal."""
    if sha256(one) == sha256(two):
        return ""
    if one.suffix == ".csv":
        lines = [path.read_text(encoding="utf-8").splitlines() for path in (one, two)]
        same = sum(1 for _ in _common_start(*lines))
        return f"differs from epoch {same} on" if same else "differs"
    if one.suffix == ".safetensors":
        return _tensor_difference(load_file(one), load_file(two))
    return "differs"


def _tensor_difference(one: dict[str, Any], two: dict[str, Any]) -> str:
    if {name: value.shape for name, value in one.items()} != {name: value.shape for name, value in two.items()}:
        return "holds other tensors"
    gaps = [float((one[name].double() - two[name].double()).abs().max()) for name in one if one[name].numel()]
    count = sum(gap != 0 for gap in gaps)  # NaN is not 0 either
    return (
        f"differs in {count} of {len(gaps)} tensors, by {max(gaps):.2g} at most" if count else "differs in its header"
    )


def _common_start(one: Sequence[str], two: Sequence[str]) -> Iterator[str]:
    for left, right in zip(one, two, strict=False):
        if left != right:
            return
        yield left
