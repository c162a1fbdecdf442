"""The claims of the chapter on where gamma and beta come from, and those that did not reproduce."""

import math

from bn_book.claims import Claim
from bn_book.modulation.attention import learn
from bn_book.modulation.experiments import (
    LARGE_RATE,
    RATE,
    attention_of_one,
    company,
    duel_right,
    follow,
    learn_new_class,
    right,
    style_given,
    table_is_attention,
)

_GENERATOR = (
    "8 x 8 digits from 8 random numbers, 64-64-64, 450 steps of Adam on the class-conditional maximum mean discrepancy"
)
_JUDGE = "100 images of each class; the judge was trained on real digits only"
_NEW = (
    f"{_GENERATOR}, on nine of the ten classes. Then 200 steps on five images of the tenth, running statistics frozen"
)
_GAN = (
    "8 x 8 digits from 8 random numbers, a generator with conditional BN, a projection discriminator 64-64-64 with BN, "
    "500 steps of both"
)


CLAIMS = (
    Claim(
        name="gamma-and-beta-say-the-class",
        kind="put to the test",
        says="To model a style it is enough to give it a scale and a shift of its own after normalization. Our test: "
        "that is enough to tell a generator which digit to draw.",
        source="dumoulin2017learned",
        run=f"{_GENERATOR}; the class is in gamma and beta only. {_JUDGE}.",
        measure=lambda seed: right("γ and β", with_bn=True, seed=seed).right,
        band=(0.8, 1.0),
        unit="share of images in which the judge sees the class that was asked for",
        wrong="the class nowhere",
        gives=lambda: right("nowhere", with_bn=True).right,
    ),
    Claim(
        name="the-scale-alone-says-the-class",
        kind="put to the test",
        says="It is sufficient to modulate the standard deviation; the mean is not needed. Our test: a generator whose "
        "classes have gammas of their own and one beta draws what it is asked for.",
        source="karras2020analyzing",
        run=f"{_GENERATOR}; the class is in gamma only. {_JUDGE}.",
        measure=lambda seed: right("γ", with_bn=True, seed=seed).right,
        band=(0.75, 1.0),
        unit="share of images in which the judge sees the class that was asked for",
        wrong="the class nowhere",
        gives=lambda: right("nowhere", with_bn=True).right,
    ),
    Claim(
        name="the-scale-says-more-than-the-shift",
        kind="put to the test",
        says="The mean is not needed. Our test: drawn with gammas of one class and betas of another, a digit is "
        "that of its gammas more often.",
        source="karras2020analyzing",
        run=f"{_GENERATOR}; the class in gamma and beta. Four of ten ways to pair the classes.",
        measure=lambda seed: follow(seed=seed).gamma - follow(seed=seed).beta,
        band=(0.1, 1.0),
        unit="share of images that show the class of gamma minus the share that show that of beta",
        wrong="no difference",
        gives=lambda: 0.0,
        reproduces=False,
    ),
    Claim(
        name="bn-makes-the-generator-better",
        kind="put to the test",
        says="BN is critical for deep generators to begin to learn. Our test, with two hidden layers: more images "
        "are right with BN before scale and shift than without.",
        source="radford2016unsupervised",
        run=f"{_GENERATOR} at a learning rate of {RATE}; the same without BN. {_JUDGE}.",
        measure=lambda seed: (
            right("γ and β", with_bn=True, seed=seed).right - right("γ and β", with_bn=False, seed=seed).right
        ),
        band=(0.02, 1.0),
        unit="share of right images with BN minus the share without",
        wrong="no difference",
        gives=lambda: 0.0,
        reproduces=False,
    ),
    Claim(
        name="bn-lets-a-generator-take-larger-steps",
        kind="put to the test",
        says="BN allows much higher learning rates. Our test: at a rate at which the generator without BN gets worse, "
        "more images are right with BN before scale and shift than without.",
        source="ioffe2015batch",
        run=f"{_GENERATOR} at a learning rate of {LARGE_RATE:.2f}; the same without BN. {_JUDGE}.",
        measure=lambda seed: (
            right("γ and β", with_bn=True, seed=seed, rate=LARGE_RATE).right
            - right("γ and β", with_bn=False, seed=seed, rate=LARGE_RATE).right
        ),
        band=(0.02, 1.0),
        unit="share of right images with BN minus the share without",
        wrong=f"a learning rate of {RATE}",
        gives=lambda: right("γ and β", with_bn=True).right - right("γ and β", with_bn=False).right,
    ),
    Claim(
        name="a-new-class-by-its-rows",
        kind="put to the test",
        says="A new style can be learned by training its scales and shifts alone, with all other weights frozen. Our "
        "test: a new digit by 256 numbers and five examples.",
        source="dumoulin2017learned",
        run=f"{_NEW}; only its rows of gamma and beta are trained.",
        measure=lambda seed: float(learn_new_class("its row", seed=seed).new[-1]),
        band=(0.6, 1.0),
        unit="share of the new class's images that are right",
        wrong="rows that are the mean of the others, before they are trained",
        gives=lambda: float(learn_new_class("its row").new[0]),
    ),
    Claim(
        name="a-new-row-leaves-the-old-classes",
        kind="an identity",
        says="Whoever asks for an old class gets the same image after a new class has been learned by its rows: "
        "nothing that it is computed from has changed.",
        source="dumoulin2017learned",
        run=f"{_NEW}; only its rows of gamma and beta are trained.",
        measure=lambda seed: learn_new_class("its row", seed=seed).moved,
        band=(-math.inf, 1e-6),
        unit="largest change of a pixel of an old class's image",
        wrong="all parameters trained",
        gives=lambda: learn_new_class("everything").moved,
    ),
    Claim(
        name="training-everything-forgets",
        kind="put to the test",
        says="A network that learns a new task forgets the old ones. Our test: all parameters trained on the new digit "
        "only.",
        source="kirkpatrick2017overcoming",
        run=f"{_NEW}; all parameters are trained.",
        measure=lambda seed: float(learn_new_class("everything", seed=seed).old[-1]),
        band=(0.0, 0.5),
        unit="share of the old classes' images that are right afterwards",
        wrong="only the new rows trained",
        gives=lambda: float(learn_new_class("its row").old[-1]),
    ),
    Claim(
        name="a-batch-of-one-class-has-other-statistics",
        kind="put to the test",
        says="The statistics that normalize in use have to fit those of training. Our test: the same noise, drawn with "
        "the statistics of a mini-batch of one class.",
        source="wu2021rethinking",
        run=f"{_GENERATOR}; the class in gamma and beta. 100 images of one class are a mini-batch.",
        measure=lambda seed: company(seed=seed).running - company(seed=seed).alone,
        band=(0.2, 1.0),
        unit="share of right images with running statistics minus the share with those of one class",
        wrong="a mini-batch of all ten classes",
        gives=lambda: company().running - company().mixed,
    ),
    Claim(
        name="real-and-drawn-must-not-share-a-batch",
        kind="made by",
        says="Each mini-batch of a discriminator with BN needs to contain only real or only generated images.",
        source="chintala2016how",
        run=f"{_GAN}. Real and drawn images in one mini-batch, in the step of either network. {_JUDGE}.",
        measure=lambda seed: duel_right("pure", seed=seed).right - duel_right("mixed", seed=seed).right,
        band=(0.05, 1.0),
        unit="share of right images with pure batches minus the share with mixed ones",
        wrong="no difference",
        gives=lambda: 0.0,
        reproduces=False,
    ),
    Claim(
        name="two-kinds-of-batches-ruin-the-generator",
        kind="put to the test",
        says="How mini-batches are put together matters as soon as one network gets two kinds of them. Our test: the "
        "discriminator learns in mixed batches, and the generator learns from it in pure ones.",
        source="wu2021rethinking",
        run=f"{_GAN}. {_JUDGE}.",
        measure=lambda seed: duel_right("pure", seed=seed).right - duel_right("mismatch", seed=seed).right,
        band=(0.3, 1.0),
        unit="share of right images with pure batches minus the share with two kinds",
        wrong="mixed batches for both",
        gives=lambda: duel_right("pure").right - duel_right("mixed").right,
    ),
    Claim(
        name="attention-over-one-map-is-bn",
        kind="an identity",
        says="A mixture of K affine maps, weighted by a softmax, with K = 1 is the one affine map of BN.",
        source="li2020attentive",
        run="12 x 5 random values, float64.",
        measure=lambda seed: attention_of_one(seed=seed),
        band=(-math.inf, 1e-12),
        unit="largest difference",
        wrong="an example of which a tenth of the weight is not on its own map",
        gives=lambda: table_is_attention(softly=0.1),
    ),
    Claim(
        name="attention-finds-the-negatives",
        kind="put to the test",
        says="The weights of the maps are learned, and each example gets its own. Our test: of digits and their "
        "negatives, two maps learn to tell which is which, which nobody told them.",
        source="li2020attentive",
        run="Digits, a random half of them inverted, 64-16-10 with BN and two maps, 400 mini-batches of 60, SGD at 0.1 "
        "with momentum 0.9. How often a negative has more of one map than a digit in ink has.",
        measure=lambda seed: learn(2, seed=seed).sorted,
        band=(0.7, 1.0),
        unit="share of pairs of a digit and a negative",
        wrong="one map, of which everybody has all",
        gives=lambda: learn(1).sorted,
    ),
    Claim(
        name="adain-gives-the-mean-and-deviation-of-the-style",
        kind="an identity",
        says="AdaIN gives the content the mean and the standard deviation of the style.",
        source="huang2017arbitrary",
        run="Two digits, one channel, eps 0.",
        measure=lambda seed: style_given(seed=seed),
        band=(-math.inf, 1e-12),
        unit="the larger of the two differences",
        wrong="the content as it was",
        gives=lambda: style_given(content_only=True),
    ),
)
