"""Grading in containers, by Podman: the same scores, as little inside, and nothing left running.

No registry is asked for an image. The test's image is empty but for folders, and this machine's Python is mounted into
it; a configuration for these tests only says so, and which of Podman's parts to use.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bn_grading import container as containers
from bn_grading import places
from bn_grading.container import Container
from bn_grading.execute import Notebook, Submission, inside_folder, run_submission, try_sandbox
from bn_grading.sandbox import Limits, NoSandboxError

from .conftest import ASSIGNMENT, Copies, Course
from .test_grading import copy_of
from .test_sandbox import CELLS, ran, summary

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
        for name in ("proc", "sys", "dev", "tmp", "inside", "scratch", "etc"):
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
    """The grader's containers: whoever runs the tests may have others."""
    return podman("ps", "--all", "--quiet", "--filter", "name=^bn-grade-")


def nothing_runs() -> None:
    wait_until(lambda: not ours())


# The same


def test_a_container_gives_the_same_scores(
    image: Container, course: Course, with_release: Copies, tmp_path: Path
) -> None:
    students = ("ada_perfect", "dan_does_not_run")
    again = copy_of(course, with_release(tmp_path), students)
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
        "import os, socket\nprint(*sorted(os.listdir('/inside')), os.environ.get('A_SECRET'))",
        f"os.path.exists({__file__!r})",
        "socket.create_connection(('127.0.0.1', 9), 1)",
        "socket.getaddrinfo('example.org', 80)",
        "[line.split()[1] for line in open('/proc/self/status') if line[:4] in ('CapE', 'CapB', 'NoNe')]",
        "os.getuid() > 0, os.getpgid(0) > 0, len([p for p in os.listdir('/proc') if p.isdigit()])",
        *(f"open('{folder}/mine', 'w')" for folder in ("", "/usr", "/inside", "/etc", "/run")),
        "open('/proc/1/mem', 'rb')",
        "os.kill(1, 9), os.kill(1, 19)",
        "f = open('/scratch/large', 'wb')\nfor _ in range(200): _ = f.write(bytes(1 << 20))",
        container=image,
    )
    inside = sorted(path.name for path in inside_folder().iterdir())
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


# A cell, and why it is ended. After each that ends the notebook it is begun again, which it may be three times.
TOO_MUCH = {
    "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: pass": "could not be interrupted",
    "import os\nos._exit(1)": "it ended the process that runs the notebook",
    "import time\ntime.sleep(60)": "KeyboardInterrupt",
    "held = [bytearray(100 << 20) for _ in range(20)]": "MemoryError",
    # What of its processes is left holds what it has, and what of the others is left runs the cells after it.
    "import os\nfor _ in range(8):\n    if os.fork() == 0:\n        held = bytearray(100 << 20)\n"
    "        held[::4096] = bytes(len(held[::4096]))\n        import time; time.sleep(60)\n"
    "import time; time.sleep(60)": "",
    "import os\nfor each in range(9): os.write(1, b'x' * (1 << 20))": "the rest of this output was cut",
    "import os\nwhile True: os.fork()": "BlockingIOError",
}


def test_a_cell_that_takes_too_much_costs_only_itself(
    image: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    limits = Limits(memory=512 << 20, processes=32, cell_seconds=3)
    _, *said, after = ran("before = 1", *TOO_MUCH, "before + 1", limits=limits, container=image)
    for source, why, says in zip(TOO_MUCH, TOO_MUCH.values(), said, strict=True):
        assert why in says, source
    assert after == "2"
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
