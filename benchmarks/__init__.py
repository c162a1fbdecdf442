"""How fast, how large and how exact `bn_lib` is, beside PyTorch, each number a ratio against a peer in the same run.

`python -m benchmarks` runs every table and writes `results/cpu.json`, which the book's page reads; `gpu` is a program
of its own. Every library gets two threads, told here before any of them is imported. What is said about the results
lives in `bn_book.benchmarks`.
"""

import os

THREADS = 2

# PyTorch is told by torch.set_num_threads; bn_lib, OpenBLAS and OpenMP read these.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, str(THREADS))
