"""What affectkit does on a GPU, in one command: the tests marked cuda, rates beside the bare model and the card,
memory, agreement of number formats, and a resumed run that ends with the same bytes.

    python tests/benchmarks/gpu.py                         # on a CUDA device, some 20 minutes
    python tests/benchmarks/gpu.py --device cpu --small    # tries the script itself

Each network is trained and used for predictions from files, and then steps over (passes) batches that those runs gave
it, which lie on the device: the bare rate. Ends with 1 where a test or a proof fails; rates below TARGETS are marked.
"""

from __future__ import annotations

import argparse
import copy
import csv
import gc
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measuring import Clock, photographs
from clips import make_cremad, prepare
from support import CLIP_CONFIG, make_ratings

from affectkit.checkpoints.checkpoint import load_model
from affectkit.config import resolve
from affectkit.inference.infer import infer
from affectkit.runtime.device import resolve_device
from affectkit.runtime.precision import resolve_precision
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.inference import InferSettings
from affectkit.settings.training import TrainSettings
from affectkit.training.run import train

TARGETS = {"train": 0.85, "infer": 0.90}
PROJECT = Path(__file__).resolve().parents[2]


class Measured:
    """One network: data, the run of it, and how it is called.

    Args:
        name: for the table.
        data: makes what is trained on below a folder, and returns the settings that name it.
        paths: what is predicted, below that folder.
        flags: settings of the training.
    """

    def __init__(self, name: str, data: Callable[[Path], dict[str, Any]], paths: str, **flags: Any) -> None:
        self.name, self.data, self.paths, self.flags = name, data, paths, flags


def networks(small: bool) -> list[Measured]:
    """The four networks of the table; ``small``: cheap ones of the same families."""

    def faces(root: Path) -> dict[str, Any]:
        return {"data": photographs(root, count=60 if small else 20_000, size=(48, 48))}

    def pictures(root: Path) -> dict[str, Any]:
        return {"data": photographs(root, count=30 if small else 4000)}

    def ratings(root: Path) -> dict[str, Any]:
        make_ratings(root, count=30 if small else 2000, size=48 if small else 336)
        if small:
            (root / "clip.json").write_text(json.dumps(CLIP_CONFIG))
        return {
            "data": root / "images",
            "labels": root / "ratings.csv",
            "clip": str(root / "clip.json") if small else "ViT-L-14",
            "clip_weights": "random",
        }

    def clips(root: Path) -> dict[str, Any]:
        source = make_cremad(root / "clone", actors=8 if small else 40, seconds=0.3 if small else 2.5)
        prepare(source, root / "data", size=16 if small else 96, workers=None)
        return {"data": root / "data"}

    images, tiny = {"batch_size": 8 if small else 64, "pretrained": False}, {"codes": 16, "hidden": 16}
    crops = images | {"batch_size": 16 if small else 256}
    return [
        Measured("built-in network", faces, "train", model="face-seresnet", **crops),
        Measured("resnet50 at 224", pictures, "train", model="test_resnet" if small else "resnet50",
                 image_size=32 if small else 224, **images),
        Measured("VCA", ratings, "images", model="vca", views=1, batch_size=8 if small else 64),
        Measured("CM-VQVAE", clips, "clone/VideoFlash", model="cmvqvae", batch_size=6 if small else 32,
                 **(tiny | {"quantizer": "plain"} if small else {})),
    ]  # fmt: skip


@contextmanager
def captured(kind: type[torch.nn.Module], *, training: bool) -> Iterator[list[tuple[Any, ...]]]:
    """The inputs of the largest batch that a network of ``kind`` learns from (predicts), on its device."""
    held: list[tuple[Any, ...]] = []

    def note(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        learns = not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
        if type(module) is kind and learns == training and (not held or _rows(inputs) > _rows(held[0])):
            held[:] = [tuple(value.detach().clone() if torch.is_tensor(value) else value for value in inputs)]

    handle = torch.nn.modules.module.register_module_forward_pre_hook(note)
    try:
        yield held
    finally:
        handle.remove()


def _rows(inputs: tuple[Any, ...]) -> int:
    return next(len(value) for value in inputs if torch.is_tensor(value))


def _tensors(outputs: Any) -> Iterator[torch.Tensor]:
    """The tensors in the outputs of a network: one, or several by name or place."""
    if torch.is_tensor(outputs):
        yield outputs
    elif outputs is not None:
        inner = vars(outputs) if hasattr(outputs, "__dict__") else outputs
        for value in inner.values() if isinstance(inner, dict) else inner:
            yield from _tensors(value) if not isinstance(value, int | float | str) else ()


def synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def bare_rate(model: torch.nn.Module, inputs: tuple[Any, ...], context: Any, *, training: bool, batches: int) -> float:
    """Samples a second of ``model`` over one batch on the device, and nothing else."""
    device, precision = context
    model.train(training)
    parameters = [value for value in model.parameters() if value.requires_grad]
    # CM-VQVAE predicts without the decoders that its forward pass has.
    call = model.classify if not training and hasattr(model, "classify") else model
    optimizer = torch.optim.Adam(parameters, lr=1e-5, fused=True) if training else None

    def step() -> None:
        with precision.autocast():
            outputs = call(*inputs)
        if training:
            loss = sum(value.float().mean() for value in _tensors(outputs) if value.requires_grad)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            float(loss.detach())  # as a run that shows its loss must

    with set_up_backends(device, precision), torch.inference_mode(not training):
        for _ in range(3):
            step()
        synchronise(device.torch_name)
        began = time.perf_counter()
        for _ in range(batches):
            step()
        synchronise(device.torch_name)
    return batches * _rows(inputs) / (time.perf_counter() - began)


def measure(network: Measured, root: Path, device: str, precision: str, *, batches: int) -> list[dict[str, Any]]:
    """Rates of training and inference of a network, and the bare ones; the table that it predicts stays in ``root``."""
    torch_device = resolve_device(device)
    context = torch_device, resolve_precision(precision, torch_device)
    given = network.data(root / "data") if not (root / "given.json").exists() else _given(root)
    (root / "given.json").write_text(json.dumps({key: str(value) for key, value in given.items()}))
    run, rows = root / f"run-{precision}", []
    flags = {**given, **network.flags, "output": run, "epochs": 2, "device": device, "precision": precision}
    train(resolve(TrainSettings, flags=flags).settings, reporter=(clock := Clock()))  # the first also fills caches
    kind = type(load_model(root / "run-fp32"))
    inputs: tuple[Any, ...] = ()
    for name in ("train", "infer"):
        gc.collect()
        if torch_device.kind == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        with captured(kind, training=name == "train") as held:
            if name == "train":
                again = flags | {"output": root / f"again-{precision}"}
                train(resolve(TrainSettings, flags=again).settings, reporter=(clock := Clock()))
                label = "epoch 2/2"
            else:
                values = {
                    "paths": (str(root / "data" / network.paths),), "recursive": True, "device": device,
                    "checkpoint": root / "run-fp32", "precision": precision, "results": root / f"predicted-{precision}",
                    "batch_size": network.flags["batch_size"],
                }  # fmt: skip
                settings = resolve(InferSettings, flags=values).settings
                infer(settings, reporter=(clock := Clock()), listed=io.StringIO(), stdout=io.StringIO())
                label = next(label for label in clock.items if clock.items[label])
        peak = torch.cuda.max_memory_allocated() / 2**20 if torch_device.kind == "cuda" else 0.0
        model = copy.deepcopy(load_model(root / "run-fp32", device=device))
        inputs = held[0] if held else inputs
        bare = bare_rate(model, inputs, context, training=name == "train", batches=batches)
        rows.append({"network": network.name, "precision": precision, "what": name, "affectkit": clock.rate(label),
                     "bare": bare, "ratio": clock.rate(label) / bare, "peak MiB": peak})  # fmt: skip
        del model, held
    return rows


def _given(root: Path) -> dict[str, Any]:
    return json.loads((root / "given.json").read_text())


def agreement(root: Path, one: str, other: str) -> str:
    """How far the predictions of one network in two number formats are apart."""
    tables = []
    for name in (one, other):
        (path,) = (root / f"predicted-{name}").glob("*results.csv")
        with path.open(newline="") as stream:
            tables.append(list(csv.DictReader(stream)))
    worst, changed = 0.0, 0
    for first, second in zip(*tables, strict=True):
        changed += first.get("Predicted Label") != second.get("Predicted Label")
        for key in first:
            try:
                worst = max(worst, abs(float(first[key]) - float(second[key])))
            except (TypeError, ValueError):
                continue
    return f"{one} against {other}: largest difference {worst:.2g}, {changed} of {len(tables[0])} labels differ"


def card_rates(device: str, small: bool) -> dict[str, float]:
    """Operations of a matrix product and bytes of a copy to the device, each a second."""
    found, side = {}, 512 if small else 8192
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(side, side, device=device, dtype=kind)
        a @ a
        synchronise(device)
        began = time.perf_counter()
        for _ in range(10):
            a @ a
        synchronise(device)
        found[f"matrix product {name}, TFLOP/s"] = 20 * side**3 / (time.perf_counter() - began) / 1e12
    held = torch.empty(2 ** (22 if small else 28), dtype=torch.uint8, pin_memory=device.startswith("cuda"))
    held.to(device, copy=True)
    synchronise(device)
    began = time.perf_counter()
    for _ in range(10):
        held.to(device, non_blocking=True, copy=True)
    synchronise(device)
    found["copy to the device, GB/s"] = 10 * len(held) / (time.perf_counter() - began) / 1e9
    return found


def main() -> int:
    """Run all parts and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="cheap networks and little data")
    parser.add_argument("--only", choices=["tests", "rates", "resume"], action="append")
    chosen = parser.parse_args()
    parts, failed = chosen.only or ["tests", "rates", "resume"], []
    print(f"torch {torch.__version__}, {resolve_device(chosen.device).description}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if "tests" in parts:
            command = [sys.executable, "-m", "pytest", "-m", "cuda", "-n", "0", "-s", "tests/runtime/test_cuda.py"]
            failed += ["tests"] * (subprocess.run(command, cwd=PROJECT).returncode not in (0, 5))
        if "rates" in parts:
            _print_rates(root, chosen)
        if "resume" in parts:
            data = photographs(root / "resumed", count=80, size=(48, 48))
            command = [sys.executable, "-m", "affectkit", "verify-resume", "--data", data, "--model", "test_resnet",
                       "--no-pretrained", "--image-size", 32, "--device", chosen.device, "--deterministic"]  # fmt: skip
            failed += ["verify-resume"] * bool(subprocess.run([*map(str, command)], cwd=root).returncode)
    print(f"failed: {', '.join(failed)}" if failed else "nothing failed")
    return int(bool(failed))


def _print_rates(root: Path, chosen: argparse.Namespace) -> None:
    for name, rate in card_rates(chosen.device, chosen.small).items():
        print(f"{name}: {rate:.2f}")
    print(f"{'network':18}{'format':8}{'what':7}{'affectkit/s':>12}{'bare/s':>10}{'ratio':>7}{'peak MiB':>10}")
    for number, network in enumerate(networks(chosen.small)):
        folder = root / str(number)
        folder.mkdir()
        for precision in ("fp32", "bf16"):
            for row in measure(network, folder, chosen.device, precision, batches=3 if chosen.small else 50):
                missed = "" if row["ratio"] >= TARGETS[row["what"]] else f"  below {TARGETS[row['what']]:.2f}"
                print(
                    f"{row['network']:18}{row['precision']:8}{row['what']:7}{row['affectkit']:12.1f}{row['bare']:10.1f}"
                    f"{row['ratio']:7.2f}{row['peak MiB']:10.0f}{missed}",
                    flush=True,
                )
        print(f"{network.name}, {agreement(folder, 'fp32', 'bf16')}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
