"""`bn_lib` needs NumPy and nothing else: seen by importing and using it where nothing else can be imported."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

ONLY_NUMPY = """
import sys

class NothingElse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "bn_lib"}:
            raise ModuleNotFoundError(f"No module named {name!r} (blocked by this test)", name=name)

sys.meta_path.insert(0, NothingElse())
"""

USE_IT = """
import numpy as np
import bn_lib

rng = np.random.default_rng(0)
model = bn_lib.Sequential(bn_lib.Dense(2, 4, rng=rng), bn_lib.BatchNorm(4), bn_lib.ReLU(), bn_lib.Dense(4, 2, rng=rng))
x, labels = rng.normal(size=(20, 2)), rng.integers(0, 2, size=20)
with bn_lib.Recorder(model) as recorder:  # and progress is asked for, though there is no tqdm
    bn_lib.fit(model, bn_lib.SGD(model, 0.1), x, labels, epochs=1, batch_size=5, rng=rng, progress=True)
model.save(sys.argv[1])
model.load(sys.argv[1])
try:
    bn_lib.batch_norm(Foreign(), x, x)
except TypeError as error:
    print(error)
"""

# What an array that is not NumPy's looks like from here; without array-api-compat its functions cannot be found.
FOREIGN = """
class Foreign:
    def __array_namespace__(self):
        raise AssertionError("asked directly")
"""


def python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_works_where_there_is_only_numpy(tmp_path):
    said = python(ONLY_NUMPY + FOREIGN + USE_IT, str(tmp_path / "state.npz"))
    assert "Foreign" in said
    assert "pip install 'bn-lib[gpu]'" in said
    assert (tmp_path / "state.npz").exists()


def test_the_block_blocks():
    said = python(ONLY_NUMPY + "try:\n    import tqdm\nexcept ModuleNotFoundError as error:\n    print(error)")
    assert "blocked by this test" in said


def test_importing_it_imports_no_heavy_package():
    """All of these are installed here; a chapter or a worker that wants only the functions should not wait for them."""
    code = "import sys, bn_lib; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = set(python(code).split())
    assert "numpy" in loaded
    heavy = {
        "cupy",
        "torch",
        "keras",
        "matplotlib",
        "sklearn",
        "scipy",
        "tqdm",
        "ipywidgets",
        "anywidget",
        "array_api_compat",
        "dask",
        "distributed",
        "mpi4py",
        "numba",
        "bn_exercises",
    }
    assert not loaded & heavy


def test_it_is_installed_with_numpy_alone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [requirement.partition(">")[0] for requirement in project["dependencies"]] == ["numpy"]
