"""The interface between runs and a family of models: what a new architecture writes, in one file.

A family is a subclass of ``Family`` in a module of its own, and a line in ``models.registry``. ``build``,
``default_input`` and ``load_weights`` are required; the rest has defaults for a network that is trained from scratch on
images. What only some networks can do is a base class of the network: ``FrozenEncoderModel``, ``StagedModel``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError

CLASSIFIERS = ("fc", "classifier", "head")
"""Names of the last layer in common architectures."""


class FrozenEncoderModel(nn.Module):
    """A network on a frozen ``encoder``, whose features (B, width) can be computed once and cached."""

    encoder: nn.Module


class StagedModel(nn.Module):
    """A network that can be trained in stages: ``stage`` is one of ``joint``, ``autoencoder``, ``solver``."""

    stage: str

    def reset_mask(self) -> None:
        """Reset a mask over the codes to its first values; raise a UsageError where there is none."""
        raise NotImplementedError


class Family(ABC):
    """Networks that are built, started and loaded alike; it has no state, so that one object serves all of them."""

    takes_faces: ClassVar[bool] = False
    """Whether its models take face crops, so that faces are detected first in photographs."""
    overrides: ClassVar[tuple[str, ...]] = ()
    """Options of ``build`` that a user may give again when a checkpoint is loaded."""

    @abstractmethod
    def build(self, name: str, spec: InputSpec, **options: Any) -> nn.Module:
        """Build the network called ``name`` for ``spec``, with random weights unless an option says otherwise.

        Raises:
            UsageError: the network does not take such inputs or options.
        """

    @abstractmethod
    def default_input(self, name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``height``, ``width`` (pixels), ``mean`` and ``std`` (of values in [0, 1]) of the own input."""

    @abstractmethod
    def load_weights(
        self,
        model: nn.Module,
        path: Path,
        *,
        classes: tuple[str, ...] = (),
        key: str | None = None,
        verify: bool = True,
    ) -> str:
        """Copy weights from a file into ``model``, by name; return a sentence on what was taken.

        Args:
            model: as ``build`` made it.
            path: a checkpoint of ours, or of others.
            classes: class names of ``model``; a classifier is taken where the file has the same in the same order.
            key: which set of weights is taken where the file holds several, see ``external.state_dicts.unwrap``.
            verify: compare a checkpoint of ours with the checksums in it; given where it is False alone.

        Raises:
            CheckpointError: the file cannot be read, or lacks weights of this network.
        """

    def build_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of ``build`` that the ``settings`` of a training mean; checkpoints record them."""
        return {}

    def initial_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return further options of ``build`` for a model that is about to be trained, not loaded."""
        return {}

    def built_options(self, model: nn.Module, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``options`` with what building settled (a hash of downloaded weights), for the checkpoint."""
        return dict(options)

    def checkpoint_options(self, options: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of ``build`` for a model whose weights are about to be copied from a checkpoint.

        Args:
            options: those that the checkpoint records.
            given: what the user names in their place; None or empty: nothing.

        Raises:
            UsageError: one is given that is not among ``overrides``.
        """
        given = {name: value for name, value in given.items() if value}
        for name in given:
            if name not in self.overrides:
                raise UsageError(
                    f"--{name.replace('_', '-')} has no effect: it is for other models than that of the checkpoint.",
                    "Leave it out.",
                )
        return {**options, **given}

    def bytes_beside(self, options: Mapping[str, Any]) -> int:
        """Return the most bytes of weights that a checkpoint with these ``options`` names and does not hold."""
        return 0

    def download_source(self, name: str, options: Mapping[str, Any]) -> str:
        """Describe what building with these ``options`` will download; empty where all is on this machine."""
        return ""

    def last_layer(self, model: nn.Module) -> nn.Module | None:
        """Return the part that turns features into outputs; None where several or none could be it."""
        named: dict[str, list[nn.Module]] = {key: [] for key in CLASSIFIERS}
        for path, module in model.named_modules():
            named.get(path.rpartition(".")[2], []).append(module)
        found = next((modules for modules in named.values() if modules), [])
        return found[0] if len(found) == 1 else None

    def clip_needs(self, options: Mapping[str, Any]) -> str | None:
        """Return the modalities that a model of clips uses: ``image``, ``audio`` or ``both``; None: the models take
        images.
        """
        return None


def frozen_encoder(model: nn.Module) -> nn.Module | None:
    """Return the frozen encoder of a model that has one."""
    return model.encoder if isinstance(model, FrozenEncoderModel) else None
