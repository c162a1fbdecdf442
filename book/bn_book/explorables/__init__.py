"""Explorables: figures you think with. Each is a widget in a notebook, and the same on a page without a kernel.

One folder per figure: its class, the script that draws it (`mini_batch.js`), and how it looks. `bn.js` is the
mathematics in the browser, `ui.js` what all share (plots, handles, sliders), `preact.js` a library that draws a view
again when its state changes. This package needs anywidget; `import bn_lib` does not.
"""

from bn_book.explorables._explorable import Explorable
from bn_book.explorables.block import Block
from bn_book.explorables.choose_axes import ChooseAxes
from bn_book.explorables.disturbed import Disturbed
from bn_book.explorables.drift import Drift
from bn_book.explorables.find_the_bug import FindTheBug
from bn_book.explorables.flipbook import Flipbook
from bn_book.explorables.mini_batch import MiniBatch
from bn_book.explorables.one_scan import OneScan
from bn_book.explorables.own_formulas import OwnFormulas
from bn_book.explorables.three_paths import ThreePaths
from bn_book.explorables.training_and_inference import TrainingAndInference
from bn_book.explorables.turning import Turning
from bn_book.explorables.two_digits import TwoDigits
from bn_book.explorables.two_features import TwoFeatures

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
    Disturbed,
    Turning,
    ChooseAxes,
    TwoDigits,
    OneScan,
    OwnFormulas,
)

__all__ = [
    "KINDS",
    "Block",
    "ChooseAxes",
    "Disturbed",
    "Drift",
    "Explorable",
    "FindTheBug",
    "Flipbook",
    "MiniBatch",
    "OneScan",
    "OwnFormulas",
    "ThreePaths",
    "TrainingAndInference",
    "Turning",
    "TwoDigits",
    "TwoFeatures",
]
