"""The files for a JupyterHub: what they name exists.

That they work was tried with JupyterHub itself. It is not among the tested packages, so of its own options nothing is
said here.
"""

import json
from pathlib import Path

import nbgrader
import pytest
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange.default import Exchange
from traitlets.config import Config, PyFileConfigLoader

ROOT = Path(__file__).parents[2]
HUB = ROOT / "deploy" / "jupyterhub"
STUDENTS = HUB / "students" / "labconfig" / "page_config.json"
PAGE = ROOT / "book" / "teaching.md"


def load(name: str, folder: Path = HUB) -> Config:
    return PyFileConfigLoader(name, path=str(folder)).load_config()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_every_option_is_one_of_nbgraders(home: Path) -> None:
    (home / "course").mkdir()
    config = load("nbgrader_config.py")

    classes = {"CourseDirectory": CourseDirectory, "Exchange": Exchange}
    assert set(config) == set(classes)
    for name, options in config.items():
        assert set(options) <= set(classes[name].class_trait_names(config=True)), name


def test_only_who_has_the_course_is_sent_to_it(home: Path) -> None:
    assert "root" not in load("nbgrader_config.py").CourseDirectory
    (home / "course").mkdir()
    assert load("nbgrader_config.py").CourseDirectory.root == str(home / "course")


def test_it_is_the_course_of_this_repository() -> None:
    own = load("nbgrader_config.py", ROOT / "exercises").CourseDirectory.course_id
    assert load("nbgrader_config.py").CourseDirectory.course_id == own


def test_students_start_with_less_and_the_instructor_with_everything() -> None:
    config = load("jupyterhub_config.py")
    path = config.Spawner.environment["JUPYTER_CONFIG_PATH"]
    (instructor,) = config.Authenticator.allowed_users

    class Spawner:
        class user:
            name = instructor

    assert path(Spawner) == ""
    Spawner.user.name = "ada"
    # As said there, the clone is elsewhere; in it, the folder is this one.
    assert STUDENTS.parents[1].relative_to(ROOT).as_posix() == path(Spawner).removeprefix("/srv/batch-normalization/")


def test_the_parts_that_students_go_without_exist() -> None:
    folder = Path(nbgrader.__file__).parent / "labextension"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("static/*.js"))
    for name in json.loads(STUDENTS.read_text())["disabledExtensions"]:
        assert f'"{name}"' in code


def test_the_page_shows_the_files() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for path in (HUB / "jupyterhub_config.py", HUB / "nbgrader_config.py"):
        assert f"```{{literalinclude}} ../{path.relative_to(ROOT).as_posix()}\n" in page
    assert STUDENTS.is_file()
