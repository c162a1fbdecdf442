"""JupyterLite itself, by its own builder: one app, three extensions, our notebooks, our settings.

What `jupyter lite build` would leave open is closed here: it takes every extension of the environment (nbgrader's and
jupytext's front ends fail without a server), it brings source maps, and its pages may load from anywhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL, PYODIDE_KERNEL_PLUGIN_ID, PYODIDE_VERSION

from bn_exercises.translation import spoken
from bn_site.language import words
from bn_site.lite.lock import KERNEL

# The kernel, and the browser's side of ipywidgets and anywidget.
EXTENSIONS = ("@jupyterlite/pyodide-kernel-extension", "@jupyter-widgets/jupyterlab-manager", "anywidget")
APP = "notebooks"
KERNEL_NAME = "python3"
ICON = "favicon.svg"  # the book's, in its `_static`
CDN_HOST = PYODIDE_CDN_URL.partition("/pyodide/")[0]

# Where the wheels and Pyodide lie in the folder that is built. A browser may keep what has its version or its hash in
# its address for as long as it likes: deploy/nginx.conf and book/tools/serve.py say so.
WHEELS = "wheels"
PYODIDE = f"pyodide-{PYODIDE_VERSION}"
LOCK = f"{WHEELS}/pyodide-lock.json"
LISTED = "api/contents/all.json"


def settings(self_hosted: bool) -> dict[str, Any]:
    """What JupyterLite's pages read before they start."""
    kernel: dict[str, Any] = {
        "disablePyPIFallback": True,
        "loadPyodideOptions": {"lockFileURL": f"./{LOCK}", "packages": list(KERNEL)},
        "pyodideUrl": f"./{PYODIDE}/pyodide.mjs" if self_hosted else f"{PYODIDE_CDN_URL}/pyodide.mjs",
    }
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "Batch Normalization",
            "appUrl": f"./{APP}",
            "defaultKernelName": KERNEL_NAME,
            # News of Jupyter and a store of extensions are somebody else's sites.
            "disabledExtensions": [
                "@jupyterlab/apputils-extension:announcements",
                "@jupyterlab/extensionmanager-extension",
            ],
            "litePluginSettings": {PYODIDE_KERNEL_PLUGIN_ID: kernel},
        },
    }


# What JupyterLite is made with, not of; and pages that lead to an app that is not here.
LEFTOVERS = ("rspack.config.js", "rspack.config.analyze.js", "rspack.config.watch.js", "doc")

# A reader's choices begin as these.
OVERRIDES = {
    "@jupyterlab/apputils-extension:themes": {"adaptive-theme": True},  # light or dark as the reader's system is
    "@jupyterlab/notebook-extension:tracker": {"showHiddenCellsButton": True},
}


def build(output: Path, work: Path, notebooks: Path) -> None:
    """Build JupyterLite into `output`, with the files of `notebooks` in it; `work` is an empty folder."""
    (work / "jupyter-lite.json").write_text(json.dumps(settings(self_hosted=False)), encoding="utf-8")
    (work / "overrides.json").write_text(json.dumps(OVERRIDES), encoding="utf-8")
    extensions = Path(sys.prefix) / "share" / "jupyter" / "labextensions"
    config = {
        "LiteBuildConfig": {
            "apps": [APP],
            "contents": [str(notebooks)],
            "federated_extensions": [str(extensions / name) for name in EXTENSIONS],
            "ignore_sys_prefix": ["federated_extensions"],
            "no_libarchive": True,
            "no_sourcemaps": True,
            "no_unused_shared_packages": True,
            "output_dir": str(output),
            "settings_overrides": [str(work / "overrides.json")],
        }
    }
    (work / "jupyter_lite_config.json").write_text(json.dumps(config), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", str(work)],
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"JupyterLite could not be built:\n{done.stdout[-4000:]}")
    settle_kernel(output / "extensions" / EXTENSIONS[0] / "static")
    for path in (output / leftover for leftover in LEFTOVERS):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def list_files(site: Path) -> None:
    """Say in a built JupyterLite's list of its notebooks what has changed in them: their sizes and dates."""
    path = site / LISTED
    listed = json.loads(path.read_text(encoding="utf-8"))
    for entry in listed["content"]:
        file = (site / "files" / entry["path"]).stat()
        entry["size"] = file.st_size
        entry["last_modified"] = datetime.fromtimestamp(file.st_mtime, UTC).isoformat().replace("+00:00", "Z")
    path.write_text(json.dumps(listed, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def set_pyodide_url(site: Path, self_hosted: bool) -> None:
    """Say in a built JupyterLite where Pyodide is."""
    path = site / "jupyter-lite.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    kernel = written["jupyter-config-data"]["litePluginSettings"][PYODIDE_KERNEL_PLUGIN_ID]
    kernel.update(settings(self_hosted)["jupyter-config-data"]["litePluginSettings"][PYODIDE_KERNEL_PLUGIN_ID])
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


# Call the kernel in the browser as every Python kernel is called. JupyterLite's is "python". A notebook that names
# "python3", as all of ours do, would be met with a question, and come back with a kernel in it that neither nbgrader
# nor the reader's own Jupyter knows.
NAMED = ('spec:{name:"python",display_name', f'spec:{{name:"{KERNEL_NAME}",display_name')
# Start without Jedi, which with its parser is 1.7 MB and 1,700 files: IPython completes names without it, from what has
# run. (The kernel's own side of that is in wheels.py.)
WITHOUT_JEDI = ('"pyodide-kernel","jedi","ipython"]', '"pyodide-kernel","ipython"]')


def settle_kernel(scripts: Path) -> None:
    """Change what the kernel's extension leaves no setting for.

    Raises:
        RuntimeError: if its scripts are others than those known here.
    """
    for before, after in (NAMED, WITHOUT_JEDI):
        found = [path for path in scripts.glob("*.js") if before in path.read_text(encoding="utf-8")]
        if not found:
            raise RuntimeError(f"the kernel's extension has no {before} any more, and would not become {after}")
        for script in found:
            script.write_text(script.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")


def policy(self_hosted: bool) -> str:
    """What JupyterLite's pages may load: the site's own files, and Pyodide where it is.

    JupyterLab compiles its schemas and writes styles into the page, a notebook's output may hold a script, and a
    widget's code arrives as a blob: so these may run, as in every Jupyter. What counts is that all is from this site.
    """
    hosts = "'self'" if self_hosted else f"'self' {CDN_HOST}"
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src {hosts} 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:",
            f"connect-src {hosts} data: blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "frame-src 'self' blob: data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


# Our own part of the page: it says so where Python does not start.
BOOT = ("boot.css", "boot.js")
SCRIPTS = '<link rel="stylesheet" href="./boot.css"><script src="./boot.js"></script><script src="./start.js"></script>'

# JupyterLite's page starts with this script: it corrects the address, then imports its `config-utils.js`.
START = re.compile(r"<script>\s*(\(async function \(\) \{.*?\}\.call\(this\)\);)\s*</script>", re.DOTALL)


def close(site: Path) -> None:
    """Give JupyterLite's pages a policy of what they may load, and let them start only for a reader who agreed.

    Somebody may come to such a page by a link of another site. Where Pyodide is not the site's own, nothing is asked of
    its host before the reader has been told so on a page of the book.
    """
    self_hosted = (site / PYODIDE).is_dir()
    meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy(self_hosted))}">'
    pages = [site / "index.html", site / APP / "index.html"]
    if more := sorted(str(page.relative_to(site)) for page in {*site.rglob("*.html")} - {*pages}):
        raise RuntimeError(f"JupyterLite has pages that would have no policy: {', '.join(more)}")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        icon = f'<link rel="icon" href="{"../" * (page.parent != site)}../_static/{ICON}">'
        before, head, after = text.partition("<head>")
        if not head:
            raise RuntimeError(f"JupyterLite's {page.name} has another form than the one known here")
        page.write_text(f"{before}{head}\n    {meta}\n    {icon}{after}", encoding="utf-8")
    page = site / APP / "index.html"
    for name in BOOT:
        shutil.copyfile(Path(__file__).with_name(name), page.parent / name)
    script = page.parent / "boot.js"
    if said := words(script):
        said_first = json.dumps({"language": spoken(), "words": said})
        script.write_text(f"window.bnSaid = {said_first};\n{script.read_text(encoding='utf-8')}", encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    found = START.search(text)
    if not found:
        raise RuntimeError("JupyterLite's page starts in another way than the one known here")
    start = found[1]
    if not self_hosted:
        start = f'if (localStorage.getItem("bn-run") === "agreed") {{\n{start}\n}} else {{\n{ASK}\n}}'
    (page.parent / "start.js").write_text(start + "\n", encoding="utf-8")
    ours = (
        '<link rel="stylesheet" href="./boot.css"><script src="./boot.js"></script><script src="./start.js"></script>'
    )
    page.write_text(text.replace(found[0], ours), encoding="utf-8")


ASK = '  location.replace("../../book/run.html");'
