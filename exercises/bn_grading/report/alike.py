"""Which students have nearly the same code, where that differs from the released code and from most others' code.

The method is the usual one for source code, k-grams of tokens compared as sets (Schleimer, Wilkerson and Aiken,
"Winnowing: local algorithms for document fingerprinting", SIGMOD 2003, without the sampling, which short answers do not
need):

1. The code of a cell is cut into tokens. Comments and white space are dropped, and all strings become one token. So do
   all names that the student chose; names from the released notebook, from Python, and after a dot are kept. Renaming
   and reformatting therefore change nothing.
2. Each run of `SHINGLE` tokens in a cell is a shingle.
3. Shingles that occur in the released cell or in the instructor's solution are dropped, and so are those that more than
   `SHARE` of the class have. What remains is particular to a student. Fewer than `LEAST` shingles are too few to judge.
4. Students with equal sets of shingles form a group. An index from shingles to groups yields the pairs of groups that
   have any in common. For each the Jaccard index is computed: the shingles that both have, divided by those that at
   least one has.

Most pairs of a class share nothing and are never looked at. Where much is shared, the index would yield more than
`MOST_PAIRS`. It then holds every second shingle, chosen by its hash, or every fourth, and so on, which gives an
estimate of the Jaccard index (Broder, "On the resemblance and containment of documents", 1997). The `MOST_TRIED` pairs
with the highest estimates are compared in full. So the time grows with the class and not with its square.
"""

import builtins
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
import numpy.typing as npt

SHINGLE = 6
LEAST = 15
NEARLY = 0.8
# A shingle is particular to its writers if at most this share of those who handed the notebook in have it, or at most
# FEWEST students.
SHARE = 0.1
FEWEST = 4
MOST_PAIRS = 10_000_000
# Limits for one notebook; nobody reads a longer list.
MOST_TRIED = 20_000
MOST_ROWS = 1000
# A pair is compared in full although its estimate is this much too low.
UNSURE = 0.2
# An answer is a few lines. Of a longer one only the beginning is compared.
MOST_CHARACTERS = 20_000

Hashes = npt.NDArray[np.uint64]

# Python's `tokenize` refuses code with errors, but a copy of such code is a copy too.
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<text>[A-Za-z]{0,2}(?:'''(?:.|\n)*?(?:'''|\Z) | \"\"\"(?:.|\n)*?(?:\"\"\"|\Z)
                              | '(?:\\.|[^'\\\n])*'? | \"(?:\\.|[^\"\\\n])*\"?))
      | (?P<name>[^\W\d]\w*)
      | (?P<number>\d[\w.]*(?:(?<=[eE])[+-]\d+)?)
      | (?P<other>\*\*=?|//=?|[-+*/%@&|^=!<>:]=|->|<<|>>|\S)""",
    re.VERBOSE,
)
_PYTHON = frozenset((*keyword.kwlist, *dir(builtins)))


@dataclass(frozen=True)
class Alike:
    """Students whose code in one notebook is nearly the same.

    Attributes:
        notebook: its name.
        cells: the grade_ids of the cells in which they share particular shingles.
        students: their ids. If there are more than two, their codes differ in names, strings, comments and layout only.
        share: their Jaccard index, 0 to 1.
    """

    notebook: str
    cells: tuple[str, ...]
    students: tuple[str, ...]
    share: float


def alike(
    written: Mapping[str, Mapping[str, Mapping[str, str]]], known: Mapping[str, Mapping[str, Iterable[str]]]
) -> list[Alike]:
    """Groups and pairs with nearly the same code, the most alike first; at most `MOST_ROWS` pairs for each notebook.

    Args:
        written: the code that was handed in, by notebook, student and cell.
        known: code that everybody was given or may have come to, by notebook and cell. It does not count.
    """
    found: list[Alike] = []
    for notebook, students in sorted(written.items()):
        found += _in_notebook(notebook, students, known.get(notebook, {}))
    return sorted(found, key=lambda each: (-each.share, each.notebook, each.students))


def _in_notebook(
    notebook: str, students: Mapping[str, Mapping[str, str]], known: Mapping[str, Iterable[str]]
) -> list[Alike]:
    texts = list(chain.from_iterable(known.values()))
    kept = _PYTHON | {token for text in texts for token in _names(text)}
    given = {
        cell: set(chain.from_iterable(_shingles(text, cell, kept).tolist() for text in known[cell])) for cell in known
    }
    own: dict[str, dict[str, Hashes]] = {}
    for student, cells in sorted(students.items()):
        own[student] = {
            cell: _without(_shingles(text, cell, kept), given.get(cell, set())) for cell, text in cells.items()
        }
    _shingles.cache_clear()
    if not own:
        return []
    everything = {student: np.unique(np.concatenate([*cells.values(), _NONE])) for student, cells in own.items()}
    shingles, counts = np.unique(np.concatenate(list(everything.values())), return_counts=True)
    rare = shingles[counts <= max(FEWEST, SHARE * len(students))]
    groups: dict[bytes, list[str]] = {}
    for student, hashes in everything.items():
        left = hashes[np.isin(hashes, rare, assume_unique=True)]
        if len(left) >= LEAST:
            groups.setdefault(left.tobytes(), []).append(student)
    members = list(groups.values())
    sets = [np.frombuffer(key, np.uint64) for key in groups]
    rows = [(tuple(each), 1.0, hashes) for each, hashes in zip(members, sets, strict=True) if len(each) > 1]
    for one, other, share in _pairs(sets):
        rows.append(((members[one][0], members[other][0]), share, np.intersect1d(sets[one], sets[other])))
    return [
        Alike(
            notebook, tuple(cell for cell, hashes in own[who[0]].items() if np.isin(hashes, shared).any()), who, share
        )
        for who, share, shared in rows
    ]


def _pairs(sets: list[Hashes]) -> Iterable[tuple[int, int, float]]:
    """The pairs of sets that are nearly the same: the places of both in `sets`, and their Jaccard index."""
    if len(sets) < 2:
        return
    hashes, owners = np.concatenate(sets), np.repeat(np.arange(len(sets)), [len(each) for each in sets])
    shingles, counts = np.unique(hashes, return_counts=True)
    every = np.uint64(1)
    while (of := counts[shingles % every == 0].astype(np.int64)) @ (of - 1) // 2 > MOST_PAIRS:
        every *= np.uint64(2)
    sampled = hashes % every == 0
    _, places, counts = np.unique(hashes[sampled], return_inverse=True, return_counts=True)
    order = np.argsort(places, kind="stable")
    owners, counts_of = owners[sampled][order], counts[places[order]]
    sizes = np.bincount(owners, minlength=len(sets))
    codes = [_NONE]
    for count in np.unique(counts_of):
        if count > 1:
            together = owners[counts_of == count].reshape(-1, count).astype(np.uint64)
            one, other = np.triu_indices(count, 1)
            codes.append((together[:, one] * np.uint64(len(sets)) + together[:, other]).ravel())
    pairs, shared = np.unique(np.concatenate(codes), return_counts=True)
    firsts, seconds = (pairs // len(sets)).astype(int), (pairs % len(sets)).astype(int)
    estimate = shared / (sizes[firsts] + sizes[seconds] - shared)
    near = np.flatnonzero(estimate >= NEARLY - (UNSURE if every > 1 else 0))
    found = []
    for at in near[np.argsort(-estimate[near], kind="stable")][:MOST_TRIED].tolist():
        first, second = int(firsts[at]), int(seconds[at])
        both = len(np.intersect1d(sets[first], sets[second], assume_unique=True))
        share = both / (len(sets[first]) + len(sets[second]) - both)
        if share >= NEARLY and both >= LEAST:
            found.append((first, second, share))
    yield from sorted(found, key=lambda each: -each[2])[:MOST_ROWS]


_NONE: Hashes = np.empty(0, np.uint64)


def _without(hashes: Hashes, given: set[int]) -> Hashes:
    return hashes if not given else np.array([each for each in hashes.tolist() if each not in given], np.uint64)


# Cached, because many students write the same into a cell, or leave it as it was released.
@lru_cache(maxsize=100_000)
def _shingles(text: str, cell: str, kept: frozenset[str]) -> Hashes:
    """The shingles of a cell as numbers, each once. The same code in another cell gives other numbers."""
    found = tokens(text, kept)
    runs = {"\x1f".join((cell, *found[at : at + SHINGLE])) for at in range(len(found) - SHINGLE + 1)}
    hashes = [int.from_bytes(blake2b(run.encode(errors="replace"), digest_size=8).digest(), "big") for run in runs]
    return np.array(hashes, np.uint64)


def tokens(text: str, kept: frozenset[str]) -> list[str]:
    """The tokens of code, which need not be valid Python. A name stays itself if it is in `kept` or follows a dot."""
    found: list[str] = []
    for match in _TOKEN.finditer(text[:MOST_CHARACTERS]):
        kind, token = match.lastgroup, match.group()
        if kind == "text":
            found.append("text")
        elif kind == "name":
            found.append(token if token in kept or found[-1:] == ["."] else "name")
        elif kind != "comment":
            found.append(token)
    return found


def _names(text: str) -> list[str]:
    return [match.group() for match in _TOKEN.finditer(text[:MOST_CHARACTERS]) if match.lastgroup == "name"]
