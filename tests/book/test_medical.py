"""The chapter on medical images: its phantoms, its measures, and the file of a real set."""

from fractions import Fraction as F

import numpy as np
import pytest
from drawn import covered
from scipy.stats import wasserstein_distance
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from bn_book.medical import detectors as det
from bn_book.medical import experiments as exp
from bn_book.medical import figures as draw
from bn_book.medical import medmnist
from bn_book.medical import phantoms as ph
from bn_lib import BatchNorm

EXAMPLE = exp.FiveValues((F(0), F(3), F(4), F(6), F(12)), F(2), F(10), (F(0), F(3), F(4), F(5), F(6)))


# Phantoms


def test_a_lesion_is_what_two_heads_differ_by():
    """The same seed draws the same head with and without a lesion, which is as bright and as wide as asked for."""
    with_one, without = (ph.tissues(50, prevalence=p, rng=np.random.default_rng(3))[0] for p in (1.0, 0.0))
    lesion = with_one - without
    assert (lesion >= 0).all()
    top = lesion.max(axis=(1, 2))
    assert np.all((top > 0.4 * ph.CONTRAST) & (top < 1.6 * ph.CONTRAST))
    area = (lesion / ph.CONTRAST).sum(axis=(1, 2))  # of a Gaussian: 2 pi radius**2
    assert np.median(area) == pytest.approx(2 * np.pi * ph.RADIUS**2, rel=0.1)


def test_prevalence_is_the_share_of_lesions():
    _, labels = ph.tissues(4000, prevalence=ph.RARE, rng=np.random.default_rng(0))
    assert labels.mean() == pytest.approx(1 / 21, abs=0.012)


def test_a_scanner_is_its_formula(monkeypatch):
    monkeypatch.setattr(ph, "JITTER", 0.0)
    t = np.random.default_rng(0).random((2, ph.SIDE, ph.SIDE))
    seen = ph.Scanner(gain=2.0, offset=-1.0, gamma=1.5, noise=0.0).scan(t, np.random.default_rng(1))
    assert np.allclose(seen[:, 0], 2 * t**1.5 - 1, atol=1e-6)
    noisy = ph.Scanner(gain=3.0, noise=0.1).scan(np.zeros((50, ph.SIDE, ph.SIDE)), np.random.default_rng(1))
    assert noisy.std() == pytest.approx(0.3, rel=0.03)  # of the noise, in the scanner's units


def test_patches_of_ct_differ_in_their_level_only():
    x, labels = ph.ct(2000, rng=np.random.default_rng(0))
    level, texture = x.mean(axis=(1, 2, 3)), x.std(axis=(1, 2, 3))
    assert level[labels == 0].mean() == pytest.approx(60, abs=1)
    assert level[labels == 1].mean() == pytest.approx(40, abs=1)
    assert roc_auc_score(labels, texture) == pytest.approx(0.5, abs=0.04)
    assert roc_auc_score(labels, -level) > 0.99


# Detectors


@pytest.mark.parametrize("pool", [det.LargestOf, det.MeanOf])
def test_a_pool_has_the_right_gradient(pool):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 3, 4, 4)), rng.normal(size=(2, 3))
    layer = pool()
    assert np.allclose(layer.forward(x), x.max(axis=(2, 3)) if pool is det.LargestOf else x.mean(axis=(2, 3)))
    dx = layer.backward(dy)
    for at in [(0, 0, 0, 0), (1, 2, 3, 1), *(tuple(np.argwhere(x[0] == x[0].max())[0]),)]:
        at = at if len(at) == 4 else (0, *at)
        step = np.zeros_like(x)
        step[at] = 1e-6
        slope = ((layer.forward(x + step) - layer.forward(x - step)) * dy).sum() / 2e-6
        assert dx[at] == pytest.approx(slope, abs=1e-8)


def test_batches_are_of_one_scanner_if_asked_and_see_every_image():
    domains = np.repeat([0, 1], 3 * det.BATCH)
    alone = list(det.batches_of(domains, 6, np.random.default_rng(0), alone=True))
    assert [np.unique(domains[rows]).tolist() for rows in alone] == [[0], [1]] * 3
    mixed = list(det.batches_of(domains, 6, np.random.default_rng(0)))
    for batches in (alone, mixed):
        assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(len(domains)))
    assert all(len(np.unique(domains[rows])) == 2 for rows in mixed)


def test_training_is_the_same_each_time_and_ends_in_inference(tiny):
    first, again = (exp.fitted(exp.METHODS["domain BN"], tiny, seed=1, steps=3) for _ in range(2))
    x = tiny.test["A"].x
    assert np.array_equal(first.scores(x), again.scores(x))
    assert not first.model.training
    assert not np.array_equal(first.scores(x, 0), first.scores(x, 1))  # each scanner has its own branch


@pytest.fixture(scope="module")
def tiny():
    """A study of few images."""
    rng = np.random.default_rng(0)

    def of(names, count):
        return {name: ph.phantoms(ph.SCANNERS[name], count, prevalence=0.5, rng=rng) for name in names}

    return exp.Study(of("AB", 80), of("ABC", 40), of("ABC", 40))


@pytest.mark.parametrize("method", exp.METHODS)
def test_every_method_is_judged(tiny, method):
    found = exp.judged(
        exp.fitted(exp.METHODS[method], tiny, seed=0, steps=2), tiny, recomputed=exp.METHODS[method].recomputed
    )
    assert set(found.answers) == {"A", "B", "C"}
    for row in (found.known, found.unseen):
        assert all(0 <= value <= 1 for value in row[:6])
    healthy = np.concatenate([found.answers[n].looked_at[tiny.looked_at[n].labels == 0] for n in "AB"])
    assert (healthy <= found.threshold).mean() == pytest.approx(exp.SPECIFIC, abs=0.03)


def test_recomputing_changes_statistics_of_the_layers_asked_for_and_of_a_copy(tiny):
    made = exp.fitted(exp.METHODS["BN"], tiny, seed=0, steps=2)
    before = made.model.state_dict()
    adapted = made.adapted(tiny.looked_at["C"].x, layers=(2,))
    norms, old = ([layer for layer in each.model if isinstance(layer, BatchNorm)] for each in (adapted, made))
    changed = [not np.array_equal(a.running_mean, b.running_mean) for a, b in zip(norms, old, strict=True)]
    assert changed == [False, True, False]
    assert all(np.array_equal(value, before[name]) for name, value in made.model.state_dict().items())


def test_lesions_drawn_evenly_are_the_same_few():
    images = ph.Images(np.arange(10.0).reshape(-1, 1, 1, 1), np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 1]))
    x, labels = exp._evenly(images)
    assert labels.mean() == 0.5
    assert set(x[labels == 1].ravel()) == {0.0, 9.0}
    assert sorted(x[labels == 0].ravel()) == list(range(1, 9))


# Measures


def test_the_measures_are_those_of_other_libraries():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    found = np.round(labels + rng.normal(size=300), 1)  # with ties
    assert exp.auc(found, labels) == pytest.approx(roc_auc_score(labels, found))
    p = exp.probabilities(found + 0.01, share=0.5, use=0.5)  # none at the edge of a bin
    assert np.allclose(p, 1 / (1 + np.exp(-found - 0.01)))
    seen = exp.reliability(p, labels)
    their_seen, their_said = calibration_curve(labels, p, n_bins=exp.BINS)
    there = seen.count > 0
    assert np.allclose(seen.seen[there], their_seen)
    assert np.allclose(seen.said[there], their_said)
    a, b = rng.normal(size=(2, 4000, 1, 1, 1))
    assert exp.distance(a, 2 * b + 1) == pytest.approx(
        wasserstein_distance(a.ravel(), 2 * b.ravel() + 1) / a.std(), rel=0.02
    )


def test_bayes_rule_corrects_what_training_saw_too_often():
    assert exp.probabilities(np.zeros(1), share=0.5, use=1 / 21) == pytest.approx(1 / 21)
    assert exp.probabilities(np.zeros(1), share=0.25, use=0.5) == pytest.approx(0.75)


def test_sensitivity_and_specificity_and_the_own_threshold():
    answers = exp.Answers(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 0, 1, 1]), np.arange(101.0))
    assert answers.above(1.5) == (1, 1)
    assert answers.above(2.5) == (0.5, 1)
    assert answers.above(0.5) == (1, 0.5)
    assert answers.own == 90


def test_a_decision_names_the_best_the_near_and_the_far():
    found = exp.decided({"a": [0.5, 0.7], "b": [0.99, 0.99], "c": [0.98, 0.98], "d": [0.9, 0.92]})
    assert found == exp.Decision("b", ("c",), ("a",))


# By hand


def test_by_hand_is_what_the_library_gives():
    x = np.array([float(value) for value in EXAMPLE.x])
    z = exp.prepared((2 * x + 10).reshape(1, 1, 1, 5).astype(np.float32), "z-score", x).ravel()
    assert np.allclose(z, [float(value) for value in exp.standardized(EXAMPLE.x)[2]], atol=1e-5)
    matched = exp.prepared(x.reshape(1, 1, 1, 5), "matched", np.array([float(v) for v in EXAMPLE.reference]))
    assert np.allclose(matched.ravel(), [float(value) for value in EXAMPLE.matched])
    with pytest.raises(ValueError, match="expected the square of a fraction"):
        exp.standardized((F(0), F(1), F(3)))


def test_the_worked_lines_hold_the_exact_numbers():
    assert r"(10,\; 16,\; 18,\; 22,\; 34)" in draw.worked_affine(EXAMPLE)
    assert r"(-1.25,\; -0.5,\; -0.25,\; 0.25,\; 1.75)" in draw.worked_affine(EXAMPLE)
    assert draw.contrast_ratio(EXAMPLE.x) == draw.contrast_ratio(EXAMPLE.scanned) == 1
    assert draw.contrast_ratio(EXAMPLE.matched) == F(1, 5)


# A real set


@pytest.fixture
def real_set(tmp_path):
    """A file as MedMNIST's are, of generated images: brighter ones have the label 1."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 160), ("val", 60), ("test", 60)):
        labels = rng.integers(0, 3, (count, 1)).astype(np.uint8)
        images = rng.integers(0, 120, (count, 28, 28, 3)) + 100 * (labels == 1)[..., np.newaxis, np.newaxis]
        arrays |= {f"{split}_images": images.astype(np.uint8), f"{split}_labels": labels}
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    return path


def test_a_real_set_runs_through_the_same_experiment(real_set):
    found = medmnist.study_of(real_set)
    assert {name: len(images.x) for name, images in found.train.items()} == {"A": 80, "B": 80}
    assert {name: images.x.shape for name, images in found.test.items()} == dict.fromkeys("ABC", (20, 1, 28, 28))
    raw = np.load(real_set)
    assert found.share == pytest.approx((raw["train_labels"] == 1).mean())
    assert found.use == pytest.approx((raw["test_labels"] == 1).mean())
    results = medmnist.compare(real_set, ("z-score", "BN", "BN, recomputed"), steps=3)
    assert list(results) == ["z-score", "BN", "BN, recomputed"]
    assert results["BN"].threshold != results["BN, recomputed"].threshold
    both = medmnist.study_of(real_set, positive=(0, 2))
    assert all(np.array_equal(both.test[name].labels, 1 - found.test[name].labels) for name in "ABC")


def test_gray_images_are_read_too(real_set):
    arrays = dict(np.load(real_set))
    gray = {key: value[..., 0] if key.endswith("images") else value for key, value in arrays.items()}
    np.savez(real_set, **gray)
    assert np.allclose(medmnist.load(real_set)["val"].x[:, 0], gray["val_images"] / 255)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val_images": None}, "lacks val_images"),
        ({"test_images": np.zeros((60, 28, 28, 28), np.uint8)}, "a two-dimensional set"),
        ({"test_images": np.zeros((60, 28, 28))}, "expected uint8"),
        ({"train_labels": np.zeros((160, 14), np.uint8)}, r"expected one whole number for each image, \(160, 1\)"),
        ({"train_labels": np.zeros(160, np.uint8)}, r"expected one whole number for each image, \(160, 1\)"),
        ({"test_images": np.zeros((60, 28, 28, 4), np.uint8)}, r"\(N, H, W, 3\)"),
        ({"test_labels": np.zeros((60, 1), np.uint8)}, "scanner A has 20 images of test, all with the same answer"),
    ],
)
def test_a_file_that_is_no_such_set_is_refused(real_set, change, message):
    arrays = dict(np.load(real_set)) | change
    np.savez(real_set, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        medmnist.study_of(real_set)


def _text(path):
    path.write_text("<!doctype html>")


def _array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    "damage",
    [
        _text,
        _array,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:2000]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"NUMPY", b"NVMPY")),
        lambda path: np.savez(path, train_images=np.array([1, "a"], object)),
    ],
    ids=["text", "one array", "empty", "cut off", "damaged", "objects"],
)
def test_a_file_that_cannot_be_read_is_named(real_set, damage):
    damage(real_set)
    with pytest.raises(ValueError, match=r"set\.npz cannot be read .*; expected a file of MedMNIST, an \.npz"):
        medmnist.load(real_set)


def test_what_is_asked_for_is_named_if_it_is_no_method(real_set):
    for methods in (("none", "zscore"), "none"):
        with pytest.raises(ValueError, match="expected names of 'none', 'z-score', 'BN'"):
            medmnist.compare(real_set, methods, steps=1)


def test_one_label_is_asked_for_with_and_without_brackets(real_set):
    found = [medmnist.study_of(real_set, positive=positive).test["C"].labels for positive in (2, (2,))]
    assert np.array_equal(*found)
    with pytest.raises(ValueError, match="expected some with a label of 7 and some without"):
        medmnist.study_of(real_set, positive=7)


def test_a_set_of_the_package_is_found_where_it_keeps_them_and_not_downloaded(real_set, monkeypatch):
    with pytest.raises(ModuleNotFoundError, match="pip install medmnist"):
        medmnist.load("pneumoniamnist")
    monkeypatch.setattr(medmnist, "find_spec", lambda name: name)
    package = type("info", (), {"DEFAULT_ROOT": str(real_set.parent)})
    monkeypatch.setattr(medmnist, "import_module", lambda name: {"medmnist.info": package}[name])
    assert len(medmnist.load("set")["train"].x) == 160
    monkeypatch.setenv("HOME", str(real_set.parent))
    assert len(medmnist.load("~/set.npz")["train"].x) == 160
    with pytest.raises(FileNotFoundError, match=r"pneumoniamnist\.npz is not there"):
        medmnist.load("pneumoniamnist")
    monkeypatch.setattr(package, "DEFAULT_ROOT", None)  # what the package says where it may not write
    with pytest.raises(FileNotFoundError, match="give the path of its file"):
        medmnist.load("set")


# Figures


def test_a_scan_is_drawn_where_it_belongs():
    image = np.zeros((ph.SIDE, ph.SIDE))
    image[0, 1] = 1
    with_scan = draw.three_scanners({"A": image, "B": image + 1, "C": -image}, *[dict.fromkeys("ABC", image)] * 2)
    ax = with_scan.axes[0]
    (black,) = [patch for patch in ax.patches if patch.get_alpha() == 1]
    assert black.get_path().vertices.min(axis=0).tolist() == [1, ph.SIDE - 1]
    assert ax.get_title(loc="left") == "A\n0.0 to 1.0"
    assert covered(with_scan) == []


def test_dots_are_the_numbers():
    fig = draw.dots({"group": {"one": [0.2, 0.4]}, "": {"two": [0.9]}}, "AUC")
    (ax,) = fig.axes
    assert [line.get_xdata().tolist() for line in ax.lines] == [[0.2, 0.4], [0.9]]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["one", "two"]
    assert covered(fig) == []


def test_thresholds_are_drawn_for_both():
    carried, own = np.array([[1.0, 0.2], [0.8, 0.4]]), np.array([[0.9, 0.9], [0.7, 0.9]])
    fig = draw.thresholds({"one": (carried, own)})
    marks = [[line.get_xdata().tolist() for line in ax.lines] for ax in fig.axes]
    assert np.allclose(marks[0][1], 0.9)
    assert np.allclose(marks[1][1], 0.3)
    assert covered(fig) == []


def test_curves_lie_over_no_words():
    part = exp.Reliability(np.full(10, 30), np.linspace(0.05, 0.95, 10), np.linspace(0, 0.8, 10))
    few = part._replace(count=np.r_[30, np.zeros(9, int)])
    fig = draw.reliability_curves({"z-score": (part, few)})
    assert [len(ax.lines[1].get_xdata()) for ax in fig.axes] == [10, 1]
    values = np.random.default_rng(0).random((2, len(exp.GAINS), 2))
    other = draw.by_scanner(exp.GAINS, {"z-score": values}, "gain", [1.0])
    company = draw.companies(exp.SHARES, {"BN": np.random.default_rng(0).random((5, 3))})
    assert covered(fig) == covered(other) == covered(company) == []
    assert np.allclose(other.axes[1].lines[1].get_ydata(), values[..., 1].mean(axis=0))


def test_tables_say_what_was_measured():
    rows = np.array([[0.9, 0.5, 0.6, 0.7, 0.8, 0.01, 1.0], [1.0, 0.5, 0.6, 0.7, 0.8, 0.01, 1.0]])
    last = draw.table_of_methods({"BN": rows}).splitlines()[-1]
    assert last.replace("\N{NO-BREAK SPACE}", " ").startswith("| **BN** | 0.950 ± 0.071 | 0.50 ± 0.00, 0.60 ± 0.00 |")
    lesions = draw.table_of_lesions({"small": {"a": [0.5], "b": [0.9]}, "large": {"a": [0.8], "b": [0.7]}})
    assert lesions.splitlines()[-2:] == ["| a | 0.50 | **0.80** |", "| b | **0.90** | 0.70 |"]
    decisions = draw.table_of_decisions({"here": exp.Decision("a", ("b",), ())})
    assert decisions.splitlines()[-1] == "| here | a; b | no method |"
