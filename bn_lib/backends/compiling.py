"""Compiling a loop with Numba, and keeping what was compiled on disk for the next process."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core.caching import FunctionCache

SOURCES = tuple(sorted((file.name, file.stat().st_mtime_ns) for file in Path(__file__).parent.glob("*.py")))

Compiled = TypeVar("Compiled", bound=Callable[..., Any])


class _Cache(FunctionCache):
    """What is compiled, on disk. A file that cannot be read, or written, is not worth more than compiling again.

    A process that was killed or a full disk leaves a file cut short, and Numba would raise EOFError at every call.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):
            super().save_overload(sig, data)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Numba looks at the function's own file; what it calls in another is part of the same machine code."""
        return (*super()._index_key(sig, codegen), SOURCES)


def compiled(*fastmath: str, forceinline: bool = False, kept: bool = True) -> Callable[[Compiled], Compiled]:
    """Numba's `njit` with what every function here needs, kept on disk where there is a folder to write to.

    Of fast mathematics only what leaves infinities and NaN alone: "contract", a multiplication and addition that round
    once, and "reassoc", sums in several lanes. Without "nsz" beside it, "reassoc" does not take x - center apart.

    What is called for each row of a few values is put into its caller with `forceinline`: a call hands over ten numbers
    for an array, which takes longer than the sum of such a row.

    A generator must not be `kept`: Numba cannot compile a caller of one that it found on disk.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": set(fastmath),
        "forceinline": forceinline,
    }

    def decorate(function: Compiled) -> Compiled:
        result: Compiled = njit(**options)(function)
        if kept:
            with suppress(RuntimeError):  # neither the folder of this file nor the user's own can be written to
                vars(result)["_cache"] = _Cache(function)  # as its `enable_caching` does
        return result

    return decorate
