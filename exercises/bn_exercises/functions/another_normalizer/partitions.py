"""Which numbers share a mean: the right ways to divide a batch, and the wrong ones that have a name.

A normalizer divides the numbers of a batch into blocks of one size, and standardizes each by itself. So it is said here
by what the numbers of a block have in common: layer normalization by the sample, group normalization by the sample and
the group. Laid out with a column for each block, every one of them is Batch Normalization of that table; that is how
the gallery makes them all of the same steps.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from bn_exercises import misconceptions as wrong
from bn_exercises.misconceptions import Misconception
from bn_exercises.tolerance import Array


class Places(NamedTuple):
    """Where each number of a batch stands, as arrays of its shape.

    Attributes:
        n: the sample.
        c: the channel.
        h: the row of its position in an image; 0 in rows.
        w: the column of its position.
        group: of neighboring channels.
        member: which channel of its group.
        inside: its number in the sample, counted as they lie in memory.
        overall: its number in the batch.
        groups: how many.
        images: whether these are images.
    """

    n: Array
    c: Array
    h: Array
    w: Array
    group: Array
    member: Array
    inside: Array
    overall: Array
    groups: int
    images: bool

    @property
    def size(self) -> int:
        """How many channels are in a group."""
        return (int(self.c.max()) + 1) // self.groups


# What the numbers that share a mean have in common.
Partition: TypeAlias = Callable[[Places], tuple[Array, ...]]


def _places(shape: tuple[int, ...], groups: int) -> Places:
    n, c, *position = np.indices(shape)
    h, w = position or (0 * n, 0 * n)
    size = shape[1] // groups
    overall = np.arange(n.size).reshape(shape)
    return Places(n, c, h, w, c // size, c % size, overall % (n.size // len(n)), overall, groups, bool(position))


@lru_cache(maxsize=4096)
def _order(partition: Partition, shape: tuple[int, ...], groups: int) -> tuple[Array, int]:
    """The numbers' places in memory, block by block, and how many blocks there are."""
    places = _places(shape, groups)
    common = partition(places) or (0 * places.n,)
    keys = np.stack([each.ravel() for each in common])
    return np.lexsort(keys[::-1]), len(np.unique(keys, axis=1).T)


class Table(NamedTuple):
    """How a batch is laid out: a column for each block.

    Attributes:
        order: the numbers' places in memory, block by block.
        blocks: how many there are.
        shape: of the batch.
    """

    order: Array
    blocks: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers a block has."""
        return int(self.order.size) // self.blocks

    def lay(self, x: Array) -> Array:
        """What has the batch's shape, or fits it, as a table."""
        return np.broadcast_to(x, self.shape).ravel()[self.order].reshape(self.blocks, -1).T

    def back(self, table: Array) -> Array:
        """A table in the batch's shape."""
        x = np.empty(table.size, table.dtype)
        x[self.order] = table.T.ravel()
        return x.reshape(self.shape)


def table(partition: Partition, shape: tuple[int, ...], groups: int = 1) -> Table:
    """The layout of a batch of this shape."""
    return Table(*_order(partition, shape, groups), shape)


def of_sample(p: Places) -> tuple[Array, ...]:
    """Layer and RMS normalization."""
    return (p.n,)


def of_group(p: Places) -> tuple[Array, ...]:
    """Group normalization."""
    return (p.n, p.group)


def by_kind(rows: Partition, images: Partition) -> Partition:
    """One for rows and one for images."""
    return lambda p: images(p) if p.images else rows(p)


# By the names that a reader knows. Batch and instance normalization are not asked for here.
PARTITIONS: dict[str, Partition] = {
    "batch": lambda p: (p.c,),
    "layer, RMS": of_sample,
    "instance": lambda p: (p.n, p.c),
    "group": of_group,
}


# The mistakes. Most sentences are completed by what belongs there instead.

_SAMPLE = "Here a sample has one mean, over all its channels and positions."
_GROUP = "Here each group of each sample has its own mean, over its channels and positions."


def _named(name: str, says: str, partition: Partition) -> Misconception:
    return Misconception(name, says, partition, wrong.ANY_AXES)


_BATCH = _named(
    "batch statistics",
    "You averaged over the samples, for each channel by itself, as Batch Normalization does.",
    lambda p: (p.c,),
)
_EVERYTHING = _named(
    "over everything",
    "You averaged over all samples together, so what comes out for one depends on the others.",
    lambda p: (),
)
_INSTANCE = _named(
    "instance statistics",
    "You averaged over the positions of each channel by itself, as Instance Normalization does.",
    lambda p: (p.n, p.c),
)
_EACH_POSITION = _named(
    "each position by itself",
    "You averaged over the channels at each position of an image by itself. That is a normalizer, too: transformers "
    "have it, whose positions are tokens.",
    lambda p: (p.n, p.h, p.w),
)
_SOME_AXES = _named(
    "over some of the axes",
    "You averaged over some of the axes of an image that belong together, and not over the others.",
    lambda p: (p.n, p.c, p.h),
)
_LAYER = _named(
    "layer statistics",
    "You averaged over all channels of a sample, and so left its groups out, as Layer Normalization does.",
    of_sample,
)
_INTERLEAVED = _named(
    "groups interleaved",
    "You dealt the channels out to the groups in turn, as a reshape to (N, C / G, G) does. A group is of neighboring "
    "channels: reshape to (N, G, C / G), and for images the positions after that.",
    lambda p: (p.n, p.c % p.groups),
)
_SIZE_FOR_NUMBER = _named(
    "groups of size G",
    "You made groups of G channels. `groups` is how many groups there are: each has C / G channels.",
    lambda p: (p.n, p.c // p.groups),
)
_ACROSS_GROUPS = _named(
    "over the groups, not inside them",
    "You split the channels into groups rightly, and then averaged over the axis that counts the groups.",
    lambda p: (p.n, p.member),
)
_GROUP_OF_BATCH = _named(
    "groups over the batch",
    "You averaged over the samples as well, so what comes out for one depends on the others.",
    lambda p: (p.group,),
)
_MIXED = _named(
    "reshaped to another order",
    "You reshaped so that a group got numbers from elsewhere: reshape keeps the order of the numbers in memory. Keep "
    "the samples as the first axis and split the channels: (N, G, C / G, …).",
    lambda p: (p.overall * p.groups // p.overall.size,),
)
# Those that say already what belongs there.
_TOLD = (_INTERLEAVED.name, _SIZE_FOR_NUMBER.name, _MIXED.name)
# Names with which a mistake makes another normalizer of the one that was asked for.
NAMES = tuple(
    m.name
    for m in (
        _BATCH,
        _EVERYTHING,
        _INSTANCE,
        _EACH_POSITION,
        _SOME_AXES,
        _LAYER,
        _INTERLEAVED,
        _SIZE_FOR_NUMBER,
        _ACROSS_GROUPS,
        _GROUP_OF_BATCH,
        _MIXED,
    )
)


class Wrong(NamedTuple):
    """The wrong partitions in place of a right one.

    Attributes:
        both: rows and images wrong in one way.
        images: images wrong, rows right.
        two: rows and images wrong in two ways, under the name of what is done with images.
    """

    both: tuple[Misconception, ...]
    images: tuple[Misconception, ...]
    two: tuple[Misconception, ...]


def _going_on(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _in_place_of(
    right: Partition, belongs: str, both: tuple[Misconception, ...], positions: tuple[Misconception, ...]
) -> Wrong:
    """Those of a normalizer.

    Args:
        right: what is asked for.
        belongs: what is said at the end of each sentence.
        both: the mistakes that can be made in rows and in images alike.
        positions: those that take an image.
    """

    def told(m: Misconception) -> str:
        return m.says if m.name in _TOLD else f"{m.says} {belongs}"

    for_images = tuple(m.at(m.compute, f"For images {_going_on(told(m))}") for m in (*both, *positions))
    return Wrong(
        tuple(m.at(m.compute, told(m)) for m in both),
        tuple(m.at(by_kind(right, m.compute)) for m in for_images),
        tuple(
            m.at(by_kind(rows.compute, m.compute)) for m in for_images for rows in both if rows.compute is not m.compute
        ),
    )


_ON_POSITIONS = (
    _BATCH.at(lambda p: (p.c, p.h, p.w)),
    _EACH_POSITION,
    _SOME_AXES,
    _SOME_AXES.at(lambda p: (p.n, p.c, p.w)),
    _SOME_AXES.at(lambda p: (p.n, p.h)),
    _SOME_AXES.at(lambda p: (p.n, p.w)),
    _EVERYTHING.at(lambda p: (p.h, p.w)),
    _BATCH.at(lambda p: (p.w,), "You averaged over the first three axes, as if the channels came last."),
)
OF_SAMPLE = _in_place_of(of_sample, _SAMPLE, (_BATCH, _EVERYTHING), (_INSTANCE, *_ON_POSITIONS))
OF_GROUP = _in_place_of(
    of_group,
    _GROUP,
    (
        _BATCH,
        _LAYER,
        _INTERLEAVED,
        _SIZE_FOR_NUMBER,
        _ACROSS_GROUPS,
        _GROUP_OF_BATCH,
        _INSTANCE,
        _EVERYTHING,
        _MIXED,
    ),
    (
        *_ON_POSITIONS,
        _EACH_POSITION.at(lambda p: (p.n, p.group, p.h, p.w)),
        _SOME_AXES.at(lambda p: (p.n, p.group, p.h)),
        _SOME_AXES.at(lambda p: (p.n, p.group, p.w)),
        _INTERLEAVED.at(
            lambda p: (p.n, p.inside % p.groups),
            "You dealt the numbers out to the groups in turn, as a reshape to (N, −1, G) does. A group is of "
            "neighboring channels, with all their positions: reshape to (N, G, −1).",
        ),
        _MIXED.at(lambda p: (p.n, p.inside // p.size % p.groups)),
    ),
)
