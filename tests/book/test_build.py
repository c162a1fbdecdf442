"""The book builds from nothing, with every warning an error, and what it built is whole."""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from sphinx.util.inventory import InventoryFile

ROOT = Path(__file__).parents[2]


def pages() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def test_it_builds_without_a_warning(book_build):
    assert book_build.status == 0, book_build.log[-4000:]
    assert "WARNING" not in book_build.log


@pytest.mark.parametrize("page", pages())
def test_every_page_of_the_table_of_contents_is_there(built_site, page):
    assert (built_site / f"{page}.html").stat().st_size > 5000


def test_the_site_opens_at_the_first_page(built_site):
    assert "book/index.html" in (built_site / "index.html").read_text()


def test_no_cell_failed_or_wrote_to_stderr(built_site):
    executed = sorted((built_site.parent / "jupyter_execute").rglob("*.ipynb"))
    assert executed
    for notebook in executed:
        for cell in json.loads(notebook.read_text())["cells"]:
            for output in cell.get("outputs", []):
                assert output["output_type"] != "error", (notebook.name, cell["source"])
                assert output.get("name") != "stderr", (notebook.name, cell["source"], output["text"])


@pytest.mark.parametrize("module", ["bn_lib", "bn_book.drawing", "bn_book.explorables"])
def test_the_reference_has_every_public_name(built_site, module):
    with (built_site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    documented = {name for domain, names in inventory.items() if domain.startswith("py:") for name in names}
    missing = {f"{module}.{name}" for name in import_module(module).__all__} - documented
    assert not missing


def test_no_page_tells_where_it_was_built(built_site):
    told = [page for page in built_site.rglob("*.html") if str(ROOT) in page.read_text(encoding="utf-8")]
    assert not told


def test_no_page_names_another_site_to_load_from(built_site):
    loads = re.compile(r'<(?:script|link|img|iframe)[^>]*\s(?:src|href)="(?:https?:)?//[^"]*"')
    for page in built_site.rglob("*.html"):
        found = [tag for tag in loads.findall(page.read_text(encoding="utf-8")) if 'rel="canonical"' not in tag]
        assert not found, page
