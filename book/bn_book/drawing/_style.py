"""The book's colours and the Matplotlib style that uses them; drawing and showing live elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import wraps
from importlib.resources import as_file, files
from types import MappingProxyType
from typing import ParamSpec, TypeVar

import matplotlib as mpl

P = ParamSpec("P")
R = TypeVar("R")

#: What each colour is for. The line colours are Okabe and Ito's colour-blind safe set, the pale ones darkened until
#: each has a contrast of at least 4.5 with white (WCAG 1.4.3), so that a line's label can have the line's color. In
#: dark mode the page's stylesheet lightens them.
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "ink": "#1b1b1f",  # text and whatever must be read
        "muted": "#5c6068",  # axes, guides, the things compared against
        "grid": "#d9dce1",  # barely there
        "paper": "#ffffff",  # the page: halos and gaps
        "with_bn": "#0072b2",  # always the network that has BN
        "without_bn": "#c25500",  # always the network that has not
        "accent": "#8f2468",  # the one thing the figure is about
        "green": "#008467",
        "amber": "#a06a00",
    }
)


def _rc() -> mpl.RcParams:
    """Read the style sheet that ships beside this module."""
    with as_file(files(__package__) / "bn.mplstyle") as path:
        return mpl.rc_params_from_file(path, use_default_template=False)


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
