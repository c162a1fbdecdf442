"""Numbers in running text, set as a book sets them and not as Python prints them: for the pages and their questions."""

import re

_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?\d+)(?![\w.]*\w)")
_MINUS = re.compile(r"(?<![\w.)\]–—-])-(?=\d)")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NO_BREAK = "\N{NO-BREAK SPACE}"


def as_in_a_book(text: str) -> str:
    """The text with `5e-06` as 5 × 10⁻⁶, and a minus sign for the hyphen before a number."""

    def power(match: re.Match[str]) -> str:
        raised = f"10{str(int(match[2])).translate(_RAISED)}"
        return raised if float(match[1]) == 1 else f"{match[1]}{_NO_BREAK}×{_NO_BREAK}{raised}"

    return _MINUS.sub("−", _POWER.sub(power, text))
