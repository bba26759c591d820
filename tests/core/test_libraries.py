"""Errors of compiled packages that do not load, as loaders of three systems and torch word them."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from affectkit.cli.console import Console
from affectkit.core import libraries
from affectkit.core.libraries import (
    TRIOS,
    install_advice,
    library_error,
    load_error,
    load_failure_reason,
    load_library,
    trio_of,
)
from affectkit.errors import LibraryError

INSTALLED = {
    "torch": "2.12.1", "torchvision": "0.27.1", "torchaudio": "2.11.1", "opencv-python": "4.12.0", "av": "18.0.0",
    "numpy": "2.4.1", "pandas": "2.2.2", "affectkit": "0.1.0",
}  # fmt: skip


@pytest.fixture(autouse=True)
def versions(monkeypatch):
    def version(name):
        if name not in INSTALLED:
            raise libraries.importlib.metadata.PackageNotFoundError(name)
        return INSTALLED[name]

    monkeypatch.setattr(libraries.importlib.metadata, "version", version)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def raised_in(file: str, error: Exception) -> Exception:
    """``error`` with a traceback that ends in a file of a package."""
    module = types.ModuleType("m")
    module.error = error
    try:
        exec(compile("raise error", file, "exec"), module.__dict__)
    except Exception as found:
        return found


UNDEFINED = "undefined symbol: torch_exception_get_what_without_backtrace"
SOUND = "/e/lib/python3.11/site-packages/torchaudio/lib/libtorchaudio.so"
WORKER = f"""Caught OSError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "/e/lib/python3.11/site-packages/torch/_ops.py", line 1501, in load_library
    ctypes.CDLL(path)
OSError: {SOUND}: {UNDEFINED}

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/e/lib/python3.11/site-packages/torch/utils/data/_utils/worker.py", line 349, in _worker_loop
OSError: Could not load this library: {SOUND}
"""
CASES = [
    (
        caused(OSError(f"Could not load this library: {SOUND}"), OSError(f"{SOUND}: {UNDEFINED}")),
        f"torchaudio 2.11.1 does not fit torch 2.12.1: libtorchaudio.so: {UNDEFINED}.",
        "torchaudio==2.11.0",
    ),
    (
        OSError(WORKER),
        f"torchaudio 2.11.1 does not fit torch 2.12.1: OSError: libtorchaudio.so: {UNDEFINED}.",
        "2.11.0",
    ),
    (
        RuntimeError("operator torchvision::nms does not exist"),
        "torchvision 0.27.1 does not fit torch 2.12.1: operator torchvision::nms does not exist.",
        "pip install",
    ),
    (
        raised_in(
            "/e/lib/python3.11/site-packages/cv2/__init__.py",
            ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
        ),
        "opencv-python 4.12.0 needs graphics libraries that this machine lacks: libGL.so.1: cannot open",
        "pip install --force-reinstall opencv-python-headless",
    ),
    (
        raised_in(
            "C:\\e\\Lib\\site-packages\\av\\__init__.py",
            ImportError("DLL load failed while importing _core: The specified procedure could not be found."),
        ),
        "av 18.0.0 cannot be loaded: DLL load failed",
        "pip install --force-reinstall --no-deps av",
    ),
    (
        raised_in(
            "/e/lib/python3.11/site-packages/pandas/_libs/interval.py",
            ValueError("numpy.dtype size changed, may indicate binary incompatibility."),
        ),
        "pandas 2.2.2 was built for another NumPy than 2.4.1",
        'pip install --upgrade pandas "numpy<3,>=2',
    ),
    (
        OSError(
            "dlopen(/e/lib/python3.12/site-packages/av/_core.abi3.so, 0x0002): Library not loaded: @loader_path/x.dylib"
        ),
        "av 18.0.0 cannot be loaded: dlopen(_core.abi3.so",
        "affectkit doctor",
    ),
    (ModuleNotFoundError("No module named 'timm'", name="timm"), "timm is not installed", "pip install timm"),
    (ModuleNotFoundError("No module named 'cv2'", name="cv2"), "opencv-python 4.12.0 cannot be loaded", "--no-deps"),
]


@pytest.mark.parametrize(("error", "message", "hint"), CASES)
def test_what_is_wrong_and_the_next_step(error, message, hint, capsys):
    found = library_error(error)
    assert isinstance(found, LibraryError) and found.exit_code == 1
    assert found.message.startswith(message) and hint in found.hint
    with pytest.raises(BaseException, match="1"), Console().guard():  # typer's Exit(1)
        raise error
    said = capsys.readouterr().err
    assert message in said and hint in said and "disk" not in said and "fault of affectkit" not in said


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/e/site-packages/torchaudio/lib/libtorchaudio.so"),
        OSError(28, "No space left on device"),
        ImportError("cannot import name 'x' from 'affectkit'"),
        ModuleNotFoundError("No module named 'my_plugin'", name="my_plugin"),
        RuntimeError("expected scalar type Float but found Half"),
        ValueError("wrong ELF"),
        OSError("image file is truncated (3 bytes not processed)"),
    ],
)
def test_other_errors_are_left_alone(error):
    assert library_error(error) is None


def test_a_library_that_cannot_be_imported(tmp_path: Path, monkeypatch):
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text(f"raise OSError({f'{SOUND}: {UNDEFINED}'!r})")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(LibraryError, match="torchaudio 2.11.1 does not fit torch 2.12.1: libtorchaudio.so") as caught:
        load_library("torchaudio.transforms")
    assert load_failure_reason(caught.value.__cause__) == f"libtorchaudio.so: {UNDEFINED}"
    assert load_library("json.decoder").JSONDecoder


def test_every_advice_is_a_trio_of_the_table():
    for trio in TRIOS:
        fits = {
            "torch": f"{trio.torch}.0+cu130",
            "torchvision": f"{trio.torchvision}.2",
            "torchaudio": trio.torchaudio[0],
        }
        assert trio_of(fits["torch"]) is trio and trio.misfits(fits) == []
        assert "one index" in install_advice(fits)
        assert trio.misfits({**fits, "torchvision": "0.2.1", "torchaudio": "2.11"}) == ["torchvision", "torchaudio"]
        assert trio.command in install_advice({**fits, "torchvision": "0.2.1"})
    assert trio_of("2.1.4") is None and trio_of("2.140.0") is None and trio_of(None) is None
    assert TRIOS[0].command in install_advice({"torch": "1.9"}) and TRIOS[0].command in install_advice({})
    assert "not installed" in load_error("torchaudio", "gone", {}).message


def test_the_table_holds_what_pyproject_allows():
    """The newest minor version of torch that may be installed is the newest of the table, and so on to the oldest."""
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    own = {item.name: item.specifier for item in map(Requirement, project["dependencies"])}
    allowed = [trio for trio in TRIOS if own["torch"].contains(f"{trio.torch}.0")]
    assert [trio.torch for trio in allowed] == ["2.14", "2.13"] and allowed[0] is TRIOS[0]
    for trio in allowed:
        assert own["torchvision"].contains(f"{trio.torchvision}.0") and own["torchaudio"].contains(trio.torchaudio[0])
    assert not any(own["torch"].contains(version) for version in ("2.12.9", "2.15.0"))
