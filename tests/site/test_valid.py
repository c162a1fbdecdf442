"""Every page is valid HTML, by html-validate: html-validate.mjs says which rules are off, and why."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from built import HERE, NODE, NODE_MODULES, npm, pages

pytestmark = npm("html-validate")


def complaints(folder: Path, names: list[str]) -> list[str]:
    """What html-validate says of these pages, all in one process."""
    script = NODE_MODULES / "html-validate/bin/html-validate.mjs"
    command = [NODE, script, "--config", HERE / "html-validate.mjs", "--formatter", "json", *names]
    with TemporaryFile("w+") as said:  # into a pipe, Node would end before it had written all
        run = subprocess.run(command, cwd=folder, stdout=said, stderr=subprocess.PIPE, text=True, check=False)
        assert run.returncode in (0, 1), run.stderr
        said.seek(0)
        report = json.load(said)
    return [
        f"{Path(page['filePath']).relative_to(folder)}:{each['line']}: [{each['ruleId']}] {each['message']} "
        f"({each['selector']})"
        for page in report
        for each in page["messages"]
    ]


def test_every_page_is_valid(built_site: Path) -> None:
    names = pages(built_site)
    assert len(names) > 20
    found = complaints(built_site.resolve(), names)
    assert not found, f"{len(found)}:\n" + "\n".join(found[:50])


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<p>Fine.</p>", None),
        ('<p id="a">One.</p><p id="a">Two.</p>', "no-dup-id"),
        ("<p>A paragraph in <p>a paragraph.</p></p>", "close-order"),
        ("<ul><p>No item.</p></ul>", "element-permitted-content"),
        ('<img src="x.png">', "wcag/h37"),
        ("<button></button>", "text-content"),
        ('<p aria-describedby="nothing">Text.</p>', "no-missing-references"),
    ],
)
def test_what_is_not_valid_is_found(tmp_path: Path, body: str, rule: str | None) -> None:
    page = f'<!DOCTYPE html>\n<html lang="en"><head><title>Page</title></head><body>{body}</body></html>\n'
    (tmp_path / "page.html").write_text(page)
    found = complaints(tmp_path, ["page.html"])
    assert any(f"[{rule}]" in each for each in found) if rule else not found, found
