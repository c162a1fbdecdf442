"""How the work on one array is shared among the blocks of a GPU: arithmetic on shapes, which needs no GPU to be tested.

`batchnorm.cu` explains the two ways in which it sees a batch `(N, C, S)`. Here one of them is chosen, and how many
blocks share a column. `with_cupy` launches what is planned here.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from bn_lib._arrays import Array

# As in batchnorm.cu.
THREADS = 256
BLOCKS = 3
LAYOUT = np.dtype([(name, np.int64) for name in ["rows", "columns", "width", "words", "chunk", "across", "positions"]])

WORD = 16  # bytes: the most that one instruction of a thread reads or writes
NARROW = 64  # bytes of a run; below, a multiprocessor would fetch more from its neighbours than from itself
LANES = 4  # columns that a thread sums side by side; sums of more would not fit in its registers
SIDE_BY_SIDE = 32  # columns of a block: 128 bytes of float32, which is a line of the cache
START = 8  # words that a thread could have read in the time that a block takes to begin and to merge
ROUNDS = 4  # of blocks that are considered; more only begin and merge more often
LARGEST_GRID = 65535  # blocks in the second direction

TYPES = {2: "Half", 4: "float", 8: "double"}  # of batchnorm.cu, by the bytes of an element


class Launch(NamedTuple):
    """How the kernels run on one array.

    Attributes:
        template: the arguments of the kernels' templates.
        groups: of columns: the grid's first direction.
        splits: parts that a group's rows are shared in: the grid's second direction.
        columns: columns that have sums of their own.
        layout: `struct Layout` of batchnorm.cu.
        no_rows: the same for a launch of one split that merges what others summed, and goes through nothing.
    """

    template: str
    groups: int
    splits: int
    columns: int
    layout: Array
    no_rows: Array


@cache
def plan(shape: tuple[int, int, int], itemsize: int, aligned: bool, multiprocessors: int) -> Launch:
    """The launch for arrays of one shape.

    Args:
        shape: (N, C, S).
        itemsize: bytes of an element: 2, 4 or 8.
        aligned: whether all arrays begin at a multiple of 16 bytes.
        multiprocessors: how many the device has.

    Returns:
        What `with_cupy` launches: every element is visited once, whatever the shape.
    """
    n, channels, size = shape
    word, lanes, across, ragged = WORD // itemsize if aligned else 1, 1, 1, False
    if size * itemsize >= NARROW:
        columns, width, positions = channels, size, 1
        ragged = size % word > 0
        words = -(-(size + word - 1) // word) if ragged else size // word  # a run may begin at the end of a word
    else:
        columns, width, positions, words = channels * size, 1, size, 1
        word = min(word, LANES)
        lanes = word = 1 if columns % word else word
        across = min(SIDE_BY_SIDE // lanes, _power_of_two(-(-columns // lanes)))
    groups = -(-columns // (across * lanes))
    steps = -(-n * words // (THREADS // across))  # of all threads that have one column together
    splits = _splits(groups, steps, across * lanes * positions, multiprocessors * BLOCKS)
    chunk = -(-steps // splits) * (THREADS // across)
    splits = -(-n * words // chunk)
    return Launch(
        template=f"{TYPES[itemsize]}, {word}, {lanes}, {str(ragged).lower()}",
        groups=groups,
        splits=splits,
        columns=columns,
        layout=np.array([(n, columns, width, words, chunk, across, positions)], LAYOUT),
        no_rows=np.array([(0, columns, width, words, 0, across, positions)], LAYOUT),
    )


def _splits(groups: int, steps: int, merged: int, at_once: int) -> int:
    """In how many parts a column is best done: time is rounds of blocks times what one block takes.

    A block begins, reads its words, and merges `merged` columns of every part. A thread reads a part in about the time
    of a word: both wait for memory once. So long columns may be split often, though every block merges all parts.
    """

    def time(splits: int) -> int:
        merges = -(-splits * merged // THREADS)
        return -(-groups * splits // at_once) * (START + -(-steps // splits) + merges)

    most = max(1, min(steps, LARGEST_GRID, ROUNDS * at_once // groups))
    return min(range(1, most + 1), key=time)


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
