"""PyTorch and Keras, where they are installed, and what they gave where they are not.

Whatever needs them is in `side_by_side` and `pitfalls`, and is measured by `measure`. A page asks `results`.
`python -m bn_book.frameworks.installed` writes the record anew; a test holds it against a fresh measurement.
"""

import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

RECORD = Path(__file__).with_name("record.json")


class Results(NamedTuple):
    """What PyTorch and Keras gave.

    Attributes:
        live: whether they were run just now.
        versions: of both, by name.
        date: of the measurement, "2026-11-30".
        differences: by network, then by library and precision, then by quantity: see `side_by_side.compare`.
        steps: by network and library the largest difference of a parameter after each step.
        pitfalls: by pitfall and framework the pair of numbers: see `pitfalls.Pitfall`.
    """

    live: bool
    versions: dict[str, str]
    date: str
    differences: dict[str, dict[str, dict[str, float]]]
    steps: dict[str, dict[str, list[float]]]
    pitfalls: dict[str, dict[str, tuple[float, float]]]

    @property
    def where_from(self) -> str:
        """One sentence for a reader."""
        both = " and ".join(f"{name} {version}" for name, version in self.versions.items())
        if self.live:
            return f"Computed with {both} when this page was built."
        return f"PyTorch and Keras are not installed here. These numbers were recorded with {both} on {self.date}."


def are_here() -> bool:
    """Whether both can be imported, and Keras runs on PyTorch (or has not been imported yet)."""
    if "keras" in sys.modules:
        return bool(sys.modules["keras"].backend.backend() == "torch")
    try:
        return all(importlib.util.find_spec(name) is not None for name in ("torch", "keras"))
    # Where something refuses them, as in a browser.
    except ModuleNotFoundError:
        return False


@contextmanager
def frameworks() -> Iterator[None]:
    """Inside, `import keras` gives Keras on PyTorch, whatever a user's settings, and does not warn of deprecations."""
    before = {name: os.environ.get(name) for name in ("KERAS_BACKEND", "KERAS_HOME")}
    os.environ |= {"KERAS_BACKEND": "torch", "KERAS_HOME": os.devnull}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import keras  # noqa: F401 - it reads these two when it is imported first

            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@cache
def measure() -> Results:
    """Run everything that needs PyTorch and Keras. It takes some seconds."""
    from bn_book.frameworks import pitfalls, side_by_side

    with frameworks():
        import keras
        import torch

        versions = {"PyTorch": torch.__version__.partition("+")[0], "Keras": keras.__version__}
        compared = {name: side_by_side.compare(name) for name in side_by_side.NETWORKS}
        seen = {each.name: pitfalls.reproduce(each) for each in pitfalls.PITFALLS}
    return Results(
        live=True,
        versions=versions,
        date=datetime.now(UTC).date().isoformat(),
        differences={name: each.differences for name, each in compared.items()},
        steps={name: each.steps for name, each in compared.items()},
        pitfalls=seen,
    )


def recorded() -> Results:
    """What was measured and written down last."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    pairs = {
        name: {framework: (float(broken), float(cured)) for framework, (broken, cured) in of_one.items()}
        for name, of_one in found.pop("pitfalls").items()
    }
    return Results(live=False, pitfalls=pairs, **found)


def results() -> Results:
    """What PyTorch and Keras give, here and now if they are installed, and otherwise as it was recorded."""
    return measure() if are_here() else recorded()


def write() -> None:
    """Write the record anew."""
    found = {name: value for name, value in measure()._asdict().items() if name != "live"}
    # Six digits, and words for what JSON has no number for.
    found["pitfalls"] = {
        name: {framework: [str(float(f"{value:.6g}")) for value in pair] for framework, pair in of_one.items()}
        for name, of_one in found["pitfalls"].items()
    }
    found["steps"] = {
        name: {which: [float(f"{value:.3g}") for value in series] for which, series in of_one.items()}
        for name, of_one in found["steps"].items()
    }
    found["differences"] = {
        name: {
            which: {what: float(f"{value:.3g}") for what, value in quantities.items()}
            for which, quantities in of_one.items()
        }
        for name, of_one in found["differences"].items()
    }
    RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
