"""Implementations as a class of learners writes them, right and wrong, and a judge of them that is not the engine's.

`styles/` holds right ones, each a program in a style of its own. `slips` has the wrong ones: a style in which somebody
wrote something else, as a replacement of some characters. `judge` says which parts of either are right.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STYLES = sorted(path.stem for path in (Path(__file__).parent / "styles").glob("*.py"))
FUNCTIONS = ("forward", "backward", "update_running", "inference")


@dataclass(frozen=True)
class Learner:
    """Somebody's four functions.

    Attributes:
        name: the style, and the slip.
        style: which program.
        edits: what was replaced in it by what.
    """

    name: str
    style: str
    edits: tuple[tuple[str, str], ...] = ()

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions by name, made anew: what one run leaves behind in a module, no other sees."""
        text = (Path(__file__).parent / "styles" / f"{self.style}.py").read_text(encoding="utf-8")
        for old, new in self.edits:
            if old not in text:
                raise ValueError(f"{self.name}: {old!r} does not stand in {self.style}")
            text = text.replace(old, new)
        program: dict[str, Any] = {}
        exec(compile(text, f"{self.name}.py", "exec"), program)
        return {name: program[name] for name in FUNCTIONS}
