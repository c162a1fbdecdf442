"""The book's "check yourself" questions: those of the chapters, and those of each exercise's page.

    from bn_exercises import questions
    from bn_exercises.check_yourself.page import check_yourself

    check_yourself(questions.FORWARD_PASS)
    check_yourself(*questions.EXERCISES["basic-calculation"])

Every value in them is computed. What asks for the same as a problem of the course is made from that problem, with its
mistakes and its sentences.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from bn_exercises import misconceptions, problems
from bn_exercises.check_yourself.numeric import Index, NumberQuestion, WrongNumbers, from_part, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.functions import slips
from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link
from bn_lib import BatchNorm, Convention, batch_norm


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _whole(formula: str) -> str:
    """The formula with no-break spaces, so that a narrow page does not break it."""
    return formula.replace(" ", "\N{NO-BREAK SPACE}")


def _why_scale_matters() -> NumberQuestion:
    curvatures = np.array([1.0, 25.0])
    low, high = float(curvatures.min()), float(curvatures.max())
    return from_values(
        name="why-scale-matters",
        page="chapters/scale",
        prompt=f"Gradient descent on the loss L(w) = ½ (λ₁ w₁² + λ₂ w₂²) with the curvatures λ₁ = {low:g} and "
        f"λ₂ = {high:g}. Below which learning rate does it converge from every starting point?",
        right=2 / high,
        because="One step multiplies w along a direction by 1 − η λ. Its size stays below 1 as long as η < 2 / λ, and "
        "the largest curvature sets the tightest limit: 2 / λ_max.",
        wrong=(
            WrongNumbers(
                "1 / λ_max",
                1 / high,
                "At 1 / λ_max the steepest direction arrives in one step. A little beyond, it overshoots, and still "
                "ends closer than it began. Stability ends later.",
            ),
            WrongNumbers(
                "λ_min for λ_max",
                2 / low,
                "That is the limit of the flattest direction. The steepest one diverges much earlier.",
            ),
            WrongNumbers(
                "1 / λ_min",
                1 / low,
                "That takes the flattest direction to its minimum in one step. The steepest one has diverged by then.",
            ),
            WrongNumbers(
                "the fastest rate",
                2 / (low + high),
                "That rate converges fastest, because both directions then shrink equally. The limit of stability "
                "is a little further.",
            ),
            WrongNumbers(
                "upside down",
                high / 2,
                "That is the inverse. A larger curvature asks for a smaller step.",
            ),
        ),
        hint="Write one step for one direction, w − η λ w, and ask what w is multiplied by.",
        see=Link("The largest stable learning rate, measured", "largest-stable-learning-rate"),
    )


def _four_errors() -> Choice:
    curvature, rate = 4.0, 0.45

    def errors(factor: float) -> str:
        return ", ".join(f"{factor**k:.3g}".replace("-", "−") for k in range(4))

    return Choice(
        name="four-errors",
        page="chapters/scale",
        prompt=f"The distance to the minimum along a direction with λ = {curvature:g} is 1. Predict the first steps of "
        f"gradient descent with η = {rate:g}: which of these four runs is it?",
        right=errors(1 - rate * curvature),
        because="Every step multiplies the distance by 1 − η λ = −0.8. The sign changes, so the run swings from side "
        "to side, and the size is below 1, so it converges.",
        wrong=(
            WrongChoice(
                "sign lost",
                errors(abs(1 - rate * curvature)),
                "The sizes are right. But η is beyond 1 / λ, so the run overshoots and the sign changes every time.",
            ),
            WrongChoice(
                "η λ for 1 − η λ",
                errors(-rate * curvature),
                "You multiplied by −η λ. What is subtracted is η λ times the distance, so 1 − η λ is left.",
            ),
            WrongChoice(
                "λ forgotten",
                errors(1 - rate),
                "You multiplied by 1 − η. The step is η times the gradient, and the gradient is λ times the distance.",
            ),
        ),
        hint="What does one step multiply the distance by?",
        see=Link("Gradient descent on a quadratic", "sec-scale-quadratic"),
    )


def _standardized_pair() -> NumberQuestion:
    rho = 0.6
    return from_values(
        name="standardized-pair",
        page="chapters/scale",
        prompt=f"Two features have the correlation {rho:g}. You standardize both. What is the condition number of the "
        "Hessian of a linear model on them, without a bias?",
        right=(1 + rho) / (1 - rho),
        because="The Hessian is the correlation matrix. Its eigenvalues are 1 + ρ and 1 − ρ. Standardizing takes the "
        "units away and leaves the correlation.",
        wrong=(
            WrongNumbers("a round bowl", 1.0, "That would be so without correlation. Only whitening removes it."),
            WrongNumbers("λ_max alone", 1 + rho, "That is the larger eigenvalue. The condition number is a quotient."),
            WrongNumbers("upside down", (1 - rho) / (1 + rho), "You divided the smaller eigenvalue by the larger one."),
            WrongNumbers(
                "λ_max taken for 1", 1 / (1 - rho), "The larger eigenvalue is 1 + ρ. Their sum is 2, the trace."
            ),
        ),
        hint="Write the correlation matrix of two features, and its eigenvalues.",
        see=Link("What standardizing does to the Hessian", "sec-scale-standardizing"),
    )


def _eigenvalue_of_the_mean() -> NumberQuestion:
    count, mean = 64, 0.5
    return from_values(
        name="eigenvalue-of-the-mean",
        page="chapters/scale",
        prompt=f"The outputs of {count} sigmoids are all near {mean:g}, whatever the image is. A linear model on them, "
        "without a bias, has a Hessian with one large eigenvalue. About how large is it?",
        right=count * mean**2,
        because="The means add μ μᵀ to the Hessian. Its only eigenvalue that is not 0 is the squared length of μ. "
        "Centering takes it away.",
        wrong=(
            WrongNumbers("length not squared", np.sqrt(count * mean**2), "That is the length of μ. It counts squared."),
            WrongNumbers("one entry", mean**2, "That is one entry of μ μᵀ. All of them are alike, and they add up."),
            WrongNumbers("sum of the means", count * mean, "You added the means. Their squares add up."),
            WrongNumbers(
                "number of features", count, "That would be so for means of 1. The squared length of μ is what counts."
            ),
        ),
        hint="H is the covariance matrix plus the matrix of the products of means.",
        see=Link("What standardizing does to the Hessian", "sec-scale-standardizing"),
    )


def _order_term(order: int) -> list[str]:
    """The products of order `order` in a of (w₁ − a g₁)(w₂ − a g₂)(w₃ − a g₃), without a and its sign."""
    products = []
    for stepped in combinations("₁₂₃", order):
        products.append("".join(("g" if i in stepped else "w") + i for i in "₁₂₃"))
    return products


def _internal_covariate_shift() -> Choice:
    second = _order_term(2)
    return Choice(
        name="internal-covariate-shift",
        page="chapters/covariate_shift",
        prompt=f"Three layers of one weight each give {_whole('y = w₁w₂w₃ x')}. One gradient step changes all three at "
        f"once: the product becomes {_whole('(w₁ − a g₁)(w₂ − a g₂)(w₃ − a g₃)')}. Which part of it is of second order "
        "in a?",
        right=f"+a² ({' + '.join(second)})",
        because="Choose −a g in two of the three brackets and w in the third. There are three ways to choose, and "
        "(−a)² is positive. The gradient of each layer, taken alone, knows nothing of this term.",
        wrong=(
            WrongChoice(
                "sign",
                f"−a² ({' + '.join(second)})",
                "Two of the three factors contribute a minus sign each, and they cancel.",
            ),
            WrongChoice(
                "first order",
                f"−a ({' + '.join(_order_term(1))})",
                "That is the first-order part: one layer moves and the others stand still. It is what each gradient "
                "accounts for.",
            ),
            WrongChoice(
                "third order",
                f"−a³ {_order_term(3)[0]}",
                "That is the third-order part: all three layers move.",
            ),
            WrongChoice(
                "one pair only",
                f"+a² {second[0]}",
                "That is one pair of layers. There are three pairs among three layers, and each gives a term.",
            ),
        ),
        hint="Expand the product: from each bracket take one of its two terms.",
        see=Link("The three-layer product", "three-layer-product"),
    )


def _calibrated_step() -> NumberQuestion:
    w1, w2, fall = 3.0, 4.0, 0.5
    squares = w1**2 + w2**2
    return from_values(
        name="calibrated-step",
        page="chapters/covariate_shift",
        prompt=f"Two layers of one weight each give y = w₁w₂, with w₁ = {w1:g} and w₂ = {w2:g}. You go down the "
        "gradient "
        f"of y itself, and first order is to make y fall by {fall:g}. Which learning rate does that take?",
        right=fall / squares,
        because="The slopes of y are g₁ = w₂ and g₂ = w₁. To first order y falls by a (g₁² + g₂²).",
        wrong=(
            WrongNumbers(
                "slopes not squared",
                fall / (w1 + w2),
                "You divided by g₁ + g₂. Each weight moves by a times its slope, and moves y by its slope times that.",
            ),
            WrongNumbers("norm of the slopes", fall / np.sqrt(squares), "The norm counts squared: g₁² + g₂²."),
            WrongNumbers("divided by y", fall / (w1 * w2), "You divided by y. How far y moves depends on its slopes."),
            WrongNumbers("one layer", fall / w2**2, "That is what layer 1 alone would need. Both layers move."),
        ),
        hint="By how much does each weight move, and by how much does that move y while the other stands still?",
        see=Link("The three-layer product", "three-layer-product"),
    )


def _thirty_layers() -> Choice:
    return Choice(
        name="thirty-layers",
        page="chapters/covariate_shift",
        prompt="Thirty layers have the weight 0.8 each. First order sets the step so that y should rise by 0.1. "
        "Predict what the step does to y.",
        right="It rises by far more than 0.1.",
        because="The answer y = 0.8³⁰ is about 0.001. To raise it by 0.1 first order asks each weight for a step of "
        "several times its own size, and thirty such factors are multiplied.",
        wrong=(
            WrongChoice(
                "the plan is kept",
                "It rises by about 0.1, as planned.",
                "That needs steps that are small against the weights. Here y is so small that they are not.",
            ),
            WrongChoice(
                "small weights are harmless",
                "It hardly changes, because small weights make small products.",
                "At a fixed learning rate that would be so. Here the step is set to make up for the small weights.",
            ),
            WrongChoice(
                "higher orders take back",
                "It falls, because the second order has the other sign.",
                "All weights grow, so all terms of their product grow. No term has a minus sign.",
            ),
        ),
        hint="How large is y before the step, and how large a step does each weight need?",
        see=Link("The three-layer product", "three-layer-product"),
    )


def _what_the_control_shows() -> Choice:
    return Choice(
        name="what-the-control-shows",
        page="chapters/covariate_shift",
        prompt="From larger initial weights a network without BN trains several times faster at a learning rate of "
        "0.5, though the inputs of its sigmoids travel about as far. What follows?",
        right="How far inputs travel does not by itself decide how fast a network trains.",
        because="Two networks with the same movement differ in speed, so movement alone cannot be what sets it. More "
        "does not follow from two networks.",
        wrong=(
            WrongChoice(
                "movement is harmless",
                "Movement of inputs does no harm.",
                "Measured against the width of the distributions, the faster network moves less. It may matter.",
            ),
            WrongChoice(
                "BN is not needed",
                "With larger weights a network does not need BN.",
                "At one learning rate that looks so. At higher ones the gain is gone, and at 5 it does not learn.",
            ),
            WrongChoice(
                "the paper is wrong",
                "With BN the inputs move as much as without it.",
                "With BN they move less at this learning rate. That is the first statement, and it holds here.",
            ),
        ),
        hint="Which quantity is the same in both networks, and which is not?",
        see=Link("A third network", "sec-shift-control"),
    )


def _forward_pass() -> NumberQuestion:
    x, eps, asked = (0.1, 0.2, 0.6), 0.01, 2
    given = {**problems.BASIC_CALCULATION.given, "x": tuple((value,) for value in x), "eps": eps}
    return from_part(
        replace(problems.BASIC_CALCULATION, given=given),
        "x_hat",
        at=(asked, 0),
        name="forward-pass",
        page="chapters/forward",
        prompt=f"A mini-batch of one feature: {_list(x)}. With ε = {eps:g}, what is the normalized value x̂ of "
        f"{x[asked]:g}?",
        hint="First the mean of the three, then the mean of their squared distances from it.",
        see=misconceptions.BY_HAND,
    )


def _order_of_steps() -> Choice:
    return Choice(
        name="order-of-steps",
        page="chapters/forward",
        prompt="Put the steps of normalizing a feature in order.",
        right="subtract the mean, average the squares, add ε, take the root, divide by it",
        because="The variance is the average of the squared deviations. ε has the units of a variance, so it comes "
        "before the root.",
        wrong=(
            WrongChoice(
                "ε outside the root",
                "subtract the mean, average the squares, take the root, add ε, divide by it",
                "Added after the root, ε is a standard deviation and not a variance, and has another effect.",
            ),
            WrongChoice(
                "mean subtracted too late",
                "average the squares, add ε, take the root, divide by it, subtract the mean",
                "The average of squares that were not centered first is no variance.",
            ),
            WrongChoice(
                "no root",
                "subtract the mean, average the squares, add ε, divide by it",
                "That divides by a variance, and what comes out still has units.",
            ),
        ),
        hint="Start from the four lines, and write the variance out.",
        see=Link("Mean, variance, normalize, scale and shift", "sec-forward-algorithm"),
    )


def _who_changes() -> Choice:
    return Choice(
        name="who-changes",
        page="chapters/forward",
        prompt="A mini-batch of 32 goes through BN in training. One example in it is exchanged for another. Which "
        "outputs change?",
        right="Those of all 32 examples",
        because="The exchange moves the mean and the variance of every feature, and all outputs are computed with "
        "them.",
        wrong=(
            WrongChoice(
                "each for itself",
                "Its own only",
                "That would be so if each example were normalized by itself. BN takes the statistics of the batch.",
            ),
            WrongChoice(
                "normalized away",
                "None, because BN takes the change out again",
                "BN takes out what all examples have in common. One example alone is not that.",
            ),
            WrongChoice(
                "its class",
                "Those of the examples of its class",
                "BN knows nothing of classes. The statistics are those of all examples in the batch.",
            ),
        ),
        hint="Through which numbers do the examples of a batch meet?",
        see=Link("One example changes, and all outputs do", "sec-forward-others"),
    )


def _mean_of_the_output() -> NumberQuestion:
    x, gamma, beta = np.array([1.0, 4.0, 10.0]), 2.0, 7.0
    return from_values(
        name="mean-of-the-output",
        page="chapters/forward",
        prompt=f"A mini-batch of one feature is {_list(x)}. With γ = {gamma:g} and β = {beta:g}, what is the mean of "
        "y?",
        right=beta,
        because="The normalized values add up to 0, whatever x is, so the mean of y is β.",
        wrong=(
            WrongNumbers("mean of x̂", 0.0, "That is the mean of the normalized values. The shift is still to come."),
            WrongNumbers(
                "not normalized",
                gamma * x.mean() + beta,
                "You scaled and shifted the mean of x. It is subtracted before that.",
            ),
            WrongNumbers("mean of x kept", x.mean() + beta, "The mean of x is subtracted. β takes its place."),
            WrongNumbers("γ added", gamma + beta, "The factor γ multiplies normalized values, and their mean is 0."),
            WrongNumbers("β scaled", gamma * beta, "The shift β comes after γ. It is not scaled."),
            WrongNumbers("mean of x", x.mean(), "That is the mean of the input. BN replaces it."),
        ),
        hint="What is the mean of the normalized values?",
        see=misconceptions.GAMMA_BETA,
    )


def _backward_pass() -> NumberQuestion:
    x, dy, gamma, eps = (1, 2, 6), (1, 0, 0), 3, 0.0
    # The problem starts from the gradient with respect to x̂. The question starts one step before, at y.
    part = problems.BACKPROPAGATION.part("dx")
    without_gamma = misconceptions.NO_GAMMA.at(lambda *arguments: part.solve(*arguments) / gamma)
    problem = replace(
        problems.BACKPROPAGATION,
        given={"x": x, "dx_hat": tuple(gamma * d for d in dy), "eps": eps},
        parts=(
            replace(part, mistakes=(*part.mistakes, without_gamma)),
            *(other for other in problems.BACKPROPAGATION.parts if other is not part),
        ),
    )
    return from_part(
        problem,
        part.name,
        name="backward-pass",
        page="chapters/backward",
        prompt=f"A mini-batch of one feature: {_whole(f'x = {_list(x)}')}. With γ = {gamma:g}, ε = {eps:g} and the "
        f"gradient {_whole(f'dy = {_list(dy)}')} of the loss with respect to y, what is dx? Three numbers.",
        because="dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂)). Check: the three numbers add up to 0, "
        "because adding a constant to the batch changes no output.",
        hint="There are three paths from y back to x: straight, through the mean, through the variance.",
        see=misconceptions.PATHS,
    )


def _missing_path() -> Choice:
    return Choice(
        name="missing-path",
        page="chapters/backward",
        prompt="A backward pass of BN is run on random dy. The sum of dx over the mini-batch is 0.8, and the sum of "
        "dx · x̂ is 0. What does it leave out?",
        right="The path through the mean",
        because="The path through the mean is what makes the sum of dx zero: adding a constant to the batch changes no "
        "output. The path through the variance does the same for the sum of dx · x̂.",
        wrong=(
            WrongChoice(
                "the other path",
                "The path through the variance",
                "Without that one the sum of dx would be 0, and the sum of dx · x̂ would not.",
            ),
            WrongChoice("nothing", "Nothing", "A complete dx adds up to 0, whatever dy is."),
            WrongChoice(
                "a factor",
                "The factor γ",
                "A factor multiplies all of dx. A sum that should be 0 would be 0 without it.",
            ),
        ),
        hint="Which of the two sums is not as it should be, and which path takes care of it?",
        see=Link("When a path is forgotten", "sec-backward-forgotten"),
    )


def _blind_check() -> Choice:
    seen = "On that loss dy is all ones."
    return Choice(
        name="blind-check",
        page="chapters/backward",
        prompt="You check a new layer's backward pass by finite differences of the loss L = y.sum(). Which of these "
        "mistakes does the check notice?",
        right="The path through the mean is left out of dx",
        because="There dy is all ones, so mean(dy · x̂) is 0 and mean(dy) is not. The true gradient is 0, and without "
        "the path through the mean dx is γ / √(σ² + ε) everywhere.",
        wrong=(
            WrongChoice(
                "hidden by mean(dy · x̂) = 0",
                "The path through the variance is left out of dx",
                f"{seen} Then mean(dy · x̂) is 0, and that path brings nothing.",
            ),
            WrongChoice(
                "hidden by dx = 0",
                "γ is left out of dx",
                f"{seen} The true dx is 0, and a factor that is missing from 0 cannot be seen.",
            ),
            WrongChoice(
                "hidden by consistency",
                "The variance is divided by m − 1, in both passes",
                "Both passes then belong to the same function, which is another one than BN. No gradient check sees "
                "that.",
            ),
        ),
        hint="What is dy for this loss, and what is dx when nothing is wrong?",
        see=Link("Checking a gradient, and what the check cannot see", "sec-backward-gradcheck"),
    )


def _scaled_weights() -> NumberQuestion:
    norm, a = 8.0, 4.0
    return from_values(
        name="scaled-weights",
        page="chapters/backward",
        prompt=f"The gradient of the weights before a BN layer has the norm {norm:g}. You make those weights {a:g} "
        "times as large, with ε = 0. What is the norm of their gradient now?",
        right=norm / a,
        because="The output does not change, so the same change of the loss takes a step in the weights that is a "
        "times as large: the gradient is 1 / a of what it was.",
        wrong=(
            WrongNumbers(
                "times a", norm * a, "Without BN the gradient would not shrink. BN divides by a scale that grew."
            ),
            WrongNumbers(
                "unchanged",
                norm,
                "The output is unchanged. Its slope along the weights is not, because the weights are farther from 0.",
            ),
            WrongNumbers(
                "a squared",
                norm / a**2,
                "The step that plain gradient descent takes, as a share of the weights, shrinks by a². The gradient "
                "itself shrinks by less.",
            ),
        ),
        hint="The output for W and for a W is the same. What step in a W does what a step in W did?",
        see=Link("The compact form", "sec-backward-compact"),
    )


def _training_and_inference() -> NumberQuestion:
    layer = BatchNorm(1, momentum=0.1)
    swapped = BatchNorm(1, momentum=1 - 0.1)
    average = BatchNorm(1, momentum=None)
    batches = [np.array([[9.0], [11.0]]), np.array([[18.0], [22.0]])]
    for batch in batches:
        for each in (layer, swapped, average):
            each.forward(batch)
    first, last = (float(batch.mean()) for batch in batches)
    return from_values(
        name="training-and-inference",
        page="chapters/inference",
        prompt=f"A layer starts with running_mean = 0 and has PyTorch's momentum, {layer.momentum:g}. It is trained on "
        f"two batches, whose means are {first:g} and {last:g}. What is running_mean then?",
        right=layer.running_mean,
        because="In PyTorch momentum is the weight of the new batch: new = (1 − momentum) · old + momentum · batch. "
        "After two updates most of the starting value 0 is still in it.",
        wrong=(
            WrongNumbers(
                "momentum the other way round",
                swapped.running_mean,
                "You gave the old value the weight momentum. That is how Keras means the word. In PyTorch momentum is "
                "the weight of the new batch.",
            ),
            WrongNumbers(
                "last batch",
                last,
                "That is the mean of the last batch. The running mean moves towards it by a tenth of the way.",
            ),
            WrongNumbers(
                "plain average",
                average.running_mean,
                "That is the plain average of the two batches (momentum=None in PyTorch). With a number for momentum "
                "the average is exponential, and it starts from 0.",
            ),
            WrongNumbers(
                "first batch taken whole",
                (1 - 0.1) * first + 0.1 * last,
                "You started from the mean of the first batch. The layer starts from 0 and moves from there.",
            ),
            WrongNumbers(
                "old value not shrunk",
                0.1 * first + 0.1 * last,
                "You added momentum · batch twice without shrinking the old value. It keeps only 1 − momentum of "
                "itself in each update.",
            ),
            WrongNumbers(
                "one update",
                0.1 * first,
                "That is the value after the first update. There is a second one.",
            ),
        ),
        hint="Do one update at a time, and begin with the value 0.",
        see=Link("Running statistics", "running-statistics"),
    )


def _frozen_network() -> Choice:
    return Choice(
        name="frozen-network",
        page="chapters/inference",
        prompt="In PyTorch you set requires_grad = False for every parameter of a trained network with BN, put a new "
        "last layer on it, and train that, with model.train() at the start of each epoch. What of the old layers "
        "changes?",
        right="Their running means and variances",
        because="Running statistics are no parameters and have no gradient. A BN layer in training mode moves them in "
        "every forward pass.",
        wrong=(
            WrongChoice(
                "nothing",
                "Nothing",
                "So it would be in Keras with trainable = False. Here the layers are in training mode.",
            ),
            WrongChoice("gamma and beta", "Their γ and β", "These are parameters, and they get no gradient."),
            WrongChoice(
                "everything", "All their weights", "No gradient reaches them, so the optimizer leaves them alone."
            ),
        ),
        hint="What does a forward pass in training mode write to, whether or not there is a backward pass?",
        see=Link("Frozen, but not the statistics", "sec-bug-fine-tuning"),
    )


def _count_stands_still() -> Choice:
    return Choice(
        name="count-stands-still",
        page="chapters/inference",
        prompt="The optimizer has taken 220 steps, and num_batches_tracked of every BN layer is 44. What happened?",
        right="eval() was called after 44 steps, and train() not again",
        because="A layer counts the batches that it sees in training mode. It was in that mode for 44 of the steps.",
        wrong=(
            WrongChoice(
                "from the start",
                "eval() was on from the start",
                "Then no batch would have been counted at all.",
            ),
            WrongChoice(
                "momentum 0",
                "The momentum is 0",
                "Then the statistics would stay where they are. The batches are counted all the same.",
            ),
            WrongChoice(
                "frozen parameters",
                "γ and β are frozen",
                "Whether parameters are trained does not matter to what a layer counts.",
            ),
        ),
        hint="When does a layer count a batch?",
        see=Link("Since a validation", "sec-bug-left"),
    )


def _other_momentum() -> NumberQuestion:
    keras = 0.95
    weight = Convention.KERAS.convert_momentum(keras, to="pytorch")
    return from_values(
        name="other-momentum",
        page="chapters/inference",
        prompt=f"A layer in Keras has momentum = {keras:g}. Which number makes PyTorch's layer keep the same "
        "running mean?",
        right=np.array(weight),
        because="In Keras momentum is the weight of the old average, in PyTorch that of the new batch. The two "
        "weights add up to 1.",
        wrong=(
            WrongNumbers(
                "unchanged",
                keras,
                "So the new batch would get nearly all the weight, and the statistics would be those of the last "
                "batch.",
            ),
            WrongNumbers("its inverse", 1 / keras, "A weight is at most 1. Which two weights add up to 1?"),
        ),
        hint="Whose weight is it in each of the two?",
        see=Link("Four conventions", "sec-inference-conventions"),
    )


def _batch_size() -> NumberQuestion:
    sigma, m = 2.0, 16
    return from_values(
        name="batch-size",
        page="chapters/batch_size",
        prompt=f"The values of a feature have the standard deviation {sigma:g}. You average {m} independent ones. What "
        "is the standard deviation of that average?",
        right=sigma / np.sqrt(m),
        because="Variances of independent values add up, so the variance of the average is σ² / m, and its standard "
        "deviation σ / √m. To halve the noise in μ takes four times the batch.",
        wrong=(
            WrongNumbers(
                "root forgotten",
                sigma / m,
                "You divided σ by m. The variance falls as 1 / m, so the standard deviation falls as 1 / √m.",
            ),
            WrongNumbers(
                "variance for standard deviation",
                sigma**2 / m,
                "That is the variance of the average, σ² / m. Its standard deviation is the root of that.",
            ),
            WrongNumbers(
                "of a single value",
                sigma,
                "That is the standard deviation of a single value. Averaging makes it smaller.",
            ),
            WrongNumbers(
                "m − 1",
                sigma / np.sqrt(m - 1),
                "Subtracting 1 belongs to estimating a variance from a sample. The average divides by m.",
            ),
            WrongNumbers(
                "of the sum",
                sigma * np.sqrt(m),
                "That is the standard deviation of the sum. The average divides it by m.",
            ),
        ),
        hint="Begin with the variance of a sum of independent values.",
        see=Link("The noise in the mean and in the variance", "noise-in-the-mean"),
    )


def _company() -> NumberQuestion:
    batches, eps = ((3, 3, 6), (6, 9, 9)), 0.25
    (shared,) = set(batches[0]).intersection(batches[1])
    first, second = (_whole(f"({_list(batch)})") for batch in batches)
    return from_part(
        replace(problems.BATCH_SIZE, given={"x": batches[0] + batches[1], "eps": eps}),
        "two_batches",
        at=((0, 1), tuple(batch.index(shared) for batch in batches)),
        name="company",
        page="chapters/batch_size",
        prompt=f"The value {shared} is in two mini-batches: {first} and {second}. With ε = {eps:g}, what is its "
        "normalized value in the first, and what in the second?",
        because="Each batch is normalized with its own mean and its own variance. "
        f"Among smaller values {shared} comes out above 0, among larger ones below.",
        see=misconceptions.COMPANY,
    )


def _accumulated() -> NumberQuestion:
    m, times = 2, 16
    return from_values(
        name="accumulated",
        page="chapters/batch_size",
        prompt=f"Memory holds {m} images. You add up the gradients of {times} such mini-batches before each update. "
        "Over how many images does BN behind a dense layer take a mean?",
        right=m,
        because="Each forward pass normalizes with its own mini-batch. Gradients are added up afterwards, and the "
        "statistics are still those of a small one.",
        wrong=(
            WrongNumbers(
                "of the update",
                m * times,
                "So many images go into an update. When each was normalized, the others had not been seen.",
            ),
            WrongNumbers("passes", times, "That is how many forward passes there are. Each has statistics of its own."),
            WrongNumbers("alone", 1, "One image would have no variance. How many stand together in a forward pass?"),
        ),
        hint="What does a layer see when it normalizes?",
        see=Link("Accuracy against batch size", "sec-batch-accuracy"),
    )


def _largest_value() -> NumberQuestion:
    m = 10
    return from_values(
        name="largest-value",
        page="chapters/batch_size",
        prompt=f"A mini-batch has {m} values, and ε = 0. An outlier may be as large as you like. What is the largest "
        "normalized value that it can have?",
        right=np.sqrt(m - 1),
        because="An outlier pulls the mean and the variance of its own mini-batch after it: |x̂| ≤ √(m − 1), and equal "
        "if all the others are equal.",
        wrong=(
            WrongNumbers("√m", np.sqrt(m), "Close. The outlier's own share of the mean is missing."),
            WrongNumbers("no root", m - 1, "That is the bound on the square."),
            WrongNumbers("m", m, "Try it with two values: there the bound is 1."),
        ),
        hint="Let all others be equal, put the outlier d above the mean, and compute the variance.",
        see=Link("The noise in the mean and in the variance", "sec-batch-noise"),
    )


def _convolutions() -> NumberQuestion:
    shape = (8, 3, 5, 4)
    x, c = np.zeros(shape), shape[1]
    _, cache = batch_norm(x, np.ones(c), np.zeros(c))
    assert cache.moments is not None  # in training they are those of x

    def over_wrong_axes(mistake: Misconception) -> WrongNumbers:
        shared = np.prod([shape[axis] for axis in mistake.compute(x)])
        return WrongNumbers(mistake.name, shared, mistake.says, mistake.see)

    return from_values(
        name="convolutions",
        page="chapters/convolutions",
        prompt=f"Batch Normalization of feature maps with (N, C, H, W) = {shape}. How many values share one mean?",
        right=cache.moments.count,
        because="A channel is one feature, and it occurs at every position of every sample: N · H · W values share one "
        f"mean, and there are C = {c} means.",
        wrong=(
            *map(over_wrong_axes, slips.IMAGE_AXES),
            over_wrong_axes(
                misconceptions.OVER_EVERYTHING.at(
                    lambda x: range(x.ndim), "You averaged over all values. Every channel has its own mean."
                )
            ),
            WrongNumbers(
                "the number of means",
                c,
                "That is how many means there are: one for each channel. The question is how many values share one.",
            ),
        ),
        hint="Which of the four axes keep their own means? Multiply the lengths of the others.",
        see=misconceptions.AXES,
    )


def _passing_mistake() -> Choice:
    return Choice(
        name="passing-mistake",
        page="chapters/convolutions",
        prompt="With γ = 1 and β = 0 every channel of your layer's output has mean 0 and standard deviation 1. Which "
        "mistake can it make all the same?",
        right="It averages over the samples only",
        because="If every position has mean 0 and variance 1 within a channel, so has the channel. What gives it away "
        "is the shape of the statistics.",
        wrong=(
            WrongChoice(
                "as layer norm",
                "It averages over channels and positions",
                "Then each sample has mean 0, and channels with different means keep them.",
            ),
            WrongChoice(
                "over everything",
                "It averages over everything",
                "One mean for all channels leaves their differences, and the test would see them.",
            ),
            WrongChoice(
                "over channels",
                "It averages over the channels only",
                "That mixes features with each other, and no channel has mean 0 afterwards.",
            ),
        ),
        hint="For which axes does mean 0 of every piece make mean 0 of every channel?",
        see=Link("The usual mistakes, and how to notice them", "sec-conv-mistakes"),
    )


def _learned_numbers() -> NumberQuestion:
    c, side = 64, 56
    return from_values(
        name="learned-numbers",
        page="chapters/convolutions",
        prompt=f"A convolution puts out {c} channels of {side} × {side} positions. How many numbers does the BN "
        "behind it learn by gradient?",
        right=2 * c,
        because="There is one γ and one β for each channel, whatever the size of the map.",
        wrong=(
            WrongNumbers(
                "running statistics too",
                4 * c,
                "You counted the running mean and variance. They are kept, and not learned by gradient.",
            ),
            WrongNumbers("one each", c, "There are two for each channel."),
            WrongNumbers("for each position", 2 * side**2, "All positions of a channel share theirs."),
        ),
        hint="What has an index c in the formula, and is not computed from x?",
        see=Link("Which axes, and why", "sec-conv-axes"),
    )


def _worth() -> NumberQuestion:
    positions, rho = 64, 1 / 9
    return from_values(
        name="worth",
        page="chapters/convolutions",
        prompt=f"Images of {positions} pixels come in changing light. Two pixels of an image have a correlation of "
        "1/9 on average. How many independent values is an image worth for the mean of its channel?",
        right=positions / (1 + (positions - 1) * rho),
        because="It is worth H W / (1 + (H W − 1) ρ̄). What all pixels of an image share cannot be averaged away "
        "within it.",
        wrong=(
            WrongNumbers("as if independent", positions, "So it would be if the pixels were independent, with ρ̄ = 0."),
            WrongNumbers(
                "its share taken away",
                positions * (1 - rho),
                "You took away a ninth. But every pixel is correlated with all the others, and those are many.",
            ),
            WrongNumbers(
                "the limit",
                1 / rho,
                "That is what an image with very many pixels would be worth at most.",
            ),
        ),
        hint="How much larger is the variance of the image's sum than that of independent values?",
        see=Link("How many values is a map worth?", "sec-conv-count"),
    )


def _making_it_fast() -> NumberQuestion:
    millions, itemsize = 10, 4
    # Reads and writes of an array of x's size: BN reads x for the sums and again for y, a ReLU reads and writes.
    bn, relu = np.array([2, 1]), np.array([1, 1])
    apart, fused = bn + relu, bn

    def moved(apart: float, fused: float) -> Array:
        return np.array([apart, fused]) * millions * itemsize

    right = moved(apart.sum(), fused.sum())
    return from_values(
        name="making-it-fast",
        page="chapters/speed",
        prompt=f"An array x has {millions} million values in float32. BN reads x for its sums, reads it again, and "
        "writes y. A ReLU follows. Nothing stays in the cache. How many MB (million bytes) move if BN and ReLU are two "
        "functions, and how many if the ReLU is in the loop that writes y?",
        right=right,
        because=f"One transfer of all values is {millions * itemsize} MB. BN makes {bn.sum()} of them, and the ReLU "
        f"{relu.sum()} more: it reads what BN has just written, and writes it again. Fused, it works on y before y "
        "leaves the processor, and moves nothing.",
        wrong=(
            WrongNumbers(
                "values for bytes",
                right / itemsize,
                f"You counted values. Each of them takes {itemsize} bytes in float32.",
            ),
            WrongNumbers(
                "float64",
                2 * right,
                f"You gave each value the {2 * itemsize} bytes of float64. In float32 it takes {itemsize}.",
            ),
            WrongNumbers(
                "writes not counted",
                moved(apart[0], fused[0]),
                "You counted the reads. What is written moves too.",
            ),
            WrongNumbers(
                "x read once",
                right - moved(1, 1),
                "You let BN read x once. The sums must be complete before the first y can be computed, and by then the "
                "first x has left the cache.",
            ),
            WrongNumbers(
                "one transfer left",
                moved(apart.sum(), fused.sum() + relu[0]),
                "You left one of the ReLU's transfers in. In the fused loop its input has just been computed and is "
                "in the processor still, and what is written is written once, after the ReLU.",
            ),
            WrongNumbers(
                "the other way round",
                right[::-1],
                "You have the two numbers in the wrong order, or fusing would move more.",
            ),
        ),
        hint="Count how often each value is read or written, then multiply by how many there are and by their size.",
        see=Link("What a fused kernel saves", "sec-fast-fused"),
    )


def _large_mean() -> Choice:
    return Choice(
        name="large-mean",
        page="chapters/speed",
        prompt="A feature has the mean 10,000 and the standard deviation 0.01, in float32. Which of these ways to its "
        "normalized values has the smallest error?",
        right="Subtract the first value k, take mean(d²) − mean(d)² of d = x − k, and subtract mean(d) from d",
        because="Near the mean x − k is exact, and what is left has a small mean. The rounding of the mean of x itself "
        "never enters.",
        wrong=(
            WrongChoice(
                "one pass",
                "Take mean(x²) − mean(x)², and subtract mean(x) from x",
                "The squares have 8 digits before the point, and the variance begins 4 digits behind it.",
            ),
            WrongChoice(
                "two passes",
                "Take the mean of (x − mean(x))², and subtract mean(x) from x",
                "The variance is better. But mean(x) is rounded, and it is subtracted from every value.",
            ),
            WrongChoice(
                "large eps",
                "Take mean(x²) − mean(x)² with a larger ε",
                "No root is negative any more, and no digit of the variance has come back.",
            ),
        ),
        hint="Where is a number rounded that is large compared with the standard deviation?",
        see=Link("Fast and wrong", "sec-fast-variance"),
    )


def _order_of_bytes() -> Choice:
    return Choice(
        name="order-of-bytes",
        page="chapters/speed",
        prompt="Put four ways to compute BN in order, from the most bytes moved to the fewest.",
        right="line by line, then γ folded into the divisor, then sums as products, then channel by channel",
        because="Folding saves a pass over the elements, products save writing and reading the squares, and a channel "
        "that stays in the cache is read from memory once and written once.",
        wrong=(
            WrongChoice(
                "folding saves more than products",
                "line by line, then sums as products, then γ folded into the divisor, then channel by channel",
                "The step with products is folded already. It saves the squares beside that.",
            ),
            WrongChoice(
                "channels are separate",
                "channel by channel, then line by line, then γ folded into the divisor, then sums as products",
                "Every channel has its own passes, but all but the first find their data in the cache.",
            ),
            WrongChoice(
                "the same bytes",
                "all four move the same bytes",
                "All read x and write y. They differ in what they write down in between.",
            ),
        ),
        hint="Count for each how often an array of the size of x is read from memory or written to it.",
        see=Link("One step at a time", "sec-fast-steps"),
    )


def _roof() -> NumberQuestion:
    flops, moved, bandwidth, peak = 7, 8, 40, 800
    return from_values(
        name="roof",
        page="chapters/speed",
        prompt=f"A loop does {flops} operations for each element and moves {moved} bytes for it. The machine moves at "
        f"most {bandwidth} GB a second and does at most {peak} billion operations a second. How many billion "
        "operations a second can the loop reach at most?",
        right=min(peak, flops / moved * bandwidth),
        because="The roof is min(P, I · B), where I is the operations for each byte moved. Here memory is the limit.",
        wrong=(
            WrongNumbers("peak", peak, "That is the flat part of the roof. The loop waits for memory long before."),
            WrongNumbers(
                "an element for a byte",
                flops * bandwidth,
                f"You let each byte bring an element. An element takes {moved} bytes of traffic.",
            ),
            WrongNumbers(
                "upside down",
                moved / flops * bandwidth,
                "You divided bytes by operations. Intensity is operations for each byte.",
            ),
        ),
        hint="How many elements come from memory in a second?",
        see=Link("Why memory is the limit", "sec-fast-roofline"),
    )


def _exercise(problem: NumberProblem, see: Link, asked: Mapping[str, tuple[str, Index]]) -> tuple[NumberQuestion, ...]:
    """A question for each part: with what words it goes on from the part's title, and which numbers it asks for."""
    questions = []
    for part in problem.parts:
        words, at = asked[part.name]
        letter, title = part.title.split(" ", 1)
        prompt = f"{letter} {title[0].upper()}{title[1:]}{words}."
        page = f"exercises/{problem.name}"
        questions.append(from_part(problem, part.name, at=at, page=page, prompt=prompt, see=see))
    return tuple(questions)


WHY_SCALE_MATTERS = _why_scale_matters()
FOUR_ERRORS = _four_errors()
STANDARDIZED_PAIR = _standardized_pair()
EIGENVALUE_OF_THE_MEAN = _eigenvalue_of_the_mean()
INTERNAL_COVARIATE_SHIFT = _internal_covariate_shift()
CALIBRATED_STEP = _calibrated_step()
THIRTY_LAYERS = _thirty_layers()
WHAT_THE_CONTROL_SHOWS = _what_the_control_shows()
FORWARD_PASS = _forward_pass()
ORDER_OF_STEPS = _order_of_steps()
WHO_CHANGES = _who_changes()
MEAN_OF_THE_OUTPUT = _mean_of_the_output()
BACKWARD_PASS = _backward_pass()
MISSING_PATH = _missing_path()
BLIND_CHECK = _blind_check()
SCALED_WEIGHTS = _scaled_weights()
TRAINING_AND_INFERENCE = _training_and_inference()
FROZEN_NETWORK = _frozen_network()
COUNT_STANDS_STILL = _count_stands_still()
OTHER_MOMENTUM = _other_momentum()
BATCH_SIZE = _batch_size()
COMPANY = _company()
ACCUMULATED = _accumulated()
LARGEST_VALUE = _largest_value()
CONVOLUTIONS = _convolutions()
PASSING_MISTAKE = _passing_mistake()
LEARNED_NUMBERS = _learned_numbers()
WORTH = _worth()
MAKING_IT_FAST = _making_it_fast()
LARGE_MEAN = _large_mean()
ORDER_OF_BYTES = _order_of_bytes()
ROOF = _roof()

# In the order of the chapters.
CHAPTERS = (
    WHY_SCALE_MATTERS,
    FOUR_ERRORS,
    STANDARDIZED_PAIR,
    EIGENVALUE_OF_THE_MEAN,
    INTERNAL_COVARIATE_SHIFT,
    CALIBRATED_STEP,
    THIRTY_LAYERS,
    WHAT_THE_CONTROL_SHOWS,
    FORWARD_PASS,
    ORDER_OF_STEPS,
    WHO_CHANGES,
    MEAN_OF_THE_OUTPUT,
    BACKWARD_PASS,
    MISSING_PATH,
    BLIND_CHECK,
    SCALED_WEIGHTS,
    TRAINING_AND_INFERENCE,
    FROZEN_NETWORK,
    COUNT_STANDS_STILL,
    OTHER_MOMENTUM,
    BATCH_SIZE,
    COMPANY,
    ACCUMULATED,
    LARGEST_VALUE,
    CONVOLUTIONS,
    PASSING_MISTAKE,
    LEARNED_NUMBERS,
    WORTH,
    MAKING_IT_FAST,
    LARGE_MEAN,
    ORDER_OF_BYTES,
    ROOF,
)

# For each exercise's page, by the name of its problem, a question for each part. Nobody types a whole table on a phone.
_FIRST_FEATURE = np.s_[:, 0]
EXERCISES = {
    "basic-calculation": _exercise(
        problems.BASIC_CALCULATION,
        misconceptions.ALGORITHM,
        {
            "mean": (" of each feature", ...),
            "var": (" of each feature", ...),
            "x_hat": (" of the first feature, from top to bottom", _FIRST_FEATURE),
            "y": (" for the first feature, from top to bottom", _FIRST_FEATURE),
        },
    ),
    "backpropagation": _exercise(
        problems.BACKPROPAGATION,
        misconceptions.PATHS,
        {"dx": (", one number for each sample", ...), "dmu": ("", ...), "dvar": ("", ...)},
    ),
    "batch-size": _exercise(
        problems.BATCH_SIZE,
        misconceptions.COMPANY,
        {"one_batch": (": the first three values", np.s_[:3]), "two_batches": (": the values of the second one", 1)},
    ),
    "conditional": _exercise(
        problems.CONDITIONAL,
        misconceptions.GAMMA_BETA,
        {"y0": (", one number for each sample", ...), "y1": (", one number for each sample", ...)},
    ),
}

ALL = (*CHAPTERS, *(question for questions in EXERCISES.values() for question in questions))
