"""A chapter's laboratory: controls over one of the chapter's own experiments, and the last three runs side by side.

A chapter's room says in its `laboratory.py` which settings there are, how they lead to a run, and what to look for.
Where a kernel runs, a control that is moved recomputes. A page without one shows the run that was made when the book
was built. Needs ipywidgets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple, Protocol, TypeVar

import ipywidgets as widgets
from matplotlib.figure import Figure

from bn_book.drawing import show, style
from bn_exercises.typography import as_in_a_book

T = TypeVar("T")

KEPT = 3  # runs that are shown side by side
SLOW = 2.0  # seconds from which on a reader is shown how far a run is
SIZE = (3.0, 2.6)  # inches of a run's figure: three stand beside one another in a notebook


class Outcome(NamedTuple):
    """What a run found.

    Attributes:
        figure: of `SIZE`; with the same limits for all settings, so that runs can be compared.
        alt: what the figure shows, in words.
        numbers: what was measured, each with its name and unit.
    """

    figure: Figure
    alt: str
    numbers: Mapping[str, str]


class Each(Protocol):
    """`for part in each(parts)`: goes through the parts of a run, and shows how many are done if they take long."""

    def __call__(self, parts: Sequence[T], /) -> Iterator[T]:
        """Yield the parts."""


class Run(NamedTuple):
    """A run that is shown.

    Attributes:
        settings: the name of each control and what it was set to, as they are written.
        html: what it found.
    """

    settings: Mapping[str, str]
    html: str


def choose(label: str, options: Sequence[Any], start: Any) -> widgets.Widget:
    """A control for one of some values: a slider for numbers, a list for words.

    Args:
        label: what it sets.
        options: the values, in their order.
        start: the value it has first.

    Raises:
        ValueError: if `start` is none of the options.
    """
    if start not in options:
        raise ValueError(f"{label} starts at {start!r}; expected one of {list(options)}")
    looks = {"description": label, "style": {"description_width": "9em"}, "layout": {"width": "24em"}}
    if all(isinstance(option, str) for option in options):
        return widgets.Dropdown(options=list(options), value=start, **looks)
    labelled = [(_written(option), option) for option in options]
    return widgets.SelectionSlider(options=labelled, value=start, continuous_update=False, **looks)


def _written(value: object) -> str:
    return value if isinstance(value, str) else f"{value:g}"


class Laboratory(widgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """Controls, the last runs, and a question. It runs once when it is made, and again whenever a control is moved.

    Args:
        question: what to look for.
        run: makes a run, from `Each` and one argument for each control.
        controls: for each of those arguments its control, made by `choose`.

    Attributes:
        controls: as given; setting the `value` of one makes a run.
        runs: the last runs, the newest first; at most `KEPT`.
    """

    def __init__(
        self, question: str, run: Callable[..., Outcome], controls: Mapping[str, widgets.Widget], **options: Any
    ) -> None:
        self.question = question
        self.controls = dict(controls)
        self.runs: list[Run] = []
        self._run = run
        self._seconds = 0.0
        self._bar = widgets.IntProgress(description="running", layout={"visibility": "hidden"})
        self._shown = widgets.HTML()
        self._make(**{name: control.value for name, control in self.controls.items()})
        # Its output has what goes wrong in a run. The first run was made before, so that it goes wrong where it is.
        output = widgets.interactive_output(self._make, self.controls)
        grid = widgets.Box([*self.controls.values()], layout={"flex_flow": "row wrap"})
        asked = widgets.HTML(f"<p><strong>{escape(question)}</strong></p>")
        super().__init__([asked, grid, self._bar, output, self._shown], **options)

    def _make(self, **settings: Any) -> None:
        """Make a run and show it before the others, unless it is the one that was made last."""
        written = {control.description: _written(settings[name]) for name, control in self.controls.items()}
        if self.runs and self.runs[0].settings == written:
            return
        self._bar.value, self._bar.layout.visibility = 0, "visible" if self._seconds > SLOW else "hidden"
        began = time.monotonic()
        try:
            with style():
                outcome = self._run(self._each, **settings)
        finally:
            self._bar.layout.visibility = "hidden"
        self._seconds = time.monotonic() - began
        figure = show(outcome.figure, alt=outcome.alt)
        self.runs = [Run(written, figure.html + _table(outcome.numbers)), *self.runs][:KEPT]
        self._shown.value = self._side_by_side()

    def _each(self, parts: Sequence[T], /) -> Iterator[T]:
        self._bar.max = len(parts)
        began = time.monotonic()
        for done, part in enumerate(parts):
            self._bar.value = done
            if done and (time.monotonic() - began) / done * len(parts) > SLOW:
                self._bar.layout.visibility = "visible"
            yield part

    def _side_by_side(self) -> str:
        """The runs, the newest first; in each, what was set to another value than in the run before it stands out."""
        shown = []
        for number, run in enumerate(self.runs):
            before = self.runs[number + 1].settings if number + 1 < len(self.runs) else run.settings
            settings = _table(run.settings, {name for name in run.settings if run.settings[name] != before[name]})
            shown.append(f'<div style="flex: 0 1 19rem; min-width: 0">{settings}{run.html}</div>')
        return f'<div style="display: flex; flex-wrap: wrap; gap: 1.5em">{"".join(shown)}</div>'

    def to_html(self) -> str:
        """What a page without a kernel shows: the question, the last run, and the way to runs of one's own."""
        return (
            f'<div class="bn-laboratory"><p><strong>{escape(as_in_a_book(self.question))}</strong></p>'
            f"{self._side_by_side()}"
            "<p>This run was recorded when the book was built. With Python behind the page, a control for each setting "
            'recomputes it, and the last three runs stand side by side. <a class="bn-run-link" '
            'href="../run.html">Run it here</a></p></div>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | dict[str, Any]:
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return data | {"text/html": self.to_html()}, metadata

    def __repr__(self) -> str:
        return f"Laboratory({', '.join(f'{name}={control.value!r}' for name, control in self.controls.items())})"


def _table(rows: Mapping[str, str], strong: Collection[str] = ()) -> str:
    """Names and values, two columns."""
    lines = []
    for name, value in rows.items():
        tag = "strong" if name in strong else "span"
        cell = f"<td><{tag}>{escape(as_in_a_book(value))}</{tag}></td>"
        lines.append(
            f'<tr><th scope="row" style="text-align: left; font-weight: normal">{escape(name)}</th>{cell}</tr>'
        )
    return f'<table class="table"><tbody>{"".join(lines)}</tbody></table>'
