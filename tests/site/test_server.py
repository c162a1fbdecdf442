"""The own server: nginx with the configuration of `deploy/`, and a site of three files."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytestmark = pytest.mark.needs("nginx", package="nginx (Debian)")
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
AROUND = """\
daemon off; pid {folder}/pid; error_log {folder}/errors; {user}
events {{}}
http {{
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    include {folder}/book.conf;
}}
"""
YEAR = "public, max-age=31536000"
# Of "Run it here": what has its version or its hash in its address, and what has not.
LASTING = (
    "lite/wheels/bn_lib-0.1.0-01a2b3c4d-py3-none-any.whl",
    "lite/pyodide-314.0.6/pyodide.asm.wasm",
    "lite/build/4680.34db628.js",
)
PASSING = ("lite/wheels/pyodide-lock.json", "lite/jupyter-lite.json", "lite/build/notebooks/bundle.js")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("nginx")
    for name in ("index.html", "404.html", "fonts/inter.woff2", *LASTING, *PASSING):
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    book = CONFIGURATION.read_text().replace("/usr/share/nginx/html", f"{folder}/site")
    (folder / "book.conf").write_text(book.replace("listen 8080", f"listen 127.0.0.1:{port}"))
    # Otherwise its workers would leave root, and could not enter pytest's folders.
    user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
    program = shutil.which("nginx")
    process = subprocess.Popen([str(program), "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def ask(address: str, **headers: str) -> tuple[int, Message]:
    try:
        with urlopen(Request(address, headers=headers)) as answer:
            return answer.status, answer.headers
    except HTTPError as error:
        with error:
            return error.code, error.headers


@pytest.mark.parametrize(
    ("path", "status", "cache"),
    [
        ("/", 200, "no-cache"),
        ("/fonts/inter.woff2", 200, YEAR),
        # What is missing today may be there tomorrow.
        ("/fonts/missing.woff2", 404, "no-cache"),
        ("/missing", 404, "no-cache"),
        ("/lite/wheels/missing-1-0abc-py3-none-any.whl", 404, "no-cache"),
        *((f"/{name}", 200, YEAR) for name in LASTING),
        *((f"/{name}", 200, "no-cache") for name in PASSING),
    ],
)
def test_a_year_is_for_what_does_not_change_and_is_there(server: str, path: str, status: int, cache: str) -> None:
    code, headers = ask(server + path)
    assert (code, headers["Cache-Control"]) == (status, cache)
    # Errors are pages, too.
    assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_font_that_has_not_changed_stays_a_year(server: str) -> None:
    _, headers = ask(f"{server}/fonts/inter.woff2")
    code, headers = ask(f"{server}/fonts/inter.woff2", **{"If-None-Match": headers["ETag"]})
    assert (code, headers["Cache-Control"]) == (304, YEAR)
