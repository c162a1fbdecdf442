"""An input on which a learner's function is tried, and what all problems that try functions name alike."""

from dataclasses import dataclass
from typing import Any

from bn_exercises.functions.recording import ARGUMENTS, ZERO, Recorded, agree, quickly, record
from bn_exercises.tolerance import Array

# How far off a number may be, in units of the largest of its array. float32 has seven digits, and a gradient is what is
# left of several larger numbers; mistakes change some probe by far more.
SAME = 1e-5
# Near 10,000 the float32 numbers lie 0.001 apart, and so do the means that can be had there. The values of that probe
# lie about 1 around theirs. One pass instead of two is wrong by far more.
SAME_NEAR_10000 = 1e-2
# Where one pass leaves no digit of the variance, nobody can say which wrong number comes out.
DELICATE = ("large", "float32")
# The part on images has for each function one probe with images, and one with the same numbers as rows.
IMAGES, ROWS = "images", "rows"


@dataclass(frozen=True)
class Probe:
    """An input on which a function is tried.

    Attributes:
        part: of the problem.
        name: unique in its part.
        where: in a sentence, "Right on an ordinary batch".
        function: the one that is tried.
        arguments: as `recording.record` takes them.
        room: how far off a number may be, in units of the largest of its array.
        zero: how far off, if all numbers of an array are 0.
    """

    part: str
    name: str
    where: str
    function: str
    arguments: tuple[Any, ...]
    room: float = SAME
    zero: float = ZERO

    def agree(self, own: Recorded, other: Recorded) -> bool:
        """Whether two functions did the same with it."""
        return agree(own, other, self.room, self.zero)

    def record(self, function: Any) -> Recorded:
        """What `function` does with it."""
        return record(function, self.function, self.arguments)

    def of_ours(self, function: Any) -> Recorded:
        """What a function of the gallery does with it: the same, faster, because less can go wrong."""
        return quickly(function, self.function, self.arguments)

    @property
    def x(self) -> Array:
        """The batch; of several the first."""
        x = dict(zip(ARGUMENTS[self.function], self.arguments, strict=False))["x"]
        return x[0] if isinstance(x, tuple) else x

    @property
    def shape(self) -> tuple[int, ...]:
        """That of x."""
        return tuple(self.x.shape)
