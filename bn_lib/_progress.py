"""A progress bar for what may take long: tqdm's, which is optional and not imported before it is wanted."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any


def progress_bar(total: int | None, shown: bool, unit: str) -> Any:
    """A tqdm bar, as a context, or one that does nothing where it is not wanted or tqdm is not installed."""
    nothing = nullcontext(SimpleNamespace(update=lambda: None))
    if not shown:
        return nothing
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return nothing
    return tqdm(total=total, unit=unit)
