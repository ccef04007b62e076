"""A small dataset as archives, and a web server that has them."""

import http.server
import io
import tarfile
import threading
import zipfile
import zlib
from pathlib import Path

import pytest

from handvae.base.errors import InputError
from handvae.download import http_download

MARKER = "training/anno.pickle"
FILES = {"set/training/anno.pickle": b"labels", "set/training/color/0.png": bytes(range(256)) * 400, "set/README": b""}


def find_set(folder: Path) -> Path:
    roots = [root for root in (folder, *sorted(folder.iterdir())) if (root / MARKER).is_file()]
    if len(roots) != 1:
        raise InputError(f"{folder}: expected one folder with {MARKER}, found {len(roots)}")
    return roots[0]


def zipped(files: dict[str, bytes] = FILES, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_member(name: str, type_: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = type_, link, size
    return info


def tarred(files: dict[str, bytes] = FILES, extra=(), mode: str = "w") -> bytes:
    """`extra`: members without content, after the files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            archive.addfile(tar_member(name, size=len(content)), io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


def saved(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def content_of(folder: Path) -> dict[str, bytes]:
    """Of all files in a folder but our record."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".source.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append({**self.headers, "name": self.path.rpartition("/")[2]})
        self.server.answer(self)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """A local server whose misbehaviour is set by attributes; it notes the requests that it got."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.headers, self.ranges, self.status = zipped(), {"ETag": '"1"'}, True, 200
        self.files: dict[str, bytes] = {}  # by name, each with its own ETag; any other name has `content`
        self.cuts: list[int] = []  # bytes after which the next responses break off
        self.length: int | None = None  # what Content-Length says instead of the truth
        self.obeys_if_range, self.moved_to = True, ""  # where moved.zip redirects to
        self.requests: list[dict[str, str]] = []
        self.url = self.at("a.zip")
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def at(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files/{name}"

    def asked(self, header: str) -> list[str | None]:
        """This header, or the "name", of each request so far; the requests are then forgotten."""
        asked = [request.get(header) for request in self.requests]
        self.requests.clear()
        return asked

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, request: Handler) -> None:
        name, validator = request.path.rpartition("/")[2], self.headers.get("ETag") or self.headers.get("Last-Modified")
        content, status, headers = self.content, self.status, dict(self.headers)
        if name in self.files:
            content = self.files[name]
            headers["ETag"] = validator = f'"{zlib.crc32(content)}"'
        conditional = request.headers.get("If-None-Match") or request.headers.get("If-Modified-Since")
        wanted, same = request.headers.get("Range"), request.headers.get("If-Range") == validator
        if self.moved_to and name == "moved.zip":
            headers, status = {"Location": self.moved_to}, 302
        elif conditional and conditional == validator:
            content, status = b"", 304
        elif wanted and self.ranges and (same or not self.obeys_if_range):
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        request.send_response(status)
        headers["Content-Length"] = str(len(content) if self.length is None else self.length)
        for key, value in headers.items():
            request.send_header(key, value)
        request.end_headers()
        request.wfile.write(content[: self.cuts.pop(0)] if self.cuts else content)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http_download, "WAITS_S", (0, 0, 0, 0))
    server = Server()
    yield server
    server.close()
