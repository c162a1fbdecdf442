"""The interface in another language: where a text reaches somebody, and only there, it goes through here.

Everywhere else it is English: in verdicts, in records, and where one sentence is compared with another. So no score
depends on a language, and what was stored can be shown in any.

`_` and `ngettext` are gettext's, for texts that are written where they are shown. `said` translates texts that were
made elsewhere. One into which something was put, as an f-string does, is found by its template: the catalogue has
"{symbol} has a pole {place}." (`collect` puts it there). A text of several is translated piece by piece. What the
catalogue lacks stays English.
"""

import gettext as std
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

from bn_exercises import LANGUAGE, LANGUAGES
from bn_exercises.typography import as_in_a_book


def N_(message: str) -> str:
    """A message that is translated where it is shown."""
    return message


DOMAIN = "bn_exercises"
FOLDER = Path(__file__).parent / "locale"
ENGLISH = LANGUAGES[0]
# Where something is put into a text.
HOLE = re.compile(r"\{([a-z]\w*)\}")
# Between texts that were put one after another.
_SENTENCES = re.compile(r"(?:(?<=[.?!…”])|(?<=\A\(\w\))) (?=\S)")
JOINTS = (N_(" Or: "), N_(" And: "), ": ", "; ", N_(" and "), N_(" or "), ", ", " + ")
_BETWEEN = re.compile(rf"{_SENTENCES.pattern}|{'|'.join(map(re.escape, JOINTS))}")
MOST_PIECES = 80
# Names in code, one or several.
_NAMES = re.compile(r"[\w.]+(, [\w.]+)*")
_WORD = re.compile(r"[^\W\d_]{2,}")


def _(message: str, **values: object) -> str:
    """A message in the language that is spoken, with these values put into it."""
    return _filled(_catalogue(spoken()).gettext(message), values)


def ngettext(one: str, many: str, n: int, **values: object) -> str:
    """The message for this number of things."""
    return _filled(_catalogue(spoken()).ngettext(one, many, n), values)


def said(text: str) -> str:
    """A text that was made elsewhere, in the language that is spoken."""
    code = spoken()
    # What is in more pieces is no text of ours, and would take long.
    return text if code == ENGLISH or len(_BETWEEN.findall(text)) > MOST_PIECES else _catalogue(code).best(text)[1]


def spoken() -> str:
    """The language that is set; English, if none is that there is."""
    code = os.environ.get(LANGUAGE, ENGLISH)
    return code if code in LANGUAGES else ENGLISH


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Have everything said in a language inside of `with`; in the one that is set, if `code` is empty."""
    before = os.environ.get(LANGUAGE)
    if code:
        os.environ[LANGUAGE] = code
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(LANGUAGE, None)
        else:
            os.environ[LANGUAGE] = before


def marked() -> str:
    """What an element says of the language of its words; nothing in English, which the pages around it are in."""
    return "" if spoken() == ENGLISH else f' lang="{spoken()}"'


def messages() -> dict[str, str | list[str]]:
    """Every message with its translation; of one with a plural, all forms."""
    return _catalogue(spoken()).messages


def plural_forms(most: int) -> list[int]:
    """Which form goes with 0, 1, 2, ... things."""
    return [_catalogue(spoken()).plural(n) for n in range(most)]


def _filled(template: str, values: dict[str, object]) -> str:
    # Not str.format: a text may show a dictionary.
    return HOLE.sub(lambda hole: str(values.get(hole[1], hole[0])), template)


@cache
def _catalogue(code: str) -> "Catalogue":
    languages = [] if code == ENGLISH else [code]
    return Catalogue(std.translation(DOMAIN, FOLDER, languages, fallback=True))


@dataclass(frozen=True)
class _Template:
    pattern: re.Pattern[str]
    anchor: str
    translation: str


class Catalogue:
    """The messages of one language."""

    def __init__(self, translations: std.NullTranslations) -> None:
        self.gettext: Callable[[str], str] = translations.gettext
        self.ngettext: Callable[[str, str, int], str] = translations.ngettext
        # What gettext read has no public door, but for one message after another.
        self.plural: Callable[[int], int] = getattr(translations, "plural", lambda n: int(n != 1))
        self.messages: dict[str, str | list[str]] = {}
        for key, text in getattr(translations, "_catalog", {}).items():
            if isinstance(key, tuple):
                forms = self.messages.setdefault(key[0], [])
                assert isinstance(forms, list)
                forms.append(text)
            elif key:
                self.messages[key] = text
        # The pieces of a text are looked at again and again.
        self.best = lru_cache(maxsize=4096)(self._best)

    @cached_property
    def _texts(self) -> dict[str, str]:
        """Without what stands around them; and as they are set in a book, too, because some come set."""
        texts = {key.strip(): text.strip() for key, text in self.messages.items() if isinstance(text, str)}
        return {as_in_a_book(key): text for key, text in texts.items()} | texts

    @cached_property
    def _templates(self) -> list[_Template]:
        """Those that say most first."""
        found = [
            _Template(_pattern(key), max(HOLE.split(key)[::2], key=len), text)
            for key, text in self._texts.items()
            if HOLE.search(key)
        ]
        return sorted(found, key=lambda each: -len(each.pattern.pattern))

    def _best(self, text: str) -> tuple[int, str]:
        """How many letters of a text stay as they are, and the translation with the fewest."""
        best = _letters(text), text
        for candidates in (self._whole, self._in_sentences, self._joined):
            best = min((best, *candidates(text)), key=lambda each: each[0])
            if not best[0]:
                break
        return best

    def _whole(self, text: str) -> Iterator[tuple[int, str]]:
        """As one message."""
        yield from self._as_it_stands(text)
        # A sentence that goes on inside of another, half a one that begins it, and half a one that ends it.
        yield from self._as_it_stands(text[:1].upper() + text[1:])
        yield from ((left, _capital(half)) for left, half in self._as_it_stands(text[:1].lower() + text[1:]))
        if text.endswith(".") and text[:-1] in self._texts:
            yield 0, f"{self._texts[text[:-1]]}."

    def _as_it_stands(self, text: str) -> Iterator[tuple[int, str]]:
        if text in self._texts:
            yield 0, self._texts[text]
            return
        for template in self._templates:
            if template.anchor in text and (match := template.pattern.fullmatch(text)):
                parts = {name: self._put_in(part) for name, part in match.groupdict().items()}
                translated = _filled(template.translation, {name: part for name, (_, part) in parts.items()})
                yield sum(left for left, _ in parts.values()), translated

    def _in_sentences(self, text: str) -> Iterator[tuple[int, str]]:
        """As one message, the longest that there is, and what follows it."""
        for end in reversed([match.start() for match in _SENTENCES.finditer(text)]):
            first, rest = text[:end], text[end + 1 :]
            left, begun = min(((_letters(first), first), *self._whole(first)), key=lambda each: each[0])
            others, ended = self.best(rest)
            yield left + others, f"{begun} {ended}"

    def _joined(self, text: str) -> Iterator[tuple[int, str]]:
        """As pieces with a joint between them."""
        for joint in JOINTS:
            first, found, rest = text.partition(joint)
            if not found:
                continue
            if _NAMES.fullmatch(first) and _NAMES.fullmatch(rest):
                yield _letters(first + rest), f"{first}{self.gettext(joint)}{rest}"
                continue
            (left, begun), (others, ended) = self.best(first), self.best(rest)
            # In what stays as it is, so does the joint: a line of Python has its `and`.
            kept = left + others and _letters(joint)
            yield left + others + kept, f"{begun}{self.gettext(joint)}{ended}"

    def _put_in(self, part: str) -> tuple[int, str]:
        """What was put into a text. A word by itself is a name: `sign` is a function, and also a mistake."""
        return (_letters(part), part) if _NAMES.fullmatch(part) else self.best(part)


def _letters(text: str) -> int:
    return sum(map(len, _WORD.findall(text)))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _pattern(template: str) -> re.Pattern[str]:
    literals, names = HOLE.split(template)[::2], HOLE.findall(template)
    return re.compile("".join(_alternating(map(re.escape, literals), names)), re.DOTALL)


def _alternating(literals: Iterable[str], names: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    for literal, name in zip(literals, [*names, ""], strict=True):
        yield literal
        if name:
            yield f"(?P={name})" if name in seen else f"(?P<{name}>.*?)"
            seen.add(name)
