"""Figures on a page: what `show` and `flipbook` give, what they refuse, and that the style is one everywhere."""

import re
import subprocess
import sys
from itertools import combinations
from xml.etree import ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from bn_book.colours import css_colour
from bn_book.drawing import COLOURS, InlineFigure, flipbook, show, style, styled, use_style
from bn_book.drawing._svg import compact_path


@styled
def drawing(value=1.0):
    fig, ax = plt.subplots()
    x = np.linspace(-3, 3, 200)
    ax.plot(x, np.sin(value * x), label="with BN")
    ax.plot(x, np.cos(value * x), "o", markevery=20, label="without BN")
    ax.set(
        title="γ x̂, 10⁻⁶ ≤ √ε ◆ → ₁",
        xlabel=r"$\hat{x}_i = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}$",
        ylabel="loss <nats> & more",
    )
    ax.legend()
    return fig


def parse(figure: InlineFigure) -> ET.Element:
    return ET.fromstring(figure.html)


def test_bn_lib_does_not_import_matplotlib_or_widgets():
    code = "import sys, bn_lib; print({'matplotlib', 'ipywidgets', 'anywidget'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_show_gives_a_named_picture_and_a_caption():
    figure = show(drawing(), alt='Two  waves, "a" & b\n that cross', caption="a < b")
    root = parse(figure)
    svg = root.find("svg")
    assert root.tag == "figure"
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == 'Two waves, "a" & b that cross'
    assert root.find("figcaption").text == "a < b"
    assert figure._repr_html_() == figure.html
    assert "waves" in repr(figure)


def test_show_closes_the_figure():
    fig = drawing()
    show(fig, alt="waves")
    assert not plt.fignum_exists(fig.number)


def test_words_stay_words_and_mathematics_becomes_outlines():
    words = " ".join(parse(show(drawing(), alt="waves")).itertext())
    assert "loss <nats> & more" in words
    assert "without BN" in words
    assert "hat" not in words


@styled
def _labels():
    fig, ax = plt.subplots()
    ax.text(0.5, 0.5, "one line")
    ax.text(0.2, 0.2, "two\nlines", va="center")
    ax.set_ylabel("a label\nof two lines")
    return fig


def test_the_lines_of_a_label_shrink_together():
    """Towards one point: where a label is shown smaller, the distance of its lines is, too."""
    words = re.findall(r'transform-origin="([^"]+)".*?<text[^>]*>([^<]+)<', show(_labels(), alt="Labels.").html)
    tied = {text: origin for origin, text in words}
    assert tied["two"] == tied["lines"] != tied["one line"]
    assert tied["a label"] == tied["of two lines"]


def test_every_face_of_the_style_is_there(caplog):
    """Matplotlib would say so in every page's output."""
    show(drawing(), alt="waves")
    assert [record.message for record in caplog.records if record.name.startswith("matplotlib")] == []


def test_two_figures_share_no_id_and_every_reference_is_met():
    figures = [parse(show(drawing(), alt="waves")) for _ in range(2)]
    ids = [[e.get("id") for e in figure.iter() if e.get("id")] for figure in figures]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    for figure, own in zip(figures, ids, strict=True):
        assert len(own) == len(set(own))
        text = ET.tostring(figure, encoding="unicode")
        assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)) <= {(i, "") for i in own} | {
            ("", i) for i in own
        }


def test_colours_of_the_theme_are_left_to_the_page():
    html = show(drawing(), alt="waves").html
    svg_style = re.search(r'<svg[^>]* style="([^"]*)"', html)[1]
    assert f"--ink:{css_colour('ink')}" in svg_style
    assert css_colour("ink") == "var(--bn-ink,var(--jp-content-font-color1,var(--vscode-foreground,#1b1b1f)))"
    drawn = html.replace(svg_style, "")
    assert not [name for name, colour in COLOURS.items() if colour in drawn]
    assert "var(--with_bn)" in drawn


def test_the_background_is_the_pages():
    with style():
        fig, ax = plt.subplots()
    ax.axis("off")
    assert not parse(show(fig, alt="nothing")).findall(".//path")


def test_images_and_colours_of_maps_survive():
    with style():
        fig, ax = plt.subplots()
        fig.colorbar(ax.imshow(np.eye(4)))
        ax.scatter([0, 1], [0, 1], c=["#123456", "#abcdef"], alpha=0.5)
    html = show(fig, alt="an identity matrix").html
    assert "data:image/png;base64," in html
    assert "#123456" in html


def test_a_figure_and_a_flipbook_are_light():
    assert len(show(drawing(), alt="waves").html) < 20_000
    book = flipbook(drawing, np.linspace(1, 3, 15), label="speed", alt=lambda v: f"waves at {v}")
    assert sum(map(len, book.frames)) < 300_000


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alt": " "}, ValueError, "alt must say in words"),
        ({"alt": None}, TypeError, "alt must be a string, got NoneType"),
        ({"alt": "waves", "caption": 3}, TypeError, "caption must be a string or None, got int"),
    ],
)
def test_show_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        show(Figure(), **arguments)


def test_show_refuses_what_is_not_a_figure():
    with pytest.raises(TypeError, match="fig must be a matplotlib Figure, got str"):
        show("figure", alt="waves")


@pytest.mark.parametrize(
    ("d", "compact"),
    [
        ("M 10 20 \nL 30.001 20 \nL 30 25.5 \nz \n", "m10 20 20 0 0 5.5z"),
        ("M 0 0 L 1 1 z M 5 5 L 6 4", "m0 0 1 1zm5 5 1-1"),
        ("M 0 0 C 1 0 2 1 2 2 C 2 3 1 4 0 4 Q 1 1 0 0", "m0 0c1 0 2 1 2 2 0 1-1 2-2 2q1-3 0-4"),
    ],
)
def test_paths_are_written_in_short_steps(d, compact):
    assert compact_path(d) == compact


def test_rounding_of_a_path_does_not_add_up():
    points = [(i / 3, i / 7) for i in range(1000)]
    steps = compact_path("M " + " L ".join(f"{x:.6f} {y:.6f}" for x, y in points))
    numbers = np.array([float(n) for n in re.findall(r"-?[\d.]+", steps)]).reshape(-1, 2)
    np.testing.assert_allclose(numbers.cumsum(axis=0), points, atol=0.0051)


def test_flipbook_has_a_frame_and_a_label_for_each_value():
    book = flipbook(drawing, [1.0, 1.5, 2.0], label="speed", alt=lambda v: f"waves at {v}", start=-1, caption="a & b")
    assert book.labels == ["1", "1.5", "2"]
    assert (book.label, book.caption, book.index) == ("speed", "a & b", 2)
    alts = [ET.fromstring(frame).find("svg").get("aria-label") for frame in book.frames]
    assert alts == ["waves at 1.0", "waves at 1.5", "waves at 2.0"]


def test_flipbook_writes_values_as_asked():
    assert flipbook(drawing, [1, 2], label="speed", alt=str, format=lambda v: f"{v} rad/s").labels == [
        "1 rad/s",
        "2 rad/s",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"values": [1]}, ValueError, "at least two values to flip between, got 1"),
        ({"label": " "}, ValueError, "label must say what the slider sets, got ' '"),
        ({"start": 2}, ValueError, "start must be the index of one of the 2 values, got 2"),
        ({"start": True}, ValueError, "start must be the index"),
        ({"alt": "waves"}, TypeError, "alt must be a function of one value, got str"),
        ({"alt": lambda value: ""}, ValueError, "alt must say in words"),
        ({"draw": None}, TypeError, "draw must be a function of one value, got NoneType"),
        ({"draw": lambda value: None}, TypeError, "must return a matplotlib Figure, got NoneType for the value 1"),
        ({"values": [1.001, 1.002], "format": "{:.1f}"}, ValueError, "writes two of the values alike, as '1.0'"),
    ],
)
def test_flipbook_refuses(arguments, error, message):
    good = {"draw": drawing, "values": [1, 2], "label": "speed", "alt": str}
    with pytest.raises(error, match=message):
        flipbook(**(good | arguments))


def test_style_is_put_back_and_use_style_stays():
    before = mpl.rcParams["figure.figsize"]
    with style():
        assert mpl.rcParams["figure.figsize"] == [5.2, 3.4]
    assert mpl.rcParams["figure.figsize"] == before
    with mpl.rc_context():
        use_style()
        assert mpl.rcParams["axes.labelcolor"] == COLOURS["ink"]


def test_the_style_sheet_uses_only_named_colours():
    with style():
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
        used = {v for v in mpl.rcParams.values() if isinstance(v, str) and re.fullmatch(r"#[0-9a-f]{6}", v)}
    named = set(COLOURS.values())
    assert set(cycle) <= named
    assert cycle[:2] == [COLOURS["with_bn"], COLOURS["without_bn"]]
    assert used - {v for v in mpl.rcParamsDefault.values() if isinstance(v, str)} <= named


def luminance(colour: str) -> float:
    """WCAG's relative luminance."""
    parts = np.array(mpl.colors.to_rgb(colour))
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", sorted(COLOURS.keys() - {"paper", "grid"}))
def test_lines_and_their_labels_can_be_read_on_paper(name):
    assert contrast(COLOURS[name], COLOURS["paper"]) >= 4.5  # labels have the color of their line


# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
COLOUR_BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("kind", COLOUR_BLIND)
def test_the_pair_and_the_accent_are_told_apart_by_the_colour_blind(kind):
    def seen(name):
        return np.clip(np.array(COLOUR_BLIND[kind]) @ np.array(mpl.colors.to_rgb(COLOURS[name])) ** 2.2, 0, 1) ** (
            1 / 2.2
        )

    for a, b in combinations(["with_bn", "without_bn", "accent"], 2):
        assert np.linalg.norm(seen(a) - seen(b)) > 0.2, (a, b)


def test_a_formula_finds_its_faces_without_a_word_on_stderr():
    """Matplotlib tells which face it missed once in a process, and a page would show that."""
    code = (
        "from bn_book.drawing import show, use_style\nimport matplotlib.pyplot as plt\nuse_style()\n"
        "fig, ax = plt.subplots()\nax.set(yscale='log', ylim=(1, 10))\nshow(fig, alt='a')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
