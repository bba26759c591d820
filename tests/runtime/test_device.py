from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support import TINY, Heard, invoke, make_folders

from affectkit.errors import DeviceError, UsageError
from affectkit.runtime import available_devices as devices
from affectkit.runtime.available_devices import CudaDevice
from affectkit.runtime.context import RunContext
from affectkit.runtime.device import Device, prepare_model, resolve_device, to_device
from affectkit.runtime.precision import PRECISIONS, Precision, resolve_precision

GIB = 2**30
H100 = CudaDevice(0, "NVIDIA H100", 78 * GIB, (9, 0), True)
T4 = CudaDevice(1, "Tesla T4", 15 * GIB, (7, 5), False)
OLD = CudaDevice(0, "Tesla K80", 11 * GIB, (3, 7), False, "it has compute capability 3.7, and this build is newer")
CPU = Device("cpu", 0, "cpu", "CPU, 2 threads", "asked for")


def as_device(entry: CudaDevice) -> Device:
    return Device("cuda", entry.index, f"cuda:{entry.index}", entry.description, "asked for")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Pretend to be a machine with these devices."""

    def pretend(*cuda: CudaDevice, mps: bool = False, why: tuple[str, str] = ("no driver", "Fix it.")) -> None:
        monkeypatch.setattr(devices, "cuda_devices", lambda: list(cuda))
        monkeypatch.setattr(devices, "why_no_cuda", lambda: why)
        monkeypatch.setattr(devices, "why_no_mps", lambda: "" if mps else "MPS is Apple's")
        monkeypatch.setattr(devices, "mps_has_bf16", lambda: False)

    return pretend


def test_auto_takes_cuda_then_mps_then_cpu_and_says_why(machine) -> None:
    machine(H100, T4, mps=True)
    assert resolve_device("auto") == Device("cuda", 0, "cuda:0", "NVIDIA H100 (78 GiB)", "auto: the first CUDA device")
    machine(mps=True)
    assert resolve_device("auto").torch_name == "mps"
    machine(why=("this torch is built for CPUs only", ""))
    found = resolve_device("auto")
    assert (found.kind, found.reason) == ("cpu", "auto: this torch is built for CPUs only")
    assert found.description.startswith("CPU, ")


def test_auto_passes_over_a_device_that_torch_cannot_use(machine) -> None:
    machine(OLD, T4)
    assert resolve_device("auto").torch_name == "cuda:1"
    machine(OLD)
    found = resolve_device("auto")
    assert found.kind == "cpu"
    assert OLD.fault in found.reason


def test_names(machine) -> None:
    machine(H100, T4, mps=True)
    names = {"cpu": "cpu", "cuda": "cuda:0", "cuda:0": "cuda:0", "cuda:1": "cuda:1", "mps": "mps", "mps:0": "mps"}
    assert {name: resolve_device(name).torch_name for name in names} == names
    for name in names:
        torch.device(resolve_device(name).torch_name)  # torch knows it
        assert resolve_device(name).reason == "asked for"


@pytest.mark.parametrize(
    "name", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:1x", "cpu:1", "mps:1", " cpu", "cuda:٣x"]
)
def test_unknown_names(machine, name: str) -> None:
    machine(H100)
    with pytest.raises(UsageError, match="unknown device"):
        resolve_device(name)


def test_an_absent_device_is_an_error_never_the_cpu(machine) -> None:
    machine(why=("no NVIDIA driver was found", "Install the driver."))
    for name in ("cuda", "cuda:0", "cuda:2"):
        with pytest.raises(DeviceError) as caught:
            resolve_device(name)
        assert name in caught.value.message
        assert "no NVIDIA driver was found" in caught.value.message
        assert "Install the driver." in caught.value.hint
        assert "cpu (" in caught.value.hint
    with pytest.raises(DeviceError, match="device mps was asked for"):
        resolve_device("mps")


def test_an_index_out_of_range_lists_the_devices(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(H100, T4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(DeviceError) as caught:
        resolve_device("cuda:2")
    assert "2 CUDA devices" in caught.value.message
    for entry in (H100, T4):
        assert f"cuda:{entry.index} {entry.description}" in caught.value.hint
    assert "hides" not in caught.value.message
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(DeviceError, match="CUDA_VISIBLE_DEVICES=0,1 hides"):
        resolve_device("cuda:2")


def test_a_device_that_this_torch_has_no_code_for(machine) -> None:
    machine(OLD)
    with pytest.raises(DeviceError, match=r"Tesla K80 \(11 GiB\) cannot be used: it has compute capability 3\.7"):
        resolve_device("cuda")


class TestSeveralProcesses:
    @pytest.fixture
    def launched(self, monkeypatch: pytest.MonkeyPatch):
        """Pretend to be a process that torchrun started; None takes a name away."""

        def pretend(number: int, count: int, **changes: str | None) -> None:
            names = {"RANK": number, "WORLD_SIZE": count, "LOCAL_RANK": number, "LOCAL_WORLD_SIZE": count}
            for name in ("CUDA_VISIBLE_DEVICES", "TORCHELASTIC_RUN_ID"):
                monkeypatch.delenv(name, raising=False)
            for name, value in {**names, "TORCHELASTIC_RUN_ID": "none", **changes}.items():
                if value is None:
                    monkeypatch.delenv(name, raising=False)
                else:
                    monkeypatch.setenv(name, str(value))

        return pretend

    @pytest.mark.parametrize("name", ["auto", "cuda"])
    def test_each_takes_the_device_of_its_number(self, machine, launched, name: str) -> None:
        machine(H100, T4)
        for number in range(2):
            launched(number, 2)
            found = resolve_device(name)
            assert found.torch_name == f"cuda:{number}"
            assert found.reason.endswith(f"local process {number + 1} of 2")
            assert found.reason.startswith("auto: " if name == "auto" else "asked for")

    def test_numbers_are_those_on_this_machine(self, machine, launched) -> None:
        machine(H100, T4)
        launched(3, 4, LOCAL_RANK="1", LOCAL_WORLD_SIZE="2")
        assert resolve_device("auto").torch_name == "cuda:1"
        launched(3, 4, LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")  # one process on each of four machines
        assert resolve_device("cuda:1").torch_name == "cuda:1"

    def test_one_that_was_bound_to_this_process_is_its_own(self, machine, launched) -> None:
        machine(H100)
        for changes in (
            {"TORCHELASTIC_RUN_ID": None},
            {"CUDA_VISIBLE_DEVICES": "3"},
        ):  # Slurm; torchrun's virtual ranks
            launched(3, 4, **changes)
            assert resolve_device("auto").torch_name == resolve_device("cuda").torch_name == "cuda:0"

    @pytest.mark.parametrize(("devices", "count"), [((H100, T4), 3), ((H100,), 2)])
    def test_fewer_devices_than_processes_is_an_error_in_all_of_them(self, machine, launched, devices, count) -> None:
        machine(*devices)
        for number in range(count):
            launched(number, count)
            for name in ("auto", "cuda"):
                with pytest.raises(DeviceError, match=f"{count} processes .* {len(devices)} CUDA device") as caught:
                    resolve_device(name)
                assert f"--nproc-per-node {len(devices)}" in caught.value.hint

    def test_devices_that_cannot_be_used_do_not_count(self, machine, launched) -> None:
        machine(OLD, T4)
        launched(0, 2)
        with pytest.raises(DeviceError, match="1 CUDA device"):
            resolve_device("auto")
        machine(OLD, why=("", ""))
        found = resolve_device("auto")
        assert (found.kind, found.reason) == ("cpu", f"auto: cuda:0 cannot be used: {OLD.fault}")

    def test_one_device_for_all_is_refused(self, machine, launched) -> None:
        machine(H100, T4)
        launched(1, 2)
        with pytest.raises(UsageError, match="cuda:1 was asked for, and 2 processes") as caught:
            resolve_device("cuda:1")
        assert "--device cuda" in caught.value.hint

    def test_a_launcher_that_does_not_number_them(self, machine, launched) -> None:
        machine(H100, T4)
        for number in (None, "", "2", "x"):
            launched(1, 2, LOCAL_RANK=number)
            with pytest.raises(UsageError, match="LOCAL_RANK is"):
                resolve_device("auto")

    def test_without_cuda_all_take_the_cpu(self, machine, launched) -> None:
        launched(1, 2)
        machine(why=("no driver", ""))
        assert resolve_device("auto").reason == "auto: no driver"
        machine(mps=True)
        assert resolve_device("auto").kind == "cpu"
        with pytest.raises(DeviceError, match="2 processes cannot share MPS"):
            resolve_device("mps")

    def test_leftover_names_do_not_count(self, machine, launched) -> None:
        machine(H100, T4)
        launched(1, 1)
        assert resolve_device("auto").reason == "auto: the first CUDA device"
        launched(1, 2, RANK=None)
        assert resolve_device("cuda:0").torch_name == "cuda:0"


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((9, 0), ["sm_80", "sm_90"], True),
        ((8, 6), ["sm_80", "sm_90"], True),  # machine code of the same major version
        ((7, 5), ["sm_80", "sm_90"], False),
        ((8, 0), ["sm_86"], False),  # built for a newer minor version
        ((12, 0), ["sm_80", "sm_90"], False),
        ((12, 0), ["sm_90", "compute_90"], True),  # PTX runs on everything newer
        ((8, 0), ["compute_90"], False),
        ((9, 0), ["sm_90a"], True),
        ((10, 3), ["sm_100a"], False),  # code for one architecture alone
        ((10, 3), ["sm_100"], True),
        ((11, 0), ["gfx1100"], True),  # an AMD build
        ((9, 0), [], True),
    ],
)
def test_architectures(capability: tuple[int, int], architectures: list[str], runs: bool) -> None:
    assert (devices._architecture_fault(capability, architectures) == "") is runs


class TestWhyNoCuda:
    def test_a_cpu_build(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.version, "cuda", None)
        monkeypatch.setattr(torch.version, "hip", None)
        assert "built for CPUs only" in devices.why_no_cuda()[0]

    def test_no_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(devices, "driver_present", lambda: False)
        assert devices.why_no_cuda()[0] == "no NVIDIA driver was found"

    @pytest.mark.parametrize("value", ["", "-1", "none"])
    def test_hidden_devices(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(devices, "driver_present", lambda: True)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert devices.why_no_cuda()[0] == f"CUDA_VISIBLE_DEVICES={value!r} hides every GPU"

    def test_what_the_driver_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def init() -> None:
            raise RuntimeError("The NVIDIA driver on your system is too old (found version 12020).\nPlease update.")

        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(torch.cuda, "init", init)
        monkeypatch.setattr(devices, "driver_present", lambda: True)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        why, fix = devices.why_no_cuda()
        assert why.endswith("too old (found version 12020)")
        assert "nvidia-smi" in fix


def test_cuda_that_fails_to_start_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(index: int) -> None:
        raise RuntimeError("CUDA unknown error")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])
    monkeypatch.setattr(torch.cuda, "get_device_properties", broken)
    assert devices.cuda_devices() == []


def test_cuda_devices_as_torch_reports_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        def __init__(self, name: str, major: int, minor: int) -> None:
            self.name, self.major, self.minor, self.total_memory = name, major, minor, 16 * GIB

    cards = [Properties("A", 9, 0), Properties("B", 7, 5), Properties("C", 6, 1)]
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90"])
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    found = devices.cuda_devices()
    assert [(entry.index, entry.name, entry.bf16, bool(entry.fault)) for entry in found] == [
        (0, "A", True, False),
        (1, "B", False, False),
        (2, "C", False, True),
    ]


def test_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DeviceError, match="torch cannot be imported: ModuleNotFoundError"):
        resolve_device("auto")


@pytest.mark.parametrize(
    ("device", "name", "scaled"),
    [(as_device(H100), "bf16", False), (as_device(T4), "fp16", True), (CPU, "fp32", False)],
)
def test_auto_precision(machine, device: Device, name: str, scaled: bool) -> None:
    machine(H100, T4)
    found = resolve_precision("auto", device)
    assert (found.name, found.scaled, found.mixed) == (name, scaled, name != "fp32")
    assert found.reason.startswith("auto: ")


def test_auto_precision_on_mps_is_fp32(machine) -> None:
    machine(mps=True)
    assert resolve_precision("auto", resolve_device("mps")).name == "fp32"


@pytest.mark.parametrize(
    ("name", "device", "why"),
    [
        ("fp16", CPU, "no gradient scaling"),
        ("bf16", as_device(T4), "8.0"),
        ("tf32", as_device(T4), "8.0"),
        ("tf32", CPU, "NVIDIA"),
        ("bf16", Device("mps", 0, "mps", "Apple GPU (MPS)", ""), "macOS 14"),
    ],
)
def test_a_precision_that_is_not_there_is_an_error(machine, name: str, device: Device, why: str) -> None:
    machine(H100, T4, mps=True)
    with pytest.raises(DeviceError, match=why) as caught:
        resolve_precision(name, device)
    assert name in caught.value.message
    assert device.torch_name in caught.value.message
    assert "--precision" in caught.value.hint


def test_every_precision_on_a_device_that_has_it(machine) -> None:
    machine(H100)
    found = {name: resolve_precision(name, as_device(H100)) for name in PRECISIONS if name != "auto"}
    assert {name: getattr(torch, entry.dtype) for name, entry in found.items()} == {
        "fp32": torch.float32,
        "tf32": torch.float32,
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
    }
    assert [entry.scaled for entry in found.values()] == [False, False, False, True]
    assert [entry.mixed for entry in found.values()] == [False, False, True, True]
    with pytest.raises(UsageError, match="unknown precision 'half'"):
        resolve_precision("half", CPU)


def test_autocast_on_the_cpu_is_honoured() -> None:
    layer, x = torch.nn.Linear(8, 8), torch.ones(2, 8)
    with resolve_precision("bf16", CPU).autocast():
        assert layer(x).dtype == torch.bfloat16
    with resolve_precision("fp32", CPU).autocast():
        assert layer(x).dtype == torch.float32
        assert not torch.is_autocast_enabled("cpu")


def test_scaler_passes_through_unless_scaled(machine) -> None:
    machine(T4)
    scaler = resolve_precision("bf16", CPU).grad_scaler()
    assert not scaler.is_enabled()
    assert scaler.scale(torch.tensor(3.0)).item() == 3.0
    assert scaler.state_dict() == {}
    assert resolve_precision("auto", as_device(T4)).scaled


def test_to_device_moves_tensors_and_keeps_the_rest() -> None:
    batch = {"image": torch.ones(2, 3), "name": ["a", "b"], "extra": {"target": torch.zeros(2)}, "index": 4}
    moved = to_device(batch, Device("meta", 0, "meta", "", ""))
    assert moved["image"].device.type == moved["extra"]["target"].device.type == "meta"
    assert moved["name"] is batch["name"]
    assert (moved["index"], set(moved)) == (4, set(batch))
    assert batch["image"].device.type == "cpu"


def test_to_device_waits_unless_the_memory_is_pinned() -> None:
    seen = {}

    class Spy(torch.Tensor):
        pinned = False

        def is_pinned(self) -> bool:
            return self.pinned

        def to(self, name: str, *, non_blocking: bool) -> Spy:
            seen[self.pinned] = (name, non_blocking)
            return self

    for pinned in (False, True):
        spy = torch.ones(1).as_subclass(Spy)
        spy.pinned = pinned
        to_device({"x": spy}, as_device(T4))
    assert seen == {False: ("cuda:1", False), True: ("cuda:1", True)}


def test_prepare_model_orders_the_weights() -> None:
    model = torch.nn.Conv2d(3, 4, 3)
    before = model.weight.detach().clone()
    assert prepare_model(model, CPU) is model
    assert not model.weight.is_contiguous(memory_format=torch.channels_last)
    prepare_model(model, CPU, channels_last=True)
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(model.weight, before)


def test_the_module_is_light() -> None:
    code = "import sys, affectkit.runtime.precision, affectkit.runtime.device; "
    code += "print([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def told_by(monkeypatch: pytest.MonkeyPatch, *, machine: str = "x86_64", **functions: object) -> None:
    """Pretend that torch.cpu has these functions alone, on a processor of that kind."""
    monkeypatch.setattr(devices, "_torch", lambda: SimpleNamespace(cpu=SimpleNamespace(**functions)))
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)


@pytest.mark.parametrize(
    ("told", "has"),
    [
        ({"architecture": "x86_64", "avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": True}, True),
        ({"architecture": "aarch64", "neon": True, "bf16": False}, False),
        ({"architecture": "aarch64", "neon": True, "bf16": True}, True),
        ({"architecture": "s390x"}, None),
    ],
)
def test_instructions_for_bf16_are_those_that_torch_tells_of(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, object], has: bool | None
) -> None:
    told_by(monkeypatch, get_capabilities=lambda: told)
    assert devices.cpu_has_bf16() is has


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("tile", [False, True])
def test_an_earlier_torch_tells_of_x86_alone(monkeypatch: pytest.MonkeyPatch, vector: bool, tile: bool) -> None:
    functions = {"_is_avx512_bf16_supported": lambda: vector, "_is_amx_tile_supported": lambda: tile}
    told_by(monkeypatch, machine="AMD64", **functions)
    assert devices.cpu_has_bf16() is (vector or tile)
    told_by(monkeypatch, machine="aarch64", **functions)
    assert devices.cpu_has_bf16() is None
    told_by(monkeypatch)
    assert devices.cpu_has_bf16() is None

    def fails() -> None:
        raise RuntimeError("cpuinfo did not start")

    told_by(monkeypatch, get_capabilities=fails)
    assert devices.cpu_has_bf16() is None


def test_bf16_without_instructions_for_it_is_told_once_and_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: False)
    heard, context = Heard(), RunContext.resolve("cpu", "bf16")
    context.warn_if_slow(heard)
    context.warn_if_slow(heard)
    (text,) = heard.warnings
    assert text.startswith("--precision bf16: this CPU has no instructions for bf16") and "--precision fp32" in text
    assert resolve_precision("auto", CPU).name == "fp32"
    for told, precision in ((False, "auto"), (False, "fp32"), (True, "bf16"), (None, "bf16")):
        monkeypatch.setattr(devices, "cpu_has_bf16", lambda told=told: told)
        RunContext.resolve("cpu", precision).warn_if_slow(heard)
    assert len(heard.warnings) == 1
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: False)
    assert Precision("bf16", "bfloat16", "cuda", mixed=True, scaled=False, reason="asked for").slowness() == ""


@pytest.mark.usefixtures("no_figures")
def test_commands_say_at_their_start_that_bf16_is_slow_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: False)
    data, run = make_folders(tmp_path / "data", train=12, valid=6, test=6), tmp_path / "run"
    asked = ("--device", "cpu", "--workers", "0", "--precision", "bf16")
    learning = ("--model", TINY, "--no-pretrained", "--image-size", "24", "--epochs", "1", "--batch-size", "6")
    train = invoke("train", "--data", data, "--output", run, *learning, *asked, "--folds", "2")
    test = invoke("test", "--data", data, "--checkpoint", run / "fold-1", *asked)
    infer = invoke("infer", data / "test" / "anger", "--checkpoint", run / "fold-1", *asked)
    for done in (train, test, infer):
        said = " ".join(done.stderr.split())
        assert done.returncode == 0 and said.count("this CPU has no instructions for bf16") == 1, said
