"""The instructor's report: what is computed, on small classes worked out by hand, and one of a real course."""

import csv
import io
import json
import random
import re
import shutil
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bn_exercises.verdict import Link
from bn_grading.report import anonymous, compute, page, tables
from bn_grading.report.alike import FEWEST, Alike, alike, tokens
from bn_grading.report.app import ReportApp
from bn_grading.report.read import Class, Found, NoResultsError, Outcome, Person, Score, outcomes
from bn_grading.report.write import write, write_text

from .conftest import ASSIGNMENT, BASIC, EXERCISES, SUBMISSIONS, Copies, Course, answers

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SEE = Link("The variance divides by m", "sec-forward-variance", "chapters/forward")
HOSTILE = "<script>alert('x')</script>\"&"


def found(part: str, kind: str, *names: str, says: str = "Says.", points: float = 0, most: float = 2) -> Found:
    return Found(BASIC, "basic-calculation", part, f"({part})", kind, says, names, SEE if names else None, points, most)


def a_class(
    students: Mapping[str, Outcome],
    scores: Mapping[str, Mapping[str, Score]] | None = None,
    people: Mapping[str, Person] | None = None,
    **other: object,
) -> Class:
    scores = scores or {}
    people = {student: Person(student) for student in {*students, *scores}} | dict(people or {})
    handed_in = frozenset({*students, *scores})
    return Class(
        **{"assignment": ASSIGNMENT, "most": {BASIC: 10.0}} | other,
        **{"people": people, "handed_in": handed_in, "scores": scores, "outcomes": students},
    )


# What is read


def line(student: str, status: str = "graded", **other: object) -> str:
    return json.dumps({"student": student, "status": status, "problems": [], "notebooks": {}, "at": ""} | other)


def test_the_last_result_of_each_student_counts(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    finding = {"part": "var", "title": "(b)", "kind": "misconception", "sentence": "S.", "misconceptions": ["ddof=1"]}
    finding |= {"see": {"text": "T", "anchor": "a", "page": "chapters/forward"}, "points": 0, "max_points": 2}
    verdict = {"problem": "basic-calculation", "score": 0, "max_score": 2, "findings": [finding]}
    notebooks = {BASIC: {"verdicts": {"hand-in": verdict}, "seconds": 1.5, "something new": 1}}
    path.write_text("\n".join([line("ada", "failed"), line("ben"), "", line("ada", notebooks=notebooks)]))
    read, unread = outcomes(path)
    assert set(read) == {"ada", "ben"}
    assert read["ada"] == Outcome(
        "graded",
        (),
        (
            Found(
                BASIC,
                "basic-calculation",
                "var",
                "(b)",
                "misconception",
                "S.",
                ("ddof=1",),
                Link("T", "a", "chapters/forward"),
                0,
                2,
            ),
        ),
        {BASIC: 1.5},
    )
    assert unread == ()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (line("cyn")[:30], "JSONDecodeError"),
        ("[]", "TypeError"),
        (line("cyn", "excellent"), "status is 'excellent', and should be one of graded, graded in part, failed"),
        (line(""), "student is '', and should be an id"),
        (line("cyn", notebooks={BASIC: {"verdicts": {"hand-in": {"problem": "p", "findings": [{}]}}}}), "KeyError"),
        (line("cyn", notebooks=[1]), "AttributeError"),
        ("\x00\udcff".encode(errors="surrogateescape").decode(errors="replace"), "JSONDecodeError"),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_a_broken_line_is_said_and_stops_nothing(tmp_path: Path, broken: str, why: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("\n".join([line("ada"), broken, line("ben")]))
    read, (said,) = outcomes(path)
    assert set(read) == {"ada", "ben"}
    assert said.startswith("Line 2 of results.jsonl is not read. Expected: a JSON object with student, status")
    assert why in said


@pytest.mark.parametrize("text", [None, "", "nonsense\n"])
def test_without_results_there_is_no_report(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "results.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NoResultsError, match=r"expected the grader's results in .*a line for each submission") as error:
        outcomes(path)
    assert ("Line 1" in str(error.value)) == bool(text)


# What is computed


def test_tally() -> None:
    course = a_class(
        {
            "ada": Outcome("graded"),
            "ben": Outcome("graded in part"),
            "cyn": Outcome("failed"),
            "dan": Outcome("graded"),
        },
        {"ada": {BASIC: Score(4, waits=True)}, "ben": {BASIC: Score(4)}, "eva": {BASIC: Score(0, waits=True)}},
        {"fay": Person("fay")},
    )
    # eva is in the gradebook, and the grader has not tried her yet; fay is on the list only.
    assert compute.tally(course) == compute.Tally(5, graded=2, in_part=1, failed=1, not_yet=1, waiting=2, nothing=1)


DDOF = found("var", "misconception", "ddof=1", says="You divided by m − 1.")


def test_misconceptions_by_how_many_made_them() -> None:
    two = found("var", "misconception", "ddof=1", "no ε", says="Two.")
    course = a_class(
        {
            "ada": Outcome("graded", (), (found("mean", "right"), DDOF)),
            "ben": Outcome("graded", (), (found("mean", "misconception", "not divided by m"), DDOF, DDOF)),
            "cyn": Outcome("graded", (), (found("var", "misconception", "ddof=1", says="Another sentence."),)),
            "dan": Outcome("graded", (), (two, found("y", "wrong"), found("", "note"))),
        }
    )
    made = compute.misconceptions(course)
    assert [(each.part, each.name, each.students) for each in made] == [
        ("var", "ddof=1", ("ada", "ben", "cyn")),
        ("mean", "not divided by m", ("ben",)),
        ("var", "ddof=1 or no ε", ("dan",)),
    ]
    assert made[0].sentences == (("You divided by m − 1.", 2), ("Another sentence.", 1))
    assert made[0].see == SEE
    assert {s: [m.name for m in each] for s, each in compute.by_student(made).items()} == {
        "ada": ["ddof=1"],
        "ben": ["not divided by m", "ddof=1"],
        "cyn": ["ddof=1"],
        "dan": ["ddof=1 or no ε"],
    }


def test_how_parts_went() -> None:
    kinds = ["right", "follow-on", "misconception", "mixture", "wrong", "form", "missing", "note"]
    course = a_class({str(at): Outcome("graded", (), (found("var", kind),)) for at, kind in enumerate(kinds)})
    assert compute.parts(course) == [compute.Part("basic-calculation", "var", "(var)", 2, 1, 3, 1)]


@pytest.mark.parametrize(
    ("most", "edges"),
    [
        (10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        # The course's own: what is left over at the end is a bar, and one that is too narrow for its number is not.
        (74, [0, 10, 20, 30, 40, 50, 60, 70, 74]),
        (71, [0, 10, 20, 30, 40, 50, 60, 71]),
        (100, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        (101, [0, 20, 40, 60, 80, 101]),
        (2, [0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2]),
        (7.5, [0, 1, 2, 3, 4, 5, 6, 7, 7.5]),
        (0, [0, 1]),
    ],
)
def test_bars_begin_at_round_numbers(most: float, edges: list[float]) -> None:
    assert compute.edges(most) == pytest.approx(edges)


def test_histogram() -> None:
    # 0 and 0.9 are below 1, and 1 begins the second bar. All points and more are in the last, less than nothing in the
    # first.
    assert compute.histogram([0, 0.9, 1, 5, 9.9, 10, 12, -1], 10) == [3, 1, 0, 0, 0, 1, 0, 0, 0, 3]
    assert compute.histogram([69.9, 70, 74, 80], 74) == [0, 0, 0, 0, 0, 0, 1, 3]
    assert compute.histogram([0, 0], 0) == [2]


def test_timings() -> None:
    course = a_class(
        {
            "ada": Outcome("graded", seconds={"1": 1.0, "2": 2.0}),
            "ben": Outcome("graded", seconds={"1": 5.0}),
            "cyn": Outcome("graded", seconds={"1": 2.0, "2": 4.0}),
            "dan": Outcome("failed"),
        }
    )
    # Whole submissions: 3, 5, 6.
    assert compute.timings(course) == [
        compute.Time("", 3, 5.0, 6.0, "cyn"),
        compute.Time("1", 3, 2.0, 5.0, "ben"),
        compute.Time("2", 2, 3.0, 4.0, "cyn"),
    ]


def test_a_late_penalty_takes_no_more_than_there_is() -> None:
    course = a_class({}, {"ada": {"1": Score(3, 1), "2": Score(4, 0.5)}, "ben": {"1": Score(1, 2), "2": Score(0.5, 2)}})
    assert course.total("ada") == 5.5
    assert course.total("ben") == 0


# Nearly the same code

LOOP = """\
total = 0
for row in range(len(X)):
    for column in range(3):
        total = total + X[row][column] ** 2 - row * column
var = [total / 4 - mean[j] ** 2 for j in range(3)]
"""
# The same with other names, comments, layout and texts.
RENAMED = """\
s = 0   # my own work
for i in range( len(X) ):
        for k in range(3):
                s = s + X[i][k]**2 - i*k
var = [s / 4 - mean[q]**2
       for q in range(3)]
"""
OTHER = """\
centred = X - X.mean(axis=0)
squares = np.einsum('ij,ij->j', centred, centred)
var = squares / X.shape[0]
assert var.shape == (3,) and (var > 0).all(), 'strange'
"""
STUB = "# If you need more lines, write them here.\nvar = None"
SOLUTION = "var = ((X - X.mean(axis=0)) ** 2).sum(axis=0) / len(X) * np.ones_like(X.mean(axis=0)) + 0 * X.mean(axis=0)"
KNOWN = {BASIC: {"var": (STUB, SOLUTION), "y": ("y = None\nX, mean",)}}


def alike_in(**code: str) -> list[tuple[tuple[str, ...], float]]:
    written = {student: {"var": text, "y": "y = None"} for student, text in code.items()}
    same = alike({BASIC: written}, KNOWN)
    assert all(each.cells == ("var",) and each.notebook == BASIC for each in same)
    return [(each.students, each.share) for each in same]


def test_a_copy_with_other_names_is_found() -> None:
    assert alike_in(ada=LOOP, ben=RENAMED, cyn=OTHER, dan=STUB) == [(("ada", "ben"), 1.0)]


def test_a_copy_with_a_change_is_found() -> None:
    ((students, share),) = alike_in(ada=LOOP, ben=RENAMED.replace("q in range(3)", "q in [0, 1, 2]"), cyn=OTHER)
    assert students == ("ada", "ben")
    # The change at the end spoils at most the shingles that reach into it.
    assert 0.8 <= share < 1


def test_code_that_does_not_run_is_compared_too() -> None:
    assert alike_in(ada=LOOP + "\nprint('", ben=RENAMED + "\nprint('x") == [(("ada", "ben"), 1.0)]


@pytest.mark.parametrize("code", [STUB, SOLUTION, "var = X.var(axis=0)", "", "#" * 100_000])
def test_what_is_nobody_s_own_is_not_alike(code: str) -> None:
    assert alike_in(ada=code, ben=code, cyn=code) == []


def test_what_most_wrote_is_not_alike() -> None:
    many = {f"s{at:02}": LOOP for at in range(FEWEST + 1)}
    assert alike_in(**many, zoe=OTHER) == []
    # As many as might have learned it from each other.
    del many["s00"]
    assert alike_in(**many, zoe=OTHER) == [(tuple(many), 1.0)]


def test_the_same_code_in_another_cell_is_not_alike() -> None:
    written = {"ada": {"var": LOOP, "y": ""}, "ben": {"var": "", "y": LOOP}}
    assert alike({BASIC: written}, KNOWN) == []


def test_tokens() -> None:
    assert tokens('x.mean(own) + 1e-5 ** "a\\"b" # no', frozenset({"x"})) == [
        "x", ".", "mean", "(", "name", ")", "+", "1e-5", "**", "text"
    ]  # fmt: skip
    # In time that grows with the text and not faster, whatever the text.
    for text in ("'" * 20_000, "'''" + '"' * 20_000, "\\" * 20_000, "1e" * 10_000):
        assert tokens(text, frozenset())


def test_a_large_class_is_compared_and_only_the_copies_are_found() -> None:
    chance = random.Random(0)

    def own() -> str:
        lines = []
        for k in range(8):
            sign, function = chance.choice("+-*/"), chance.choice(["exp", "log", "sin"])
            lines.append(f"a{k} = X[{chance.randrange(4)}] {sign} {chance.randrange(9)} - np.{function}(X)")
        return "\n".join(lines)

    written = {f"s{at:04}": {"var": own()} for at in range(1000)}
    copied = written["s0007"]["var"]
    written["s0500"]["var"] = re.sub(r"\ba(\d)", r"other_\1", copied)
    assert [each.students for each in alike({BASIC: written}, KNOWN)] == [("s0007", "s0500")]


def test_where_many_share_much_a_sample_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ten who changed one line each of what they share, among 200: 45 pairs for each of a hundred shingles.
    chance = random.Random(0)

    def own() -> list[str]:
        return [f"a{k} = X[{chance.randrange(99)}] * {chance.randrange(99)} - np.exp(X)" for k in range(30)]

    shared = own()
    ring = {f"ring{at}": [*shared[:at], f"z = {at}0 / 7", *shared[at + 1 :]] for at in range(10)}
    others = {f"s{at:03}": own() for at in range(190)}
    written = {student: {"var": "\n".join(lines)} for student, lines in {**ring, **others}.items()}
    pairs = {each.students for each in alike({BASIC: written}, KNOWN)}
    assert len(pairs) == 45
    monkeypatch.setattr("bn_grading.report.alike.MOST_PAIRS", 1000)
    sampled = {each.students for each in alike({BASIC: written}, KNOWN)}
    assert sampled <= pairs
    assert len(sampled) > 40
    monkeypatch.setattr("bn_grading.report.alike.MOST_ROWS", 7)
    assert len(alike({BASIC: written}, KNOWN)) == 7


# Without names


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ((5, 0, 7), [5, 0, 7]),
        # One hidden number would be the rest; so the smallest other goes too.
        ((10, 1, 5), [10, None, None]),
        ((10, 2, 0), [None, None, 0]),
        # 1 + 1 and 1 + 2 would be known from their sum; 2 + 2 could be 1 + 3.
        ((10, 1, 1), [None, None, None]),
        ((10, 1, 2, 6), [10, None, None, None]),
        ((10, 2, 2), [10, None, None]),
        # Nothing is left to hide behind.
        ((2, 0, 0), [None, None, None]),
        ((1, 1, 0), [None, None, None]),
        ((0, 0), [0, 0]),
    ],
)
def test_small_numbers_are_hidden(counts: tuple[int, ...], shown: list[int | None]) -> None:
    assert anonymous.hidden(counts) == shown


def test_mistakes_of_few_are_left_out_and_sentences_of_few() -> None:
    def made(*students: str, says: tuple[tuple[str, int], ...]) -> compute.Made:
        return compute.Made("p", "a", "(a)", ("name",), says, SEE, students)

    shown, others = anonymous.enough(
        [
            made("ada", "ben", "cyn", "dan", says=(("The same.", 3), ("With `my_name`.", 1))),
            made("ada", "ben", "cyn", says=(("One.", 2), ("With `my_name`.", 1))),
            made("ada", "ben", says=(("Two.", 2),)),
        ]
    )
    assert [(each.sentences, each.students) for each in shown] == [
        ((("The same.", 3),), ("",) * 4),
        ((), ("",) * 3),
    ]
    assert others == 1


def test_rows_under_pseudonyms() -> None:
    most = {"1": 10.0, "2": 4.0}
    points = {"ada": (10, 4), "ben": (11, 4), "cyn": (10, 5), "dan": (5, 0), "eva": (4.9, 1), "fay": (0, 0)}
    scores = {student: {"1": Score(one), "2": Score(two)} for student, (one, two) in points.items()}
    rows, left_out = anonymous.rows(a_class({}, scores, most=most), random.Random(0))
    assert rows == [(f"Student {at}", ("all", "all")) for at in (1, 2, 3)]
    assert left_out == 3
    assert [anonymous.band(score, 10) for score in (0, 4.9, 5, 9.9, 10, 11)] == [
        "none", "less than half", "half or more", "half or more", "all", "all"
    ]  # fmt: skip


def test_what_was_not_collected_is_named() -> None:
    course = a_class({"ada": Outcome("graded")}, not_collected={f"{HOSTILE}+x": f"{HOSTILE}.txt: it is a link"})
    shown = page.report(course, [])
    assert "Submissions that were not collected" in shown
    assert "it is a link" in shown
    assert "<script" not in shown
    assert "it is a link" not in page.shareable(course, [], random.Random(0))


# Tables


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1"])
def test_nothing_becomes_a_formula(text: str) -> None:
    assert tables.neutral(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "ada", "O'Neil", "a=b", "ben-1", "Åsa", "1"])
def test_other_texts_stay(text: str) -> None:
    assert tables.neutral(text) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (10, "10"), (7.5, "7.5"), (1 / 3, "0.33333"), (1e-9, "0")])
def test_numbers_have_a_point_and_no_exponent(value: float, text: str) -> None:
    assert tables.number(value) == text


PEOPLE = {
    "ada": Person("ada", "Ada", "Lovelace, Countess", "ada@example.org", "17"),
    "=ben": Person("=ben", "=HYPERLINK(1)", '@"x"', "+b@example.org", "no number"),
    "cyn": Person("cyn", "Points Possible", ""),
    "dan": Person("dan"),
    "eva": Person("eva", "Éva", "Čapek"),
}
CLASS = a_class(
    {
        "ada": Outcome("graded", (), (found("mean", "right", points=2), DDOF), {BASIC: 1.0}),
        "=ben": Outcome("graded in part", ("=file.ipynb: it is a link",), (DDOF,)),
        "cyn": Outcome("graded"),
        "dan": Outcome("failed", ("no notebook of it can be read",)),
    },
    {
        "ada": {BASIC: Score(8.5, 1, True, {"in-words": None})},
        "=ben": {BASIC: Score(3, 0, False, {"in-words": 1.5})},
        "cyn": {BASIC: Score(0)},
        "dan": {BASIC: Score(0, waits=True)},
    },
    PEOPLE,
    by_hand={BASIC: ("in-words",)},
    at={"ada": "2026-11-20 12:00:00"},
)


def test_scores() -> None:
    head, *rows = read_csv(tables.scores(CLASS))
    assert head == [
        "student", "last_name", "first_name", "email", "status", "waits_for_reader", "score", "late_penalty",
        "max_score", BASIC, f"{BASIC}: mean", f"{BASIC}: var", f"{BASIC}: in-words",
    ]  # fmt: skip
    assert rows == [
        [
            "'=ben",
            '\'@"x"',
            "'=HYPERLINK(1)",
            "'+b@example.org",
            "graded in part",
            "no",
            "3",
            "0",
            "10",
            "3",
            "",
            "0",
            "1.5",
        ],
        ["ada", "Lovelace, Countess", "Ada", "ada@example.org", "graded", "yes", "7.5", "1", "10", "8.5", "2", "0", ""],
        ["cyn", "", "Points Possible", "", "graded", "no", "0", "0", "10", "0", "", "", ""],
        ["dan", "", "", "", "failed", "yes", "0", "0", "10", "0", "", "", ""],
        ["eva", "Čapek", "Éva", "", "nothing handed in", "no", "", "", "10", "", "", "", ""],
    ]


def test_misconceptions_as_a_table() -> None:
    assert read_csv(tables.misconceptions(CLASS)) == [
        ["student", "notebook", "problem", "part", "misconception", "points_lost"],
        ["'=ben", BASIC, "basic-calculation", "var", "ddof=1", "2"],
        ["ada", BASIC, "basic-calculation", "var", "ddof=1", "2"],
    ]


def test_canvas() -> None:
    # Canvas finds the columns by their place and name, and would take a student called so for the second row.
    assert read_csv(tables.canvas(CLASS)) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", ASSIGNMENT],
        ["    Points Possible", "", "", "", "", "10"],
        ['\'@"x", =HYPERLINK(1)', "", "", "'=ben", "", "3"],
        ["Lovelace, Countess, Ada", "17", "", "ada", "", "7.5"],
        ["points possible", "", "", "cyn", "", "0"],
    ]
    assert not tables.canvas(CLASS).startswith("\ufeff")


def test_moodle() -> None:
    assert read_csv(tables.moodle(CLASS)) == [
        ["username", "idnumber", "email", ASSIGNMENT],
        ["'=ben", "no number", "'+b@example.org", "3"],
        ["ada", "17", "ada@example.org", "7.5"],
        ["cyn", "", "", "0"],
    ]
    assert tables.left_out(CLASS) == 1


def test_an_id_that_is_no_utf_8_is_exported_as_far_as_it_is(tmp_path: Path) -> None:
    course = a_class({"caf\udce9": Outcome("graded")}, {"caf\udce9": {BASIC: Score(4)}})
    tables.grades(course, tmp_path / "grades.csv")
    assert ",caf?," in (tmp_path / "grades.csv").read_text()
    write_text(tmp_path / "canvas.csv", tables.canvas(course))
    assert "caf?,,,caf?,,4" in (tmp_path / "canvas.csv").read_text()
    assert "caf?" in page.report(course, []).encode(errors="replace").decode()


def test_nbgrader_s_export_keeps_its_columns(tmp_path: Path) -> None:
    tables.grades(CLASS, tmp_path / "grades.csv")
    head, *rows = read_csv((tmp_path / "grades.csv").read_text())
    assert head[3:] == [
        "student_id",
        "last_name",
        "first_name",
        "email",
        "raw_score",
        "late_submission_penalty",
        "score",
        "max_score",
    ]
    assert rows[0][3:] == ["'=ben", '\'@"x"', "'=HYPERLINK(1)", "'+b@example.org", "3", "0", "3", "10.0"]
    assert rows[1][3:] == ["ada", "Lovelace, Countess", "Ada", "ada@example.org", "8.5", "1", "7.5", "10.0"]
    assert rows[4][3:] == ["eva", "Čapek", "Éva", "", "0.0", "0.0", "0.0", "10.0"]


# Pages


class Tags(HTMLParser):
    """The tags of a page, and whether each that was opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def hostile_class() -> Class:
    said = found("var", "misconception", "ddof=1", says=f"You called it {HOSTILE}.")
    people = {
        f"{HOSTILE}{at}": Person(f"{HOSTILE}{at}", f"{HOSTILE}first", f"{HOSTILE}last", f"{HOSTILE}@x")
        for at in range(5)
    }
    return a_class(
        {
            student: Outcome("graded in part", (f"{HOSTILE}.ipynb: there is no such notebook",), (said,), {BASIC: 1.0})
            for student in people
        },
        {student: {BASIC: Score(3, 1, True)} for student in people},
        people,
        unread=(f"Line 3 of results.jsonl is not read. Found: {HOSTILE}",),
    )


def test_the_page_shows_hostile_texts_as_texts() -> None:
    course = hostile_class()
    same = [Alike(BASIC, ("var",), tuple(sorted(course.people))[:2], 0.95)]
    text = page.report(course, same)
    tags = Tags(text).found
    assert not {"script", "img", "iframe", "object", "link"} & {tag for tag, _ in tags}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    # The address of nothing but the page itself.
    assert all(attributes["href"].startswith("#") for tag, attributes in tags if tag == "a")
    assert "<script" not in text
    for shown in ("first", "last", ".ipynb: there is no such notebook"):
        assert f"&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;&amp;{shown}" in text


def test_every_table_has_a_caption_and_its_headers_a_scope() -> None:
    for text in (page.report(CLASS, []), page.shareable(hostile_class(), [], random.Random(0))):
        tags = Tags(text).found
        names = [tag for tag, _ in tags]
        assert names.count("table") == names.count("caption") > 1
        assert all(attributes.get("scope") in ("col", "row") for tag, attributes in tags if tag == "th")


def test_the_first_line_says_what_happened() -> None:
    text = re.sub(r"<[^>]+>", "", page.report(CLASS, []))
    assert "4 handed in: 2 graded, 1 graded in part, 1 failed. 2 wait for a reader." in text
    assert "1 student of the gradebook handed in nothing." in text


def test_sections_are_linked_where_the_book_has_an_address() -> None:
    assert "Read: “The variance divides by m”, in the chapter “The forward pass”." in page.report(CLASS, [])
    text = page.report(CLASS, [], "https://example.org/book/")
    assert 'href="https://example.org/book/chapters/forward.html#sec-forward-variance"' in text


def test_scores_come_before_long_tables_and_names_lead_to_mistakes() -> None:
    tags = Tags(page.report(CLASS, [])).found
    order = [attributes["id"] for tag, attributes in tags if tag == "h2"]
    assert order == ["teach", "scores", "parts", "totals", "students", "failed", "times", "alike"]
    there = {attributes["id"] for _, attributes in tags if "id" in attributes}
    links = [attributes["href"] for tag, attributes in tags if tag == "a"]
    assert {link.removeprefix("#") for link in links if link} <= there
    # Beside the mistake, and in the table of scores.
    assert [link for link in links if link == "#student-0"] == ["#student-0"] * 2


def test_of_many_who_made_a_mistake_some_are_named_beside_it() -> None:
    students = {f"s{at:02}": Outcome("graded", (), (DDOF,)) for at in range(page.MOST_NAMES + 5)}
    text = re.sub(r"<[^>]+>", "", page.report(a_class(students, {}), []))
    assert "s10, s11, and 5 more" in text


def test_the_histogram_has_its_numbers_in_words() -> None:
    text = page.report(CLASS, [])
    assert "0 to less than 1 points: 1. " in text
    assert "9 and more points: 0. " in text


def test_the_shareable_page_has_nothing_of_a_student_s() -> None:
    said = "You called it my_own_name."
    students = {
        f"student{at}@x": Outcome(
            "graded in part",
            (f"secret{at}.ipynb: unknown",),
            (found("var", "misconception", "ddof=1", says=said + str(at)),),
        )
        for at in range(6)
    }
    people = {s: Person(s, f"First{s}", f"Last{s}", f"mail-{s}", f"lms-{s}") for s in students}
    course = a_class(students, {s: {BASIC: Score(4)} for s in students}, people)
    same = [Alike(BASIC, ("var",), tuple(sorted(students))[:2], 0.95)]
    text = page.shareable(course, same, random.Random(0))
    for secret in ("student", "First", "Last", "mail-", "lms-", "secret", "my_own_name"):
        assert not re.search(rf"{secret}\w*\d", text), secret
    plain = re.sub(r"<[^>]+>", "", text)
    assert "6 handed in. Graded: 0; graded in part: 6" in plain
    assert "6 students Basic calculation, (var): ddof=1" in plain
    # Two of six: not shown, nor the six that are the rest.
    assert "nearly the same as somebody else's: not shown" in plain


def test_pseudonyms_do_not_follow_the_ids() -> None:
    # Three of a kind, and three of another. Whose row comes where is drawn.
    scores = {s: {BASIC: Score(10 if s in "abc" else 0)} for s in "abcdef"}
    course = a_class({s: Outcome("graded") for s in scores}, scores)
    orders = {tuple(bands for _, bands in anonymous.rows(course, random.Random(seed))[0]) for seed in range(50)}
    assert len(orders) > 10


def test_a_class_of_two_cannot_be_shared() -> None:
    course = a_class({s: Outcome("graded", (), (DDOF,)) for s in "ab"}, {s: {BASIC: Score(4)} for s in "ab"})
    text = page.shareable(course, [], random.Random(0))
    assert "Fewer than 3 handed in." in text
    assert "ddof" not in text


# Writing


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "report.html"
    write_text(path, "before\r\n")

    def fails(beside: Path) -> None:
        beside.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write(path, fails)
    assert path.read_bytes() == b"before\r\n"
    # A file name that is no UTF-8 is shown as far as it is.
    write_text(path, "caf\udce9")
    assert path.read_bytes() == b"caf?"
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


# The real course

sandbox = pytest.mark.needs("bwrap", package="bubblewrap (Debian)")

LATE, EXTRA = 1.5, 2
STUDENTS = (
    "ada_perfect",
    "ben_half_right",
    "eva_broken_file",
    "gus_one_mistake",
    "jon_one_for_both",
    "mia_divides_by_n_minus_1",
)
COPIES = {"tim_first": LOOP, "tom_second": RENAMED}


@pytest.fixture(scope="module")
def empty(with_release: Copies, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course that released its assignment."""
    return with_release(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def graded(empty: Course) -> Course:
    """The same after grading; with names, points of a reader, extra credit, and a late submission."""
    from nbgrader.api import Gradebook

    work = {student: {name: each.edit for name, each in SUBMISSIONS[student].items()} for student in STUDENTS}
    work |= {student: {BASIC: answers(var=code)} for student, code in COPIES.items()}
    for student, notebooks in work.items():
        folder = empty.root / "submitted" / student / ASSIGNMENT
        folder.mkdir(parents=True)
        (folder / "timestamp.txt").write_text("2026-11-20 12:00:00 UTC")
        for name, edit in notebooks.items():
            shutil.copy(empty.released(name), folder)
            edit(folder / f"{name}.ipynb")
    empty.logs["grade"] = empty.grade(ASSIGNMENT, "--jobs", "2", code=1)
    with Gradebook(f"sqlite:///{empty.root}/gradebook.db") as gradebook:
        gradebook.update_or_create_student(
            "ada_perfect", first_name="Augusta", last_name="Lovelace", email="ada@example.org"
        )
        gradebook.update_or_create_student("ben_half_right", first_name="<b>Ben</b>", last_name="Half")
        gradebook.update_or_create_student("zoe_absent", first_name="Zoë")
        read = gradebook.find_grade("in-words", "3-batch-size", ASSIGNMENT, "jon_one_for_both")
        read.manual_score, read.extra_credit, read.needs_manual_grade = 3, EXTRA, False
        late = gradebook.find_submission_notebook(BASIC, ASSIGNMENT, "gus_one_mistake")
        late.late_submission_penalty = LATE
        gradebook.db.commit()
    with (empty.root / "grading" / ASSIGNMENT / "results.jsonl").open("a") as results:
        results.write('{"student": "fred", "sta\n')
    # As an instructor starts it.
    done = empty.run("bn_grading.report", ASSIGNMENT, "--book", "https://example.org")
    assert done.returncode == 0, done.stdout
    empty.logs["report"] = done.stdout
    return empty


def test_nothing_was_graded_yet(empty: Course) -> None:
    ended, said = empty.here(ReportApp, ASSIGNMENT)
    assert ended == 1
    assert "there is nothing to report on batch-norm: expected the grader's results in" in said
    assert "Grade first: bn-grade batch-norm" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["batch-nrom"], "the gradebook knows no assignment 'batch-nrom'; it knows: batch-norm."),
        ([], "expected one assignment, as an argument or with --assignment: bn-report batch-norm"),
        ([ASSIGNMENT, "--book", "javascript:alert(1)"], "expected an address that begins with https:// or http://"),
    ],
)
def test_bad_arguments_are_said(empty: Course, arguments: list[str], says: str) -> None:
    ended, said = empty.here(ReportApp, *arguments)
    assert ended == 1
    assert says in said
    assert "Traceback" not in said


def written(course: Course, name: str) -> str:
    return (course.root / "grading" / ASSIGNMENT / "report" / name).read_text(encoding="utf-8")


@sandbox
def test_the_grader_says_where_the_report_is(graded: Course) -> None:
    assert graded.logs["grade"].endswith("\nThe report: bn-report batch-norm\n")
    for name in (
        "report.html",
        "report-shareable.html",
        "scores.csv",
        "misconceptions.csv",
        "canvas.csv",
        "moodle.csv",
        "grades.csv",
    ):
        assert f"  grading/batch-norm/report/{name}\n" in graded.logs["report"]
        assert written(graded, name)


@sandbox
def test_the_page_of_the_real_course(graded: Course) -> None:
    text = written(graded, "report.html")
    plain = re.sub(r"<[^>]+>", "", text)
    # ada's texts wait, and what of eva's cannot be read.
    assert "8 handed in: 7 graded, 0 graded in part, 1 failed. 2 wait for a reader." in plain
    assert "1 student of the gradebook handed in nothing." in plain
    assert "Line 9 of results.jsonl is not read." in plain
    assert "2 students Basic calculation, (b) the variance: ddof=1" in plain
    assert 'href="https://example.org/chapters/forward.html#sec-forward-variance"' in text
    assert "Lovelace, Augusta (ada_perfect)" in plain
    assert "&lt;b&gt;Ben&lt;/b&gt;" in text
    assert "1.5 lost for being late" in plain
    assert "1-basic-calculation: it is no notebook" in plain
    ((row,),) = [re.findall(r"<tr>(?:(?!</tr>).)*tim_first(?:(?!</tr>).)*tom_second.*?</tr>", text, re.DOTALL)]
    assert "100 %" in row
    assert "<td>var</td>" in row


@sandbox
def test_scores_are_nbgrader_s(graded: Course) -> None:
    from nbgrader.api import Gradebook

    rows = {
        row["student"]: row for row in csv.DictReader(io.StringIO(written(graded, "scores.csv").removeprefix("\ufeff")))
    }
    with Gradebook(f"sqlite:///{graded.root}/gradebook.db") as gradebook:
        for submission in gradebook.assignment_submissions(ASSIGNMENT):
            row = rows[submission.student_id]
            assert float(row["score"]) == submission.score - submission.late_submission_penalty
            assert {name: float(row[name]) for name in (each.name for each in submission.notebooks)} == {
                each.name: each.score for each in submission.notebooks
            }
    # By hand: one batch is right (3), the reader gave 3 and 2 more; ddof=1 costs 2 of 10, and being late 1.5.
    assert rows["jon_one_for_both"]["score"] == "8"
    assert rows["gus_one_mistake"]["score"] == "6.5"
    assert rows["jon_one_for_both"]["3-batch-size: in-words"] == "5"
    assert rows["ada_perfect"]["3-batch-size: in-words"] == ""
    assert rows["zoe_absent"]["status"] == "nothing handed in"


@sandbox
def test_grades_are_what_nbgrader_exports(graded: Course) -> None:
    graded.nbgrader("export", "--assignment", f"['{ASSIGNMENT}']", "--to", "own.csv")
    own = sorted((graded.root / "own.csv").read_text().splitlines())
    assert sorted(written(graded, "grades.csv").splitlines()) == own


@sandbox
def test_platforms_get_those_with_a_score(graded: Course) -> None:
    canvas = read_csv(written(graded, "canvas.csv"))
    assert canvas[:3] == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", ASSIGNMENT],
        ["    Points Possible", "", "", "", "", "84"],
        ["Lovelace, Augusta", "", "", "ada_perfect", "", "76"],
    ]
    moodle = read_csv(written(graded, "moodle.csv"))
    assert [row[0] for row in moodle[1:]] == [row[3] for row in canvas[2:]]
    assert not {"eva_broken_file", "zoe_absent"} & {row[0] for row in moodle}
    assert "1 without a score are not in canvas.csv and moodle.csv." in graded.logs["report"]


@sandbox
def test_no_id_and_no_name_is_in_the_shareable_page(graded: Course) -> None:
    text = written(graded, "report-shareable.html")
    for secret in (*STUDENTS, *COPIES, "zoe_absent", "Lovelace", "Augusta", "Ben", "Zoë", "ada@", "fred"):
        assert secret not in text, secret
    assert "8 handed in" in text


# In a browser

AXE = EXERCISES.parent / "tests/site/node_modules/axe-core/axe.min.js"
RUN = """() => axe.run(document, { resultTypes: ["violations"], runOnly: { type: "tag", values: [
  "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] } }).then(({ violations }) =>
  violations.flatMap(({ id, nodes }) => nodes.map(({ target, html }) => `${id}: ${target} ${html}`)))"""


@pytest.mark.needs("chromium", package="chromium (Debian)")
@pytest.mark.needs("npm:axe-core", package="axe-core (npm ci in tests/site)")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_the_page_does_not_scroll_sideways(
    tmp_path: Path, browser: "Browser", theme: str, width: int
) -> None:
    long = a_class(
        {"x" * 200: Outcome("graded in part", ("y" * 500,), (DDOF,), {BASIC: 1.0}), **hostile_class().outcomes},
        hostile_class().scores,
    )
    same = [Alike(BASIC, ("var",), tuple(sorted(long.people))[:2], 0.95)]
    pages = {
        "report": page.report(long, same, "https://x.org"),
        "shareable": page.shareable(long, same, random.Random(0)),
    }
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text)
        opened.goto((tmp_path / f"{name}.html").as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        opened.evaluate(AXE.read_text(encoding="utf-8"))
        assert opened.evaluate(RUN) == []
    opened.close()
