"""The digits that the chapters learn from are scikit-learn's, to the last bit, and come with their licence."""

from importlib.resources import files

import numpy as np
import pytest
from sklearn import datasets

from bn_book.data import TRAINING_ROWS, load_digits

ORDER = np.random.default_rng(0).permutation(1797)


@pytest.mark.parametrize("flat", [True, False])
def test_they_are_those_of_scikit_learn(flat):
    theirs = datasets.load_digits()
    (x, labels), (held_back, their_labels) = load_digits(flat=flat)
    assert (len(x), len(held_back)) == (TRAINING_ROWS, 1797 - TRAINING_ROWS)
    images = (theirs.images[ORDER] / 16).astype(np.float32)
    found = np.concatenate([x, held_back])
    assert found.dtype == np.float32
    assert found.shape == ((1797, 64) if flat else (1797, 1, 8, 8))
    np.testing.assert_array_equal(found.reshape(images.shape), images)
    np.testing.assert_array_equal(np.concatenate([labels, their_labels]), theirs.target[ORDER])


def test_the_file_is_theirs_byte_for_byte_and_its_licence_lies_beside_it():
    data, here = files("sklearn.datasets.data"), files("bn_book.data")
    assert here.joinpath("digits.csv.gz").read_bytes() == data.joinpath("digits.csv.gz").read_bytes()
    licence = here.joinpath("digits.LICENSE").read_text()
    assert "10.24432/C50P49" in licence
    assert "CC BY 4.0" in licence
    assert "The scikit-learn developers" in licence
