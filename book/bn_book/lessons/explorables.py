"""For each explorable one thing to project, one question to ask before anybody touches it, and what to answer.

A prediction costs nothing and binds: who has said aloud what will happen looks at what does. So let everybody choose an
answer first, and only then move something.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bn_book.chapters import ROOT
from bn_book.explorables import (
    KINDS,
    Block,
    ChooseAxes,
    Disturbed,
    Drift,
    Explorable,
    FindTheBug,
    Flipbook,
    MiniBatch,
    OneScan,
    OwnFormulas,
    ThreePaths,
    TrainingAndInference,
    Turning,
    TwoDigits,
    TwoFeatures,
)
from bn_book.explorables.find_the_bug import LETTERS, MISTAKES
from bn_exercises.misconceptions import VARIANCE_FOR_DEVIATION

_BATCHES, _MOMENTUM = TrainingAndInference.updates.default_value, TrainingAndInference.momentum.default_value
_ARRIVED = 1 - (1 - _MOMENTUM) ** _BATCHES
#: Who divides by the variance is found by one change, that of the spread. Others take two.
EASY_SUSPECT = LETTERS[[each["name"] for each in MISTAKES].index(VARIANCE_FOR_DEVIATION.name)]


@dataclass(frozen=True)
class Projection:
    """How to begin with one explorable.

    Attributes:
        page: where it stands, or the page of one of its kind that is good to begin with.
        project: what to show.
        ask: the question.
        answers: what students say, each with what to say or to do then.
    """

    page: str
    project: str
    ask: str
    answers: tuple[tuple[str, str], ...]


PROJECTIONS: Mapping[type[Explorable], Projection] = MappingProxyType(
    {
        Flipbook: Projection(
            "chapters/backward",
            "The computational graph, on its first step. Leave the slider alone.",
            "One value x changes a little. By how many ways does that reach the outputs?",
            (
                ("By one: through its own x̂.", "Cover μ with your hand. Would the other x̂ stay where they are?"),
                ("By two: x̂ and the mean.", "What is σ² made of? Go on with the slider and look for the third arrow."),
                ("By three.", "Which of them are left when the layer uses stored statistics? Only the first."),
            ),
        ),
        TwoFeatures: Projection(
            "chapters/scale",
            "The plane of the two weights, as it opens.",
            "Feature 2 is stretched a little. What happens to the largest learning rate that converges?",
            (
                ("Nothing: the data say the same.", "They do. But the slope along w₂ is multiplied by the feature."),
                (
                    "It falls by the factor of the stretching.",
                    "Stretch from 7 to 10 and read the mark: it halves. The curvature has the square of the feature.",
                ),
                ("It falls by the square.", "Then standardize: what does the mark do when you stretch now?"),
            ),
        ),
        Drift: Projection(
            "chapters/covariate_shift",
            "All three layers at the learning rate in the middle, at the first moment.",
            "Of two networks one learns the same task much faster. Do the inputs of its sigmoids move less, or more?",
            (
                ("Less: that is what BN cures.", "Play it: so it is here. Then set the smallest rate and look again."),
                ("More: to learn is to move.", "At the smallest rate you see that. At the middle one you do not."),
                (
                    "That cannot be said.",
                    "Then movement alone explains nothing. Keep that for “Covariate shift, or smoothness?”.",
                ),
            ),
        ),
        MiniBatch: Projection(
            "index",
            "The five values and their outputs, untouched.",
            "I drag the mean to the right, and all values with it. What do the outputs do?",
            (
                ("They move along.", "Drag. What was subtracted has moved, too."),
                (
                    "They come closer together.",
                    "That would be the end of the bar: drag it, and nothing happens either.",
                ),
                ("Nothing.", "Now one value alone: who moves? All of them, and that is what the book is about."),
            ),
        ),
        FindTheBug: Projection(
            "chapters/forward",
            f"Suspect {EASY_SUSPECT} on the first input, where all points lie on the line.",
            "Eight implementations agree with the right one on this input. What do you know about them?",
            (
                (
                    "They are right.",
                    "All eight are wrong. What is special here: the mean, the spread, γ, β?",
                ),
                (
                    "Nothing, before they see random numbers.",
                    "Random numbers around 0 with spread 1 are this input. What they must not be is convenient.",
                ),
                (
                    "That they agree on this input.",
                    "So change one thing at a time, and say first what it would expose.",
                ),
            ),
        ),
        ThreePaths: Projection(
            "chapters/backward",
            "All three paths on. Lift the five dy to the same height, with the screen covered.",
            "The gradient dy is the same for all five values. What is dx?",
            (
                ("γ/σ times dy.", "That is the direct path. Switch the other two off, and it is what you get."),
                ("It depends on x.", "Drag an x. It does not, while dy is level."),
                ("0.", "Which change of x would change the sum of the outputs? None: BN takes the mean away again."),
            ),
        ),
        TrainingAndInference: Projection(
            "chapters/inference",
            "The running mean on its way to the population's, with the switch to inference where it is.",
            f"After {_BATCHES} batches at momentum {_MOMENTUM:g}: how far has the running mean come?",
            (
                (
                    f"It is there: {_BATCHES} batches are enough.",
                    f"On average it has come {_ARRIVED:.0%} of the way; read where these brought it. What is left "
                    "is an error of every answer in inference.",
                ),
                (
                    "It is the average of the batches.",
                    "That takes a weight that falls. Here the start, 0, is still in it.",
                ),
                (
                    f"About {_ARRIVED:.0%}.",
                    "How do you know? Each batch leaves 1 − w of the rest. Now move the population just before that.",
                ),
            ),
        ),
        Block: Projection(
            "chapters/convolutions",
            "The block with Batch Normalization.",
            "One image is brighter than the others in all its channels. Is it still, after BN? And after Layer "
            "Normalization?",
            (
                (
                    "No, and no: both normalize.",
                    "Both take a mean away. Whose? Choose a cell and look who shares it.",
                ),
                (
                    "Yes, and no.",
                    "Right. And what does BN lose that Layer Normalization keeps? The levels of the channels.",
                ),
                (
                    "No, and yes.",
                    "Turn it round: a piece forgets what it shares, and one of BN holds all images.",
                ),
            ),
        ),
        Disturbed: Projection(
            "chapters/smoothness",
            "The network with BN, undisturbed.",
            "Noise before every sigmoid makes its inputs jump. Does it still learn faster than the network without BN?",
            (
                ("No: it is less stable now.", "Disturb it, and read both curves. It is, and it does."),
                (
                    "Yes, as fast as before.",
                    "Then what was stability good for? Compare all six before you decide.",
                ),
                (
                    "It depends on the noise.",
                    "It does. The chapter shows ten times as much. What would the dose have to prove?",
                ),
            ),
        ),
        Turning: Projection(
            "chapters/length",
            "The weight vector at step 0, without decay.",
            "The unit has BN behind it. What becomes of the length of its weights in training?",
            (
                ("It stays: length does not matter.", "To the output it does not. At which angle does a step leave?"),
                ("It may grow or shrink.", "A step at right angles makes a hypotenuse. Can one be shorter than a leg?"),
                ("It grows.", "So each step turns less than the last. Who set that learning rate schedule?"),
            ),
        ),
        ChooseAxes: Projection(
            "chapters/axes",
            "The block laid out flat, with the axes N, H and W.",
            "Over which axes must the mean be, if the brightness of a sample is to be forgotten and the differences "
            "between its channels kept?",
            (
                ("N, H, W.", "That is BN. It shares a mean among samples, so their differences stay."),
                ("H, W.", "That forgets brightness, and the level of each channel with it."),
                ("C, H, W.", "Right: Layer Normalization. Which axis more or less would need only one position?"),
            ),
        ),
        TwoDigits: Projection(
            "chapters/modulation",
            "The generator's 3, with the point in the lower left corner.",
            "γ and β can go separately from those of a 3 to those of an 8. Which of the two turns the digit?",
            (
                ("γ: it scales what the filters found.", "Go along γ alone. The digit mostly stays what it is."),
                (
                    "β: it says which units are on.",
                    "Go along β: it mostly turns. Find a pair where it does not.",
                ),
                ("Only both together.", "Try the two sides first. For which pair are you right?"),
            ),
        ),
        OneScan: Projection(
            "chapters/medical",
            "The head with its lesion, as it opens, with both networks' scores in sight.",
            "The window is narrowed until the lesion stands out. Then the gain is tripled. Whose score changes when?",
            (
                (
                    "Both scores, at the window.",
                    "Drag its edges. The window is for eyes; a network gets the numbers behind it.",
                ),
                (
                    "Both, at the gain: the image is another one.",
                    "Move the gain. One network sees z-scores, and a z-score takes a gain away.",
                ),
                (
                    "One of them, at the gain.",
                    "Which one, and in which direction does it err? Then move gamma: who is safe from that?",
                ),
            ),
        ),
        OwnFormulas: Projection(
            "exercises/adaptive",
            "The two lines of γ(μ) and β(μ), with the formulas as they are.",
            "Is 1 + a |μ| allowed as γ(μ) in this exercise?",
            (
                ("Yes: it is continuous and positive.", "Type `1 + a*abs(mu)`. What does the dashed slope do at 0?"),
                ("No: the root of the variance may be 0.", "γ does not see the variance here. Look at μ = 0."),
                ("No: it has a corner.", "Which formula nearly looks like it and has none? √(μ² + 1), for one."),
            ),
        ),
    }
)


def stands_on(kind: type[Explorable], page: str) -> bool:
    """Whether a page shows an explorable of this kind."""
    name = "flipbook" if kind is Flipbook else kind.__name__
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    return re.search(rf"\b{name}\(", text) is not None


def lacking(kinds: Iterable[type[Explorable]] = KINDS) -> list[str]:
    """What the explorables still lack here, in words; nothing, if all is well."""
    found = []
    for kind in kinds:
        shown = PROJECTIONS.get(kind)
        if shown is None:
            found.append(
                f"the explorable {kind.__name__} has no entry in PROJECTIONS in book/bn_book/lessons/explorables.py: "
                "write what to project, what to ask before anybody touches it, and what to say to each answer"
            )
        elif not stands_on(kind, shown.page):
            found.append(f"{kind.__name__} is said to be on {shown.page}, and is not")
        elif len(shown.answers) < 2:
            found.append(f"{kind.__name__} has {len(shown.answers)} answers; expected those that students give")
    return found
