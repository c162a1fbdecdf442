"""Make the pictures of the page "Teaching with this book": `python -m tests.course.pictures`.

A class of twelve invented students is graded, and the real formgrader and the real report are photographed. It needs
bubblewrap and a Chromium; `BN_CHROMIUM` says where that is, if it is not Playwright's.
"""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from nbgrader.api import Gradebook
from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, Page, sync_playwright

from benchmarks.a_class import ASSIGNMENT, hand_in, make_course

from .conftest import formgrader

PICTURES = Path(__file__).parents[2] / "book" / "_static" / "teaching"
CLASS = (
    ("ada", "Ada", "Lind"),
    ("bela", "Béla", "Novak"),
    ("chidi", "Chidi", "Okoro"),
    ("dana", "Dana", "Weiss"),
    ("emre", "Emre", "Aydin"),
    ("farah", "Farah", "Haddad"),
    ("goran", "Goran", "Ilic"),
    ("hana", "Hana", "Sato"),
    ("ines", "Inês", "Duarte"),
    ("joao", "João", "Reis"),
    ("keiko", "Keiko", "Mori"),
    ("luca", "Luca", "Ferri"),
)
BY_HAND = "3-batch-size"
COLOURS = 64
TEXT = """\
Every value is compared with those that are in its batch, so in another batch it becomes another number. A small batch
knows the mean and the variance only roughly. This noise makes training a bit unsteady, but it can also help against
overfitting. In (b) both batches look the same afterwards, although one was much larger. For a single example there is
no batch, so one takes the running averages.
"""
COMMENT = "Good. What is lost, you saw in (b): the level and the spread that a batch has in common."


def grade_a_class(root: Path) -> None:
    """A course with everybody's work in it, graded; the texts of the first half are read."""
    make_course(root)
    hand_in(root, len(CLASS), seed=96)
    for number, (student, _, _) in enumerate(CLASS):
        folder = (root / "submitted" / f"student-{number:05d}").rename(root / "submitted" / student)
        for path in folder.glob("*/*.ipynb"):
            path.write_text(as_a_student_writes(path.read_text(encoding="utf-8")), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "bn_grading", ASSIGNMENT], cwd=root, check=True)
    with Gradebook(f"sqlite:///{root}/gradebook.db", "batch-normalization") as gradebook:
        for number, (student, first, last) in enumerate(CLASS):
            gradebook.update_or_create_student(student, first_name=first, last_name=last)
            for notebook in gradebook.find_submission(ASSIGNMENT, student).notebooks if number % 2 else ():
                for grade in notebook.grades:
                    if grade.needs_manual_grade:
                        grade.manual_score, grade.needs_manual_grade = number % 5, False
        gradebook.db.commit()
    subprocess.run([sys.executable, "-m", "bn_grading.report", ASSIGNMENT], cwd=root, check=True)


def as_a_student_writes(text: str) -> str:
    """A notebook without the marks of the solution, and with a text of a student's length."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        kept = [line for line in source.splitlines() if "BEGIN SOLUTION" not in line and "END SOLUTION" not in line]
        cell["source"] = TEXT if cell["metadata"]["nbgrader"]["grade_id"] == "in-words" else "\n".join(kept)
    return json.dumps(notebook)


def picture(page: Page, name: str, first: Locator, last: Locator, margin: int = 8) -> None:
    """What lies between the beginning of one element and the end of another."""
    begin, end = first.bounding_box(), last.bounding_box()
    assert begin
    assert end
    left, right = min(begin["x"], end["x"]), max(begin["x"] + begin["width"], end["x"] + end["width"])
    top, bottom = begin["y"], end["y"] + end["height"]
    clip = FloatRect(
        x=left - margin,
        y=top - margin + page.evaluate("scrollY"),
        width=right - left + 2 * margin,
        height=bottom - top + 2 * margin,
    )
    shot = Image.open(BytesIO(page.screenshot(full_page=True, clip=clip)))
    path = PICTURES / f"{name}.webp"
    # In so few colours, and without loss, it is small, and its letters are sharp.
    shot.convert("RGB").quantize(COLOURS).convert("RGB").save(path, lossless=True, method=6)
    print(f"{path.name}: {shot.width} x {shot.height}, {path.stat().st_size / 1000:.0f} kB")


def take_pictures(root: Path, address: str, browser: Browser) -> None:
    """Formgrader's list, one text being read, and the beginning of the report."""
    page = browser.new_page(reduced_motion="reduce", viewport={"width": 1000, "height": 900}, device_scale_factor=2)
    page.goto(f"{address}/manage_submissions/{ASSIGNMENT}")
    rows = page.locator("#main-table tr")
    rows.nth(7).wait_for()
    picture(page, "formgrader", page.locator("table thead th").first, rows.nth(6).locator("td").nth(4))

    page.set_viewport_size({"width": 620, "height": 900})
    page.goto(f"{address}/gradebook/{ASSIGNMENT}/{BY_HAND}")
    # Formgrader orders them by their state: what waits for a reader is above.
    page.locator("#main-table tr a:visible").first.click()
    # Formgrader fills in what the gradebook knows when the page is there.
    page.wait_for_load_state("networkidle")
    panel = page.locator(".nbgrader_cell:has(#in-words)")
    panel.locator(".score").first.fill("3")
    panel.locator("textarea").fill(COMMENT)
    panel.locator("textarea").blur()
    page.wait_for_timeout(2000)
    picture(page, "by-hand", panel, panel)

    page.goto((root / "grading" / ASSIGNMENT / "report" / "report.html").as_uri())
    teach = page.locator("section[aria-labelledby=teach]")
    picture(page, "report", teach.locator("h2"), teach.locator("li").nth(2))


def main() -> None:
    """Make all pictures anew."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        root = Path(folder) / "course"
        grade_a_class(root)
        with formgrader(root) as address, sync_playwright() as playwright:
            path = os.environ.get("BN_CHROMIUM")
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            take_pictures(root, address, browser)
            browser.close()


if __name__ == "__main__":
    main()
