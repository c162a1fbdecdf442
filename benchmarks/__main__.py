"""Run every table, print it, and write the results for the book's page: `make bench`, or `make bench-quick`."""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import bn_lib
from benchmarks import THREADS, _machine, memory, networks, speed
from benchmarks._measure import SETTLE, Spread
from benchmarks.accuracy import accuracy_table
from benchmarks.goals import CNN, MLP, Row, judge
from bn_book import benchmarks as report

RESULTS = Path(__file__).parent / "results" / "cpu.json"
QUICK_RESULTS = Path(__file__).parents[1] / "_build" / "benchmarks" / "cpu.json"  # a look; not what the book shows

IDLE = 0.3  # cores that others may use before the numbers are no longer ours

SIDES = (4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sizes, in under a minute")
    parser.add_argument("--out", type=Path, help="where to write the results")
    options = parser.parse_args(arguments)
    out = options.out or (QUICK_RESULTS if options.quick else RESULTS)

    if _machine.load() > IDLE:
        print(f"Others use {_machine.load():.1f} cores. These numbers are of a busy machine.\n")
    began = time.monotonic()
    results = run(quick=options.quick)
    print(report.in_text(results))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    print(f"\nTook {time.monotonic() - began:.0f} s. Written: {out.name} in {out.parent.name}/")


def run(*, quick: bool) -> dict[str, Any]:
    """All tables, judged."""
    torch.set_num_threads(THREADS)
    backends, left_out = speed.usable()
    rounds = 4 if quick else 25
    rows: list[Row] = []
    if reason := memory.why_not():
        left_out["memory"] = reason
    else:
        rows += memory.memory_table(["torch", *backends], ["NCHW"] if quick else list(memory.SHAPES))
    rows += accuracy_table(backends, 2 if quick else 10)
    rows += speed.shapes_table(backends, rounds)
    rows += speed.relatives_table(backends, rounds)
    rows += speed.neighbour_table(backends, rounds)
    rows += network_table(backends, 3 if quick else 15)
    rows += speed.growth_table(backends, SIDES[::3] if quick else SIDES, 3 if quick else 7)
    judged, goals = judge(rows)
    return {
        "quick": quick,
        "machine": _machine.describe(),
        "settle_seconds": SETTLE,
        "rounds": rounds,
        "left_out": left_out,
        "goals": goals,
        "rows": [asdict(row) for row in judged],
    }


def network_table(backends: Sequence[str], rounds: int) -> Iterator[Row]:
    """Training of the two small networks over PyTorch's, with each fast backend."""
    for name in backends:
        if name == "reference":
            continue
        with bn_lib.use_backend(name):
            for case, train in ((MLP, networks.mlp), (CNN, networks.cnn)):
                result = train(rounds)
                spread = Spread.of(result["ratios"])
                yield Row("networks", case, name, "torch", *spread, seconds=result["ours"])


if __name__ == "__main__":
    main()
