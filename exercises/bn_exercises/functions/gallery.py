"""What a problem that asks for functions knows of them: the right ones, and the wrong ones that have a name."""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

from bn_exercises.functions.slips import Function, Step
from bn_exercises.misconceptions import Misconception

# For each function its mistakes, made in every way.
Ways: TypeAlias = Mapping[str, tuple[Misconception, ...]]
# What can go wrong in each step of a function, by the step's name.
Steps: TypeAlias = Mapping[str, Step]


def first_of_each(ways: Ways) -> dict[str, tuple[Misconception, ...]]:
    """The usual way of each mistake: of several with one name the first."""
    return {
        name: tuple({m.name: m for m in reversed(made)}[key] for key in dict.fromkeys(m.name for m in made))
        for name, made in ways.items()
    }


def one_wrong(make: Callable[..., Function], steps: Steps) -> Iterator[Misconception]:
    """A function with one of its steps wrong: every way of every mistake.

    Args:
        make: the function, of the steps that are not the right ones.
        steps: what can go wrong in each.
    """
    for step, slip in steps.items():
        for m in slip:
            yield m.at(make(**{step: m.compute}))


def two_at_once(
    make: Callable[..., Function], steps: Steps, apart: Container[frozenset[str]]
) -> Iterator[tuple[Misconception, Misconception, Function]]:
    """Two mistakes in one function, each in another step: the two, and the function.

    Args:
        make: the function, of the steps that are not the right ones.
        steps: what can go wrong in each.
        apart: pairs of steps that are not tried.
    """
    usual = {m for slip in steps.values() for m in {m.name: m for m in reversed(slip)}.values()}
    for (one, ones), (other, others) in combinations(steps.items(), 2):
        if frozenset((one, other)) not in apart:
            for first, second in product(ones, others):
                # One of the two in its usual way: all pairs would be too many to try while somebody waits.
                if first.name != second.name and (first in usual or second in usual):
                    yield first, second, make(**{one: first.compute, other: second.compute})


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
