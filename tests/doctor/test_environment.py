from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import affectkit

from affectkit.core import libraries
from affectkit.doctor import environment as doctor
from affectkit.doctor import import_checks as checks_module
from affectkit.doctor import packages
from affectkit.doctor.environment import Problem, examine
from affectkit.doctor.import_checks import CHECKS, run_checks

REQUIRES = [
    "typer<0.29,>=0.26",
    "torch<2.15,>=2.13",
    "torchvision<0.30,>=0.28",
    "torchaudio<2.12,>=2.11.1",
    "albumentations==2.0.8",
    "opencv-python-headless<5,>=4.10",
    "numpy<3,>=2.0",
    'submitit>=1.5; extra == "slurm"',
    'pywin32>=300; sys_platform == "nowhere"',
]
GOOD = {
    "typer": ["0.28.0"],
    "torch": ["2.14.1+cu130"],
    "torchvision": ["0.29.1+cu130"],
    "torchaudio": ["2.11.1"],
    "albumentations": ["2.0.8"],
    "opencv-python-headless": ["4.12.0.88"],
    "numpy": ["2.4.1"],
}
MACHINE = {"shared_memory": 2**34, "open_files": 65536}


@pytest.fixture(autouse=True)
def own_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_own_metadata", lambda: (REQUIRES, ">=3.11"))
    monkeypatch.setattr(libraries, "own_requirements", lambda: REQUIRES)


def problems_of(**changes: str | None) -> list[Problem]:
    """Package problems of the good environment with ``changes`` (underscores for dashes, None: not installed)."""
    installed = dict(GOOD)
    for name, version in changes.items():
        installed.pop(name.replace("_", "-"), None)
        if version is not None:
            installed[name.replace("_", "-")] = [version]
    return packages.package_problems(installed)


def test_a_good_environment_has_no_package_problem() -> None:
    assert problems_of() == []
    # Older than pip takes today, and whole: what a machine comes with is not called broken.
    for trio in (("2.11.0", "0.26.0", "2.11.0"), ("2.12.1", "0.27.1", "2.11.0"), ("2.13.0", "0.28.0", "2.11.1")):
        assert problems_of(**dict(zip(("torch", "torchvision", "torchaudio"), trio, strict=True))) == []
    assert problems_of(torch="2.11.0a0+e1c0.nv26.2", torchvision="0.26.0a0", torchaudio="2.11.0a0+1") == []


@pytest.mark.parametrize(
    ("changes", "severity", "what", "fix"),
    [
        ({"torchvision": "0.26.0"}, "error", "torchvision 0.26.0 do not belong together", '"torchvision==0.29.*"'),
        ({"torch": "2.13.0"}, "error", "torch 2.13.0, torchvision 0.29.1", '"torchvision==0.28.*"'),
        ({"torch": "2.11.0"}, "error", "torch 2.11.0, torchvision 0.29.1+cu130, torchaudio 2.11.1", "0.26.*"),
        (
            {"torch": "2.12.1", "torchvision": "0.27.1"},
            "error",
            "torch 2.12.1, torchaudio 2.11.1",
            "torchaudio==2.11.0",
        ),
        ({"torch": None}, "error", "torch is not installed", '"torch<2.15,>=2.13"'),
        ({"typer": "0.29.1"}, "warning", "typer 0.29.1", '"typer<0.29,>=0.26"'),
        ({"typer": "0.20.0"}, "error", "typer 0.20.0", '"typer<0.29,>=0.26"'),
        ({"albumentations": "2.0.9"}, "error", "albumentations 2.0.9", '"albumentations==2.0.8"'),
        ({"albumentations": "1.3.0"}, "error", "albumentations 1.3.0", '"albumentations==2.0.8"'),
        ({"albumentationsx": "2.1.0"}, "error", "AlbumentationsX 2.1.0", "albumentations==2.0.8"),
        ({"opencv_python_headless": "5.0.0.1"}, "error", "5.0.0.1", '"opencv-python-headless<5,>=4.10"'),
        ({"opencv_python": "4.11.0.86"}, "error", "several OpenCV", "pip uninstall -y opencv-python-headless"),
        ({"opencv_python": "4.12.0.88"}, "warning", "several OpenCV", "pip uninstall -y opencv-python-headless"),
        ({"numpy": "1.26.4"}, "error", "numpy 1.26.4", '"numpy<3,>=2.0"'),
        ({"numpy": None}, "error", "numpy is not installed", '"numpy<3,>=2.0"'),
        ({"torch": "2.15.0"}, "error", "torch 2.15.0", '"torch<2.15,>=2.13"'),
    ],
)
def test_one_fault_is_one_problem(changes: dict[str, str | None], severity: str, what: str, fix: str) -> None:
    found = problems_of(**changes)
    assert len(found) == 1, found
    assert found[0].severity == severity
    assert what in found[0].what
    assert fix in found[0].fix
    assert found[0].why


def test_advice_keeps_the_torch_that_is_there_and_names_the_newest() -> None:
    (found,) = problems_of(torch="2.12.1", torchvision="0.27.1")
    newest, keep = found.fix.splitlines()
    assert newest.endswith('pip install "torch==2.14.*" "torchvision==0.29.*" torchaudio==2.11.1')
    assert keep == ('Those that fit torch 2.12: pip install "torch==2.12.*" "torchvision==0.27.*" torchaudio==2.11.0')
    (found,) = problems_of(torchaudio="2.12.0")
    assert found.what == "torch 2.14.1+cu130, torchaudio 2.12.0 do not belong together"
    assert found.fix.count("pip install") == 1 and "torchaudio==2.11.1" in found.fix


def test_python_out_of_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_own_metadata", lambda: (REQUIRES, ">=3.99"))
    assert "affectkit is for Python >=3.99" in problems_of()[0].why


def test_without_metadata_the_named_bounds_still_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_own_metadata", lambda: ([], ""))
    assert problems_of() == []
    assert [problem.severity for problem in problems_of(typer="0.30.0", albumentations="2.0.9")] == ["warning", "error"]


def test_the_real_metadata_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    lines, pythons = packages._own_metadata()
    assert any(line.startswith("torch<") or line.startswith("torch>") for line in lines)
    assert ">=3.11" in pythons


def test_installed_versions_with_torn_hidden_and_left_over_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(folder: str, name: str, version: str) -> None:
        info = tmp_path / folder
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    record("first/numpy-2.1.0.dist-info", "numpy", "2.1.0")
    record("first/numpy-2.2.0.dist-info", "numpy", "2.2.0")  # an upgrade was cut off
    record("first/Open_CLIP.torch-3.0.dist-info", "Open_CLIP.torch", "3.0")
    record("first/~orch-2.10.dist-info", "torch", "2.10")  # what pip left behind
    record("first/torch-2.11.dist-info", "torch", "2.11")
    record("second/torch-2.9.dist-info", "torch", "2.9")  # hidden by the first
    (tmp_path / "first/rich-14.dist-info").mkdir()  # no metadata at all
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    found = packages.installed_versions()
    assert sorted(found.pop("numpy")) == ["2.1.0", "2.2.0"]
    assert found == {"open-clip-torch": ["3.0"], "torch": ["2.11"]}
    shown = packages.known_versions({**found, "numpy": ["2.1.0", "2.2.0"]})
    assert (shown["open_clip_torch"], shown["rich"], shown["numpy"]) == ("3.0", None, "2.1.0")
    torn = packages._torn({"numpy": ["2.1.0", "2.2.0"], "torch": ["2.11"], "unrelated": ["1", "2"]})
    assert [problem.what for problem in torn] == ["numpy is recorded in several versions: 2.1.0, 2.2.0"]


def test_metadata_that_cannot_be_read_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """As importlib_metadata tells it, which replaces the finder of the standard library once it is imported."""

    class Torn:
        @property
        def metadata(self):
            raise FileNotFoundError("No package metadata was found.")

    monkeypatch.setattr("importlib.metadata.distributions", lambda: [Torn()])
    assert packages.installed_versions() == {}


class TestImportChecks:
    """The process that loads compiled code; toy checks are carried into it by a module of their own."""

    @pytest.fixture
    def toys(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "toy_checks.py").write_text(
            "import os, time\n"
            "from affectkit.doctor import import_checks as t\n"
            "def fine(): print('chatter'); return {'x': 1}\n"
            "def broken(): raise OSError('undefined symbol:\\n foo')\n"
            "def crash(): os.abort()\n"
            "def leave(): os._exit(7)\n"
            "def hang(): time.sleep(60)\n"
            "t.CHECKS = {'fine': fine, 'broken': broken, 'crash': crash, 'leave': leave, 'hang': hang, 'last': fine}\n"
            "main = t.main\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(checks_module, "__name__", "toy_checks")

    @pytest.mark.skipif(os.name == "nt", reason="signals")
    def test_a_crash_is_a_line_and_not_the_end(self, toys: None) -> None:
        assert run_checks(["fine", "broken", "crash", "leave", "last"]) == {
            "fine": {"x": 1},
            "broken": {"error": "OSError: undefined symbol: foo"},
            "crash": {"error": f"it ended Python with {signal.SIGABRT.name}"},
            "leave": {"error": "it ended Python with exit code 7"},
            "last": {"x": 1},
        }

    def test_a_check_that_hangs(self, toys: None) -> None:
        found = run_checks(["hang", "last"], seconds=3)
        assert found == {"hang": {"error": "it did not answer within 3 seconds"}, "last": {"x": 1}}

    def test_a_process_that_never_begins_ends_the_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/no/such/python")
        found = run_checks(["torch", "av"])
        assert set(found) == {"torch", "av"}
        assert all("/no/such/python cannot be started" in result["error"] for result in found.values())

    def test_the_real_checks_find_what_is_here(self) -> None:
        found = {name: check() for name, check in CHECKS.items()}
        assert set(found) == {"torch", "torchvision", "torchaudio", "cv2", "av"}
        assert not [name for name, result in found.items() if "error" in result]
        assert found["torch"]["arithmetic"] is True
        assert found["torch"]["auto"].partition(":")[0] in ("cpu", "cuda", "mps")
        assert found["cv2"]["cascade"]["loads"] is True
        assert "libavcodec" in found["av"]["libraries"]


def test_import_problems() -> None:
    installed = {**GOOD, "opencv-python": ["4.12.0.88"]}
    checks = {
        "torch": {"error": "OSError: libcudart"},
        "torchvision": {"error": "RuntimeError: operator torchvision::nms does not exist"},
        "cv2": {"error": "ImportError: libGL.so.1: cannot open shared object file"},
        "av": {"error": "ModuleNotFoundError: No module named 'av'"},  # not installed: said elsewhere
    }
    found = doctor._import_problems(checks, installed)
    assert [problem.what.split()[0] for problem in found] == ["torch", "opencv-python-headless"]
    assert "graphics" in found[1].what and "pip uninstall -y" in found[1].fix
    (alone,) = doctor._import_problems({"torch": {}, "torchvision": checks["torchvision"]}, installed)
    assert "torchvision 0.29.1+cu130 does not fit torch 2.14.1+cu130" in alone.what and "nms" in alone.what
    assert "one index" in alone.fix  # by their numbers they fit


def test_device_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_nvidia_smi", lambda: 2)
    good = {"auto": "cpu", "precision": "fp32", "arithmetic": True, "cuda": [], "why_no_cuda": "a CPU build"}
    (found,) = doctor._device_problems(good)
    assert found.what == "nvidia-smi lists 2 GPUs, torch uses none"
    assert (found.severity, found.why) == ("warning", "a CPU build")
    card = {"index": 0, "description": "K80 (11 GiB)", "fault": "too old"}
    assert [p.what for p in doctor._device_problems({**good, "cuda": [card]})] == ["cuda:0 K80 (11 GiB) cannot be used"]
    monkeypatch.setattr(doctor, "_nvidia_smi", lambda: 0)
    assert doctor._device_problems(good) == doctor._device_problems({"error": "x"}) == doctor._device_problems({}) == []
    assert doctor._device_problems({**good, "arithmetic": False})[0].severity == "error"


def test_nvidia_smi_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho '  MIG 1g Device 0:'\necho 'GPU 1: B'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert doctor._nvidia_smi() == 2
    program.write_text("#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    assert doctor._nvidia_smi() == 0


def test_machine_problems() -> None:
    assert doctor._machine_problems(MACHINE) == []
    assert doctor._machine_problems({"shared_memory": None, "open_files": None}) == []
    for shared in (0, 64 * 2**20):  # Docker's default is exactly 64 MiB
        assert "--shm-size" in doctor._machine_problems({**MACHINE, "shared_memory": shared})[0].fix
    assert "256 files" in doctor._machine_problems({**MACHINE, "open_files": 256})[0].what


def test_memory_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(doctor, "CGROUP_LIMIT", limit)
    whole = doctor._memory()
    limit.write_text("max\n")
    assert doctor._memory()[0] == whole[0]
    limit.write_text("1048576\n")
    assert doctor._memory() == (1048576, 1048576)


def test_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FFMPEG_BINARY", raising=False)
    found = doctor._ffmpeg()
    assert found["problem"] == ""
    assert found["version"]
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'ffmpeg version 7.1-test Copyright'\n")
    program.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BINARY", str(program))
    expected = {"path": str(program), "version": "7.1-test", "source": "$FFMPEG_BINARY", "problem": ""}
    assert doctor._ffmpeg() == expected
    program.write_text("#!/bin/sh\necho 'something else'\n")
    assert "does not answer" in doctor._ffmpeg()["problem"]
    monkeypatch.setenv("FFMPEG_BINARY", str(tmp_path / "none"))
    found = doctor._ffmpeg()
    (problem,) = doctor._video_problems(found, {})
    assert str(tmp_path / "none") in problem.what
    assert problem.severity == "warning"


def test_cascade_problems() -> None:
    fine = {"problem": ""}
    assert doctor._video_problems(fine, {"cascade": {"path": "c.xml", "exists": True, "loads": True}}) == []
    gone = doctor._video_problems(fine, {"cascade": {"path": "c.xml", "exists": False, "loads": False}})
    assert gone[0].what == "OpenCV's face cascade is missing (c.xml)"
    assert gone[0].severity == "error"


def test_cache_places_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TORCH_HOME", "AFFECTKIT_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert list(doctor.cache_folders().values()) == [
        tmp_path / "affectkit",
        tmp_path / "huggingface/hub",
        tmp_path / "torch/hub",
    ]
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "th"))
    assert list(doctor.cache_folders().values())[1:] == [tmp_path / "hf/hub", tmp_path / "th/hub"]


def test_cache_size_does_not_follow_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hub/blobs").mkdir(parents=True)
    (tmp_path / "hub/blobs/a").write_bytes(b"x" * 1000)
    (tmp_path / "hub/b").write_bytes(b"x" * 10)
    (tmp_path / "outside").write_bytes(b"x" * 100_000)
    (tmp_path / "hub/link").symlink_to(tmp_path / "outside")
    (tmp_path / "hub/loop").symlink_to(tmp_path / "hub")
    size, complete = doctor._folder_size(tmp_path / "hub")
    assert complete
    assert 1010 <= size < 2000  # a link has the length of its target's name
    monkeypatch.setattr(doctor, "MAX_ENTRIES", 2)
    assert doctor._folder_size(tmp_path / "hub")[1] is False


def test_an_absent_cache_is_not_made(tmp_path: Path) -> None:
    place = doctor._cache_folder("torch hub", tmp_path / "a/b")
    assert (place.exists, place.size, place.writable) == (False, 0, True)
    assert place.free > 0
    assert list(tmp_path.iterdir()) == []
    assert doctor._cache_problems(place) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    # /proc refuses new files from everyone, root included.
    blocked = Path("/proc") if Path("/proc").is_dir() else tmp_path
    place = doctor._cache_folder("affectkit", blocked / "affectkit")
    if blocked == tmp_path:
        pytest.skip("no folder here that root cannot write")
    assert not place.writable
    (problem,) = doctor._cache_problems(place)
    assert problem.severity == "error"
    assert "AFFECTKIT_CACHE" in problem.fix
    other = doctor._cache_folder("Hugging Face hub", blocked / "hub")
    assert [(p.severity, "HF_HOME" in p.fix) for p in doctor._cache_problems(other)] == [("warning", True)]


def test_examine(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = {
        "torch": {"auto": "cpu", "precision": "fp32", "arithmetic": True, "cuda": [], "why_no_cuda": "no driver"},
        "torchvision": {"error": "RuntimeError: operator torchvision::nms does not exist"},
        "cv2": {"cascade": {"path": "c.xml", "exists": True, "loads": True}},
        "av": {"libraries": {"libavutil": "1.2.3"}},
    }
    monkeypatch.setattr(doctor, "run_checks", lambda names: fake)
    monkeypatch.setattr(doctor, "installed_versions", lambda: {**GOOD, "typer": ["0.30.0"]})
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("NO_ALBUMENTATIONS_UPDATE", raising=False)
    found = examine()
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
    assert found.offline.get("HF_HUB_OFFLINE") == "1"
    assert "NO_ALBUMENTATIONS_UPDATE" not in found.offline  # set by the examination itself
    assert found.device == {"auto": "cpu", "precision": "fp32", "arithmetic": True}
    severities = [problem.severity for problem in found.problems]
    assert severities == sorted(severities)  # errors first
    assert {"torchvision", "typer"} <= {problem.what.split()[0] for problem in found.problems}
    assert sum("torchvision" in problem.what for problem in found.problems) == 1
    assert not found.ok
    told = json.loads(json.dumps(found.to_dict()))
    assert told["ok"] is False
    assert told["versions"]["wandb"] is None
    assert len(told["problems"]) == len(found.problems) >= 2
    assert all(one["mend"] == one["fix"] for one in told["problems"])  # the former name is kept


def pretended(folder: Path, versions: dict[str, str], *, breaks: str, how: str) -> dict[str, str]:
    """An environment in which packages say that they are those ``versions`` and the import of one fails."""
    for name, version in versions.items():
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    package = folder / breaks
    package.mkdir()
    (package / "__init__.py").write_text(how)
    (package / "transforms.py").touch()
    return {"PYTHONPATH": str(folder)}


UNDEFINED = """
cause = OSError("/env/site-packages/torchaudio/lib/libtorchaudio.so: undefined symbol: torch_exception_get_what")
raise OSError("Could not load this library: /env/site-packages/torchaudio/lib/libtorchaudio.so") from cause
"""


def test_a_pretended_bad_pair(tmp_path: Path) -> None:
    """What pip gave a fresh machine on 28 November 2026; the advice holds versions that fit by the table."""
    versions = {"torch": "2.12.1", "torchvision": "0.27.1", "torchaudio": "2.11.1"}
    environment = pretended(tmp_path / "env", versions, breaks="torchaudio", how=UNDEFINED)
    done = affectkit("doctor", "--json", **environment)
    told = [one for one in json.loads(done.stdout)["problems"] if "torch" in one["what"]]
    assert done.returncode == 1 and len(told) == 1
    assert told[0]["severity"] == "error"
    assert told[0]["what"].startswith(
        "torchaudio 2.11.1 does not fit torch 2.12.1: OSError: libtorchaudio.so: undefined"
    )
    commands = re.findall(
        r'pip install "torch==([\d.]+)\.\*" "torchvision==([\d.]+)\.\*" torchaudio==(\S+)', told[0]["fix"]
    )
    assert len(commands) == 2 and commands[1] == ("2.12", "0.27", "2.11.0")
    for torch, vision, audio in commands:
        trio = {"torch": f"{torch}.0", "torchvision": f"{vision}.0", "torchaudio": audio}
        assert libraries.trio_of(trio["torch"]).misfits(trio) == []
        assert problems_of(**trio) == []


def test_a_film_with_a_bad_pair_says_so(tmp_path: Path) -> None:
    """The command line's error is that of doctor."""
    versions = {"torch": "2.12.1", "torchvision": "0.27.1", "torchaudio": "2.11.1"}
    environment = pretended(tmp_path / "env", versions, breaks="torchaudio", how=UNDEFINED)
    script = (
        "from affectkit.cli.console import Console\n"
        "from affectkit.core.clipspec import SoundSpec\n"
        "import numpy\n"
        "with Console().guard():\n"
        "    from affectkit.data.media.spectrograms import mel_decibels\n"
        "    mel_decibels(numpy.zeros(9, 'f'), SoundSpec())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert "Error: torchaudio 2.11.1 does not fit torch 2.12.1: libtorchaudio.so: undefined symbol" in done.stderr
    assert 'pip install "torch==2.12.*" "torchvision==0.27.*" torchaudio==2.11.0' in done.stderr
    assert (
        "disk" not in done.stderr
        and "fault of affectkit" not in done.stderr
        and "Traceback" not in done.stderr.split("Error:")[0]
    )


def test_the_module_is_light() -> None:
    code = "import sys, affectkit.doctor.environment; print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
