"""The recipes of CONTRIBUTING: three are followed in a copy of the repository, and what they promise is there.

A recipe is a list of files and the commands that show it works. Here a chapter, a misconception and a normalizer are
added: by writing in exactly the files that their recipes name, and running the commands that they give. Then the book
is built, as small as it can be, and shows all three.
"""

# ruff: noqa: E501 (lines of the files that are written)

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
COPIED = ("bn_lib", "book", "exercises", "benchmarks", "tests", "_toc.yml", "_config.yml", "pyproject.toml",
          "requirements.txt")  # fmt: skip
# What is built, and what only the site's own tests need.
LEFT = shutil.ignore_patterns("__pycache__", "node_modules", "wheels", "release", "*.ipynb", "pyodide", "_build")


@dataclass(frozen=True)
class Recipe:
    """What CONTRIBUTING says of one kind of addition.

    Attributes:
        files: what to write in, in order.
        commands: what shows that it works.
    """

    files: tuple[str, ...]
    commands: tuple[str, ...]

    def named(self, **names: str) -> "Recipe":
        """The recipe with a name in the place of each word in capitals."""

        def put(text: str) -> str:
            for word, name in names.items():
                text = re.sub(rf"\b{word}\b|(?<=_){word}\b", name, text)
            return text

        return Recipe(tuple(map(put, self.files)), tuple(map(put, self.commands)))


def recipes(text: str) -> dict[str, Recipe]:
    """Every recipe, by what it adds or changes: a section with a numbered list that begins with files."""
    found = {}
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        body = re.split(r"^## ", body, flags=re.MULTILINE)[0]
        files = [name for names in re.findall(r"^\d+\. (`[^:]*`):", body, re.MULTILINE)
                 for name in re.findall(r"`([^`]+)`", names)]  # fmt: skip
        commands = "\n".join(re.findall(r"```sh\n(.*?)```", body, re.DOTALL)).splitlines()
        found[title] = Recipe(tuple(files), tuple(line.partition("  #")[0].strip() for line in commands))
    return found


RECIPES = recipes((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
# What is there already, for each word that stands for a name.
THERE = {
    "A chapter": {"NAME": "scale"},
    "A claim": {"CHAPTER": "scale", "NAME": "standardizing-saves-steps"},
    "A figure": {"CHAPTER": "scale", "NAME": "layer_histograms"},
    "An explorable": {"NAME": "two_features"},
    "A misconception": {"PROBLEM": "basic_calculation"},
    "A problem": {"NAME": "batch-size", "MODULE": "batch_size", "NUMBER": "3"},
    "A normalizer": {"NAME": "layer"},
    "A framework's convention": {"NAME": "keras"},
    "A term": {},
    "A translation": {"LANGUAGE": "de"},
    "A colour": {},
}


@pytest.mark.parametrize("title", THERE)
def test_every_file_and_test_that_a_recipe_names_is_there(title: str) -> None:
    recipe = RECIPES[title].named(**THERE[title])
    assert recipe.files
    assert recipe.commands
    named = {*recipe.files, *re.findall(r"\btests/[\w/.]+", " ".join(recipe.commands))}
    assert not [name for name in named if not (ROOT / name).exists()]
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    for command in recipe.commands:
        assert command.startswith((".venv/bin/python -m ", ".venv/bin/ruff ")) or command.split()[:2] in [
            ["make", target] for target in targets
        ], command


def test_no_recipe_is_left_out_above() -> None:
    assert list(RECIPES) == list(THERE)


# Following three of them

Edit = str | Callable[[str], str]  # a new file, or what becomes of one


def after(line: str, text: str) -> Callable[[str], str]:
    """Put text after the first place where a line stands."""

    def edit(whole: str) -> str:
        before, found, rest = whole.partition(f"{line}\n")
        assert found, f"{line!r} is not there"
        return f"{before}{found}{text}\n{rest}"

    return edit


def both(*edits: Callable[[str], str]) -> Callable[[str], str]:
    """One after the other."""

    def edit(whole: str) -> str:
        for each in edits:
            whole = each(whole)
        return whole

    return edit


CHAPTER: Mapping[str, Edit] = {
    "book/chapters/two_values.md": '''---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
question: "What does the layer leave of two values?"
---

# Two values

However far apart two values are, the layer {cite:p}`ioffe2015batch` leaves them at -1 and 1, as the
{doc}`ledger <../claims>` checks.

(sec-two-values)=
## Any two

```{code-cell} ipython3
:tags: [remove-input]

from bn_book.drawing import show
from bn_book.two_values import figures

show(figures.line(), alt="The larger of two values, normalized: 1 at every distance.")
```

## Laboratory

```{code-cell} ipython3
:tags: [remove-input]

from bn_book.two_values.laboratory import laboratory

laboratory()
```

## Check yourself

```{code-cell} ipython3
:tags: [remove-input]

from bn_book.two_values import questions
from bn_exercises.check_yourself.page import check_yourself

check_yourself(questions.LARGER)
```

## Key points

Two values come out at -1 and 1. How far apart they were is lost. Which of them was larger is kept.

## What to read next

- {doc}`scale`: where that begins to matter.
''',
    "book/bn_book/two_values/__init__.py": '"""The chapter "Two values": its experiments, claims, figures and questions."""\n',
    "book/bn_book/two_values/experiments.py": '''"""What the chapter computes."""

import numpy as np

from bn_lib import batch_norm


def larger(distance: float) -> float:
    """The larger of two values so far apart, normalized with eps = 0."""
    y, _ = batch_norm(np.array([[0.0], [distance]]), np.ones(1), np.zeros(1), eps=0.0)
    return float(y[1, 0])
''',
    "book/bn_book/two_values/figures.py": '''"""What the chapter shows."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.drawing import styled
from bn_book.two_values.experiments import larger


@styled
def line() -> Figure:
    """The larger of two values, normalized, against their distance."""
    distances = (1.0, 2.0, 3.0)
    fig, axes = plt.subplots()
    axes.plot(distances, [larger(distance) for distance in distances], color=COLOURS["accent"])
    axes.set(xlabel="distance", ylabel="normalized")
    return fig
''',
    "book/bn_book/two_values/claims.py": '''"""The claims of the chapter on two values."""

from bn_book.claims import Claim
from bn_book.two_values.experiments import larger

CLAIMS = (
    Claim(
        name="two-values-become-one-apart-from-0",
        kind="an identity",
        says="Of two values the larger becomes 1.",
        source="ioffe2015batch",
        run="Two values, a thousand apart.",
        measure=lambda _: larger(1000.0),
        band=(0.999, 1.001),
        unit="the larger, normalized",
        wrong="a variance divided by m - 1",
        gives=lambda: larger(1000.0) / 2**0.5,
        seeds=1,
    ),
)
''',
    "book/bn_book/two_values/questions.py": '''"""What the chapter asks."""

from bn_book.two_values.experiments import larger
from bn_exercises.check_yourself.numeric import WrongNumbers, from_values
from bn_exercises.verdict import Link

LARGER = from_values(
    name="larger-of-two",
    page="chapters/two_values",
    prompt="The values of a mini-batch are 3 and 7, and epsilon is 0. What does the larger become?",
    right=larger(4.0),
    because="Both lie one standard deviation from their mean.",
    wrong=(WrongNumbers("not divided", 2.0, "You subtracted the mean and stopped. Divide by the deviation."),),
    hint="How far from the mean does each lie, in standard deviations?",
    see=Link("Any two", "sec-two-values"),
)
''',
    "book/bn_book/two_values/laboratory.py": '''"""The chapter's laboratory: two values, as far apart as a reader likes."""

from bn_book.laboratory import Each, Laboratory, Outcome, choose
from bn_book.two_values import figures
from bn_book.two_values.experiments import larger


def run(each: Each, *, distance: float) -> Outcome:
    """The larger of two values so far apart."""
    return Outcome(figures.line(), "The larger, normalized.", {"the larger": f"{larger(distance):.3f}"})


def laboratory() -> Laboratory:
    """The laboratory, at a distance of 1."""
    return Laboratory("Is there a distance that shows?", run, {"distance": choose("distance", (1.0, 10.0, 100.0), 1.0)})
''',
    "book/bn_book/two_values/map.svg": '<svg class="bn-glyph" viewBox="0 0 96 72" aria-hidden="true" focusable="false">'
    '<circle cx="24" cy="36" r="4" fill="var(--bn-muted)"/><circle cx="72" cy="36" r="4" fill="var(--bn-accent)"/></svg>\n',
    "_toc.yml": after("      - file: book/chapters/speed", "      - file: book/chapters/two_values"),
    "book/bn_book/lessons/about.py": after(
        "ABOUT: Mapping[str, About] = MappingProxyType(\n    {",
        '        "two_values": About(("forward",), (), (("Why two?", "One has no spread."), ("Why not three?", "It could be."))),',
    ),
    "tests/book/test_two_values.py": '''"""The chapter on two values."""

import matplotlib.pyplot as plt
import pytest

from bn_book.two_values import figures
from bn_book.two_values.experiments import larger


@pytest.mark.parametrize("distance", [1e-3, 1.0, 1e3])
def test_the_larger_is_one(distance):
    assert larger(distance) == pytest.approx(1.0)


def test_the_figure_can_be_drawn():
    figures.line()
    plt.close("all")
''',
}  # fmt: skip

MISTAKE = "range for variance"
MISCONCEPTION: Mapping[str, Edit] = {
    "exercises/bn_exercises/misconceptions.py": both(
        after(
            '    lambda x, mean: np.abs(x - mean).mean(axis=0),\n    ALGORITHM,\n)',
            f'''RANGE_FOR_VARIANCE = Misconception(
    "{MISTAKE}",
    "You took the distance from the smallest to the largest. The variance is the mean square of the deviations.",
    lambda x, mean: x.max(axis=0) - x.min(axis=0),
    ALGORITHM,
)''',
        ),
        after("    SUM_OF_SQUARES,", "    RANGE_FOR_VARIANCE,"),
    ),
}  # fmt: skip

NORMALIZER: Mapping[str, Edit] = {
    "bn_lib/normalizers.py": both(
        after(
            "| instance                 | a sample's channel, over its positions                 | (2, 3)                    |",
            "| position                 | a sample's position, over its channels                 | (1,)                      |",
        ),
        after(
            "# Conditional",
            '''

def position_norm(x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5) -> tuple[Array, NormCache]:
    """Positional Normalization: each position of each sample is standardized over its channels.

    Args:
        x: `(N, C)` or `(N, C, *spatial)`, floating point; N may be 0.
        gamma: scale, `(C,)`.
        beta: shift, `(C,)`.
        eps: added to the variance; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `position_norm_backward`.

    Example:
        >>> position_norm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=0.0)[0]
        array([[-1.,  1.]])

    Raises:
        TypeError: not a floating-point array, or arrays of different kinds.
        ValueError: wrong rank, one channel, mismatched gamma or beta, or a bad eps.

    Source: Ba, Kiros and Hinton (2016), eq. 3, at each position by itself.
    """
    check.input(x, least=0)
    check.parameters(x, gamma=gamma, beta=beta)
    check.enough(x, (1,), "position of a sample")
    return normalize_over(x, gamma, beta, (1,), check.eps(eps))


def position_norm_backward(dy: Array, cache: NormCache) -> tuple[Array, Array, Array]:
    """Gradients of `position_norm` with respect to x, gamma and beta; as `layer_norm_backward`.

    Example:
        >>> y, cache = position_norm(np.array([[1.0, 3.0, 8.0]]), np.ones(3), np.zeros(3))
        >>> dx, dgamma, dbeta = position_norm_backward(np.ones((1, 3)), cache)
        >>> dbeta
        array([1., 1., 1.])
    """
    return _backward(dy, cache)

''',
        ),
    ),
    "bn_lib/batchnorm.py": both(
        after(
            "        return normalizers.instance_norm(x, self.gamma, self.beta, eps=self.eps)",
            '''

class PositionNorm(_SampleNorm):
    """Positional Normalization as a layer: each position of each sample over its channels. See `position_norm`.

    Args:
        num_features: C; gamma and beta have shape `(C,)`.
        eps: added to the variance; >= 0.
        affine: whether gamma and beta are parameters.
        channel_axis: where the channels are.
        dtype: of gamma and beta; float64 by default.
        xp: the namespace that the parameters live in.

    Example:
        >>> PositionNorm(2, eps=0.0)(np.array([[1.0, 3.0]]))
        array([[-1.,  1.]])
    """

    def _normalize(self, x: Array) -> tuple[Array, Cache]:
        return normalizers.position_norm(x, self.gamma, self.beta, eps=self.eps)''',
        ),
    ),
    "bn_lib/__init__.py": both(
        after("    LayerNorm,", "    PositionNorm,"),
        after("    layer_norm_backward,", "    position_norm,\n    position_norm_backward,"),
        after('"Moments", "RMSNorm", "ReLU",', '    "PositionNorm",'),
        after('"parameter_vector", "population_moments",', '    "position_norm", "position_norm_backward",'),
    ),
    "book/api.md": both(
        after(".. autofunction:: layer_norm_backward", ".. autofunction:: position_norm\n.. autofunction:: position_norm_backward"),
        after(".. autoclass:: LayerNorm", ".. autoclass:: PositionNorm"),
    ),
    "tests/bn_lib/normalizer_cases.py": both(
        after(
            "NORMALIZERS = (",
            '    Normalizer("position", _plain(bn_lib.position_norm), bn_lib.position_norm_backward, lambda rank: (1,)),',
        ),
        after("LAYERS: dict[str, Callable[..., bn_lib.Layer]] = {", '    "PositionNorm": lambda **options: bn_lib.PositionNorm(3, **options),'),
    ),
}  # fmt: skip

FOLLOWED: Mapping[str, tuple[Mapping[str, Edit], dict[str, str]]] = {
    "A chapter": (CHAPTER, {"NAME": "two_values"}),
    "A misconception": (MISCONCEPTION, {"PROBLEM": "basic-calculation"}),
    "A normalizer": (NORMALIZER, {"NAME": "position"}),
}
# The cover, what was added, and where it must appear: the other pages would take minutes.
SMALL = """format: jb-book
root: book/index
parts:
  - numbered: 1
    chapters:
      - file: book/chapters/two_values
  - chapters:
      - file: book/exercises/basic-calculation
      - file: book/claims
      - file: book/api
"""
# As `make html`, but without a Jupyter beside the pages, and links to the other pages lead nowhere.
BUILD = """
import bn_site
bn_site.PARTS = tuple(part for part in bn_site.PARTS if part != "lite")
from jupyter_book.cli.main import main
main()
"""


@dataclass(frozen=True)
class Copy:
    """A copy of the repository."""

    folder: Path

    def run(self, *arguments: str) -> str:
        """What Python, called so in the copy, says; it must end well."""
        path = os.pathsep.join(str(self.folder / room) for room in (".", "exercises", "book", "book/_ext"))
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy in which the three recipes were followed."""
    folder = tmp_path_factory.mktemp("recipes") / "copy"
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEFT)
        else:
            shutil.copy(ROOT / name, folder / name)
    for edits, _ in FOLLOWED.values():
        for name, edit in edits.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = edit if isinstance(edit, str) else edit(path.read_text(encoding="utf-8"))
            path.write_text(text, encoding="utf-8")
    return Copy(folder)


@pytest.mark.parametrize("title", FOLLOWED)
def test_the_files_that_a_recipe_names_are_all_that_is_written(title: str) -> None:
    edits, names = FOLLOWED[title]
    assert sorted(RECIPES[title].named(**names).files) == sorted(edits)


@pytest.mark.parametrize("title", FOLLOWED)
def test_the_commands_of_a_recipe_show_that_it_works(followed: Copy, title: str) -> None:
    recipe = RECIPES[title].named(**FOLLOWED[title][1])
    commands = [shlex.split(command) for command in recipe.commands if command.startswith(".venv/bin/python ")]
    assert commands
    for _, *arguments in commands:
        if "pytest" in arguments:
            assert re.search(r"\b[1-9]\d* passed", followed.run(*arguments, "-p", "no:cacheprovider"))
        else:
            said = followed.run(*arguments)
            assert "100.0\u00a0%" in said


@pytest.fixture(scope="module")
def pages(followed: Copy) -> Path:
    """The folder of the pages of a small book that has all three."""
    toc = followed.folder / "_toc.yml"
    whole = toc.read_text(encoding="utf-8")
    toc.write_text(SMALL, encoding="utf-8")
    try:
        said = followed.run("-c", BUILD, "build", ".", "--path-output", "built")
    finally:
        toc.write_text(whole, encoding="utf-8")
    # Of a cell that fails Sphinx only warns here. What a kernel says as it ends is not the book's.
    failed = [line for line in said.splitlines() if "Executing notebook failed" in line]
    assert not failed, said[-20000:]
    return followed.folder / "built" / "_build" / "html"


def page(pages: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((pages / f"book/{name}.html").read_text(encoding="utf-8"), "html.parser")


def test_the_chapter_is_in_the_contents_on_the_cover_and_in_the_ledger(pages: Path) -> None:
    cover = page(pages, "index")
    assert "Two values" in cover.select_one(".bd-sidebar-primary").get_text()
    (place,) = cover.select(".bn-map li")
    assert place.a["href"] == "chapters/two_values.html"
    assert "What does the layer leave of two values?" in place.get_text()
    assert place.select_one("svg.bn-glyph circle")
    claim = page(pages, "claims").select_one('.bn-ledger a[href="#claim-two-values-become-one-apart-from-0"]')
    assert "holds" in claim.get_text()


def test_the_chapter_has_its_figure_and_its_laboratory_and_its_question_is_counted(pages: Path) -> None:
    chapter = page(pages, "chapters/two_values")
    assert chapter.select_one("figure svg")
    assert chapter.select_one(".bn-laboratory td").get_text() == "1"
    assert chapter.select_one('.bn-question[data-name="larger-of-two"]')
    contents = (pages / "_static/contents.js").read_text(encoding="utf-8")
    counted = json.loads(contents.removeprefix("window.bnContents = ").strip().removesuffix(";"))
    assert counted["chapters"] == ["book/chapters/two_values"]
    assert "larger-of-two" in counted["questions"]


def test_the_misconception_is_named_to_who_made_it_and_on_the_page_of_the_exercise(followed: Copy, pages: Path) -> None:
    said = followed.run(
        "-c",
        "import numpy as np\n"
        "from bn_exercises.problem import verify\n"
        "from bn_exercises.problems import BASIC_CALCULATION as problem\n"
        "x = np.array(problem.given['x'], dtype=float)\n"
        "print(*verify(problem, {'var': np.ptp(x, axis=0)}).of('var').misconceptions, sep='; ')\n",
    )
    assert said.strip() == MISTAKE
    assert MISTAKE in page(pages, "exercises/basic-calculation").article.get_text()


def test_the_normalizer_is_in_the_library_and_in_its_reference(followed: Copy, pages: Path) -> None:
    said = followed.run(
        "-c",
        "import numpy as np, bn_lib\n"
        "layer = bn_lib.PositionNorm(2, eps=0.0)\n"
        "print(layer.forward(np.array([[[1.0, 5.0], [3.0, 9.0]]])).tolist())\n",
    )
    assert json.loads(said) == [[[-1.0, -1.0], [1.0, 1.0]]]
    reference = page(pages, "api")
    assert all(
        reference.find(id=f"bn_lib.{name}") for name in ("position_norm", "position_norm_backward", "PositionNorm")
    )
