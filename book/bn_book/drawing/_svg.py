"""From a Matplotlib figure to a small SVG that can live inside a page: pure functions, no display machinery.

Matplotlib writes SVG for a file of its own. Inside a page it must share one name space of ids with other figures, take
its colours from the page (light or dark), be named for a screen reader, and be light enough to send fifteen of them.
"""

from __future__ import annotations

import io
import re
from typing import Literal
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from bn_book.colours import COLOURS, css_colour
from bn_exercises.typography import as_in_a_book

_IMAGE_DPI = 150
_POINTS_TO_CSS_PX = 96 / 72
_FONT = "var(--bn-sans,Arial,sans-serif)"  # the page's name for the face in which _style.py lays labels out
_LOOK = "max-width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt"

_NAME_OF = {value: name for name, value in COLOURS.items()}
_PAIRS = {"M": 1, "L": 1, "Q": 2, "C": 3}

_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_OPACITY = re.compile(r"(?<!-)opacity")
_URL = re.compile(r"url\(#([^)]+)\)")
_PATH_TOKEN = re.compile(r"[MLQCz]|-?[\d.]+(?:e-?\d+)?")

# How many decimals of a point can be seen. A scale multiplies whatever is inside it, so transforms keep more.
_DECIMALS = {"x": 2, "y": 2, "width": 2, "height": 2, "points": 2, "viewBox": 2, "style": 2, "transform": 4}


class _PageRenderer(RendererSVG):
    """Write words as text, which is small and can be found, and mathematics as outlines, which look right anywhere."""

    # Labels of several lines, by the group that each is drawn in: Matplotlib does not hand them to `draw_text`.
    blocks: dict[str, Text]
    _block: Text | None = None

    def open_group(self, s: str, gid: str | None = None) -> None:
        self._block = self.blocks.get(gid or "")
        super().open_group(s, gid)  # type: ignore[no-untyped-call]

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | Literal["TeX"] = False,
        mtext: Text | None = None,
    ) -> None:
        # A stylesheet may make a label smaller where a figure is shown large: it then shrinks towards where it is tied,
        # and its lines move together.
        label = mtext or self._block
        tied = label.get_transform().transform(label.get_unitless_position()) if label else (x, self.height - y)
        at = {"class": "bn-words", "transform-origin": f"{tied[0]:.2f} {self.height - tied[1]:.2f}"}
        self.writer.start("g", attrib=at)  # type: ignore[no-untyped-call]
        with mpl.rc_context({"svg.fonttype": "path" if ismath else "none"}):
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)  # type: ignore[no-untyped-call]
        self.writer.end("g")  # type: ignore[no-untyped-call]


def raw_svg(fig: Figure) -> str:
    """Return what Matplotlib itself would write for `fig`: the same text for the same figure."""
    fig.set_dpi(72)  # SVG's unit is the point, and its renderer knows no other
    width, height = fig.get_size_inches() * 72
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "bn_lib"}):
        page = _PageRenderer(width, height, file, image_dpi=_IMAGE_DPI, metadata={"Date": None})  # type: ignore[no-untyped-call]
        renderer = MixedModeRenderer(fig, width / 72, height / 72, _IMAGE_DPI, page)  # type: ignore[no-untyped-call]
        several = [text for text in fig.findobj(Text) if isinstance(text, Text) and "\n" in text.get_text()]
        page.blocks = {f"lines{number}": text for number, text in enumerate(several)}
        for name, text in page.blocks.items():
            text.set_gid(name)
        fig.draw(renderer)  # type: ignore[arg-type]
        renderer.finalize()
    return file.getvalue()


def page_svg(svg: str, *, alt: str, prefix: str) -> str:
    """Turn a Matplotlib SVG file into an inline `<svg>`.

    Args:
        svg: the text of an SVG file written by Matplotlib.
        alt: what a reader who cannot see the figure is told.
        prefix: put before every id that is used, so that no two figures of a page share one.
    """
    root = ET.fromstring(svg)
    _drop_namespaces(root)
    _drop_metadata(root)
    ids = {name: f"{prefix}{number}" for number, name in enumerate(_references(root))}
    for element in root.iter():
        tidied = ((key, _tidy(key, value, ids)) for key, value in element.attrib.items())
        element.attrib = {key: value for key, value in tidied if value}
        element.text = as_in_a_book(element.text) if element.text and element.tag in {"text", "tspan"} else None
        element.tail = None
        _simplify_text(element)
    _share_styles(root)
    _flatten(root)
    _name_and_size(root, alt)
    return ET.tostring(root, encoding="unicode").replace(" />", "/>")


def _drop_namespaces(root: ET.Element) -> None:
    """HTML's parser knows SVG by its tag, and `href` needs no prefix there."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}


def _drop_metadata(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {"metadata", "style"}:  # a <style> here would apply to the whole page
                parent.remove(child)


def _references(root: ET.Element) -> list[str]:
    """List the ids that something points to, each once, in the order in which they are first used."""
    values = [(key, value) for element in root.iter() for key, value in element.attrib.items()]
    used = [value[1:] for key, value in values if key == "href" and value.startswith("#")]
    return list(dict.fromkeys(used + [name for _, value in values for name in _URL.findall(value)]))


def _tidy(key: str, value: str, ids: dict[str, str]) -> str:
    """Return the value of an attribute with its ids unique, its colours named and its numbers short."""
    if key == "id":
        return ids.get(value, "")
    if key == "href":
        return f"#{ids[value[1:]]}" if value.startswith("#") else value
    if key == "d":
        return compact_path(value)
    value = _URL.sub(lambda url: f"url(#{ids[url[1]]})", value)
    if key in _DECIMALS:
        value = _NUMBER.sub(lambda number: _short(float(number[0]), _DECIMALS[key]), value)
    if key == "style":
        value = re.sub(r"\s*([:;,])\s*", r"\1", value)
        value = _HEX.sub(lambda colour: _variable(colour[0]), value)
    return value


def _short(number: float, decimals: int) -> str:
    """Write a number without what need not be written: `0.50` is `.5`, `-0.00` is `0`."""
    sign, digits = ("-", -number) if number < 0 else ("", number)
    text = f"{digits:.{decimals}f}".rstrip("0").rstrip(".").removeprefix("0")
    return sign + text if text else "0"


def compact_path(d: str) -> str:
    """Rewrite an absolute path (M, L, Q, C, z: all that Matplotlib writes) in steps of a hundredth of a point.

    Steps are short where coordinates are long: a curve of many points takes less than half the room. Each is taken from
    the rounded place before it, so rounding does not add up.
    """
    written: list[str] = []
    here = start = (0, 0)
    last = ""
    tokens = iter(_PATH_TOKEN.findall(d))
    for command in tokens:
        if command == "z":
            written.append("z")
            here, last = start, ""
            continue
        pairs = [(round(100 * float(next(tokens))), round(100 * float(next(tokens)))) for _ in range(_PAIRS[command])]
        steps = [_short(step / 100, 2) for x, y in pairs for step in (x - here[0], y - here[1])]
        # After a moveto, and after itself, a command need not be repeated; a minus sign parts two numbers by itself.
        repeated = command == last or (command, last) == ("L", "M")
        text = " ".join(steps).replace(" -", "-")
        written.append((" " if repeated and text[0] != "-" else "" if repeated else command.lower()) + text)
        here, last = pairs[-1], command
        if command == "M":
            start = here
    return "".join(written)


def _variable(colour: str) -> str:
    """Return the name under which the root of the figure holds a named colour; any other colour stays as it is."""
    return f"var(--{_NAME_OF[colour]})" if colour in _NAME_OF else colour


def _simplify_text(element: ET.Element) -> None:
    """The font is the root's business, and turning by nothing is nothing."""
    if element.tag != "text":
        return
    kept = [part for part in element.attrib.pop("style", "").split(";") if not part.startswith("font-family")]
    if kept != [""]:
        element.set("style", ";".join(part for part in kept if part))
    if re.match(r"rotate\(-?0[ ,]", element.get("transform", "")):
        del element.attrib["transform"]


def _share_styles(root: ET.Element) -> None:
    """Write a style that all parts of a group have once, on the group: a line's markers are such parts."""
    for group in root.iter("g"):
        style = group[0].get("style", "") if len(group) > 1 else ""
        alike = style and "style" not in group.attrib and all(part.get("style") == style for part in group)
        if alike and not _OPACITY.search(style):  # the one property that means something else on a group
            group.attrib["style"] = style
            for part in group:
                del part.attrib["style"]


def _flatten(parent: ET.Element) -> None:
    """Take away what draws nothing: transparent backgrounds, and groups that only carried a name (nearly all)."""
    flat: list[ET.Element] = []
    for child in parent:
        _flatten(child)
        if child.tag == "g" and not child.attrib:
            flat.extend(child)
        elif child.get("style") != "fill:none" and (child.tag != "defs" or len(child)):
            flat.append(child)
    parent[:] = flat


def _name_and_size(root: ET.Element, alt: str) -> None:
    width, height = (float(n) for n in root.attrib["viewBox"].split()[2:])
    drawing = ET.tostring(root, encoding="unicode")
    colours = [f"--{name}:{css_colour(name)}" for name in COLOURS if f"var(--{name})" in drawing]
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": f"{width * _POINTS_TO_CSS_PX:.0f}",
        "height": f"{height * _POINTS_TO_CSS_PX:.0f}",
        "role": "img",
        "aria-label": alt,
        "style": ";".join([f"font-family:{_FONT};{_LOOK}", *colours]),
    }
