"""``affectkit models``."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from affectkit.cli.checkpoint_table import show_checkpoint
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import nothing
from affectkit.config import Resolved, setting
from affectkit.core import assets
from affectkit.core.assets import BUILTIN, BUILTIN_MODEL, NEWEST, PREFIX, card_file, model_file
from affectkit.core.registry import did_you_mean
from affectkit.errors import UsageError

MORE = "affectkit models lists the common ones; affectkit models 'PATTERN*' searches timm's too."


@dataclass(frozen=True, kw_only=True)
class ModelsSettings:
    """Settings of ``affectkit models``."""

    pattern: str | None = setting(
        None, "Part of a name, or a pattern such as 'convnext*'; timm's names are searched too.", argument=True
    )
    checkpoint: str | None = setting(
        None, "Show what is in this checkpoint or run folder instead.", metavar="CHECKPOINT"
    )


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "models", ModelsSettings, writes=nothing)
    def models(resolved: Resolved[ModelsSettings], console: Console) -> None:
        """List the models that train takes, or show what a checkpoint holds; builtin: the built-in model's card.

        Examples:
            affectkit models 'efficientnet*'
            affectkit models builtin
            affectkit models --checkpoint runs/first
        """
        settings = resolved.settings
        if settings.pattern and _built_in(settings.pattern):
            _show_card(settings.pattern, console)
            return
        if settings.checkpoint is not None:
            _show_checkpoint(settings.checkpoint, console)
            return
        rows = _named(settings.pattern)
        if settings.pattern and not rows:
            raise UsageError(f"no model matches {settings.pattern!r}.{_like(settings.pattern)}", MORE)
        ready = [(f"{PREFIX}{name}", summary) for name, summary in assets.MODELS.items() if not settings.pattern]
        console.result(
            {
                "models": [{"name": name, "summary": summary} for name, summary in rows],
                "built_in": [{"name": name, "summary": summary} for name, summary in ready],
            }
        )
        if ready:
            console.table(["ready to use", "what it is"], [list(row) for row in ready])
            console.note(
                f"{BUILTIN} is {PREFIX}{NEWEST[BUILTIN_MODEL]}: infer takes it unless --checkpoint names another; its "
                f"card: affectkit models {BUILTIN}"
            )
        console.table(["model", "what it is"], [list(row) for row in rows])
        if not settings.pattern:
            console.note("Any other timm backbone is taken too: affectkit models PATTERN searches them.")


def _built_in(text: str) -> bool:
    return text == BUILTIN or text.startswith(PREFIX)


def _show_card(name: str, console: Console) -> None:
    """Show the model card, as it stands in its file, and what the checkpoint says."""
    text = card_file(name).read_text(encoding="utf-8")
    console.result({"name": name, "file": str(model_file(name)), "card": text})
    if not console.json:
        console.line(text.rstrip())


def _named(pattern: str | None) -> list[tuple[str, str]]:
    from fnmatch import fnmatch

    from affectkit.models.registry import MODELS

    if not pattern:
        return [(name, entry.summary) for name, entry in MODELS.items()]
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    import timm

    found = {name: entry.summary for name, entry in MODELS.items() if fnmatch(name, wanted)}
    with_weights = set(timm.list_models(wanted, pretrained=True))
    tagged = {name.split(".")[0] for name in with_weights}
    for name in timm.list_models(wanted):
        found.setdefault(name, "timm, with weights on the hub" if name in tagged else "timm, no weights")
    return list(found.items())


def _like(pattern: str) -> str:
    """Return a question with the names that ``pattern`` may have meant; empty where nothing is near."""
    import timm

    from affectkit.models.registry import MODELS

    return did_you_mean(pattern.strip("*?"), [*MODELS, *timm.list_models()], before=" ")


def _show_checkpoint(path: str, console: Console) -> None:
    from affectkit.checkpoints.abstention import describe_promise, stored_abstention
    from affectkit.checkpoints.checkpoint import checksum_state, read_header, weights_digest
    from affectkit.checkpoints.find import find_checkpoint
    from affectkit.core.files import sha256

    file = find_checkpoint(path)
    header = read_header(file, verify=False)
    spec = header.spec
    threshold = stored_abstention(header.training)
    facts = {
        "file": str(file),
        "sha256": sha256(file),
        "checksum": checksum_state(path),
        "weights": weights_digest(path),
        "model": header.model,
        "options": header.options,
        "task": spec.task,
        "classes": list(spec.classes),
        "class_names_known": spec.named,
        "input": f"{spec.height}x{spec.width}x{spec.channels}, {spec.fit}",
        "mean": list(spec.mean),
        "std": list(spec.std),
        "temperature": spec.temperature,
        **({"abstaining": describe_promise(threshold)} if threshold is not None else {}),
        "affectkit": header.version,
        "training": header.training,
    }
    console.result(facts)
    show_checkpoint(facts, console)
