"""Processors that are free to this process: affinity, control groups, Python's own setting."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from affectkit.core import process
from affectkit.core.cpu_quota import cpu_quota


def tree(folder, groups, files):
    (folder / "cgroup").write_text(groups)
    for name, text in files.items():
        (folder / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "sys" / name).write_text(text)
    return cpu_quota(folder / "cgroup", folder / "sys")


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000", "cpu.max": "400000 100000"}, 2),
        ("0::/docker/there/is/none\n", {"cpu.max": "300000 100000"}, 3),
        ("4:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "50000\n", "cpu/x/cpu.cfs_period_us": "100000"}, 0.5),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("3:cpuset:/\n1:cpuacct:/\n", {"cpuset/cpu.max": "1 100"}, None),
        ("nonsense\n0::/../..\n", {"cpu.max": "7 0"}, None),
        ("", {}, None),
    ],
)  # fmt: skip
def test_quota(tmp_path, groups, files, expected):
    assert tree(tmp_path, groups, files) == expected


def test_no_control_groups(tmp_path):
    assert cpu_quota(tmp_path / "none", tmp_path) is None


@pytest.mark.parametrize(("quota", "count"), [(None, 6), (2.9, 2), (0.3, 1), (64.0, 6)])
def test_processors_are_no_more_than_the_quota(monkeypatch, quota, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 6, raising=False)
    monkeypatch.setattr(process, "cpu_quota", lambda: quota)
    assert process.count_processors() == count


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"), ({"GOMP_SPINCOUNT": "9"}, ""),
        ({"KMP_BLOCKTIME": "1"}, ""),
    ],
)  # fmt: skip
def test_threads_of_torch_sleep_where_they_wait_unless_a_user_says_otherwise(own, expected):
    code = "import os; from affectkit.core.openmp import wait_asleep; wait_asleep(); "
    code += "print(os.environ.get('OMP_WAIT_POLICY', ''))"
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    environment = {name: value for name, value in os.environ.items() if name not in names} | own
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.stdout.strip(), done.returncode) == (expected, 0), done.stderr


def test_the_command_line_sets_it_before_torch_is_loaded():
    code = "import sys; sys.argv = ['affectkit', '--version']\nfrom affectkit.__main__ import main\ntry: main()\n"
    code += "except SystemExit: pass\nimport os; print(os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules)"
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout.splitlines()[-1] == "PASSIVE False", done.stderr
