"""Which options of a training apply to a model, and the defaults that it brings. Importing this loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affectkit.core.registry import did_you_mean
from affectkit.models.registry import (
    MODELS,
    TINY_IMAGENET,
    own_settings,
    published_recipe,
    recipe,
    settings_of_others,
)
from affectkit.tasks import TASKS


@dataclass(frozen=True)
class ModelOptions:
    """What ``--help-model NAME`` shows.

    Attributes:
        name: of the model.
        summary: what it is, and which further defaults it brings, and when.
        own: names of the settings that mean something to it and not to every model.
        defaults: that it brings in place of the general ones.
        foreign: names of the settings that mean nothing to it, or to the task that it brings.
    """

    name: str
    summary: str
    own: tuple[str, ...]
    defaults: Mapping[str, Any]
    foreign: frozenset[str]

    @classmethod
    def of(cls, name: str) -> ModelOptions:
        """Return the options of ``name``; what no list of affectkit's has is taken for a backbone of timm."""
        defaults = recipe(name)
        foreign = set(settings_of_others(name))
        if defaults.get("task") in TASKS:
            foreign.update(TASKS.foreign_settings(TASKS[defaults["task"]].settings))
        return cls(name, _summary(name), own_settings(name), defaults, frozenset(foreign))

    def applies(self, name: str) -> bool:
        """Return whether an option called ``name`` means something to the model."""
        return name not in self.foreign


def _summary(name: str) -> str:
    """Describe a model, and the defaults that it brings under a condition."""
    if name in MODELS:
        lines = [f"{name}: {MODELS[name].summary}."]
    else:
        guess = did_you_mean(name, MODELS, before=" ")
        lines = [f"{name}: taken for a backbone of timm, since affectkit models does not list it.{guess}"]
    published, tiny = published_recipe(name), recipe(name, TINY_IMAGENET)
    for when, settings in {"With --recipe published": published, f"On {TINY_IMAGENET}": tiny}.items():
        if settings:
            given = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in settings.items())
            lines.append(f"{when} its defaults are also: {given}")
    return "\n".join(lines)
