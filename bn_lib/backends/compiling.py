"""Compiling a loop with Numba, and keeping what was compiled on disk for the next process."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from numba import njit
from numba.core.caching import FunctionCache

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


def compiled(*fastmath: str, forceinline: bool = False) -> Callable[[Compiled], Compiled]:
    """Numba's `njit` with what every function here needs, kept on disk where there is a folder to write to.

    Of fast mathematics only what leaves infinities and NaN alone: "contract", a multiplication and addition that round
    once, and "reassoc", sums in several lanes. Without "nsz" beside it, "reassoc" does not take x - center apart.

    What is called for each row of a few values is put into its caller with `forceinline`: a call hands over ten numbers
    for an array, which takes longer than the sum of such a row.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": set(fastmath),
        "forceinline": forceinline,
    }

    def decorate(function: Compiled) -> Compiled:
        result: Compiled = njit(**options)(function)
        with suppress(RuntimeError):  # neither the folder of this file nor the user's own can be written to
            vars(result)["_cache"] = _Cache(function)  # as its `enable_caching` does
        return result

    return decorate
