"""Serve a folder on this machine only, on the port asked for or, if that is taken, on any free one: `make serve`."""

from __future__ import annotations

import re
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

# What has its version or its hash in its address does not change; all else is asked for again. As in deploy/nginx.conf.
LASTING = re.compile(r"/lite/(?:wheels/[^/]+\.whl|pyodide-[^/]+/[^/]+|build/[^/]+\.[0-9a-f]{7}\.js)$")


class Quiet(SimpleHTTPRequestHandler):
    """Serve files without a line for each, and say how long a browser may keep them."""

    def send_response(self, code: int, message: str | None = None) -> None:
        """Begin an answer."""
        super().send_response(code, message)
        lasting = code < 400 and LASTING.search(urlsplit(self.path).path)
        self.send_header("Cache-Control", "public, max-age=31536000" if lasting else "no-cache")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the address is what the reader should still see."""


class Server(ThreadingHTTPServer):
    """A server that does not share its port: on some systems two could listen on one, and neither would know."""

    allow_reuse_address = sys.platform != "win32"
    daemon_threads = True


def serve(folder: Path, port: int) -> Server:
    """Return a server of `folder`, on `port` if nothing else is there."""
    handler = partial(Quiet, directory=str(folder))
    try:
        return Server(("127.0.0.1", port), handler)
    except OSError:
        return Server(("127.0.0.1", 0), handler)


def main() -> None:
    """Serve until interrupted."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    if not (folder / "index.html").is_file():
        sys.exit(f"There is no book in {folder}: make html builds it.")
    with serve(folder, port) as server:
        print(f"\n  The book is at http://localhost:{server.server_port}/  (Ctrl-C ends it)\n", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
