"""Re-create book/_static/vendor, and the explorables' Preact: what pages load, so that they ask nothing of other sites.

Run by hand, when a version changes: `.venv/bin/python book/tools/vendor.py`. It needs npm, the network and (for the
fonts) the book's environment with PyPI's `brotli`; building the book needs none of them: the result is committed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer
from sphinxcontrib.katex import katex_version

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
        "katex",
        katex_version,  # the stylesheet belongs to the program that typesets: mathematics.py
        "katex",
        "MIT",
        "Looks of the mathematics, which is typeset at build: a stylesheet, and fonts loaded as they are used.",
        "dist/",
        r"(LICENSE|dist/katex\.min\.css|dist/fonts/.*\.woff)",
    ),
)

# What the explorables are written with. It is part of bn_lib, because a notebook's widgets need it too.
PREACT = {"preact": "11.2.0", "htm": "3.1.1", "preact-render-to-string": "6.8.2"}
# Reads what a reader types on the page of exercise 5: 28 kB, 9 kB when sent. It evaluates without `eval`, which the
# pages' security policy forbids, and a minus binds less than a power, as in Python.
PARSER = {"expr-eval-fork": "3.0.3"}
ESBUILD = {"esbuild": "0.28.2"}
# Matplotlib lays out labels in the face that pages serve. Its FreeType reads no WOFF2.
DRAWING = Path(__file__).resolve().parents[1] / "bn_book" / "drawing"
EXPLORABLES = Path(__file__).resolve().parents[1] / "bn_book" / "explorables"

# The characters that labels of figures use: Latin, Greek, and signs that stand outside mathematics.
FONT_CHARACTERS = "20-7E,A0-FF,391-3C9,2010-2027,2070-2089,2190-2193,2202,2211,2212,221A,221E,2248,2260,2264,2265"


@dataclass(frozen=True)
class Cut:
    """One font of the book's text: a file of a package, and what is left of its axes."""

    package: str
    source: str
    family: str
    file: str
    axes: dict[str, float | tuple[float, float]]


# A Google font's axes and characters are many times what the book sets. "opsz" is the size a letter is drawn for.
SERIF, SANS = "@fontsource-variable/source-serif-4@5.3.1", "@fontsource-variable/source-sans-3@5.3.0"
CUTS = (
    Cut(SERIF, "source-serif-4-latin-opsz-normal", "Book Serif", "serif", {"wght": (400, 600), "opsz": 16}),
    Cut(SERIF, "source-serif-4-latin-opsz-italic", "Book Serif", "serif-italic", {"wght": 400, "opsz": 16}),
    Cut(SERIF, "source-serif-4-latin-opsz-normal", "Book Display", "display", {"wght": 550, "opsz": 40}),
    Cut(SANS, "source-sans-3-latin-wght-normal", "Book Sans", "sans", {"wght": (400, 600)}),
)
TEXT_CHARACTERS = "20-7E,A0-FF,131,152,153,2010-2015,2018-201E,2020-2022,2026,2030,2032,2033,20AC,2190-2193,2212,2215"
CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.0123456789"
TEXT_FEATURES = ["kern", "liga", "mark", "mkmk", "ccmp", "locl", "lnum", "onum", "pnum", "tnum", "case"]


# What is set in other fonts until ours have come: fonts that devices have, stretched to the same widths and heights, so
# that little moves. Their measures are those of free fonts with the same (Tinos is as wide as Times New Roman).
TINOS, ARIMO = "@fontsource/tinos@5.3.0", "@fontsource/arimo@5.3.0"
NOTO, ROBOTO = "@fontsource/noto-serif@5.3.0", "@fontsource/roboto@5.3.0"
SERIFS = (
    ("Times", TINOS, ("Times New Roman", "Liberation Serif", "Tinos")),
    ("Noto", NOTO, ("Noto Serif",)),
    ("DejaVu", "DejaVuSerif", ("DejaVu Serif",)),
)
SANSES = (
    ("Arial", ARIMO, ("Arial", "Liberation Sans", "Arimo")),
    ("Roboto", ROBOTO, ("Roboto",)),
    ("DejaVu", "DejaVuSans", ("DejaVu Sans",)),
)
PLAIN, BOLD, ITALIC = "", " Bold", " Italic"
IN_FILES = {PLAIN: ("400-normal", ""), BOLD: ("700-normal", "-Bold"), ITALIC: ("400-italic", "-Italic")}


@dataclass(frozen=True)
class Face:
    """A face of ours, as a stylesheet names it, and what stands in its place."""

    family: str
    file: str
    weights: str
    style: str = "normal"
    # For each cut of the fonts in its place: the weight at which ours is measured. None for a face that is never late,
    # because it comes with the stylesheet (`bn_site.finish.slim`).
    measured: tuple[tuple[str, float], ...] = ()
    instead: tuple[tuple[str, str, tuple[str, ...]], ...] = SERIFS


FACES = (
    Face("Book Serif", "serif", "400 600"),
    Face("Book Serif", "serif-italic", "400", "italic", measured=((ITALIC, 400),)),
    Face("Book Display", "display", "500 600"),
    Face("Book Sans", "sans", "400 600", measured=((PLAIN, 400), (BOLD, 600)), instead=SANSES),
)


def npm_tarball(spec: str, folder: Path) -> Path:
    """Download a package; npm checks its hash."""
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


def adapt_katex(stylesheet: Path) -> None:
    """Name only the fonts we serve. They are WOFF, which fontTools reads as it is: `finish.slim` cuts them down."""
    other = r"url\([^)]*\) format\(\"(?:woff2|truetype)\"\)"
    text, fonts = re.subn(rf"{other},|,{other}", "", stylesheet.read_text(encoding="utf-8"))
    if not fonts or re.search(r"\.(woff2|ttf)\b", text):
        raise RuntimeError("KaTeX names its fonts in another way than it did: look at what has changed")
    stylesheet.write_text(text, encoding="utf-8")


def bundle(folder: Path, name: str, packages: dict[str, str], licence: str, entry: str, names: str) -> None:
    """Bundle npm packages into one script of the explorables, which exports these names."""
    (folder / "entry.js").write_text(entry)
    options = ["--bundle", "--minify", "--format=iife", f"--global-name={name.partition('-')[0]}"]
    done = subprocess.run(
        ["npx", "esbuild", "entry.js", *options], cwd=folder, check=True, capture_output=True, text=True
    )
    made_of = ", ".join(f"{package}@{version}" for package, version in packages.items())
    text = f"// {made_of} ({licence}), made by book/tools/vendor.py.\n{done.stdout}"
    exported = f"export const {{ {names} }} = {name.partition('-')[0]};\n"
    (EXPLORABLES / f"{name}.js").write_text(text + exported, encoding="utf-8")


def make_scripts(folder: Path) -> None:
    """Bundle Preact, its hooks and HTM, for pages and with what writes a view as text for the build; and the parser."""
    packages = [f"{name}@{version}" for name, version in (PREACT | PARSER | ESBUILD).items()]
    subprocess.run(["npm", "install", "--silent", "--no-save", *packages], cwd=folder, check=True)
    names = "html, hydrate, render, useEffect, useMemo, useRef, useState"
    entry = (
        'export { h, hydrate, render } from "preact";\n'
        'export { useEffect, useMemo, useRef, useState } from "preact/hooks";\n'
        'import htm from "htm";\nimport { h } from "preact";\nexport const html = htm.bind(h);\n'
    )
    server = 'export { renderToString } from "preact-render-to-string";\n'
    for name, source in (("preact", entry), ("preact-node", entry + server)):
        bundle(folder, name, PREACT, "MIT; htm: Apache-2.0", source, names)
    bundle(folder, "expressions", PARSER, "MIT", 'export { Parser } from "expr-eval-fork";\n', "Parser")


def make_font() -> None:
    """Cut Matplotlib's other font down to the signs that labels use: it draws those that Book Sans lacks."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    folder = VENDOR / "dejavu"
    folder.mkdir()
    unicodes = ",".join(f"U+{part}" for part in FONT_CHARACTERS.split(","))
    target = folder / "DejaVuSans.woff"
    subset.main([str(fonts / "DejaVuSans.ttf"), f"--unicodes={unicodes}", "--flavor=woff", f"--output-file={target}",
                 "--layout-features=kern", "--drop-tables+=FFTM"])  # fmt: skip
    shutil.copy(fonts / "LICENSE_DEJAVU", folder / "LICENSE")


def make_text_fonts(download: Path) -> None:
    """Cut the fonts of the text down, and rename them: "Source" is reserved for the fonts as Adobe made them."""
    folder = VENDOR / "fonts"
    folder.mkdir()
    for spec in sorted({cut.package for cut in CUTS}):
        with tarfile.open(npm_tarball(spec, download)) as archive:
            archive.extractall(download / spec, filter="data")
        licence = f"LICENSE-{'Serif' if spec == SERIF else 'Sans'}"
        shutil.copy(download / spec / "package" / "LICENSE", folder / licence)
    options = subset.Options(layout_features=TEXT_FEATURES, hinting=False, desubroutinize=True)
    for cut in CUTS:
        font = TTFont(download / cut.package / "package" / "files" / f"{cut.source}.woff2")
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=subset.parse_unicodes(TEXT_CHARACTERS))
        cutter.subset(font)
        font = instancer.instantiateVariableFont(font, cut.axes)
        for name in font["name"].names:
            if name.nameID in {1, 3, 4, 6, 16, 25}:
                name.string = cut.family if name.nameID != 6 else cut.family.replace(" ", "")
        font.flavor = "woff2"
        font.save(folder / f"{cut.file}.woff2")
    for_figures = at_weight(TTFont(folder / "sans.woff2"), 400)
    for_figures.flavor = None
    for_figures.save(DRAWING / "sans.ttf")


def mean_width(font: TTFont, letters: Counter[str]) -> float:
    """The mean width of these letters, in units of the font's size."""
    widths, names = font["hmtx"].metrics, font.getBestCmap()
    return sum(n * widths[names[ord(c)]][0] for c, n in letters.items()) / letters.total() / font["head"].unitsPerEm


def at_weight(font: TTFont, weight: float) -> TTFont:
    """The font at one weight, if it has several."""
    return instancer.instantiateVariableFont(font, {"wght": weight}) if "fvar" in font else font


def rule(family: str, weights: str, style: str, source: str, *more: str) -> str:
    """An `@font-face`."""
    lines = (f'font-family: "{family}"', f"font-weight: {weights}", f"font-style: {style}", f"src: {source}", *more)
    return "@font-face {\n" + "".join(f"  {line};\n" for line in lines) + "}\n"


def make_font_rules(download: Path) -> str:
    """The stylesheet that names the text's fonts, and those in their place as the browser is to stretch them.

    size-adjust is the ratio of the mean widths of the letters in the chapters, and the heights are ours in units of
    what that makes of the other font.
    """
    text = "".join(path.read_text(encoding="utf-8") for path in CHAPTERS.glob("*.md"))
    letters = Counter(character for character in text if character in LETTERS)
    rules = []
    for face in FACES:
        place = VENDOR / "fonts" / f"{face.file}.woff2"
        source = f'url("{place.name}") format("woff2")'
        rules.append(rule(face.family, face.weights, face.style, source, "font-display: swap"))
        for cut, weight in face.measured:
            ours = at_weight(TTFont(place), weight)
            for name, package, families in face.instead:
                other = TTFont(file_of(package, cut, download))
                ratio = mean_width(ours, letters) / mean_width(other, letters)
                heights = {"ascent": ours["hhea"].ascent, "descent": -ours["hhea"].descent, "line-gap": 0}
                rules.append(
                    rule(
                        f"{face.family} as {name}",
                        "600" if cut == BOLD else "400",
                        face.style,
                        ", ".join(f'local("{family}{cut}")' for family in families),
                        f"size-adjust: {ratio:.1%}",
                        *(f"{k}-override: {v / ours['head'].unitsPerEm / ratio:.1%}" for k, v in heights.items()),
                    )
                )
    return "/* Made by book/tools/vendor.py. */\n\n" + "\n".join(rules)


def file_of(package: str, cut: str, download: Path) -> Path:
    """The file of a font: of an npm package, or one of Matplotlib's."""
    in_package, at_end = IN_FILES[cut]
    if not package.startswith("@"):
        return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{package}{at_end}.ttf"
    folder = download / package
    if not folder.exists():
        with tarfile.open(npm_tarball(package, download)) as archive:
            archive.extractall(folder, filter="data")
    name = package.rpartition("@")[0].rpartition("/")[2]
    return folder / "package" / "files" / f"{name}-latin-{in_package}.woff2"


def readme() -> str:
    """Say what is here, in which version, under which licence, and how it got here."""
    rows = [f"| `{p.folder}/` | {p.name} {p.version} (npm) | {p.licence} | {p.why} |" for p in PACKAGES]
    rows.append(
        f"| `dejavu/` | DejaVu Sans, as in Matplotlib {matplotlib.__version__} | Bitstream Vera and Arev licence | "
        "Signs in labels that Book Sans lacks, cut down to those that they use. |"
    )
    rows.append(
        f"| `fonts/` | {SERIF} and {SANS} (npm) | SIL OFL 1.1 | The text's fonts, cut down to the characters, weights "
        "and sizes that the book sets. |"
    )
    return (
        "# What the pages load, served from the site itself\n\n"
        "Made by `python book/tools/vendor.py`, which holds the versions; change them there, not here.\n\n"
        "| folder | package | licence | what for |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def main() -> None:
    """Make the folder anew."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            unpack(package, npm_tarball(f"{package.name}@{package.version}", Path(folder)))
        make_scripts(Path(folder))
        make_text_fonts(Path(folder))
        (VENDOR / "fonts" / "fonts.css").write_text(make_font_rules(Path(folder)), encoding="utf-8")
    adapt_katex(VENDOR / "katex/katex.min.css")
    make_font()
    (VENDOR / "README.md").write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    main()
