"""Explorables: figures you think with. Each is a widget in a notebook, and the same on a page without a kernel.

One class per figure, in a file of its own beside the script that draws it (`mini_batch.js`). `bn.js` is the mathematics
in the browser, `ui.js` what all share (plots, handles, sliders), `preact.js` a library that draws a view again when its
state changes. This package needs anywidget; `import bn_lib` does not.
"""

from bn_lib.explorables._block import Block
from bn_lib.explorables._drift import Drift
from bn_lib.explorables._explorable import Explorable
from bn_lib.explorables._find_the_bug import FindTheBug
from bn_lib.explorables._flipbook import Flipbook
from bn_lib.explorables._mini_batch import MiniBatch
from bn_lib.explorables._three_paths import ThreePaths
from bn_lib.explorables._training_and_inference import TrainingAndInference
from bn_lib.explorables._two_features import TwoFeatures

#: Every kind, in the order of the book.
KINDS: tuple[type[Explorable], ...] = (
    Flipbook,
    TwoFeatures,
    Drift,
    MiniBatch,
    FindTheBug,
    ThreePaths,
    TrainingAndInference,
    Block,
)

__all__ = [
    "KINDS",
    "Block",
    "Drift",
    "Explorable",
    "FindTheBug",
    "Flipbook",
    "MiniBatch",
    "ThreePaths",
    "TrainingAndInference",
    "TwoFeatures",
]
