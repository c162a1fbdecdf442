"""Which texts of a Python file are messages: a method of extraction for Babel, which `babel.cfg` names.

Tables of mistakes, hints and titles hold a thousand texts, and a marker around each would make them harder to read. So
whatever looks like one is a message: words with spaces between them, or a name that is shown. An f-string is a message
with a `{name}` for each thing put into it; one that chooses among words is one for each choice. Not collected are
docstrings, keys, code, and what a built-in exception says, which is for whoever calls a function wrongly.
"""

import ast
import builtins
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import IO, Any, TypeAlias

from bn_exercises.translation import HOLE

Found: TypeAlias = tuple[int, str | None, str | tuple[str, ...], list[str]]

# Their texts are shown even if they are one word.
SHOWN = ("Fault", "Misconception", "Mistake", "WrongChoice", "WrongNumbers")
# Titles of sections and chapters. The book is in English, and under other titles nobody would find them.
PLACES = ("Link", "_CHAPTERS")
# They make answers to try a judge on.
TRIALS = re.compile(r"\w*by_hand|mistaken|rightly")
# Between the parts of a list: `translation.JOINTS`.
JOINTS = {"and", "or"}
MARKERS = ("_", "N_", "ngettext")
_PHRASE = re.compile(r"\w\S* .*?[a-z]{2}|[a-z]{2}\S* .*?\w", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]{2,}")
_SENTENCE = re.compile(r"[A-Z][a-z]+\.")
_MARKUP = re.compile(r"</|=\"")
_CODE = re.compile(r"[(*=<]")


def collect(
    file: IO[bytes], keywords: Collection[str], tags: Collection[str], options: Mapping[str, Any]
) -> Iterator[Found]:
    """The messages of a file, as Babel wants them: line, marker, text or texts, comments."""
    yield from _in(ast.parse(file.read()))


def collect_marked(*arguments: Any, **options: Any) -> Iterator[Found]:
    """Only those in a marker, also inside of an f-string, where Babel's own method looks only since Python 3.12."""
    return (found for found in collect(*arguments, **options) if found[1])


def _in(node: ast.AST) -> Iterator[Found]:
    if isinstance(node, ast.Call) and (marker := _name(node.func)) in MARKERS:
        texts = tuple(
            each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
        )
        if texts:
            yield node.lineno, marker, texts if marker == "ngettext" else texts[0], []
            return
    if isinstance(node, (ast.Constant, ast.JoinedStr)):
        yield from ((node.lineno, None, text, []) for text in _texts(node) if _is_message(text))
    shown = isinstance(node, ast.Call) and _name(node.func) in SHOWN
    for child in _looked_into(node):
        if shown and isinstance(child, ast.Constant) and isinstance(child.value, str) and _is_word(child.value):
            yield child.lineno, None, child.value, []
        else:
            yield from _in(child)


def _looked_into(node: ast.AST) -> list[ast.AST]:
    """What a node consists of, without what is no text for a reader."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Compare() | ast.AnnAssign(value=None):
            return []
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name))) if hasattr(builtins, name):
            return []
        case ast.Call(func=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]) if name in PLACES:
            return []
        case ast.Call(func=ast.Attribute(attr="exception")):  # of a log
            return []
        case ast.FunctionDef(name=name) if TRIALS.fullmatch(name):
            return []
        case ast.JoinedStr():  # its texts are parts of it
            return [part for each in node.values if isinstance(each, ast.FormattedValue) for part in _calls(each.value)]
        case ast.Dict():
            return list(node.values)
        case ast.Subscript():
            return [node.value]
        case ast.AnnAssign(value=ast.expr() as value):
            return [value]
        case ast.arg() | ast.keyword(arg="help"):
            return []
    return list(ast.iter_child_nodes(node))


def _calls(node: ast.AST) -> Iterator[ast.AST]:
    """What is put into an f-string, but for words that it chooses among, which belong to the message."""
    if isinstance(node, ast.IfExp):
        yield from (*_calls(node.body), *_calls(node.orelse))
    elif not isinstance(node, (ast.Constant, ast.JoinedStr)):
        yield node


def _texts(node: ast.expr) -> list[str]:
    """A text, or an f-string under every choice that it makes, with holes."""
    return list(dict.fromkeys(_with_names(choice) for choice in _choices(node)))


def _choices(node: ast.expr) -> list[list[str | ast.expr]]:
    """The ways in which a text is put together, each of literals and of what is put in."""
    match node:
        case ast.Constant(value=str(text)):
            return [[text]]
        case ast.JoinedStr(values=values):
            return [[part for way in ways for part in way] for ways in product(*map(_choices, values))]
        case ast.FormattedValue(value=ast.IfExp(body=body, orelse=orelse)) if any(map(_is_text, (body, orelse))):
            return [*_choices(body), *_choices(orelse)]
        case ast.FormattedValue(value=value):
            return [[value]]
        case ast.IfExp(body=body, orelse=orelse) if any(map(_is_text, (body, orelse))):
            return [*_choices(body), *_choices(orelse)]
    return [[node]] if not isinstance(node, ast.Constant) else []


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _with_names(parts: list[str | ast.expr]) -> str:
    """Each thing put in under a name of its own; the same thing under the same."""
    names: dict[str, str] = {}
    for part in parts:
        if isinstance(part, ast.expr) and ast.dump(part) not in names:
            own = _called(part)
            count = sum(re.fullmatch(rf"{own}\d*", other) is not None for other in names.values())
            names[ast.dump(part)] = f"{own}{count + 1}" if count else own
    return "".join(part if isinstance(part, str) else f"{{{names[ast.dump(part)]}}}" for part in parts)


def _called(node: ast.AST) -> str:
    """What a translator sees in the place of an expression: the last name in it that tells something."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").lower()
        case ast.Call(func=ast.Name(id="map"), args=[_, each]):
            return _called(each)
        case ast.Call(func=ast.Name(id="len"), args=[each]):
            return f"{_called(each)}_count"
        case ast.Call(func=ast.Attribute(value=text, attr="upper" | "lower" | "strip")):
            return _called(text)
        case ast.Call(args=[first, *_]):
            return _called(first)
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name.strip("_").lower()
        case ast.Subscript(value=value) | ast.Starred(value=value) | ast.GeneratorExp(elt=value):
            return _called(value)
        case ast.BinOp(left=left, right=right):
            return _called(right if isinstance(left, ast.Constant) else left)
        case ast.UnaryOp(operand=operand):
            return _called(operand)
    return "value"


def _name(function: ast.AST) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_message(text: str) -> bool:
    outside = HOLE.sub("", text)
    if outside == text:
        says = bool(_PHRASE.search(text) or _SENTENCE.fullmatch(text))
    else:
        says = " " in text and not JOINTS.issuperset(_WORD.findall(outside))
    return says and not _MARKUP.search(text) and "\\" not in text and not (_CODE.search(text) and _parses(text))


def _is_word(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]{3}", text)) and re.fullmatch(r"[\w-]+/[\w-]+|[a-z]+(-[a-z]+)+", text) is None


def _parses(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True
