"""What the numbers depend on beside the code: the processor and its caches, versions, and who uses how many threads."""

import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import psutil
import threadpoolctl
import torch

from bn_lib.backends.threads import threads


@cache
def load() -> float:
    """How many cores others use: of two seconds in which we do nothing, the first time this is called.

    Who shares the cores with us moves every number. The system's load average would count what we did a minute ago.
    """
    return float(psutil.cpu_percent(interval=2) / 100 * psutil.cpu_count())


def describe() -> dict[str, Any]:
    """The machine, versions and threads, for people to read. Nothing in it tells where files lie.

    Returns:
        "processor", "cores" (that this process may use), "caches" (name: bytes that `threads()` cores have of it; empty
        where `lscpu` is missing), "system", "versions", "blas", "threads", "longdouble_bits" (of the mantissa),
        "load" (see `load`) and "date" (UTC).
    """
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # NumPy's own; SciPy brings another
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": _caches(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            "Numba": _version("numba"),
            "PyTorch": torch.__version__,
        },
        "blas": f"{blas['name']} {blas['version']}",
        "threads": {
            "PyTorch": torch.get_num_threads(),
            "bn_lib": threads(),
            "BLAS": max(
                (p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"), default=1
            ),
        },
        "longdouble_bits": int(np.finfo(np.longdouble).nmant),
        "load": load(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    fields = {entry["field"].strip(": "): entry["data"] for entry in _lscpu("--json").get("lscpu", [])}
    return fields.get("Model name") or platform.processor() or platform.machine()


def _caches() -> dict[str, int]:
    """Bytes of data cache that as many cores as there are threads have together."""
    found = {}
    for kind in _lscpu("--json", "--bytes", "--caches=NAME,ONE-SIZE,ALL-SIZE,TYPE").get("caches", []):
        if kind["type"] in ("Data", "Unified"):
            one, every = int(kind["one-size"]), int(kind["all-size"])
            found[kind["name"].removesuffix("d")] = min(one * threads(), every)
    return found


def _lscpu(*options: str) -> dict[str, Any]:
    """What util-linux reads from /sys and /proc, and from nowhere else where it is missing."""
    if sys.platform != "linux" or not shutil.which("lscpu"):
        return {}
    done = subprocess.run(["lscpu", *options], env=os.environ | {"LC_ALL": "C"}, capture_output=True, check=False)
    return dict(json.loads(done.stdout)) if done.returncode == 0 and done.stdout else {}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
