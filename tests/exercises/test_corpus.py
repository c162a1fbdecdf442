"""Problem 6 on what a class hands in: the engine agrees with a judge that knows nothing of it, part by part."""

from functools import cache

import pytest
from corpus import STYLES, Learner
from corpus.judge import PARTS, right_parts
from corpus.slips import SLIPS

from bn_exercises.problems import IMPLEMENT
from bn_exercises.verdict import Finding, Verdict

LEARNERS = (*(Learner(style, style) for style in STYLES), *SLIPS)
# Of the parts that are wrong, so many have a name at least: mistakes are without number.
NAMED = 0.85

each_learner = pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: learner.name)


@cache
def right(learner: Learner) -> frozenset[str]:
    return frozenset(right_parts(learner.functions()))


@cache
def verdict(learner: Learner) -> Verdict:
    return IMPLEMENT.judge(IMPLEMENT.observe(learner.functions()))


def findings(learner: Learner) -> dict[str, Finding]:
    return {part: verdict(learner).of(part) for part in PARTS}


def test_a_class_of_a_hundred() -> None:
    assert len(STYLES) >= 20
    assert len(SLIPS) >= 110
    assert len({learner.name for learner in LEARNERS}) == len(LEARNERS)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_right(style: str) -> None:
    learner = Learner(style, style)
    assert right(learner) == set(PARTS)
    assert verdict(learner).score == 10


@pytest.mark.parametrize("learner", SLIPS, ids=lambda learner: learner.name)
def test_every_slip_costs_points(learner: Learner) -> None:
    assert right(learner) < set(PARTS)
    assert verdict(learner).score < 10


@each_learner
def test_no_right_part_is_refused(learner: Learner) -> None:
    refused = {part: f.sentence for part, f in findings(learner).items() if f.points < f.max_points}
    assert not {part: says for part, says in refused.items() if part in right(learner)}


@each_learner
def test_no_wrong_part_is_accepted(learner: Learner) -> None:
    """But for what was counted before, which the learner is told."""
    accepted = {part: f for part, f in findings(learner).items() if f.points and part not in right(learner)}
    assert all(finding.kind == "follow-on" for finding in accepted.values()), accepted


def test_most_of_what_is_wrong_has_a_name() -> None:
    wrong = [(learner, f) for learner in SLIPS for part, f in findings(learner).items() if part not in right(learner)]
    refused = [(learner, finding) for learner, finding in wrong if not finding.points]
    unnamed = [f"{learner.name} / {finding.part}" for learner, finding in refused if not finding.misconceptions]
    assert 1 - len(unnamed) / len(refused) >= NAMED, unnamed
