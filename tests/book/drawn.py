"""What tests of figures share: whether words lie over what is drawn."""

from __future__ import annotations

from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox


def covered(fig: Figure) -> list[str]:
    """The words inside a figure's axes that lie over a line, over other words, or leave the axes; and legends."""
    fig.canvas.draw()
    renderer = fig.canvas.get_renderer()
    found = []
    for ax in fig.axes:
        paths = [line.get_transform().transform_path(line.get_path()) for line in ax.lines]
        boxes = {text.get_text(): text.get_window_extent(renderer) for text in ax.texts}
        inside = ax.get_window_extent(renderer).padded(1)
        found += [
            words for words, box in boxes.items() if not all(inside.contains(*corner) for corner in box.corners())
        ]
        found += [f"{a} / {b}" for a, b in combinations(boxes, 2) if Bbox.intersection(boxes[a], boxes[b])]
        if ax.get_legend():
            boxes["the legend"] = ax.get_legend().get_window_extent(renderer)
        found += [
            words for words, box in boxes.items() if any(path.intersects_bbox(box, filled=False) for path in paths)
        ]
    return found
