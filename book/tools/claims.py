"""Measure every claim of the ledger again, with more seeds than its page: `make claims`.

    python book/tools/claims.py [CHAPTER ...] [--seeds 5] [--scheduler ADDRESS]

of these chapters or of all, on all cores, or on the workers of a Dask cluster, which need this environment. Prints a
line for each claim: the verdict, the mean, the lowest and the highest number, and the range. Ends with 1 if one is not
as the book says.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from bn_book import ledger
from bn_book.chapters import chapters


@contextmanager
def cluster(scheduler: Any) -> Iterator[ledger.Each]:
    """A `map` on the workers of a cluster; "local" starts one here."""
    from distributed import Client, LocalCluster

    with ExitStack() as opened:
        if scheduler == "local":
            scheduler = opened.enter_context(LocalCluster(threads_per_worker=1, dashboard_address="127.0.0.1:0"))
        client = opened.enter_context(Client(scheduler))
        yield client.get_executor(pure=False).map


def line(result: ledger.Measured) -> str:
    """One claim, as it is printed."""
    low, high = min(result.values), max(result.values)
    spread = "" if len(result.values) == 1 else f" ({ledger.number(low)} to {ledger.number(high)})"
    value = f"{ledger.number(result.value)}{spread}"
    return f"{ledger.verdict(result):28} {result.claim.name:60} {value}; range: {ledger.band(*result.claim.band)}"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = ArgumentParser(prog="make claims", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"by default all: {', '.join(chapters())}")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0 (5)")
    parser.add_argument("--scheduler", help='address of a Dask scheduler; "local" starts one on this machine')
    asked = parser.parse_args(arguments)
    if asked.seeds < 1:
        parser.error(f"--seeds is {asked.seeds}; expected at least 1")
    if unknown := [name for name in asked.chapters if name not in chapters()]:
        parser.error(f"there is no chapter {unknown[0]!r}; expected some of {', '.join(chapters())}")
    where: AbstractContextManager[ledger.Each]
    where = cluster(asked.scheduler) if asked.scheduler else ledger.all_cores()
    with where as each:
        results = ledger.measured(asked.seeds, of=asked.chapters, each=each, progress=True)
    for chapter, of_chapter in results.items():
        print(f"\n{chapter}", *map(line, of_chapter), sep="\n  ")
    print("\n" + ledger.summary(results).replace("**", ""))
    return int(not all(result.as_said for of_chapter in results.values() for result in of_chapter))


if __name__ == "__main__":
    sys.exit(main())
