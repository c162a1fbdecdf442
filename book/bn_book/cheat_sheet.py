"""What the cheat sheet has and no chapter: names and defaults, as Markdown, from the library's own tables."""

import inspect

import bn_lib
from bn_lib.convention import Naming

#: Whose names are put beside ours.
FRAMEWORKS = {"PyTorch": "pytorch", "Keras": "keras", "Flax": "flax"}
#: Our names of a BN's arrays, and their symbols.
ARRAYS = {
    "gamma": r"$\gamma$",
    "beta": r"$\beta$",
    "running_mean": r"$\mu$, stored",
    "running_var": r"$\sigma^2$, stored",
}
#: The layers whose defaults are listed.
LAYERS = (bn_lib.BatchNorm, bn_lib.LayerNorm, bn_lib.GroupNorm, bn_lib.BatchRenorm)


def table_of_names() -> str:
    """What each framework calls the arrays of a BN."""
    lines = ["| | bn_lib | " + " | ".join(FRAMEWORKS) + " |", "|:--|" + ":--|" * (1 + len(FRAMEWORKS))]
    for ours, symbol in ARRAYS.items():
        theirs = [Naming.of(framework).names.get(ours, ours) for framework in FRAMEWORKS.values()]
        lines.append(f"| {symbol} | " + " | ".join(f"`{name}`" for name in (ours, *theirs)) + " |")
    return "\n".join(lines)


def table_of_defaults() -> str:
    """The numbers that a layer takes if nothing is said, from its signature, and those that it starts with."""
    lines = ["| layer | defaults |", "|:--|:--|"]
    for layer in LAYERS:
        options = inspect.signature(layer).parameters.values()
        needed = ", ".join(o.name for o in options if o.default is o.empty and o.kind is o.POSITIONAL_OR_KEYWORD)
        numbers = ", ".join(f"{name} {value:g}" for name, value in defaults(layer).items())
        lines.append(f"| `{layer.__name__}({needed})` | {numbers} |")
    starts = ", ".join(f"{array} {getattr(bn_lib.BatchNorm(1), array)[0]:g}" for array in ARRAYS)
    return "\n".join([*lines, f"| *at the start* | {starts} |"])


def defaults(layer: type) -> dict[str, float]:
    """The numbers among a layer's options, with those of the layer that it is one of, where it passes options on."""
    options = inspect.signature(layer).parameters.values()
    passed_on = defaults(layer.__bases__[0]) if any(o.kind is o.VAR_KEYWORD for o in options) else {}
    own = {o.name: o.default for o in options if isinstance(o.default, int | float) and not isinstance(o.default, bool)}
    return own | passed_on
