"""Convert a checkpoint that a paper's authors share to one of ours: the head alone where its CLIP is OpenAI's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from affectkit.checkpoints.checkpoint import published_header, refuse_idle_choices, save_checkpoint
from affectkit.checkpoints.find import find_checkpoint
from affectkit.core.progress import Reporter
from affectkit.errors import UsageError
from affectkit.models import clip
from affectkit.models.checksums import ALGORITHM
from affectkit.models.external import published
from affectkit.models.external.published import HEAD
from affectkit.models.external.published_format import Published

KEEP = "keep"
"""The word of ``--clip-weights`` for: write CLIP's weights too, whatever they are."""


@dataclass(frozen=True)
class Comparison:
    """Compare the image tower in a file with OpenAI's.

    Attributes:
        source: where OpenAI's were read.
        sha256: of theirs.
        exact: tensors that are the same numbers.
        rounded: those that are OpenAI's after rounding to the precision of the file.
        different: the names of the others.
        greatest: difference of any number among those.
    """

    source: str
    sha256: str
    exact: int = 0
    rounded: int = 0
    different: list[str] = field(default_factory=list)
    greatest: float = 0.0

    @property
    def equal(self) -> bool:
        """Return whether the file's tower is OpenAI's."""
        return not self.different


def convert(
    source: Path,
    output: Path,
    *,
    outputs: str | None = None,
    clip_weights: str | None = None,
    mode: str | None = None,
    mask: str | None = None,
    force: bool = False,
    reporter: Reporter,
) -> dict[str, Any]:
    """Write the published checkpoint ``source`` as a checkpoint of ours; returns what was found and written.

    Args:
        output: a ``.safetensors`` file.
        outputs: ``valence`` or ``arousal``, for a file with one output.
        clip_weights: what CLIP is compared with: ``openai`` (downloaded where they are not here), a file with OpenAI's,
            ``keep`` for no comparison; None compares where OpenAI's are on this machine.
        mode, mask: of a CM-VQVAE, whose file does not hold them.
        force: replace ``output``.

    Raises:
        UsageError: ``output`` exists, or has another ending; ``clip_weights`` is no file, or for a model without CLIP.
        CheckpointError: ``source`` is no published checkpoint that we know, or is damaged.
        DownloadError: OpenAI's weights were asked for and cannot be downloaded.
    """
    source = _checked_source(source)
    check_output(output, source, force=force)
    if clip_weights is not None and clip_weights not in (clip.OPENAI, KEEP) and not Path(clip_weights).is_file():
        raise UsageError(
            f"--clip-weights {clip_weights} is not a file.",
            f"It is a file with OpenAI's weights, {clip.OPENAI} to fetch them, or {KEEP}.",
        )
    found = published.read_published(source, outputs, mode=mode, mask=mask)
    refuse_idle_choices(found, source, mode, mask)
    reporter.note(f"{source}: {found.title}{_summary_text(found.summary)}")
    for text in found.notes:
        reporter.note(text)
    compared = _compare_tower(found, clip_weights, reporter)
    head_only = compared is not None and compared.equal
    if head_only:
        found = _without_tower(found, compared)
    save_checkpoint(output, published.Loose(found.state), published_header(found))
    sizes = source.stat().st_size, output.stat().st_size
    return {
        "source": str(source),
        "output": str(output),
        "recognised": found.title,
        "family": found.family,
        "outputs": list(found.spec.classes),
        **_clip_record(found, head_only),
        "precision": found.precision,
        "published": found.summary,
        "fit": found.spec.fit,
        "notes": list(found.notes),
        "compared": _comparison_record(compared),
        "source_checksum": "none",
        "checksum": ALGORITHM,
        "tensors": len(found.state),
        "bytes_before": sizes[0],
        "bytes_after": sizes[1],
    }


def _clip_record(found: Published, head_only: bool) -> dict[str, Any]:
    """Return the record of the CLIP in a published checkpoint, where it has one."""
    model = found.options.get("clip_model")
    return (
        {} if model is None else {"clip": model["name"], "clip_sha256": model["sha256"], "clip_carried": not head_only}
    )


def compare(given: Mapping[str, torch.Tensor], openai: Mapping[str, torch.Tensor]) -> Comparison:
    """Compare the tensors ``given`` with OpenAI's, in single precision, of the same names.

    A tensor in half precision is OpenAI's where it is theirs rounded to half; one in single precision where it is
    theirs to the last bit, or theirs rounded to half and back.
    """
    exact, rounded, different, greatest = 0, 0, [], 0.0
    for name, reference in openai.items():
        tensor = given.get(name)
        if tensor is None or tensor.shape != reference.shape:
            different.append(name)
            continue
        if torch.equal(tensor.float(), reference):
            exact += 1
        elif torch.equal(tensor, _rounded(reference, tensor.dtype)):
            rounded += 1
        else:
            different.append(name)
            greatest = max(greatest, float((tensor.float() - reference).abs().max()))
    different += [name for name in given if name not in openai]
    return Comparison("", "", exact, rounded, different, greatest)


def megabytes(count: int) -> str:
    """Format a number of bytes for reading."""
    return f"{count / 1e6:,.1f} MB"


def _rounded(reference: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    return reference.to(torch.float16 if kind == torch.float32 else kind).to(kind)


def _checked_source(source: Path) -> Path:
    path = find_checkpoint(source)
    with path.open("rb") as stream:
        head = stream.read(9)
    if head[8:] == b"{" and not published.is_published(path):
        raise UsageError(
            f"{path} is a safetensors file: convert reads published files of VCA, V1 networks, CM-VQVAE and "
            "emotion distributions.",
            "A checkpoint of affectkit is used as it is (--fp16 writes it smaller); weights of a backbone go to "
            "affectkit train --init FILE.",
        )
    return path


def check_output(output: Path, source: Path, *, force: bool, suffix: str = ".safetensors") -> None:
    """Refuse an ``output`` that is not a new file with that ``suffix``, or replaces another without ``force``."""
    if output.suffix != suffix:
        raise UsageError(f"{output} must end in {suffix}.", f"For example {output.with_suffix(suffix)}.")
    if output.is_dir():
        raise UsageError(f"{output} is a folder; a file is needed.")
    if output.exists() and output.samefile(source):
        raise UsageError(f"{output} is the published file itself.", "Name another file.")
    if output.exists() and not force:
        raise UsageError(f"{output} is there already.", "Name another file, or add --force to replace it.")
    there = next(parent for parent in output.absolute().parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{output} cannot be made: {there} cannot be written to.")


def _summary_text(summary: Mapping[str, Any]) -> str:
    """Describe the numbers beside the weights in words."""
    return "".join(f", {name} {value}" for name, value in summary.items() if not isinstance(value, list))


def _compare_tower(found: Published, clip_weights: str | None, reporter: Reporter) -> Comparison | None:
    """Return the comparison with OpenAI's tower that was asked for, with a note on it; None where there is none."""
    if "clip_model" not in found.options:
        if clip_weights is not None:
            raise UsageError(f"--clip-weights has no effect: {found.title} is not on CLIP.", "Leave it out.")
        return None
    if clip_weights == KEEP:
        return None
    choice = replace(clip.ClipChoice(**found.options["clip_model"]), sha256="")
    where = clip_weights if clip_weights not in (None, clip.OPENAI) else None
    if where is None and not clip.is_cached(choice):
        tower = published.TOWERS[clip.feature_width(choice)]
        from_where = f"{clip.weights_source(choice)}, {tower.megabytes:,} MB"
        if clip_weights is None:
            reporter.note(
                f"CLIP's weights are written too: OpenAI's {choice.name} is not on this machine to compare with. For a "
                f"file of tens of MB: --clip-weights openai (fetches it from {from_where}), or --clip-weights FILE."
            )
            return None
        reporter.note(f"Fetching OpenAI's {choice.name} from {from_where}.")
    tower = clip.load_tower(choice, where)
    state = {name: value.detach().float() for name, value in tower.state_dict().items()}
    source = where or f"open_clip's {clip.OPENAI}"
    result = replace(compare(published.tower_state(found), state), source=source, sha256=clip.tower_hash(tower))
    _report(result, choice.name, reporter)
    return result


def _report(result: Comparison, name: str, reporter: Reporter) -> None:
    count = result.exact + result.rounded + len(result.different)
    what = f"OpenAI's {name} ({result.source})"
    if result.equal:
        how = ", to the last bit"
        if result.rounded:
            how = f"; {result.rounded} of them had been rounded to half precision, and OpenAI's are used from now on"
        reporter.note(
            f"CLIP is {what}: all {count} tensors are equal{how}. It is referred to by hash, and not written."
        )
        return
    reporter.warn(
        f"CLIP is not {what}: {len(result.different)} of {count} tensors differ ({', '.join(result.different[:3])}"
        f"{', ...' if len(result.different) > 3 else ''}; greatest difference {result.greatest:.3g}), so its weights "
        "are written too."
    )


def _without_tower(found: Published, compared: Comparison) -> Published:
    """Return the same model, with CLIP by name and hash."""
    choice = replace(clip.ClipChoice(**found.options["clip_model"]), sha256=compared.sha256)
    head = {name: value for name, value in found.state.items() if name.startswith(HEAD)}
    return replace(found, state=head, options={"clip_model": choice.to_dict()})


def _comparison_record(compared: Comparison | None) -> dict[str, Any] | None:
    if compared is None:
        return None
    return {
        "with": compared.source,
        "equal": compared.equal,
        "exact": compared.exact,
        "rounded": compared.rounded,
        "different": len(compared.different),
        "greatest_difference": compared.greatest,
    }
