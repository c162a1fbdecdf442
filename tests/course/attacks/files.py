"""Attacks with what lies in the submission's folder: links, pipes, folders, names, sizes, the time of handing in."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from ..conftest import BASIC
from .attack import ALL, CANARY, Attack, Edit, Theme, both, code, own

_HIDES = ("GOT ", CANARY)
_SHOW = (
    "import os\nfor above, _, names in os.walk('/scratch'):\n    for name in names:\n"
    "        try:\n            print(ascii(name), open(os.path.join(above, name), 'rb').read(100))\n"
    "        except OSError: pass"
)


def beside(function: Callable[[Path], object]) -> Edit:
    """All answers, a cell that shows what lies beside the notebook, and what the function does to the folder."""

    def edit(path: Path) -> None:
        code(_SHOW)(path)
        function(path.parent)

    return edit


def instead(function: Callable[[Path], object]) -> Edit:
    """The notebook is gone; the function puts something in its place."""

    def edit(path: Path) -> None:
        path.unlink()
        function(path)

    return edit


def _bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(50_000_000))


def _sparse(folder: Path) -> None:
    with (folder / "sparse.bin").open("wb") as file:
        file.truncate(10**11)


def _folder_of_notebooks(folder: Path) -> None:
    (folder / "2-backpropagation.ipynb").mkdir()
    (folder / "2-backpropagation.ipynb" / "x.txt").write_text("x")


def _in_place_of_the_instructors(folder: Path) -> None:
    (folder / "data.csv").mkdir()
    (folder / "data.csv" / "x").write_text("1")


def _below_a_file_of_the_instructors(folder: Path) -> None:
    (folder / "data").write_text("1")


def _names(folder: Path) -> None:
    for name in ("<img src=x onerror=evil()>.txt", "\x1b[2J\n.txt", "a b'\".txt", "\x1b[2J.ipynb"):
        (folder / name).write_text("x")
    for name in (b"\xff\xfe.txt", b"\xff\xfe.ipynb"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text("x")


def _python(folder: Path) -> None:
    for name in ("numpy.py", "json.py", "sitecustomize.py", "usercustomize.py", "shell.py", "bn_exercises.py"):
        (folder / name).write_text("print('GO' 'T it'); raise SystemExit")
    startup = folder / ".ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("print('GO' 'T it')")


def _path_that_fits_only_here(folder: Path) -> None:
    """As long as a path may be; what is written elsewhere of it would be longer."""
    path = folder
    while len(str(path)) < 4094 - 202:
        path = path / ("d" * 200)
    path.mkdir(parents=True)
    (path / ("x" * (4093 - len(str(path))))).touch()


def _linked_to_ada(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.symlink_to("../ada_honest/batch-norm")


def _whole_student_linked_to_ada(path: Path) -> None:
    shutil.rmtree(path.parents[1])
    path.parents[1].symlink_to("ada_honest")


def _stamp(text: bytes) -> Edit:
    return beside(lambda folder: (folder / "timestamp.txt").write_bytes(text))


def _stamp_instead(function: Callable[[Path], object]) -> Edit:
    def edit(folder: Path) -> None:
        (folder / "timestamp.txt").unlink()
        function(folder / "timestamp.txt")

    return beside(edit)


FILES = Theme(
    "files",
    (
        Attack(
            "file_link_notebook",
            instead(lambda path: path.symlink_to("@COURSE@/submitted/ada_honest/batch-norm/1-basic-calculation.ipynb")),
            0,
            failed=True,
            problems=("it is a link",),
        ),
        Attack(
            "file_link_gradebook",
            instead(lambda path: path.symlink_to("@COURSE@/gradebook.db")),
            0,
            failed=True,
            problems=("it is a link",),
        ),
        Attack(
            "file_link_beside",
            beside(
                lambda folder: [
                    (folder / "gradebook.txt").symlink_to("@COURSE@/gradebook.db"),
                    (folder / "secret.txt").symlink_to("@HOME@/secret.txt"),
                    (folder / "home").symlink_to("@HOME@"),
                    (folder / "up").symlink_to("../.."),
                ]
            ),
            ALL,
            problems=("gradebook.txt: it is a link", "home: it is a link", "secret.txt: it is a link"),
            hides=_HIDES,
        ),
        Attack("file_link_all", _linked_to_ada, 0, failed=True, problems=("/batch-norm is a link",)),
        Attack("file_link_student", _whole_student_linked_to_ada, 0, failed=True, problems=("_student is a link",)),
        Attack("file_path", beside(_path_that_fits_only_here), ALL, problems=("its path is longer",)),
        Attack("file_fifo", instead(os.mkfifo), 0, failed=True, problems=("no ordinary file",)),
        Attack(
            "file_fifo_beside",
            beside(lambda folder: os.mkfifo(folder / "pipe.txt")),
            ALL,
            problems=("pipe.txt: it is no ordinary file",),
        ),
        Attack("file_folder", instead(lambda path: path.mkdir()), 0, failed=True),
        Attack("file_folder_beside", beside(_folder_of_notebooks), ALL, problems=("2-backpropagation.ipynb",)),
        Attack("file_bomb", beside(_bomb), ALL),
        Attack("file_sparse", beside(_sparse), ALL, problems=("sparse.bin: it has",)),
        Attack("page_file_names", beside(_names), ALL, problems=(".ipynb: there is no such notebook",)),
        Attack("file_python", beside(_python), ALL),
        Attack("file_instructors", beside(_in_place_of_the_instructors), ALL, says=("b'1,2,3",)),
        Attack("file_instructors_above", beside(_below_a_file_of_the_instructors), ALL),
        Attack("file_deep", beside(lambda folder: folder.joinpath(*["d" * 100] * 20).mkdir(parents=True)), ALL),
        Attack(
            "file_many",
            beside(lambda folder: [(folder / f"{n}.txt").touch() for n in range(3000)]),
            ALL,
            # The time of handing in is one of those that are kept.
            problems=("1898.txt: there are 1,000 other files already", "and 1,901 more"),
        ),
        Attack(
            "file_other_notebook",
            beside(lambda folder: (folder / "9-extra.ipynb").write_text("{}")),
            ALL,
            problems=("there is no such notebook",),
        ),
        Attack("stamp_no_date", _stamp(b"yesterday"), ALL, problems=("timestamp.txt: it ",)),
        Attack("stamp_no_text", _stamp(b"\xff\xfe\x00"), ALL, problems=("timestamp.txt: it ",)),
        Attack("stamp_digits", _stamp(b"9" * 400), ALL, problems=("timestamp.txt: it ",)),
        Attack("stamp_year", _stamp(b"99999-01-01 00:00:00 UTC"), ALL, problems=("timestamp.txt: it ",)),
        Attack("stamp_empty", _stamp(b""), ALL, problems=("timestamp.txt: it ",)),
        Attack(
            "stamp_link",
            _stamp_instead(lambda path: path.symlink_to("@HOME@/secret.txt")),
            ALL,
            problems=("timestamp.txt: it ",),
            hides=_HIDES,
        ),
        Attack("stamp_fifo", _stamp_instead(os.mkfifo), ALL, problems=("timestamp.txt: it ",)),
        Attack("stamp_folder", _stamp_instead(lambda path: path.mkdir()), ALL, problems=("timestamp.txt: it ",)),
    ),
)

_ = (BASIC, both, own)
