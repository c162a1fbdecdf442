"""Control groups: where one may be made, what it limits, and that none is left."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bn_grading import cgroup

MOUNTED = "41 31 0:38 {root} {point} rw,relatime - {kind} cgroup rw,{options}\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """A machine whose kernel says this of its groups, and whose groups are ordinary folders."""
    usual = Path.read_text
    said: dict[str, str] = {}

    def read(path: Path, *arguments: str, **options: str) -> str:
        return said[str(path)] if str(path) in said else usual(path, *arguments, **options)

    def make(mounts: str, own: str) -> Path:
        (point := tmp_path / "groups").mkdir()
        said["/proc/self/mountinfo"] = mounts.replace("{point}", str(point))
        said["/proc/self/cgroup"] = own
        return point

    monkeypatch.setattr(Path, "read_text", read)
    return make


def test_version_2_takes_the_nearest_group_that_shares_memory_out(machine: Callable[[str, str], Path]) -> None:
    mounts = MOUNTED.format(root="/", point="{point}", kind="cgroup2", options="x")
    point = machine(mounts, "0::/user.slice/session-1.scope\n")
    own = point / "user.slice" / "session-1.scope"
    own.mkdir(parents=True)
    for folder, shares in ((own, ""), (own.parent, "cpu memory pids"), (point, "memory")):
        (folder / "cgroup.subtree_control").write_text(shares)
    assert list(cgroup._version_2()) == [own.parent, point]
    assert cgroup._version_1("memory") is None


def test_version_1_takes_the_groups_of_this_process(machine: Callable[[str, str], Path]) -> None:
    mounts = MOUNTED.format(root="/", point="{point}", kind="cgroup", options="cpu")
    mounts += MOUNTED.format(root="/docker/1", point="{point}/memory", kind="cgroup", options="memory")
    point = machine(mounts, "4:memory:/docker/1/mine\n1:cpu:/\n0::/\n")
    assert cgroup._version_1("memory") == point / "memory" / "mine"
    assert cgroup._version_1("pids") is None
    assert list(cgroup._version_2()) == []


def test_what_the_kernel_counts_is_ended_and_nothing_is_left() -> None:
    group = cgroup.make(64 << 20, 16)
    if group is None:
        # Then the grader looks itself; tests of the sandbox try both.
        assert cgroup.kind() in ("", "systemd")
        return
    try:
        command = group.command([sys.executable, "-c", "bytearray(512 << 20)"])
        assert group.kills() == 0
        assert subprocess.run(command, check=False).returncode == -9
        assert group.kills() == 1
        forks = "import os\nfor _ in range(64):\n    if os.fork() == 0: os.read(0, 1)"
        done = subprocess.run(
            group.command([sys.executable, "-c", forks]), stdin=subprocess.PIPE, capture_output=True, check=False
        )
        assert (b"BlockingIOError" in done.stderr) == (
            len(group.folders) > 1 or (group.folders[0] / "pids.max").exists()
        )
        sleeps = subprocess.Popen(group.command(["sleep", "1000"]))
        while str(sleeps.pid) not in (group.folders[0] / "cgroup.procs").read_text().split():
            assert sleeps.poll() is None
    finally:
        group.close()
    assert sleeps.wait() == -9
    assert not any(folder.exists() for folder in group.folders)


def test_groups_of_a_grader_that_was_killed_are_removed() -> None:
    group = cgroup.make(64 << 20, 16)
    if group is None:
        assert cgroup.kind() in ("", "systemd")
        return
    left = "from bn_grading import cgroup\nimport os\nprint(*cgroup.make(2**26, 16).folders)\nos.kill(os.getpid(), 9)"
    made = subprocess.run(
        [sys.executable, "-u", "-c", left], capture_output=True, text=True, check=False
    ).stdout.split()
    assert made
    assert all(os.path.exists(each) for each in made)
    other = cgroup.make(64 << 20, 16)
    assert other is not None
    assert not any(os.path.exists(each) for each in made)
    assert all(folder.exists() for folder in group.folders)
    group.close(), other.close()


def test_systemd_makes_one_where_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as can be seen without one: the command that is tried, and the one that is used."""
    (program := tmp_path / "systemd-run").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    cgroup._systemd_run.cache_clear()
    try:
        assert cgroup.through_systemd(1 << 30, 60)[-8:] == [
            "--collect",
            *("-p", "MemoryMax=1073741824", "-p", "MemorySwapMax=0", "-p", "TasksMax=64"),
            "--",
        ]
        assert (
            (tmp_path / "said")
            .read_text()
            .endswith("--scope --quiet --collect -p MemoryMax=1G -p TasksMax=64 -- true\n")
        )
        program.write_text("#!/bin/sh\nexit 1\n")
        cgroup._systemd_run.cache_clear()
        assert cgroup.through_systemd(1 << 30, 60) == []
    finally:
        cgroup._systemd_run.cache_clear()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("cgroup v2", "the kernel counts it all, in a control group (version 2)"),
        ("cgroup v1", "the kernel counts it all, in a control group (version 1)"),
        ("systemd", "the kernel counts it all, in a control group (made by systemd)"),
        ("", "the grader looks at processes, sockets, files"),
    ],
)
def test_it_says_which_protection_there_is(kind: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "kind", lambda: kind)
    assert cgroup.protection().startswith(says)
