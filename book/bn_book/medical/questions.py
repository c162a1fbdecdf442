"""What the chapter asks, with an answer to every answer. Every value is computed."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from bn_book.drawing import plot
from bn_book.medical import figures
from bn_book.medical.experiments import FLAGGED, SHARES, company, standardized
from bn_book.medical.phantoms import RARE
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, Plot, WrongChoice
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link

PAGE = "chapters/medical"


def _unseen_scanner() -> Choice:
    return Choice(
        name="unseen-scanner",
        page=PAGE,
        prompt="Four networks were trained on scanners A and B, and all four rank the images of A and B well. Now they "
        "get those of C. Which ranking suffers most?",
        right="BN with statistics, γ and β of each scanner's own, asked as if C were A",
        because="It learned that somebody tells it the scanner. The branch of A expects the units of A, and unlike "
        "plain BN, whose statistics are a mixture of two scanners, it has never met any others.",
        wrong=(
            WrongChoice(
                "z-scores",
                "no normalizer in the network, z-scores of each scan in front of it",
                "A gain and an offset never reach this network. What is left of C is its contrast and its noise.",
            ),
            WrongChoice(
                "recomputed",
                "BN, its statistics recomputed on unlabelled images of C",
                "That is the one of the four that was told what C is like.",
            ),
            WrongChoice(
                "given back",
                "z-scores, with the mean and the deviation of each scan beside them",
                "The two numbers are new to it, and they could mislead it. But the scan itself it knows, and here it "
                "relied on that.",
            ),
        ),
        hint="Which of them meets the units of C with constants that were made for A?",
        see=Link("A third scanner", "sec-medical-table"),
    )


def _by_share(scores: Callable[[Array], Array]) -> Plot:
    """A plot of what is made of the patients' mean scores, which are computed when it is drawn."""
    return plot(lambda: figures.small_company(SHARES, scores(company("BN").mean(axis=1))))


def _company() -> Choice:
    return Choice(
        name="share-of-the-ill",
        page=PAGE,
        prompt="The same patients, all with a lesion, are put into mini-batches of 64 with others, of whom a share is "
        "ill. BN normalizes with what it is shown. Predict the patients' mean score by that share.",
        right="It falls, steeply at first",
        plot=_by_share(lambda found: found),
        because="A channel that answers to lesions has a mean and a variance that grow with the ill. Who is one of "
        "many stands less far above the mean, in fewer standard deviations.",
        wrong=(
            WrongChoice(
                "each for itself",
                "It stays level for all shares",
                "In use a network has running statistics, and then it does. Here the batch's own are taken.",
                _by_share(lambda found: np.full(len(found), found.mean())),
            ),
            WrongChoice(
                "contagious",
                "It rises, steeply at the end",
                "More of the same does not lift a value above its mean. The mean comes up to it.",
                _by_share(lambda found: found[::-1]),
            ),
            WrongChoice(
                "outlier only",
                "It is level, and falls at the end",
                "The first few ill ones change the variance most: where there was none of their kind, it was small.",
                _by_share(lambda found: np.where(np.array(SHARES) < 0.9, found[0], found[-1])),
            ),
        ),
        hint="What do mean and variance of a channel that answers to lesions do as more ill ones come in?",
        see=Link("Who else is ill", "sec-medical-imbalance"),
    )


def _z_of_the_lesion() -> NumberQuestion:
    exact = [Fraction(value) for value in (0, 8, 12, 16, 24)]
    mean, deviation, z = standardized(exact)
    gain, offset = 3, -10
    lesion = float(exact[-1])
    return from_values(
        name="z-of-the-lesion",
        page=PAGE,
        prompt="A scan has the intensities 0, 8, 12, 16 and 24, the last of them a lesion: mean 12, standard "
        "deviation 8. Another scanner shows 3 times as much, minus 10. Which z-score does the lesion have there?",
        right=float(z[-1]),
        because="Mean and deviation follow the scanner: 26 and 24. The lesion is at 62, and (62 − 26) / 24 is what "
        "(24 − 12) / 8 was.",
        wrong=(
            WrongNumbers("not standardized", gain * lesion + offset, "That is the intensity which the scanner shows."),
            WrongNumbers(
                "old statistics",
                (gain * lesion + offset - float(mean)) / float(deviation),
                "You took mean and deviation of the first scan. That is what running statistics would do.",
            ),
            WrongNumbers(
                "variance",
                gain * (lesion - float(mean)) / (gain * float(deviation)) ** 2,
                "Divide by the standard deviation, not by the variance.",
            ),
            WrongNumbers(
                "offset forgotten",
                (gain * lesion - float(mean) * gain - offset) / (gain * float(deviation)),
                "The offset is in the mean as well as in the lesion, and cancels.",
            ),
        ),
        hint="What do gain and offset make of the mean, and what of the deviation?",
        see=Link("By hand", "sec-medical-hand"),
    )


def _probability_in_use() -> NumberQuestion:
    return from_values(
        name="probability-in-use",
        page=PAGE,
        prompt="A network was trained on images of which half had a lesion, and it is well calibrated there. Of an "
        "image it says: probability one half. In use 1 image in 21 has a lesion, and nothing else is different. How "
        "probable is one in this image?",
        right=RARE,
        because="By Bayes' rule odds are multiplied: 1 : 1 as the network says, times 1 : 20 in use, divided by 1 : 1 "
        "in training, is 1 : 20.",
        wrong=(
            WrongNumbers("as it says", 0.5, "The network does not know that lesions have become rare."),
            WrongNumbers("odds", RARE / (1 - RARE), "These are the odds, 1 : 20. The probability is 1 in 21."),
            WrongNumbers("product", 0.5 * RARE, "Multiply odds, not probabilities."),
            WrongNumbers("mean", (0.5 + RARE) / 2, "The two are not averaged."),
        ),
        hint="Work with odds: what does the network say, and what would it say of everybody?",
        see=Link("What a probability is worth", "sec-medical-calibration"),
    )


def _a_tenth_of_many() -> NumberQuestion:
    prevalence = 0.5
    return from_values(
        name="a-tenth-of-many",
        page=PAGE,
        prompt="In each hospital a threshold is set so that a tenth of its images lies above it, without a look at any "
        "label. In one of them half of the images have a lesion. How large can the sensitivity be there at most?",
        right=FLAGGED / prevalence,
        because="At best all of the tenth that is above it are ill, and half of everybody is: 0.1 / 0.5.",
        wrong=(
            WrongNumbers("all", 1.0, "There is room for a tenth of all images above the threshold, and half are ill."),
            WrongNumbers("the tenth", FLAGGED, "That is the share of all images. Sensitivity is a share of the ill."),
            WrongNumbers("product", FLAGGED * prevalence, "Divide by the share of the ill."),
            WrongNumbers("the rest", 1 - FLAGGED, "That is the share of all images below the threshold."),
        ),
        hint="How many of 100 images are above the threshold, and how many of the 100 have a lesion?",
        see=Link("Two thresholds", "sec-medical-thresholds"),
    )


UNSEEN_SCANNER = _unseen_scanner()
COMPANY = _company()
Z_OF_THE_LESION = _z_of_the_lesion()
PROBABILITY_IN_USE = _probability_in_use()
A_TENTH_OF_MANY = _a_tenth_of_many()
