"""Re-create book/_static/vendor: the scripts and the font that the pages need, so that they ask nothing of other sites.

Run by hand, when a version changes: `.venv/bin/python book/_ext/vendor.py`. It needs npm, the network and (for the
font) the book's environment; building the book needs none of them, because the result is committed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

import matplotlib
from fontTools import subset

VENDOR = Path(__file__).resolve().parents[1] / "_static" / "vendor"


@dataclass(frozen=True)
class Package:
    """An npm package, and which of its files we serve: {place below `folder`: regular expression of its paths}."""

    name: str
    version: str
    folder: str
    licence: str
    why: str
    strip: str
    keep: str


PACKAGES = (
    Package(
        "mathjax",
        "3.2.2",
        "mathjax",
        "Apache-2.0",
        "Typesets mathematics. Only TeX in, HTML and CSS out; no menu, no speech.",
        "es5/",
        r"(LICENSE|es5/tex-chtml\.js|es5/output/chtml/fonts/woff-v2/.*\.woff|es5/input/tex/extensions/(?!all-)\w+\.js)",
    ),
    Package(
        "requirejs",
        "2.3.8",
        "requirejs",
        "MIT",
        "Loads html-manager's modules. The licence is at the head of the file.",
        "",
        r"(require\.js)",
    ),
    Package(
        "@jupyter-widgets/html-manager",
        "1.0.15",
        "@jupyter-widgets/html-manager/dist",  # where its scripts look for its fonts, below require.js's base
        "BSD-3-Clause",
        "Shows ipywidgets 8 without a kernel. The parts for ipywidgets 7 are cut out, and it calls MathJax 3. In it: "
        "Font Awesome Free 5 (CC BY 4.0, SIL OFL 1.1, MIT), jQuery (MIT), Lumino (BSD-3-Clause), noUiSlider (MIT) and "
        "others.",
        "dist/",
        r"(dist/embed-amd\.js|dist/\w+\.woff2)",
    ),
)

# The characters that labels of figures use: Latin, Greek, and signs that stand outside mathematics.
FONT_CHARACTERS = "20-7E,A0-FF,391-3C9,2010-2027,2070-2089,2190-2193,2202,2211,2212,221A,221E,2248,2260,2264,2265"


def npm_tarball(package: Package, folder: Path) -> Path:
    """Download a package; npm checks its hash."""
    spec = f"{package.name}@{package.version}"
    result = subprocess.run(["npm", "pack", "--silent", spec], cwd=folder, check=True, capture_output=True, text=True)
    return folder / result.stdout.split()[-1]


def unpack(package: Package, tarball: Path) -> None:
    """Put the files we serve in their folder."""
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            path = member.name.removeprefix("package/")
            if not member.isfile() or not re.fullmatch(package.keep, path):
                continue
            target = VENDOR / package.folder / path.removeprefix(package.strip)
            target.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None
            target.write_bytes(content.read())


def adapt_html_manager(script: Path) -> None:
    """Take out the two modules that show widgets saved by ipywidgets 7 (a fifth of the script), and call MathJax 3.

    Widgets ask for mathematics to be typeset as MathJax 2 wanted it, which is an error beside MathJax 3. They now call
    `typesetWidget`, of book.js.
    """
    text = script.read_text(encoding="utf-8")
    modules = [(m.start(), m[1]) for m in re.finditer(r'(?<=\n)define\("(@jupyter-widgets/[^"]+)"', text)]
    ends = [start for start, _ in modules[1:]] + [len(text)]
    for (start, name), end in reversed(list(zip(modules, ends, strict=True))):
        if name in {"@jupyter-widgets/base7", "@jupyter-widgets/controls7"}:
            text = text[:start] + text[end:]
    text, calls = re.subn(
        r"void 0!==window\.MathJax&&MathJax\.Hub\.Queue\(\[[^\]]*,(\w)\]\)", r"window.typesetWidget?.(\1)", text
    )
    if not calls or "MathJax" in text:
        raise RuntimeError("html-manager calls MathJax in another way than it did: look at what has changed")
    script.write_text(text, encoding="utf-8")


def make_font() -> None:
    """Cut Matplotlib's font down to the labels' characters: a page then draws them in the room they were given."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    folder = VENDOR / "dejavu"
    folder.mkdir()
    unicodes = ",".join(f"U+{part}" for part in FONT_CHARACTERS.split(","))
    target = folder / "DejaVuSans.woff"
    subset.main([str(fonts / "DejaVuSans.ttf"), f"--unicodes={unicodes}", "--flavor=woff", f"--output-file={target}",
                 "--layout-features=kern", "--drop-tables+=FFTM"])  # fmt: skip
    shutil.copy(fonts / "LICENSE_DEJAVU", folder / "LICENSE")


def readme() -> str:
    """Say what is here, in which version, under which licence, and how it got here."""
    rows = [f"| `{p.folder}/` | {p.name} {p.version} (npm) | {p.licence} | {p.why} |" for p in PACKAGES]
    rows.append(
        f"| `dejavu/` | DejaVu Sans, as in Matplotlib {matplotlib.__version__} | Bitstream Vera and Arev licence | "
        "The figures' labels, cut down to the characters that they use. |"
    )
    return (
        "# What the pages load, served from the site itself\n\n"
        "Made by `python book/_ext/vendor.py`, which holds the versions; change them there, not here.\n\n"
        "| folder | package | licence | what for |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def main() -> None:
    """Make the folder anew."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            unpack(package, npm_tarball(package, Path(folder)))
    adapt_html_manager(VENDOR / "@jupyter-widgets/html-manager/dist/embed-amd.js")
    # Both are one project; the npm package forgot its licence, the Python one has it.
    licence = next(file for file in files("ipywidgets") or () if file.name == "LICENSE")
    shutil.copy(licence.locate(), VENDOR / "@jupyter-widgets/html-manager/LICENSE")
    make_font()
    (VENDOR / "README.md").write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    main()
