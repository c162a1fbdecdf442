"""Figures for pages that have no kernel: the book's style, one figure (`show`), one that moves (`flipbook`), or one of
those that a question asks to choose from (`plot`).

What a figure says belongs to the modules that draw it; this package only knows how to get a drawing onto a page. It
needs Matplotlib, and `flipbook` needs anywidget; `import bn_lib` needs neither.
"""

from bn_book.colours import COLOURS
from bn_book.drawing._digit import draw_digit
from bn_book.drawing._flipbook import flipbook
from bn_book.drawing._show import SMALL, InlineFigure, plot, show
from bn_book.drawing._style import style, styled, use_style

__all__ = [
    "COLOURS",
    "SMALL",
    "InlineFigure",
    "draw_digit",
    "flipbook",
    "plot",
    "show",
    "style",
    "styled",
    "use_style",
]
