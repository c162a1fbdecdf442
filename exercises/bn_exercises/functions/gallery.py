"""What a problem that asks for functions knows of them: the right ones, and the wrong ones that have a name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bn_exercises.functions.slips import Function
from bn_exercises.misconceptions import Misconception

# For each function its mistakes, made in every way.
Ways: TypeAlias = Mapping[str, tuple[Misconception, ...]]


def first_of_each(ways: Ways) -> dict[str, tuple[Misconception, ...]]:
    """The usual way of each mistake: of several with one name the first."""
    return {
        name: tuple({m.name: m for m in reversed(made)}[key] for key in dict.fromkeys(m.name for m in made))
        for name, made in ways.items()
    }


@dataclass(frozen=True)
class Family:
    """A mistake with a number of one's own in it.

    Attributes:
        mistakes: what is wrong; several, if the number is in the place of another mistake.
        make: the wrong function, of the number.
        numbers: some, from the least to the largest.
        any_small: whether small numbers are hardly told apart on a batch of ordinary spread.
    """

    mistakes: tuple[Misconception, ...]
    make: Callable[[float], Function]
    numbers: tuple[float, ...]
    any_small: bool = False


def _once(function: str, compute: Function) -> list[Function]:
    return [compute]


@dataclass(frozen=True)
class Gallery:
    """The functions of a problem, by the name under which they are asked for.

    Attributes:
        right: the right ones, written out to be read.
        ways: the mistakes, each in every way; the first of a name is the usual one.
        elsewhere: the same mistakes in places where they are looked for only if no way fits.
        families: mistakes with a number of one's own in them.
        pairs: two mistakes at once, of a function, as they can show in a part.
        conventions: a mistaken function under each convention that a problem leaves open.
    """

    right: Mapping[str, Function]
    ways: Ways
    elsewhere: Ways
    families: Mapping[str, tuple[Family, ...]]
    pairs: Callable[[str, str], Iterator[tuple[Misconception, Misconception, Function]]]
    conventions: Callable[[str, Function], list[Function]] = _once
