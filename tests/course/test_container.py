"""Grading in containers, by Podman: the same scores, as little inside, and nothing left running.

No registry is asked for an image. The test's image is empty but for folders, and this machine's Python is mounted into
it; a configuration for these tests only says so, and which of Podman's parts to use.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from nbformat.v4 import new_notebook
from traitlets.config import Config

from bn_grading import container as containers
from bn_grading import places
from bn_grading.container import Container
from bn_grading.execute import Notebook, Submission, kit_folder, run_submission, try_sandbox
from bn_grading.sandbox import Limits, NoSandboxError

from .conftest import ASSIGNMENT, Course, make_course
from .test_grading import cell_of, copy_of
from .test_sandbox import CELLS, in_a_kernel, ran, summary

pytestmark = [
    pytest.mark.needs("podman", package="podman (Debian)"),
    pytest.mark.needs("runc", package="runc (Debian)"),
]
IMAGE = "localhost/bn-tests"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    folder = tmp_path_factory.mktemp("podman")
    readable = places.readable()
    mounted = [f"{path}:{path}:ro" for path in readable if not Path(path).is_symlink()]
    settings = folder / "containers.conf"
    settings.write_text(
        f"[containers]\nvolumes = {json.dumps(mounted)}\n"
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("proc", "sys", "dev", "tmp", "kit", "scratch", "etc"):
            (made := tarfile.TarInfo(name)).type = tarfile.DIRTYPE
            made.mode = 0o1777 if name in ("tmp", "scratch") else 0o755
            tar.addfile(made)
        for path in readable:
            if Path(path).is_symlink():
                (made := tarfile.TarInfo(path.lstrip("/"))).type = tarfile.SYMTYPE
                made.linkname = str(Path(path).readlink())
                tar.addfile(made)
    (folder / "image.tar").write_bytes(packed.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(settings))
        path = f"ENV PATH={Path(sys.executable).parent}:/usr/bin:/bin"
        podman("import", "--change", path, str(folder / "image.tar"), IMAGE)
        yield containers.of(IMAGE, "podman")
        podman("rmi", "--force", IMAGE)


def podman(*arguments: str) -> str:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=True).stdout


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "this never came true"
        time.sleep(0.2)


def ours() -> str:
    """The grader's containers, and the provisioner's: whoever runs the tests may have others."""
    return podman("ps", "--all", "--quiet", "--filter", "name=^bn-(grade|kernel)-")


def nothing_runs() -> None:
    wait_until(lambda: not ours())


# The same


def test_a_container_gives_the_same_scores(image: Container, course: Course, tmp_path: Path) -> None:
    again = copy_of(course, tmp_path)
    students = ("ada_perfect", "ben_half_right", "dan_does_not_run")
    for folder in (again.root / "submitted").iterdir():
        if folder.name not in students:
            shutil.rmtree(folder)
    again.grade(ASSIGNMENT, "--jobs", "2", "--container", image.image)
    assert again.rows() == {key: row for key, row in course.graded.items() if key[1] in students}
    nothing_runs()


def test_what_is_put_out_is_the_same(image: Container) -> None:
    cells = [{"index": index, "source": source} for index, source in enumerate(CELLS)]
    # Two, one after the other: the last words of the first must not be lost.
    notebooks = [Notebook(name, cells) for name in "12"]
    inside = run_submission(Submission("ada", notebooks, container=image))
    outside = run_submission(Submission("ada", notebooks))
    for mine, other in zip(inside, outside, strict=True):
        assert mine.counts == other.counts
        for index, source in enumerate(CELLS):
            assert summary(mine.outputs[index]) == summary(other.outputs[index]), source


# What is there


def test_a_container_holds_no_more_than_the_sandbox(image: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "of the grader")
    said = ran(
        "import os, socket\nprint(*sorted(os.listdir('/kit')), os.environ.get('A_SECRET'))",
        f"os.path.exists({__file__!r})",
        "socket.create_connection(('127.0.0.1', 9), 1)",
        "socket.getaddrinfo('example.org', 80)",
        "[line.split()[1] for line in open('/proc/self/status') if line[:4] in ('CapE', 'CapB', 'NoNe')]",
        "os.getuid() > 0, os.getpgid(0) > 0, len([p for p in os.listdir('/proc') if p.isdigit()])",
        *(f"open('{folder}/mine', 'w')" for folder in ("", "/usr", "/kit", "/etc", "/run")),
        "open('/proc/1/mem', 'rb')",
        "os.kill(1, 9), os.kill(1, 19)",
        "f = open('/scratch/large', 'wb')\nfor _ in range(200): _ = f.write(bytes(1 << 20))",
        container=image,
    )
    inside = sorted(path.name for path in kit_folder().iterdir())
    assert said[0].split() == [*inside, "None"]
    assert said[1] == "False"
    assert "Connection refused" in said[2]
    assert "gaierror" in said[3]
    assert said[4] == "['0000000000000000', '0000000000000000', '1']"
    assert said[5] == "(True, True, 2)"
    for each in said[6:11]:
        assert each.startswith(("OSError: [Errno 30]", "FileNotFoundError", "PermissionError")), each
    assert said[11].startswith("PermissionError")
    assert said[12] == "(None, None)"
    assert said[13].startswith("OSError: [Errno 27]")


# What it takes to be ended


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            "import time\nwhile True:\n    try:\n        time.sleep(9)\n    except BaseException: pass",
            "could not be interrupted",
        ),
        ("import os\nos._exit(1)", "it ended the process that runs the notebook"),
        ("held = [bytearray(100 << 20) for _ in range(20)]", "MemoryError"),
        (
            "import os\nfor _ in range(8):\n    if os.fork() == 0:\n        held = bytearray(100 << 20)\n"
            "        held[::4096] = bytes(len(held[::4096]))\n        import time; time.sleep(60)\n"
            "import time; time.sleep(60)",
            "",
        ),
        ("import os\nwhile True: os.fork()", "BlockingIOError"),
        ("import os\nfor each in range(9): os.write(1, b'x' * (1 << 20))", "the rest of this output was cut"),
    ],
    ids=["endless", "exit", "memory", "memory of many", "forks", "output"],
)
def test_a_cell_that_takes_too_much_costs_only_itself(
    image: Container, source: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    limits = Limits(memory=512 << 20, processes=32, cell_seconds=3)
    said = ran("before = 1", source, "before + 1", limits=limits, container=image)
    assert why in said[1]
    assert said[2] == "2"
    assert not list(tmp_path.iterdir())
    nothing_runs()


def test_a_grader_that_is_killed_leaves_no_container(image: Container) -> None:
    source = f"""
from bn_grading.container import Container
from bn_grading.execute import Notebook, Submission, run_submission
cells = [{{"index": 0, "source": "import time; time.sleep(25)"}}]
run_submission(Submission("ada", [Notebook("1", cells)], container=Container({image.image!r}, "podman")))
"""
    grader = subprocess.Popen([sys.executable, "-c", source])
    wait_until(ours)
    grader.kill()
    grader.wait()
    nothing_runs()


# Kernels


@pytest.fixture
def in_containers(image: Container) -> Config:
    """A configuration for whatever starts kernels."""
    return Config(SandboxProvisioner={"container": image.image, "engine": image.engine})


def test_a_kernel_in_a_container_puts_out_the_same(in_containers: Config) -> None:
    inside, outside = in_a_kernel(*CELLS, config=in_containers), in_a_kernel(*CELLS)
    for mine, other in zip(inside.cells, outside.cells, strict=True):
        assert mine.execution_count == other.execution_count
        assert summary(mine.outputs) == summary(other.outputs), mine.source
    nothing_runs()


def test_a_kernel_in_a_container_sees_no_more_than_a_submission(
    in_containers: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "of the grader")
    notebook = in_a_kernel(
        f"import os\nos.environ.get('A_SECRET'), os.path.exists({__file__!r}), os.getuid() > 0",
        "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)",
        "[line.split()[1] for line in open('/proc/self/status') if line[:4] in ('CapE', 'CapB', 'NoNe')]",
        config=in_containers,
    )
    said = [cell.outputs[0] for cell in notebook.cells]
    assert said[0]["data"]["text/plain"] == "(None, False, True)"
    assert "refused" in said[1]["evalue"]
    assert said[2]["data"]["text/plain"] == "['0000000000000000', '0000000000000000', '1']"


def test_a_kernel_in_a_container_is_interrupted(in_containers: Config) -> None:
    notebook = in_a_kernel(
        "import time\nprint('x' * 3_000_000)\ntime.sleep(60)",
        "1 + 1",
        config=in_containers,
        timeout=8,
        interrupt_on_timeout=True,
    )
    first, second = (cell.outputs for cell in notebook.cells)
    assert sum(len(each["text"]) for each in first if each.output_type == "stream") == 3_000_001
    assert first[-1]["ename"] == "KeyboardInterrupt"
    assert second[0]["data"]["text/plain"] == "2"
    nothing_runs()


def test_a_kernel_in_a_container_ends_with_its_manager(in_containers: Config) -> None:
    factory = KernelProvisionerFactory.instance(default_provisioner_name="bn-sandbox")
    try:
        manager = KernelManager(kernel_name="python3", config=in_containers)
        manager.start_kernel()
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute("import os; os.fork(); print('here')")
        wait_until(lambda: client.get_iopub_msg(timeout=20)["msg_type"] == "stream")
        assert len(ours().split()) == 1
        # As the system does with a process that takes too much memory: nothing of ours can follow.
        os.kill(manager.provisioner.pid, signal.SIGKILL)
        nothing_runs()
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    finally:
        factory.clear_instance()


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_nbgraders_own_commands_run_their_kernels_there(image: Container, tmp_path: Path) -> None:
    course = make_course(tmp_path)
    source = course.root / "source" / "plain"
    source.mkdir()
    cells = [
        cell_of("code", "solve", "# YOUR CODE HERE", solution=True),
        cell_of("code", "test", "assert hidden and host == 'sandbox'", points=2, locked=True),
    ]
    nbformat.write(new_notebook(cells=cells), source / "where.ipynb")
    course.nbgrader("generate_assignment", "plain")
    shutil.copytree(course.root / "release" / "plain", folder := course.root / "submitted" / "ada" / "plain")
    notebook = nbformat.read(folder / "where.ipynb", 4)
    notebook.cells[0].source = (
        f"import os, socket\nhidden, host = not os.path.exists({str(course.root)!r}), socket.gethostname()\n"
        "print(os.path.exists('/run/.containerenv'))"
    )
    nbformat.write(notebook, folder / "where.ipynb")
    said = {}
    for options in ((), (f"--SandboxProvisioner.container={image.image}",)):
        command = ("autograde", "plain", "--force", *options)
        done = course.run("nbgrader", *command, JUPYTER_DEFAULT_PROVISIONER_NAME="bn-sandbox")
        assert done.returncode == 0, done.stdout
        assert course.rows()[("plain", "ada", "where", "test")][0] == 2
        graded = nbformat.read(course.root / "autograded" / "ada" / "plain" / "where.ipynb", 4)
        said[options] = graded.cells[0].outputs[0].text
    # Podman leaves a mark in its containers.
    assert list(said.values()) == ["False\n", "True\n"]
    nothing_runs()


def test_a_kernel_without_its_image_says_so(in_containers: Config) -> None:
    in_containers.SandboxProvisioner.container = "localhost/no-such-image"
    with pytest.raises(NoSandboxError, match="podman has no image 'localhost/no-such-image'"):
        in_a_kernel("1", config=in_containers)


# What it takes to be refused


@pytest.mark.parametrize(
    ("name", "engine", "says"),
    [
        ("localhost/no-such-image", "podman", "podman has no image 'localhost/no-such-image'"),
        (IMAGE, "no-such-engine", "there is no no-such-engine here"),
    ],
)
def test_what_is_missing_is_named(image: Container, name: str, engine: str, says: str) -> None:
    with pytest.raises(NoSandboxError, match=says):
        containers.of(name, engine)


def test_an_image_without_python_is_refused(image: Container, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (nothing := tmp_path / "containers.conf").write_text(
        Path(os.environ["CONTAINERS_CONF"]).read_text().replace("/usr:/usr:ro", "/usr/share:/usr:ro")
    )
    monkeypatch.setenv("CONTAINERS_CONF", str(nothing))
    with pytest.raises(NoSandboxError, match="it did not start"):
        try_sandbox.__wrapped__(image)


def test_one_way_has_to_be_chosen(course: Course) -> None:
    said = course.grade(ASSIGNMENT, "--container", IMAGE, "--unsafe-no-sandbox", code=1)
    assert "expected --container or --unsafe-no-sandbox, and not both" in said
