"""A progress bar for what may take long: tqdm's, which is optional and not imported before it is wanted."""

from typing import Any, Self


def progress_bar(total: int | None, shown: bool, unit: str) -> Any:
    """A tqdm bar, or one that does nothing where it is not wanted or tqdm is not installed."""
    if not shown:
        return _NoBar()
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _NoBar()
    return tqdm(total=total, unit=unit)


class _NoBar:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self) -> None:
        pass
