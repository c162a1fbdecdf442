"""What the site's tests share: the book, served on this machine as GitHub Pages serves it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from built import of_every_kind
from tour import Seen, Tour, take

TEXT = {".html", ".css", ".js", ".mjs", ".json", ".svg", ".xml", ".txt", ".ipynb", ".map"}


@cache
def compressed(path: str) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 6)


class LikePages(SimpleHTTPRequestHandler):
    """Text is compressed, connections stay open, and files may be kept for ten minutes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        if not path.is_file():
            self.send_error(404)
            return
        as_text = path.suffix in TEXT
        body = compressed(str(path)) if as_text else path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        if as_text:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def address(built_site: Path) -> Iterator[str]:
    """Where the book is, with a slash at its end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(LikePages, directory=str(built_site))) as server:
        server.daemon_threads = True  # a browser keeps its connections open
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def tour(once: Callable[[str, Callable[[Path], Any]], Any], address: str, built_site: Path) -> Tour:
    """Of every kind of page, and all of the book, once for all processes."""
    made = once("tour", lambda folder: asdict(take(address, of_every_kind(built_site), folder)))
    return Tour(**made | {"seen": [Seen(**each) for each in made["seen"]]})
