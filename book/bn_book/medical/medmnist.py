"""A real, public set in the place of the phantoms: MedMNIST's files, from a path or from where its package keeps them.

MedMNIST is 12 sets of small two-dimensional biomedical images and 6 of three-dimensional ones (Yang et al. 2023), each
one file of NumPy arrays, `pneumoniamnist.npz` and so on. Nothing here downloads one. Which machines
took the images is not in it; A, B and C are the generated scanners of `phantoms`, put on top of what is there.
"""

import zlib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from bn_book.medical.detectors import STEPS
from bn_book.medical.experiments import METHODS, Result, Study, fitted, judged, trained_as
from bn_book.medical.phantoms import F32, SCANNERS, TRAINED, UNSEEN, Images
from bn_lib._arrays import Array

_SPLITS = ("train", "val", "test")


def path_of(name: str) -> Path:
    """Where the PyPI package `medmnist` keeps a set that it has downloaded before: `~/.medmnist/NAME.npz`.

    Args:
        name: of the set, such as "pneumoniamnist".

    Raises:
        ModuleNotFoundError: if the package is not installed.
        FileNotFoundError: if it is, and the file is not there. It is not downloaded.
    """
    if find_spec("medmnist") is None:
        raise ModuleNotFoundError(f"{name} needs the package medmnist (pip install medmnist), or the path of its file")
    root = import_module("medmnist.info").DEFAULT_ROOT
    if root is None:
        raise FileNotFoundError(f"medmnist could make no folder to keep {name} in; give the path of its file")
    path = Path(root) / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; the package downloads it when you ask it to, and nothing else does"
        )
    return path


def load(source: str | Path) -> dict[str, Images]:
    """Read a two-dimensional set: "train", "val" and "test", with values from 0 to 1.

    Args:
        source: the path of a file, or the name of a set of the package `medmnist`.

    Returns:
        Images of shape `(N, 1, H, W)`, float32, colors averaged, and one label each, `(N,)`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such file: it is damaged or of another format, or an array is missing, of another shape
            or kind, or has several labels each, as in chestmnist.
    """
    path = Path(source).expanduser()
    if path.name == str(source) and not path.suffix:
        path = path_of(path.name)
    arrays = _arrays(path)
    found = {}
    for split in _SPLITS:
        missing = [key for key in (f"{split}_images", f"{split}_labels") if key not in arrays]
        if missing:
            raise ValueError(
                f"{path} lacks {missing[0]}; expected a file of MedMNIST, with images and labels of {_SPLITS}"
            )
        found[split] = _checked(arrays[f"{split}_images"], arrays[f"{split}_labels"], f"{path}, {split}")
    return found


def _arrays(path: Path) -> dict[str, Array]:
    """What NumPy can read of a file without running anything that is in it; its own errors do not name the file."""
    with path.open("rb") as file:
        try:
            with np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except (ValueError, EOFError, BadZipFile, zlib.error) as error:
            raise ValueError(f"{path} cannot be read ({error}); expected a file of MedMNIST, an .npz") from error


def _checked(images: Array, labels: Array, where: str) -> Images:
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise ValueError(
            f"{where}_images is {images.dtype} of shape {images.shape}; expected uint8 of shape (N, H, W) or (N, H, "
            "W, 3): a two-dimensional set"
        )
    if labels.shape != (len(images), 1) or labels.dtype.kind not in "ui":
        raise ValueError(
            f"{where}_labels is {labels.dtype} of shape {labels.shape}; expected one whole number for each image, "
            f"({len(images)}, 1)"
        )
    gray = images.mean(axis=3, dtype=F32) if images.ndim == 4 else images.astype(F32)
    return Images(gray[:, np.newaxis] / F32(255), labels[:, 0].astype(np.int64))


def study_of(source: str | Path, *, positive: int | Sequence[int] = (1,), seed: int = 0) -> Study:
    """The chapter's study with real images in the place of phantoms: taken again by the scanners A, B and C.

    Each image is taken by one scanner only: A and B share those of "train", and all three share "val", which
    thresholds are set by, and "test". How often there is a finding is what the file says, in training as in use.

    Args:
        source: as for `load`.
        positive: which label counts as a finding, or which ones.
        seed: of which scanner takes which image, and of its noise.

    Raises:
        ValueError: if a scanner would get no image with, or none without, a finding.
    """
    rng = np.random.default_rng((50, seed))
    parts = load(source)
    order = {split: rng.permutation(len(images.labels)) for split, images in parts.items()}

    def taken(split: str, names: Sequence[str]) -> dict[str, Images]:
        images = parts[split]
        findings = np.isin(images.labels, positive).astype(np.int64)
        found = {}
        for k, name in enumerate(names):
            rows = order[split][k :: len(names)]
            found[name] = Images(SCANNERS[name].scan(images.x[rows, 0], rng), findings[rows])
            if len(np.unique(found[name].labels)) < 2:
                raise ValueError(
                    f"scanner {name} has {len(rows)} images of {split}, all with the same answer; expected some with a "
                    f"label of {positive} and some without"
                )
        return found

    train = taken("train", TRAINED)
    looked_at, test = (taken(split, (*TRAINED, UNSEEN)) for split in ("val", "test"))
    share = float(np.isin(parts["train"].labels, positive).mean())
    use = float(np.isin(parts["test"].labels, positive).mean())
    return Study(train, looked_at, test, share, use)


def compare(
    source: str | Path, methods: Sequence[str] = tuple(METHODS), *, positive: int | Sequence[int] = (1,), seed: int = 0,
    steps: int = STEPS,
) -> dict[str, Result]:  # fmt: skip
    """The chapter's table for a real set: each method by name, trained, and tested on known and unseen scanners.

    Args:
        source, positive, seed: as for `study_of`.
        methods: their names in the chapter's table.
        steps: of training.

    Raises:
        ValueError: if there is no method of a name, and as `study_of` does.
    """
    unknown = sorted({*methods} - {*METHODS})
    if isinstance(methods, str) or unknown:
        raise ValueError(f"methods is {methods!r}; expected names of {', '.join(map(repr, METHODS))}")
    found = study_of(source, positive=positive, seed=seed)
    networks = {trained_as(name) for name in methods}
    made = {name: fitted(METHODS[name], found, seed=seed, steps=steps) for name in networks}
    return {name: judged(made[trained_as(name)], found, recomputed=METHODS[name].recomputed) for name in methods}
