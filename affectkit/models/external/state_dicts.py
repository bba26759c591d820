"""Weights in what training scripts save: which of several sets is taken, and what stands in front of the names.

Three things wrap the tensors of a network. Parallel training, compilation and sharding put a mark into each name
(``MARKS``). A script keeps the state dict under a key, often beside an averaged one (``AVERAGED``, ``PLAIN``). A class
around the network, such as a LightningModule, puts the name of its attribute in front (``model.``). The first is
taken off always, the others where it is known what they hold: a set by its key, a name by the network that it is for.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from affectkit.errors import CheckpointError

Form = Mapping[str, torch.Size | tuple[int, ...]]
"""The tensors of a network, as their shapes by name."""

MARKS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What torch.compile, FSDP and activation checkpointing put anywhere into a name."""
PARALLEL = "module."
"""What DataParallel, DistributedDataParallel and AveragedModel put in front of it."""
AVERAGED = (
    "state_dict_ema", "model_ema", "ema_state_dict", "model_state_dict_ema", "ema_model_state_dict", "ema_model",
    "params_ema", "ema",
)  # fmt: skip
"""Keys of weights averaged over training. They come first, as in timm: they are what is evaluated."""
PLAIN = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights", "module")
BARE = "."
"""How names with nothing in front are called as a set."""
_OTHERS = ("optim", "sched", "scaler")
"""What the keys of state dicts are called that are not those of a network."""
_ENOUGH = 0.5
"""Share of a network's names that must stand under a prefix for it to be one."""


@dataclass(frozen=True)
class Weights:
    """One set of tensors out of a file.

    Attributes:
        path: the file.
        key: where in it the set stands, as ``model_ema``; empty: the file holds nothing else.
        prefix: what is in front of the names of the network, as ``model.``; empty where nothing is.
        tensors: all of the set, by name without marks.
        marks: those that were taken off.
        others: the sets that were not taken, as ``--init-key`` names them.
        beside: what else the file holds around the set.
    """

    path: Path
    tensors: dict[str, torch.Tensor] = field(repr=False)
    key: str = ""
    prefix: str = ""
    marks: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    beside: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors under the prefix, by the names of the network."""
        return self.under(self.prefix)

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors whose names begin with ``prefix``, without it."""
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}

    def description(self, own: str = "") -> str:
        """Describe which set was taken under which names, and what else there is, as `` (its model_ema, not: model)``.

        Args:
            own: what our own checkpoints have in front of the names, which goes without saying.
        """
        parts = [f"its {self.key}" + (f", not: {', '.join(self.others)}" if self.others else "")] if self.key else []
        front = [*self.marks, *filter(None, [self.prefix.removesuffix(own)])]
        parts += [f"names without {' and '.join(front)}"] if front else []
        parts += [f"not: {', '.join(self.others)}"] if self.others and not self.key else []
        return f" ({'; '.join(parts)})" if parts else ""


def unwrap(found: Any, path: Path, *, forms: Sequence[Form] = (), key: str | None = None) -> Weights:
    """Unwrap the weights in what a training script saved.

    Args:
        found: what stands in the file ``path``.
        forms: the network that they are for, under the names that it may have; without any, names keep what an
            attribute has put in front of them.
        key: the set to take: its key, or what stands in front of its names; None: averaged weights before others.

    Raises:
        CheckpointError: ``found`` is not a state dict of plain tensors on the CPU, nor holds one; it has no ``key``;
            it holds the network several times, and it is not known which is meant.
    """
    sets = list(_sets(found, path))
    clean = [one for one in sets if not _strange(one.tensors)]
    if not clean:
        _refuse(sets[0].tensors if sets else found, path)
    clean = [_unmarked(one) for one in clean]
    if key is not None:
        chosen = _named(clean, forms, key.rstrip("."))
        return replace(chosen, others=tuple(one.key for one in clean if one.key not in ("", chosen.key)))
    fitted = [(_fitted(one, forms), one) for one in clean]
    best = max(share for (share, _), _ in fitted)
    equal = [(prefixes, one) for (share, prefixes), one in fitted if share == best]
    prefixes, chosen = equal[0]
    if best and len(equal) > 1 and not _is_known(chosen.key):
        raise _several(path, [one.key for _, one in equal])
    others = [one.key for (share, _), one in fitted if one is not chosen and (share or _is_known(one.key))]
    prefix, more = _chosen_prefix(chosen, prefixes)
    return replace(chosen, prefix=prefix, others=(*others, *more))


def _sets(found: Any, path: Path, key: str = "", beside: dict[str, Any] | None = None) -> Iterator[Weights]:
    """Yield the state dicts in ``found``, the preferred ones first; what is under a known key may be none."""
    if not isinstance(found, Mapping) or not found:
        return
    known = [name for name in (*AVERAGED, *PLAIN) if isinstance(found.get(name), Mapping) and found[name]]
    if _strange(found):
        known += [name for name, value in found.items() if name not in known and _could_be(name, value)]
    if not known:
        yield Weights(path, dict(found), key, beside=dict(beside or {}))
    for name in known:
        around = {str(other): _plain(value) for other, value in found.items() if other != name}
        yield from _sets(found[name], path, f"{key}/{name}" if key else str(name), {**(beside or {}), **around})


def _is_known(key: str) -> bool:
    """Return whether it is known which of several sets the one under ``key`` is."""
    return not key or any(part in AVERAGED or part in PLAIN for part in key.split("/"))


def _several(path: Path, fronts: Sequence[str]) -> CheckpointError:
    return CheckpointError(
        f"{path} holds these weights {len(fronts)} times: under {', '.join(fronts)}.",
        f"Say which: --init-key {fronts[0]}, or another of these"
        + (f" ({BARE}: names with nothing in front)." if BARE in fronts else "."),
    )


def _could_be(name: Any, value: Any) -> bool:
    """Return whether a key that is not known holds a state dict of a network."""
    if not isinstance(name, str) or any(word in name.lower() for word in _OTHERS):
        return False
    return isinstance(value, Mapping) and bool(value) and not _strange(value)


def _plain(value: Any) -> Any:
    return dict(vars(value)) if isinstance(value, argparse.Namespace) else value


def _strange(found: Mapping[Any, Any]) -> list[str]:
    """Return the names of what is no plain tensor on the CPU."""
    return [str(name) for name, value in found.items() if not _is_plain(name, value)]


def _is_plain(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _refuse(found: Any, path: Path) -> None:
    """Raise a CheckpointError on what is no state dict."""
    if not isinstance(found, Mapping) or not found:
        what = f"an empty {type(found).__name__}" if isinstance(found, Mapping) else f"a {type(found).__name__}"
        raise CheckpointError(f"{path} holds {what}, not a state dict of tensors.")
    strange = _strange(found)
    raise CheckpointError(
        f"{path} is not a state dict of tensors: {', '.join(strange[:5])}{', ...' if len(strange) > 5 else ''} "
        f"{'is' if len(strange) == 1 else 'are'} something else."
    )


def _unmarked(one: Weights) -> Weights:
    """Return ``one`` without marks in its names; raise a CheckpointError where two names become one."""
    tensors: dict[str, torch.Tensor] = {}
    marks: set[str] = set()
    for name, value in one.tensors.items():
        short = name
        for mark in MARKS:
            if mark in short:
                short = short.replace(mark, "")
                marks.add(mark)
        while short.startswith(PARALLEL):
            short = short.removeprefix(PARALLEL)
            marks.add(PARALLEL)
        if short in tensors:
            raise CheckpointError(
                f"{one.path} holds two tensors {short}, of which one is called {name}.",
                "Save one state dict alone: torch.save(model.state_dict(), 'weights.pth').",
            )
        tensors[short] = value.detach()
    return replace(one, tensors=tensors, marks=tuple(mark for mark in (PARALLEL, *MARKS) if mark in marks))


def _fitted(one: Weights, forms: Sequence[Form]) -> tuple[float, list[str]]:
    """Return the largest share of the names of a network that stands under one prefix, and the prefixes that have it.

    Where two have it by name, those count whose shapes fit too.
    """
    best: tuple[float, list[str]] = (0.0, [""])
    for form in forms:
        named: Counter[str] = Counter()
        shaped: Counter[str] = Counter()
        for name, value in one.tensors.items():
            parts = name.split(".")
            for place in range(len(parts)):
                short = ".".join(parts[place:])
                if short in form:
                    prefix = name[: len(name) - len(short)]
                    named[prefix] += 1
                    shaped[prefix] += tuple(value.shape) == tuple(form[short])
        most = max(named.values(), default=0)
        if most / max(len(form), 1) > max(best[0], _ENOUGH):
            prefixes = [prefix for prefix, count in named.items() if count == most]
            fitting = max(shaped[prefix] for prefix in prefixes)
            best = most / len(form), [prefix for prefix in prefixes if shaped[prefix] == fitting]
    return best


def _chosen_prefix(one: Weights, prefixes: Sequence[str]) -> tuple[str, list[str]]:
    """Return one of ``prefixes``, and a description of the others; raise a CheckpointError where none of them is known
    to be the one.
    """
    if len(prefixes) == 1:
        return prefixes[0], []
    averaged = [prefix for prefix in prefixes if not set(AVERAGED).isdisjoint(prefix.split("."))]
    if len(averaged) != 1:
        raise _several(one.path, [*map(_front, prefixes)])
    return averaged[0], [_front(prefix) for prefix in prefixes if prefix != averaged[0]]


def _front(prefix: str) -> str:
    """Return a prefix as ``--init-key`` names it."""
    return prefix.rstrip(".") or BARE


def _named(sets: Sequence[Weights], forms: Sequence[Form], key: str) -> Weights:
    """Return the set called ``key``; or of the first that has such names, what they stand in front of."""
    for one in sets:
        if one.key and key in (one.key, *one.key.split("/")):
            prefix, _ = _chosen_prefix(one, _fitted(one, forms)[1])
            return replace(one, prefix=prefix)
    if not key:
        return sets[0]
    for one in sets:
        if any(name.startswith(f"{key}.") for name in one.tensors):
            inner = replace(one, tensors=one.under(f"{key}."))
            prefix, _ = _chosen_prefix(inner, _fitted(inner, forms)[1])
            return replace(one, prefix=f"{key}.{prefix}")
    keys = [one.key for one in sets if one.key]
    fronts = list(dict.fromkeys(name.partition(".")[0] for one in sets for name in one.tensors))
    listed = ", ".join(fronts[:8]) + (", ..." if len(fronts) > 8 else "")
    raise CheckpointError(
        f"{sets[0].path} has no weights under {key!r}."
        + (f" Sets in it: {', '.join(keys)}." if keys else "")
        + f" Names in it begin with: {listed}."
    )
