"""Import the packages that load compiled code, in a process of its own, and run a small check of each.

Such a package can end Python without an exception. The process reports which check it begins and what came of each;
where it dies, the check that had begun is to blame, and another process continues with the rest.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affectkit.core.children import python_command
from affectkit.core.libraries import load_failure_reason

SECONDS = 180
MARK = "affectkit-check "
CASCADE = "haarcascade_frontalface_default.xml"


def run_checks(names: Sequence[str], *, seconds: float = SECONDS) -> dict[str, dict[str, Any]]:
    """Return the outcome of each check of ``CHECKS``: its findings, or ``{"error": text}``.

    Args:
        names: the checks, in the order in which they run.
        seconds: how long one process may take before the check it is in counts as hung.
    """
    results: dict[str, dict[str, Any]] = {}
    pending = list(names)
    while pending:
        output, ending = _process(pending, seconds)
        begun = None
        for line in output.splitlines():
            if not line.startswith(MARK):
                continue  # what a package prints on import
            report = json.loads(line.removeprefix(MARK))
            if "begin" in report:
                begun = report["begin"]
            else:
                results.update(report)
        if all(name in results for name in pending):
            break
        # A process that did not even begin blames the first check, so that the loop ends.
        results.setdefault(begun if begun not in (None, *results) else _first(pending, results), {"error": ending})
        pending = [name for name in pending if name not in results]
    return results


def _first(names: Sequence[str], done: dict[str, Any]) -> str:
    return next(name for name in names if name not in done)


def _process(names: Sequence[str], seconds: float) -> tuple[str, str]:
    """Return the output of a process that runs ``names``, and how it ended."""
    # The same import path as here, in whatever way this process came by it.
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main(sys.argv[1:])"
    try:
        done = subprocess.run(
            python_command("-c", code, *names),
            capture_output=True, text=True, errors="replace", timeout=seconds, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        text = output if isinstance(output, str) else output.decode(errors="replace")
        return text, f"it did not answer within {seconds:g} seconds"
    except OSError as error:
        return "", f"{sys.executable} cannot be started: {error.strerror or error}"
    if done.returncode < 0:
        ending = f"it ended Python with {_signal(-done.returncode)}"
    else:
        last = done.stderr.strip().splitlines()[-1:]
        ending = f"it ended Python with exit code {done.returncode}" + "".join(f" ({line})" for line in last)
    return done.stdout, ending


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def main(names: Sequence[str]) -> None:
    """Run the checks ``names`` in this process; write each beginning and each outcome as a line of JSON."""
    for name in names:
        _report({"begin": name})
        try:
            result = CHECKS[name]()
        except Exception as error:  # whatever a broken build raises is the finding
            result = {"error": f"{type(error).__name__}: {load_failure_reason(error)}"}
        _report({name: result})


def _report(value: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{MARK}{json.dumps(value)}\n")
    sys.stdout.flush()


def check_torch() -> dict[str, Any]:
    """Return what ``auto`` takes, all CUDA devices, and whether a product of small whole numbers is exact there."""
    import torch

    from affectkit.runtime.available_devices import cuda_devices, why_no_cuda
    from affectkit.runtime.device import resolve_device
    from affectkit.runtime.precision import resolve_precision

    cuda = cuda_devices()
    device = resolve_device("auto")
    precision = resolve_precision("auto", device)
    with torch.no_grad(), precision.autocast():
        ones = torch.ones(64, 64, device=device.torch_name)
        exact = bool((ones @ ones == 64).all())
    return {
        "auto": device.torch_name,
        "description": device.description,
        "reason": device.reason,
        "precision": precision.name,
        "precision_reason": precision.reason,
        "arithmetic": exact,
        "built_for": torch.version.cuda or torch.version.hip or "cpu",
        "cuda": [{**asdict(entry), "description": entry.description} for entry in cuda],
        "why_no_cuda": "" if cuda else why_no_cuda()[0],
    }


def check_torchvision() -> dict[str, Any]:
    """Call a compiled operator: of two boxes that nearly coincide one must be dropped."""
    import torch
    from torchvision.ops import nms

    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0], [20.0, 20.0, 30.0, 30.0]])
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    return {} if kept == [0, 2] else {"error": f"torchvision.ops.nms kept boxes {kept} instead of [0, 2]"}


def check_torchaudio() -> dict[str, Any]:
    """Call a compiled operator: a filter whose coefficients change nothing must change nothing."""
    import torch
    from torchaudio.functional import lfilter

    wave = torch.linspace(-0.5, 0.5, 16).view(1, -1)
    same = lfilter(wave, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]))
    return {} if torch.equal(same, wave) else {"error": "torchaudio.functional.lfilter changed a wave it must keep"}


def check_cv2() -> dict[str, Any]:
    """Load OpenCV's frontal-face cascade; say which face detector ``auto`` stands for."""
    import cv2

    cascade: dict[str, Any] = {"path": None, "exists": False, "loads": False}
    try:
        path = Path(cv2.data.haarcascades) / CASCADE
        cascade |= {"path": str(path), "exists": path.is_file()}
        cascade["loads"] = path.is_file() and not cv2.CascadeClassifier(str(path)).empty()
    except (AttributeError, cv2.error) as error:
        cascade["problem"] = f"{type(error).__name__}: {error}"
    from affectkit.data.faces.detection import FaceDetector

    return {"version": cv2.__version__, "cascade": cascade, "face_detector": FaceDetector("auto").name}


def check_av() -> dict[str, Any]:
    """Return the versions of the libraries inside PyAV."""
    import av

    return {"libraries": {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}}


CHECKS: dict[str, Callable[[], dict[str, Any]]] = {
    "torch": check_torch,
    "torchvision": check_torchvision,
    "torchaudio": check_torchaudio,
    "cv2": check_cv2,
    "av": check_av,
}
