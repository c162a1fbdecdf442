"""The front page's figure: what it says is true of every frame, and its frames can be compared."""

import numpy as np
import pytest

from bn_lib.figures.front_page import BATCH, normalized, stretched_and_shifted

CHANGES = [(0.5, -20.0), (1.0, 0.0), (2.5, -10.0), (1.0, 12.0)]


@pytest.mark.parametrize("change", CHANGES)
def test_normalized_values_stay_where_they_are(change):
    stretch, shift = change
    batch = np.array(BATCH)
    np.testing.assert_allclose(normalized(stretch * batch + shift), (batch - 4) / np.sqrt(6), atol=1e-4)


def test_frames_share_their_axes_and_hold_their_points():
    limits = set()
    for change in CHANGES:
        values = change[0] * np.array(BATCH) + change[1]
        axes = stretched_and_shifted(change).axes
        for row, (ax, expected) in enumerate(zip(axes, (values, normalized(values)), strict=True)):
            low, high = ax.get_xlim()
            dots = ax.lines[-1].get_xdata()
            assert np.array_equal(dots, expected)
            assert low < min(dots) <= max(dots) < high
            limits.add((row, low, high))
    assert len(limits) == 2


def test_titles_tell_the_numbers():
    above, below = stretched_and_shifted((2.0, -8.0)).axes
    assert above.get_title(loc="left") == "in: mean 0.0, standard deviation 4.9"
    assert below.get_title(loc="left") == "out: mean 0.0, standard deviation 1.0"
