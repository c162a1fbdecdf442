"""What `make bench` measured, as tables and plots: on a page, and in a terminal. Measuring lives in `benchmarks/`.

Everything here is computed from the results that `python -m benchmarks` wrote; nothing is measured, and nothing typed.
A table is a header and rows of cells; a cell may have a second line, which holds the spread.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from statistics import linear_regression
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.drawing import styled
from bn_book.ledger import plain
from bn_exercises.typography import as_in_a_book

Results = Mapping[str, Any]
RowDict = Mapping[str, Any]

NAMES = {
    "reference": "reference",
    "numpy": "NumPy",
    "numba": "Numba",
    "torch": "PyTorch",
    "copy": "copy",
    "textbook": "textbook",
}
LOOKS = {
    "torch": (COLOURS["without_bn"], "--", "s"),
    "numpy": (COLOURS["with_bn"], "-", "o"),
    "numba": (COLOURS["accent"], "-", "D"),
    "copy": (COLOURS["muted"], ":", "^"),
}
REACHED, MISSED = "✓", "✗"
FITTED_FROM = 100_000  # elements

_SMALL = (
    "On small inputs the fixed cost of a call in Python counts (checking arguments, wrapping results): it is the flat "
    "left end of the plots below."
)

_STEP = (
    "A step is many calls on small arrays: products of matrices, which both libraries leave to BLAS, the "
    "normalizations, the loss, the update. Each call has a fixed price. We pay it in Python, PyTorch in C++."
)

#: Why a goal can be missed, by its key. Shown only where the results say that it is.
WHY: Mapping[str, str] = {
    "numpy-forward-image": (
        "NumPy computes one operation at a time. Blocks keep their data in the cache, so memory is not what limits "
        "it; but each operation loads and stores its block again, where compiled code keeps a value in a register "
        "through all of them. Two threads gain less than it seems they should, because between two operations each "
        "needs Python's lock. On small inputs the price of a NumPy call, whatever is in it, counts as well: it is the "
        "flat left end of the plots below. And 256×64×1×1 is an image in form only: every channel has one position, "
        "as in (N, C)."
    ),
    "numba": (
        "In (N, C) every row holds a value of every channel, so all rows must be summed before the first can be "
        "normalized: x is read twice. Backward must move three arrays, x and dy in and dx out. Where both libraries "
        "wait for the memory, the ratio goes towards that of what they move. Where a mean is of a few values only, "
        "what is done once for each mean counts."
    ),
    "numba-64-512": _SMALL,
    "numba-256-64": _SMALL,
    "numba-forward-copy": (
        "A copy reads and writes once. In (N, C) x must be read twice, and what fits in the caches is summed in "
        "float64 at the price of a conversion, which a copy does not pay."
    ),
    "numba-backward-copy": (
        "Backward must move at least three arrays, x and dy in and dx out, where a copy moves two. So it has to be "
        "faster for each byte than the copy, which has one thread, and one thread may already take a large part of "
        "what the memory gives."
    ),
    "memory-forward": (
        "Beside the result there is memory that grows with the input, as when it must first be brought into one piece "
        "or another order."
    ),
    "memory-backward": (
        "Beside the result there is memory that grows with the input, as a product that is written before it is summed."
    ),
    "accuracy": (
        "y is float32, and its own rounding is half a unit in the last place. What is above that comes from the order "
        "of operations after the mean is gone."
    ),
    "network-mlp": _STEP,
    "network-mlp-numpy": _STEP,
    "network-cnn": (
        "The time is in the convolution, which NumPy must do as copies of patches and a product of matrices. "
        "PyTorch's convolution is compiled for just this."
    ),
}


class Table(NamedTuple):
    """A title, a header and rows of cells."""

    title: str
    header: list[str]
    rows: list[list[str]]


# Tables


def machine(results: Results) -> Table:
    """The machine, versions and threads."""
    told = results["machine"]
    caches = ", ".join(f"{name} {_bytes(size)}" for name, size in told["caches"].items()) or "unknown"
    versions = ", ".join(f"{name} {number}" for name, number in told["versions"].items() if number)
    threads = ", ".join(f"{name} {number}" for name, number in told["threads"].items())
    rows = [
        ["processor", f"{told['processor']}, {told['cores']} cores"],
        ["caches of the cores used", caches],
        ["system", told["system"]],
        ["versions", versions],
        ["BLAS", told["blas"]],
        ["threads", threads],
        ["measured on", told["date"]],
        ["others' load before", f"{told['load']:.2g} cores"],
    ]
    return Table(
        "The machine", ["what", "here"], rows + [["left out", f"{n}: {why}"] for n, why in results["left_out"].items()]
    )


def goals(results: Results, *, reached: bool | None = None) -> Table:
    """Every goal with the worst that was measured for it; or only those that are reached, or only the others."""
    rows = []
    for goal in results["goals"]:
        if reached is not None and reached != _is_reached(goal):
            continue
        if not goal["rows"]:
            rows.append([goal["says"], "not measured", _limit(goal)])
            continue
        worst = "NaN" if goal["worst"] is None else number(goal["worst"])
        verdict = REACHED if _is_reached(goal) else f"{MISSED}{_by_how_much(goal)}"
        rows.append([goal["says"], f"{worst}\n{goal['where']}", f"{_limit(goal)} {verdict}"])
    return Table("Goals", ["what", "at worst", "goal"], rows)


def _is_reached(goal: Mapping[str, Any]) -> bool:
    """Whether all that was measured for it keeps to it, and something was."""
    return bool(0 < goal["rows"] == goal["reached"])


def times(results: Results, direction: str) -> Table:
    """Times over PyTorch's at the seven shapes; beside each shape PyTorch's own time."""
    names = [name for name in ("numpy", "numba", "copy", "reference") if _rows(results, direction, candidate=name)]
    rows = []
    for torch in _rows(results, direction, candidate="torch"):
        mine = [_only(results, direction, case=torch["case"], candidate=name, against="torch") for name in names]
        rows.append([f"{torch['case']}\n{seconds(torch['median'])}", *map(_cell, mine)])
    return Table(f"{direction.capitalize()}: time / PyTorch's", ["shape", *(NAMES[name] for name in names)], rows)


def beside_a_copy(results: Results) -> Table:
    """Times of the fast backends over that of a copy of the same size."""
    columns = [
        (direction, name)
        for name in ("numpy", "numba")
        for direction in ("forward", "backward")
        if _rows(results, direction, candidate=name)
    ]
    rows = [
        [case, *(_cell(_only(results, d, case=case, candidate=name, against="copy")) for d, name in columns)]
        for case in _cases(results, "forward")
    ]
    return Table("Time / a copy's", ["shape", *(f"{NAMES[name]} {direction}" for direction, name in columns)], rows)


def relatives(results: Results) -> Table:
    """Times of the other normalizers, with Numba, over PyTorch's and a copy's; beside each PyTorch's own, both ways."""
    columns = [(direction, peer) for peer in ("torch", "copy") for direction in ("forward", "backward")]
    rows = []
    for case in _distinct(row["case"] for row in _rows(results, "relatives", candidate="numba")):
        theirs = _rows(results, "relatives", case=case, candidate="torch")
        mine = [
            _only(results, "relatives", case=case, direction=direction, candidate="numba", against=peer)
            for direction, peer in columns
        ]
        rows.append([f"{case}\n{', '.join(seconds(row['median']) for row in theirs)}", *map(_cell, mine)])
    header = ["Numba", "forward", "backward", "forward / copy", "backward / copy"]
    return Table("Relatives: time / PyTorch's, and / a copy's", header, rows or [["not measured yet", *[""] * 4]])


def peak_memory(results: Results) -> Table:
    """Extra memory at the peak, in inputs."""
    columns = [(d, case) for case in _cases(results, "memory") for d in ("forward", "backward")]
    rows = [
        [NAMES[name], *(_cell(_only(results, "memory", case=c, direction=d, candidate=name)) for d, c in columns)]
        for name in _candidates(results, "memory")
    ]
    return Table("Extra memory at the peak, in inputs", ["computed by", *(f"{case} {d}" for d, case in columns)], rows)


def errors(results: Results) -> Table:
    """Largest error of y against extended precision: for each kind of data, every way to compute it."""
    layouts = _distinct(case.partition(": ")[0] for case in _cases(results, "accuracy"))
    data = _distinct(case.partition(": ")[2] for case in _cases(results, "accuracy"))
    rows = [
        [f"{NAMES[name]}\n{words}"]
        + [_cell(_only(results, "accuracy", case=f"{layout}: {words}", candidate=name)) for layout in layouts]
        for words in data
        for name in _candidates(results, "accuracy")
    ]
    return Table("Largest error of y, float32", ["computed by", *layouts], rows)


def networks(results: Results) -> Table:
    """Training of the two small networks over PyTorch's time."""
    names = _candidates(results, "networks")
    rows = [
        [case, *(_cell(_only(results, "networks", case=case, candidate=name)) for name in names)]
        for case in _cases(results, "networks")
    ]
    return Table("Small networks: time / PyTorch's", ["training", *(NAMES[name] for name in names)], rows)


def growth(results: Results, direction: str) -> Table:
    """Nanoseconds an element, as the input grows."""
    names = [name for name in LOOKS if _rows(results, "growth", candidate=name, direction=direction)]
    rows = []
    for case in _cases(results, "growth"):
        found = [_only(results, "growth", case=case, candidate=name, direction=direction) for name in names]
        each = [number(1e9 * row["median"] / math.prod(row["shape"])) for row in found]
        rows.append([f"{math.prod(found[0]['shape']):,}", *each])
    return Table(f"{direction.capitalize()}: ns an element", ["elements", *(NAMES[name] for name in names)], rows)


def exponents(results: Results) -> Table:
    """With which power of the elements time grows, fitted where the cost of a call no longer shows: 1 is linear."""
    directions = ("forward", "backward")
    names = [name for name in LOOKS if _rows(results, "growth", candidate=name)]
    rows = [[NAMES[name], *(number(_exponent(results, name, direction)) for direction in directions)] for name in names]
    return Table(f"Power of the elements, from {FITTED_FROM:,} on", ["who", *directions], rows)


def _exponent(results: Results, name: str, direction: str) -> float:
    rows = _rows(results, "growth", candidate=name, direction=direction)
    points = [(math.log(math.prod(row["shape"])), math.log(row["median"])) for row in rows]
    large = [(x, y) for x, y in points if x >= math.log(FITTED_FROM)]
    return linear_regression(*zip(*large, strict=True)).slope


def neighbour(results: Results) -> Table:
    """What PyTorch's spinning threads would add to whoever is timed next."""
    rows = [[NAMES[row["candidate"]], _cell(row)] for row in _rows(results, "neighbour")]
    return Table("Right after PyTorch / settled", ["who", "time / time"], rows)


def reasons(results: Results) -> str:
    """For every goal that is missed: by how much, where and why, as MyST Markdown. Empty if all are reached."""
    parts = []
    for goal in results["goals"]:
        missed = [row for row in results["rows"] if row["goal"] == goal["key"] and not row["reached"]]
        if not missed:
            continue
        of = f"{goal['rows'] - len(missed)} of {goal['rows']}"
        where = "; ".join(f"{_where(row)}: {_middle(row)}" for row in missed)
        parts.append(
            f"**{plain(goal['says'])}** ({_limit(goal)}; reached in {of}). Missed at {plain(where)}. "
            f"{plain(WHY[goal['key']])}"
        )
    return "\n\n".join(parts)


def goals_in_markdown(results: Results) -> str:
    """How many goals are reached and which; then, folded, the others and why, as MyST Markdown."""
    met, open_ = (goals(results, reached=reached) for reached in (True, False))
    parts = [f"**{len(met.rows)} of {len(results['goals'])} goals are reached.**"]
    if met.rows:
        parts.append(in_markdown(met))
    if open_.rows:
        fold = f"Show the {len(open_.rows)} that are not, and why"
        parts.append("\n\n".join([f"````{{dropdown}} {fold}", in_markdown(open_), reasons(results), "````"]))
    return "\n\n".join(parts)


def in_markdown(table: Table) -> str:
    """A table as MyST Markdown; a cell's second line is set small."""
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join(
        "| " + " | ".join(line if line == "---" else _markdown(line) for line in row) + " |" for row in lines
    )


def in_text(results: Results) -> str:
    """All tables for a terminal of 80 to 100 columns."""
    from tabulate import tabulate  # of the extra [test], as is all that measures

    directions = ("forward", "backward")
    tables = [
        machine(results),
        *(times(results, direction) for direction in directions),
        beside_a_copy(results),
        relatives(results),
        peak_memory(results),
        errors(results),
        networks(results),
        *(growth(results, direction) for direction in directions),
        exponents(results),
        neighbour(results),
        goals(results),
    ]
    return "\n\n".join(f"{table.title}\n{_in_columns(table, tabulate)}" for table in tables if table.rows)


def _in_columns(table: Table, tabulate: Callable[..., str]) -> str:
    narrow = [["\n".join(fill(line, 40) for line in cell.split("\n")) for cell in row] for row in table.rows]
    return tabulate(narrow, table.header, tablefmt="simple", disable_numparse=True)


# Plots


@styled
def time_against_size(results: Results) -> Figure:
    """Time of a call against elements, both axes logarithmic: forward above, backward below."""
    return _against_size(results, lambda row: 1e6 * row["median"], "microseconds a call")


@styled
def time_an_element(results: Results) -> Figure:
    """Time an element against elements, both axes logarithmic: forward above, backward below."""
    return _against_size(results, lambda row: 1e9 * row["median"] / math.prod(row["shape"]), "nanoseconds an element")


def growth_in_words(results: Results, direction: str = "forward") -> str:
    """What the plots say, for those who cannot see them: the time an element at the smallest and the largest size."""
    table = growth(results, direction)
    first, last = table.rows[0], table.rows[-1]
    parts = [f"{name} from {a} to {b}" for name, a, b in zip(table.header[1:], first[1:], last[1:], strict=True)]
    return f"{direction}, nanoseconds an element from {first[0]} to {last[0]} elements: {', '.join(parts)}"


def _against_size(results: Results, value: Any, label: str) -> Figure:
    fig, axes = plt.subplots(2, 1, figsize=(5.2, 6.7), sharex=True)
    for ax, direction in zip(axes, ("forward", "backward"), strict=True):
        for name, (colour, line, marker) in LOOKS.items():
            rows = _rows(results, "growth", candidate=name, direction=direction)
            if rows:
                elements = [math.prod(row["shape"]) for row in rows]
                heights = [value(row) for row in rows]
                ax.plot(elements, heights, line, marker=marker, color=colour, markersize=4, label=NAMES[name])
        ax.set(xscale="log", yscale="log", ylabel=label)
        ax.set_title(direction.capitalize())
        _plain_ticks(ax)
        _cache_marks(ax, results["machine"]["caches"], named=ax is axes[0])
    axes[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=len(axes[0].lines), columnspacing=1)
    axes[1].set_xlabel("elements of x (float32)")
    return fig


def _cache_marks(ax: Axes, caches: Mapping[str, int], *, named: bool) -> None:
    """Where x alone fills each cache, if that is on the axis."""
    left, right = ax.get_xlim()
    for name, size in caches.items():
        if left < size / 4 < right:
            ax.axvline(size / 4, color=COLOURS["muted"], linestyle=":", linewidth=1.2)
            if named:
                ax.annotate(
                    name,
                    (size / 4, 1),
                    xycoords=("data", "axes fraction"),
                    xytext=(3, -2),
                    textcoords="offset points",
                    va="top",
                    color=COLOURS["muted"],
                )
    ax.set_xlim(left, right)


def _plain_ticks(ax: Axes) -> None:
    """Decades as plain words: mathematics would become outlines."""
    for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        decades = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        axis.set_ticks([10.0**d for d in decades], [_decade(d) for d in decades])
        axis.set_minor_formatter(lambda *_: "")


def _decade(exponent: int) -> str:
    return f"{10.0**exponent:g}" if -3 < exponent < 4 else as_in_a_book(f"1e{exponent}")


# Words and numbers


def number(value: float) -> str:
    """Three digits at most, two decimals: `0.27`, `2.9`, `41`, `1.2e-7`."""
    if value and abs(value) < 0.01:
        return _short(f"{value:.1e}")
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"


def seconds(value: float) -> str:
    """A time with its unit: `31 µs`, `14 ms`."""
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def _limit(goal: Mapping[str, Any]) -> str:
    return _short(f"≤\N{NO-BREAK SPACE}{goal['limit']:g}")


def _short(exponential: str) -> str:
    """Without the zero in e-07."""
    return exponential.replace("e-0", "e-")


def _bytes(size: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:g} {unit}"
        size /= 1024  # type: ignore[assignment]
    return f"{size:g} GiB"


def _cell(row: RowDict) -> str:
    """The middle, a mark if there is a goal, and below it the spread."""
    mark = "" if row["reached"] is None else f" {REACHED if row['reached'] else MISSED}"
    spread = (
        "" if row["median"] is None or row["low"] == row["high"] else f"\n{number(row['low'])}–{number(row['high'])}"
    )
    return f"{_middle(row)}{mark}{spread}"


def _middle(row: RowDict) -> str:
    return "NaN" if row["median"] is None else number(row["median"])


def _where(row: RowDict) -> str:
    return (
        f"{row['case']}, {row['candidate']}" if row["table"] in ("memory", "accuracy", "networks") else str(row["case"])
    )


def _by_how_much(goal: Mapping[str, Any]) -> str:
    return "" if goal["worst"] is None else f"\n{number(goal['worst'] / goal['limit'])} × goal"


def _markdown(cell: str) -> str:
    first, _, second = cell.partition("\n")
    return plain(first) + (f"<br><small>{plain(second)}</small>" if second else "")


def _rows(results: Results, table: str, **wanted: str) -> list[RowDict]:
    return [
        row
        for row in results["rows"]
        if row["table"] == table and all(row[name] == value for name, value in wanted.items())
    ]


def _only(results: Results, table: str, **wanted: str) -> RowDict:
    (row,) = _rows(results, table, **wanted)
    return row


def _cases(results: Results, table: str) -> list[str]:
    return _distinct(row["case"] for row in _rows(results, table))


def _candidates(results: Results, table: str) -> list[str]:
    return _distinct(row["candidate"] for row in _rows(results, table))


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
