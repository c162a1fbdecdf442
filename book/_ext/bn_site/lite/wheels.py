"""The wheels that the site serves: this tree's, and pure Python packages out of this environment.

`bn_lib`, `bn_exercises` and `bn_book` are built by their own build backend from a copy of the tree. What only chapters
need, `bn_book`, is a wheel of its own, so that an exercise does not fetch it. The kernel's wheels come with
JupyterLite. The others are packed again from what is installed here: their versions are the pinned and tested ones, and
building the book needs no network. Every wheel made here is the same, byte for byte, from the same files.
"""

from __future__ import annotations

import ast
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from bn_site.lite.lock import ROOT, Entry, digest, entry_of, normalized

KERNEL_EXTENSION = "share/jupyter/labextensions/@jupyterlite/pyodide-kernel-extension"
FROM_THE_KERNEL = ("piplite", "pyodide_kernel", "ipykernel")
# Pyodide does not bring these, and what the notebooks show needs them; Pygments it brings with 500 languages.
PACKED = ("ipywidgets", "anywidget", "psygnal", "comm", "pygments")
# What the build backend reads.
TREE = ("pyproject.toml", "README.md", "LICENSE", "bn_lib", "exercises/bn_exercises", "book/bn_book")

# What a wheel or its installer says about itself; the new wheel says its own.
WRITTEN_ANEW = {"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json"}
EPOCH = (2020, 1, 1, 0, 0, 0)  # every file's date, so that a wheel depends on nothing but its files


def make(folder: Path) -> list[Entry]:
    """Write all wheels into `folder`; return their entries for the lock file."""
    folder.mkdir(parents=True, exist_ok=True)
    kernel = Path(sys.prefix) / KERNEL_EXTENSION / "static" / "pypi"
    own(folder)
    for name in FROM_THE_KERNEL:
        (wheel,) = kernel.glob(f"{name}-*.whl")
        shutil.copyfile(wheel, folder / wheel.name)
        if name == "pyodide_kernel":
            without_jedi(folder / wheel.name)
    for name in PACKED:
        wheel = packed(name, folder)
        if name == "pygments":
            python_alone(wheel)
    for wheel in folder.glob("*.whl"):
        wheel.rename(folder / with_hash(wheel))
    return entries(folder)


def with_hash(wheel: Path) -> str:
    """A wheel's name with the beginning of its hash as its build tag, so that another content has another address."""
    name, version, *tags = wheel.name.split("-")
    return "-".join([name, version, f"0{digest(wheel)[:8]}", *tags])


def without_jedi(wheel: Path) -> None:
    """Have the kernel complete names as IPython does without Jedi, which is not fetched (see `settle_kernel`)."""
    asked = b"self.Completer.use_jedi = True"
    files = _files(wheel)
    changed = {name: content.replace(asked, b"self.Completer.use_jedi = False") for name, content in files.items()}
    if changed == files:
        raise RuntimeError("the kernel asks for Jedi in another way than the one known here")
    _wheel(wheel, _dist_info(changed), changed)


def python_alone(wheel: Path) -> None:
    """Leave Pygments the languages that IPython colours, Python and none: the others are 1 MB of its 1.2."""
    lexers, kept = "pygments/lexers/", {"__init__", "_mapping", "python", "special"}
    files = {
        name: content
        for name, content in _files(wheel).items()
        if not name.startswith(lexers) or name.removeprefix(lexers).removesuffix(".py") in kept
    }
    mapping = f"{lexers}_mapping.py"
    head, found, table = files[mapping].decode().partition("LEXERS = ")
    if not found:
        raise RuntimeError("Pygments lists its languages in another way than the one known here")
    there = {name: entry for name, entry in ast.literal_eval(table).items() if entry[0].rpartition(".")[2] in kept}
    files[mapping] = f"{head}LEXERS = {there!r}\n".encode()
    _wheel(wheel, _dist_info(files), files)


def entries(folder: Path) -> list[Entry]:
    """The lock file's entries for the wheels in a folder."""
    return [entry_of(wheel, top_level(wheel)) for wheel in sorted(folder.glob("*.whl"))]


def own(folder: Path) -> tuple[Path, Path]:
    """Build this tree's two wheels: `bn_lib` and `bn_exercises`, and `bn_book`."""
    with tempfile.TemporaryDirectory() as temporary:
        tree, built = Path(temporary) / "tree", Path(temporary) / "built"
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in TREE:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tree / name, ignore=ignore)
            else:
                shutil.copyfile(ROOT / name, tree / name)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        done = subprocess.run(
            [*command, "--disable-pip-version-check", "--wheel-dir", str(built), str(tree)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the wheel of this tree could not be built:\n{done.stderr}")
        (wheel,) = built.glob("*.whl")
        files = {name: content for name, content in _files(wheel).items() if not name.endswith("/RECORD")}
    version = wheel.name.split("-")[1]
    of_library, of_book = (f"{name}-{version}.dist-info" for name in ("bn_lib", "bn_book"))
    library = {name: content for name, content in files.items() if "bn_book/" not in name}
    book = {name: content for name, content in files.items() if name.startswith("bn_book/")}
    book[f"{of_book}/METADATA"] = f"Metadata-Version: 2.1\nName: bn-book\nVersion: {version}\n".encode()
    return (
        _wheel(folder / wheel.name, of_library, library),
        _wheel(folder / wheel.name.replace("bn_lib", "bn_book"), of_book, book),
    )


def packed(name: str, folder: Path) -> Path:
    """Pack an installed package as a wheel of pure Python.

    Where a package brings compiled modules, it brings their sources too, and those are what a browser can run.
    """
    distribution = importlib.metadata.distribution(name)
    site = Path(str(distribution.locate_file("")))
    files = {}
    for file in distribution.files or ():
        path = site / file
        # A script or a front end lies outside the packages' folder; the browser has no use for it.
        outside = ".." in file.parts or "__pycache__" in file.parts or not path.is_file()
        if not outside and path.suffix not in {".so", ".pyd"} and file.name not in WRITTEN_ANEW:
            files[file.as_posix()] = path.read_bytes()
    stem = f"{normalized(name).replace('-', '_')}-{distribution.version}"
    return _wheel(folder / f"{stem}-py3-none-any.whl", _dist_info(files), files)


def top_level(wheel: Path) -> list[str]:
    """The names that one imports from a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.split("/")[0] for name in archive.namelist()}
    return sorted(name.removesuffix(".py") for name in names if not name.endswith((".dist-info", ".data")))


def _files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _dist_info(files: Iterable[str]) -> str:
    return next(name.partition("/")[0] for name in files if name.endswith(".dist-info/METADATA"))


def _wheel(path: Path, dist_info: str, files: dict[str, bytes]) -> Path:
    """Write a wheel of pure Python, with what a wheel says about itself in the folder `dist_info`."""
    files = files | {f"{dist_info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files[f"{dist_info}/RECORD"] = "".join(f"{file},,\n" for file in sorted(files)).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name])
    return path
