"""Numbers as a reader sees them: as one would write them, and in running text as a book sets them."""

import html
import re

_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?\d+)(?![\w.]*\w)")
_MINUS = re.compile(r"(?<![\w.)\]–—-])-(?=\d)")
_CODE = re.compile(r"(`[^`]+`)")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NO_BREAK = "\N{NO-BREAK SPACE}"
DECIMALS = 4


def decimal(value: float, places: int = DECIMALS) -> str:
    """A number as one would write it: 5, 0.01, -1.3403; four decimals at most, or `places`."""
    text = f"{value:.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def as_in_a_book(text: str) -> str:
    """The text with 5e-06 as 5 × 10⁻⁶, and a minus sign for the hyphen before a number; not in `code`."""

    def power(match: re.Match[str]) -> str:
        raised = f"10{str(int(match[2])).translate(_RAISED)}"
        return raised if float(match[1]) == 1 else f"{match[1]}{_NO_BREAK}×{_NO_BREAK}{raised}"

    return "".join(
        part if at % 2 else _MINUS.sub("−", _POWER.sub(power, part)) for at, part in enumerate(_CODE.split(text))
    )


def as_html(text: str) -> str:
    """Plain text as HTML: with `code` between backticks, and numbers outside of it as in a book."""
    return "".join(
        f"<code>{html.escape(part[1:-1])}</code>" if at % 2 else html.escape(part)
        for at, part in enumerate(_CODE.split(as_in_a_book(text)))
    )
