"""The Matplotlib style in the book's colours; drawing and showing live elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from importlib.resources import as_file, files
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from cycler import cycler
from matplotlib.font_manager import fontManager

from bn_book.colours import COLOURS

P = ParamSpec("P")
R = TypeVar("R")

# `show` recognises the colours in the drawing and lets the page's theme change them: so there is no other ink or grid.
_INK = (
    "text.color",
    "axes.labelcolor",
    "axes.titlecolor",
    "xtick.labelcolor",
    "ytick.labelcolor",
    "patch.edgecolor",
    "boxplot.boxprops.color",
    "boxplot.whiskerprops.color",
    "boxplot.capprops.color",
    "boxplot.flierprops.color",
    "boxplot.flierprops.markeredgecolor",
)
_MUTED = ("axes.edgecolor", "xtick.color", "ytick.color", "hatch.color")
# Labels are laid out in the face that pages serve, whatever a machine has installed. It is a copy that FreeType reads.
with as_file(files(__package__) / "sans.ttf") as _face:
    fontManager.addfont(_face)

_LINES = ("with_bn", "without_bn", "green", "accent", "amber", "muted")


def _rc() -> mpl.RcParams:
    """The style sheet that ships beside this module, in the book's colours."""
    with as_file(files(__package__) / "bn.mplstyle") as path:
        rc = mpl.rc_params_from_file(path, use_default_template=False)
    colours: dict[Any, Any] = dict.fromkeys(_INK, COLOURS["ink"]) | dict.fromkeys(_MUTED, COLOURS["muted"])
    colours |= {"grid.color": COLOURS["grid"], "legend.facecolor": COLOURS["paper"]}
    rc.update(colours | {"axes.prop_cycle": cycler(color=[COLOURS[name] for name in _LINES])})
    return rc


def use_style() -> None:
    """Use the book's style for every figure drawn from here on, as a notebook does in its first cell."""
    mpl.rcParams.update(_rc())


def style() -> AbstractContextManager[None]:
    """Use the book's style inside a `with` block, and put back what was there."""
    return mpl.rc_context(dict(_rc()))


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that draws a figure, so that it looks the same whoever calls it."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> R:
        with style():
            return draw(*args, **kwargs)

    return in_style
