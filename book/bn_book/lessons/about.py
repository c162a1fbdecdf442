"""What a chapter builds on, what it asks of a reader, and what to discuss about it: written here and nowhere else.

A chapter that is not in `_toc.yml` yet may have its entry already. One that is in it and has none is shown without what
the entry would say, and `lacking` says what to write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bn_book.chapters import chapters

#: What can make a text hard. Each that a chapter or an exercise asks for counts once.
DEMANDS: Mapping[str, str] = MappingProxyType(
    {
        "derivatives": "the chain rule through several variables",
        "matrices": "eigenvalues, or the length and angle of vectors",
        "chance": "the variance of a mean, or of a variance",
        "axes": "arrays of more than two axes",
        "evidence": "measurements that point in different directions and must be weighed",
        "machine": "how a processor moves data",
        "code": "functions to write or to read, which must be right on every input",
        "design": "something to find for which there is no recipe",
    }
)
LEVELS = ("easy", "medium", "hard")


@dataclass(frozen=True)
class About:
    """One chapter.

    Attributes:
        needs: the chapters that it builds on directly, by name. What those need in turn is not said again.
        asks: which of `DEMANDS`.
        discuss: questions without one short answer, each with what a good discussion touches.
    """

    needs: tuple[str, ...]
    asks: tuple[str, ...]
    discuss: tuple[tuple[str, str], ...]


ABOUT: Mapping[str, About] = MappingProxyType(
    {
        "scale": About(
            (),
            ("matrices",),
            (
                (
                    "A colleague standardizes the inputs and says that the network needs no BN now. Is that so?",
                    "The first layer is served. What the second one gets is made by weights that move.",
                ),
                (
                    "Adam gives each weight a step size of its own. Does scale still matter?",
                    "Along the axes it matters less. Correlated features make a valley that lies across the axes.",
                ),
            ),
        ),
        "covariate_shift": About(
            ("scale",),
            ("evidence",),
            (
                (
                    "What would you have to see in order to give up the explanation that gave BN its first name?",
                    "A network that moves more and learns faster, or the reverse. The third network shows one.",
                ),
                (
                    "Is it a fault of a paper if its method works and its explanation does not?",
                    "What was measured, what was concluded, and who measured the conclusion.",
                ),
            ),
        ),
        "forward": About(
            (),
            (),
            (
                (
                    "Which of the layer's decisions would you make otherwise, and what would change?",
                    "ε inside the root, m and not m − 1, γ and β: each has a case in which it can be seen.",
                ),
                (
                    "Should the layer stand before the activation or after it?",
                    "What is normalized, and what γ and β can undo. The chapter shows what each place does.",
                ),
            ),
        ),
        "backward": About(
            ("forward",),
            ("derivatives",),
            (
                (
                    "Your framework differentiates for you. Why do it by hand once?",
                    "The two sums that are 0 say what BN forgets. A layer that is written by hand is faster, too.",
                ),
                (
                    "A gradient check passes. What do you know, and what not?",
                    "Backward belongs to forward. Whether forward is BN is another question.",
                ),
            ),
        ),
        "inference": About(
            ("forward",),
            (),
            (
                (
                    "Which of the seven bugs would your tests have caught, and which would have reached users?",
                    "Those that leave the training loss as it is are the dangerous ones.",
                ),
                (
                    "Should a layer refuse a batch of one in training, or answer?",
                    "An error is found in an hour, a constant output perhaps never.",
                ),
            ),
        ),
        "batch_size": About(
            ("inference",),
            ("chance",),
            (
                (
                    "Memory allows batches of 2. What do you do?",
                    "Another normalizer, statistics shared by workers, frozen statistics. Accumulation helps the "
                    "gradient and not the statistics.",
                ),
                (
                    "The answer to one example depends on the others in its batch. For whom is that a problem?",
                    "Reproducibility, privacy, contrastive losses, reinforcement learning.",
                ),
            ),
        ),
        "convolutions": About(
            ("inference",),
            ("axes",),
            (
                (
                    "Why do the positions of a map share a mean, and the channels not?",
                    "One filter made all positions of a channel. Sharing keeps what the filter keeps.",
                ),
                (
                    "How would you notice that a colleague's BN takes the wrong axis?",
                    "Sizes that all differ. Square images of as many channels as rows hide it.",
                ),
            ),
        ),
        "conditioning": About(
            ("scale", "backward"),
            ("matrices", "evidence"),
            (
                (
                    "The same function, and another Hessian: how can that be?",
                    "The Hessian belongs to the parameters. BN gives the same function other ones.",
                ),
                (
                    "A network trains beyond the limit of stability. Is the theory of quadratics useless?",
                    "It says where the loss begins to swing, and not what happens then.",
                ),
            ),
        ),
        "smoothness": About(
            ("covariate_shift", "conditioning"),
            ("derivatives", "evidence"),
            (
                (
                    "An effect is still there when its supposed cause is taken away. When is that a proof?",
                    "Whether the cause was really gone, and whether the dose was large enough.",
                ),
                (
                    "Two yardsticks give two verdicts on the same runs. Which do you report?",
                    "Both, and which one the claim was about.",
                ),
            ),
        ),
        "length": About(
            ("backward",),
            ("derivatives", "matrices"),
            (
                (
                    "Weight decay makes weights small. Does it still regularize in front of BN?",
                    "Length changes no output. It changes how far a step turns.",
                ),
                (
                    "Would you decay γ?",
                    "γ has a length that counts. What it means after the last BN, and before another one.",
                ),
            ),
        ),
        "price": About(
            ("backward", "batch_size"),
            ("chance", "evidence"),
            (
                (
                    "Noise regularizes, and noise hurts. When does it do which?",
                    "How much of it there is, how large the data are, and what the network is used for.",
                ),
                (
                    "BN makes gradients grow from block to block. Why does a deep network with skips train?",
                    "What a skip adds to the stream, and what it leaves to the branch.",
                ),
            ),
        ),
        "axes": About(
            ("convolutions", "batch_size"),
            ("axes", "evidence"),
            (
                (
                    "Why did language models leave BN, and networks for images keep it?",
                    "Padding, the future, one token at a time. On images positions are many.",
                ),
                (
                    "If every axis is a choice: what should decide?",
                    "What may be forgotten, and what exists at the moment of use.",
                ),
            ),
        ),
        "modulation": About(
            ("convolutions",),
            ("axes", "evidence"),
            (
                (
                    "Two numbers per channel turn a 3 into an 8. Where is the knowledge of the 8?",
                    "In the shared weights, which made both. γ and β choose.",
                ),
                (
                    "What is the normalizer for, if γ and β are given from outside?",
                    "It takes away what they are to set. The chapter tries it without.",
                ),
            ),
        ),
        "speed": About(
            ("backward", "convolutions"),
            ("machine",),
            (
                (
                    "When is a faster layer worth uglier code?",
                    "What share of a step it is, who maintains it, and what a test can hold.",
                ),
                (
                    "float16 halves the traffic. What does it cost?",
                    "Sums, large means, and where the digits are lost.",
                ),
            ),
        ),
        "medical": About(
            ("inference", "axes", "modulation"),
            ("axes", "evidence"),
            (
                (
                    "A network is trained with the scanners of one hospital and used in another. What do you change?",
                    "Whose statistics, which parameters, and how you would notice that nothing helped.",
                ),
                (
                    "Which information of an image must a normalizer not take away?",
                    "Absolute brightness can be the finding.",
                ),
            ),
        ),
        "frameworks": About(
            ("inference", "convolutions"),
            ("code",),
            (
                (
                    "Two frameworks give other numbers for the same layer. Which of them is wrong?",
                    "Conventions: momentum, the variance that is stored, ε, the order of axes.",
                ),
                (
                    "Which pitfall of the table have you met, and what would have caught it earlier?",
                    "A check that takes a minute, and when to run it.",
                ),
            ),
        ),
    }
)
NOTHING_KNOWN = About((), (), ())

#: What the exercises ask for, by the name of their problem, and the chapters that they follow.
EXERCISES: Mapping[str, About] = MappingProxyType(
    {
        "basic-calculation": About(("forward",), (), ()),
        "backpropagation": About(("backward",), ("derivatives",), ()),
        "batch-size": About(("batch_size",), (), ()),
        "conditional": About(("modulation",), ("design",), ()),
        "adaptive": About(("modulation",), ("derivatives", "design"), ()),
        "implement": About(("inference", "convolutions"), ("code", "axes"), ()),
        "break-it": About(("inference",), ("code", "design"), ()),
        "another-normalizer": About(("axes",), ("code", "axes"), ()),
    }
)


def difficulty(about: About) -> str:
    """Of what asks for nothing of `DEMANDS` "easy", for one of them "medium", for more "hard"."""
    return LEVELS[min(len(about.asks), len(LEVELS) - 1)]


def prerequisites(names: Sequence[str] | None = None) -> dict[str, tuple[str, ...]]:
    """For each of the chapters, in their order, those of them that it needs directly."""
    names = chapters() if names is None else names
    return {name: tuple(need for need in ABOUT.get(name, NOTHING_KNOWN).needs if need in names) for name in names}


def lacking(names: Sequence[str] | None = None) -> list[str]:
    """What the chapters still lack here, in words, and what an entry says that cannot be; nothing, if all is well."""
    names = chapters() if names is None else names
    found = []
    for name in names:
        about = ABOUT.get(name)
        if about is None:
            found.append(
                f"the chapter {name!r} is in _toc.yml, and ABOUT in book/bn_book/lessons/about.py has no entry for it: "
                "write which chapters it needs, what it asks of a reader (of DEMANDS), and two questions to discuss"
            )
            continue
        for need in about.needs:
            if need not in ABOUT:
                found.append(f"{name!r} needs {need!r}, and there is no such chapter")
            elif need in names and names.index(need) >= names.index(name):
                found.append(f"{name!r} needs {need!r}, which comes after it in _toc.yml")
        strange = sorted(set(about.asks) - set(DEMANDS))
        found += [f"{name!r} asks for {each!r}, which DEMANDS does not explain" for each in strange]
        if len(about.discuss) < 2:
            found.append(f"{name!r} has {len(about.discuss)} questions to discuss; expected two at least")
    return found
