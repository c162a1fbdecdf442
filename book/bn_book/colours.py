"""The book's colours, written once: figures, explorables and pages all take them from here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: What each colour is for. The line colours are Okabe and Ito's colour-blind safe set, the pale ones darkened until
#: each has a contrast of at least 4.5 with white (WCAG 1.4.3), so that a line's label can have the line's color.
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "ink": "#1b1b1f",  # text and whatever must be read
        "muted": "#5c6068",  # axes, guides, the things compared against
        "grid": "#d9dce1",  # barely there
        "paper": "#ffffff",  # the page: halos and gaps
        "with_bn": "#0072b2",  # always the network that has BN
        "without_bn": "#c25500",  # always the network that has not
        "accent": "#8f2468",  # the one thing the figure is about
        "green": "#008467",
        "amber": "#a06a00",
    }
)
#: The same on dark paper.
DARK: Mapping[str, str] = MappingProxyType(
    {
        "ink": "#e8e6ea",
        "muted": "#aaa5b0",
        "grid": "#3a3741",
        "paper": "#151418",
        "with_bn": "#56b4e9",
        "without_bn": "#ff8a47",
        "accent": "#f09fcb",
        "green": "#3cc8a0",
        "amber": "#e0aa3e",
    }
)

# What else may know a colour where a page knows none of ours: JupyterLab and VS Code have themes of their own.
_THEMES = {
    "ink": ("--jp-content-font-color1", "--vscode-foreground"),
    "muted": ("--jp-content-font-color2",),
    "grid": ("--jp-border-color2",),
    "paper": ("--jp-layout-color0", "--vscode-editor-background"),
}


def css_colour(name: str) -> str:
    """Return the CSS value of a named colour: the page's variable, else the notebook's, else the colour itself."""
    value = COLOURS[name]
    for variable in (*reversed(_THEMES.get(name, ())), f"--bn-{dashed(name)}"):
        value = f"var({variable},{value})"
    return value


def of_page() -> str:
    """Return the stylesheet that gives a page the colours, as `--bn-ink` and so on. Paper stays light."""
    light, dark = (_rule({f"bn-{name}": colour for name, colour in each.items()}) for each in (COLOURS, DARK))
    return f'html {light}\n@media screen {{ html[data-theme="dark"] {dark} }}\n'


def of_part(selector: str) -> str:
    """Return the stylesheet that gives a part of a page the colours, as `--ink` and so on, in a notebook, too."""
    light = _rule({name: css_colour(name) for name in COLOURS})
    dark = _rule({name: colour for name, colour in DARK.items() if name not in _THEMES})
    places = ", ".join(f"{notebook} {selector}" for notebook in ('[data-jp-theme-light="false"]', ".vscode-dark"))
    return f"{selector} {light}\n{places} {dark}\n"


def _rule(values: Mapping[str, str]) -> str:
    return "{ " + " ".join(f"--{dashed(name)}: {value};" for name, value in values.items()) + " }"


def dashed(name: str) -> str:
    """Return a name as CSS writes it."""
    return name.replace("_", "-")
