"""Join the parts of an explorable's script into one module, which is what a widget and a page each load.

The parts are ES modules that import each other by name ("../bn.js"). Every notebook front end takes a widget's script
as one text, so the parts are put one after the other, without their `import` lines and the word `export`. That asks of
them only that no two use one name at their top level; if two do, the browser says so when it reads the script, and a
test reads them all.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from bn_book.colours import of_part

_HERE = files(__package__)
_IMPORT = re.compile(r'^import [^;]*? from "\.{1,2}/([\w-]+)\.js";\n', re.MULTILINE)


def _place(name: str) -> Traversable:
    """Where a file is: that of one explorable in its folder, what all share beside this file."""
    own = _HERE / name.partition(".")[0] / name
    return own if own.is_file() else _HERE / name


@cache
def source(name: str) -> str:
    """The text of one of the scripts and stylesheets."""
    return _place(name).read_text(encoding="utf-8")


@cache
def parts(module: str) -> tuple[str, ...]:
    """The names of the parts of a module in the order in which they must stand: each after those it imports."""
    needed: list[str] = []
    for name in _IMPORT.findall(source(f"{module}.js")):
        needed += [part for part in parts(name) if part not in needed]
    return (*needed, module)


@cache
def joined(module: str, *, for_node: bool = False) -> str:
    """The script of a module with everything it needs, ending in `export default`.

    Preact comes in two sizes: the one for Node.js can also write a view as text.
    """
    names = [f"{part}-node" if for_node and part == "preact" else part for part in parts(module)]
    texts = [_IMPORT.sub("", source(f"{name}.js")) for name in names]
    return "\n".join(re.sub(r"^export (?!default )", "", text, flags=re.MULTILINE) for text in texts)


@cache
def classic(module: str) -> str:
    """The same as a classic script, which also loads from a file: it hands the module to the page's host."""
    body = joined(module).replace("export default ", "return ")
    return f'bnExplorables.define("{module}", (() => {{\n"use strict";\n{body}\n}})());\n'


@cache
def stylesheet(*modules: str) -> str:
    """What all explorables look like, in the book's colours, and what these need beyond it."""
    names = ("explorable.css", *(f"{module}.css" for module in modules))
    return "\n".join((of_part(".bn-explorable"), *(source(name) for name in names if _place(name).is_file())))
