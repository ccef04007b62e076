"""Downloads one archive over HTTP(S): resumed where it broke off, complete and what it claims to be, or not at all."""

import errno
import http.client
import io
import json
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from handvae.base.atomic import write_text
from handvae.base.errors import InputError
from handvae.base.progress import Progress
from handvae.download import archives

TIMEOUT_S = 60  # for one answer of the network, and the time in which a slow one must send
MIN_BYTES_PER_S = 1000
WAITS_S = (1, 3, 10, 30)  # before each further try after a broken connection
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_RECORD = "download.json"
_CHUNK_BYTES = 1 << 18
_MB = 10**6


class _BrokenError(Exception):
    """A connection that failed or ended too early; another try may help."""


def download(url: str, folder: Path) -> Path:
    """Fetch `url` into `folder` and return the file, named as in the URL; what an earlier try left there is resumed.

    A download that broke off is an InputError and, if the server can resume it, stays for the next run. An InputError
    that leaves nothing: the server refuses, sends a page instead of an archive, redirects elsewhere than to HTTP(S), or
    lies about the length.
    """
    file, record = folder / file_name(url), folder / _RECORD
    folder.mkdir(parents=True, exist_ok=True)
    reasons: list[str] = []
    for wait_s in (*WAITS_S, None):
        try:
            _attempt(url, file, record)
            return file
        except _BrokenError as broken:
            if str(broken) in reasons and str(broken).startswith("expected"):  # it ends at the same byte every time
                shutil.rmtree(folder)
                raise InputError(f"{url}: {broken}, twice: the server states a wrong length") from None
            reasons.append(str(broken))
        except InputError:
            shutil.rmtree(folder)
            raise
        if wait_s is not None:
            time.sleep(wait_s)
    resumable = file.exists() and file.stat().st_size > 0 and _read_record(record, url).get("validator")
    if not resumable:
        shutil.rmtree(folder)
    hint = "; run again to resume" if resumable else ""
    raise InputError(f"{url}: expected the whole file, found a broken connection ({reasons[-1]}){hint}")


def validator_of(folder: Path) -> str | None:
    """The ETag or date of the file that `download` left in `folder`, for `is_current`."""
    return json.loads((folder / _RECORD).read_text())["validator"]


def is_current(url: str, validator: str | None) -> bool:
    """Whether the server still has the file that came with this validator. InputError if it cannot be asked."""
    if validator is None:
        return False
    header = "If-None-Match" if validator.startswith('"') else "If-Modified-Since"
    try:
        with _open(url, {"User-Agent": "handvae", header: validator}) as response:
            return response.status == 304 or _validator(response) == validator
    except _BrokenError as broken:
        raise InputError(f"{url}: expected to ask whether the file has changed, found {broken}") from None


def file_name(url: str) -> str:
    try:
        path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    except ValueError as error:
        raise InputError(f"{url}: expected an http or https address, found {error}") from None
    name = re.sub(r"[^\w.-]", "_", path.rpartition("/")[2])[-100:]
    if not name.endswith(archives.SUFFIXES):
        raise InputError(f"{url}: expected the address of an archive ({archives.KINDS}), found {name!r}")
    return name


def _attempt(url: str, file: Path, record_path: Path) -> None:
    record = _read_record(record_path, url)
    have = file.stat().st_size if file.exists() and record.get("validator") else 0
    headers = {"User-Agent": "handvae", "Accept-Encoding": "identity"}
    if have:
        # If-Range: the rest of the file if it is still the same one, else the whole of the new one
        headers |= {"Range": f"bytes={have}-", "If-Range": record["validator"]}
    with _open(url, headers) as response:
        if response.status == 416 and have:  # nothing after byte `have`
            total = record["length"] or _total(response)
            if total != have:
                raise InputError(f"{url}: expected {total or 0:,} bytes, found {have:,}")
            return
        if "html" in response.headers.get("Content-Type", "").lower():
            raise InputError(f"{url}: expected an archive, found an HTML page")
        if response.length is None and not response.chunked:
            raise InputError(f"{url}: expected the server to state the file's length, found none")
        if response.status == 206 and not have:
            raise InputError(f"{url}: expected the whole file, found a part of it (HTTP status 206)")
        if response.status == 206:
            if _validator(response) != record["validator"] or not _continues(response, have):
                record_path.unlink()
                raise _BrokenError("the file changed on the server")
        else:
            have = 0
            file.write_bytes(b"")  # before the record: a new record must never stand beside old bytes
            record = {"url": url, "validator": _validator(response), "length": response.length}
            write_text(record_path, json.dumps(record))
        _receive(url, response, file, have)


def _read_record(path: Path, url: str) -> dict:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.get("url") == url else {}


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What tells this file from another under the same address: a strong ETag or the date of its last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _total(response: http.client.HTTPResponse) -> int | None:
    match = re.fullmatch(r"bytes .*/(\d+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _receive(url: str, response: http.client.HTTPResponse, file: Path, have: int) -> None:
    """Append the response's body to `file`, which holds `have` bytes."""
    total = None if response.length is None else have + response.length
    if (total or 0) > archives.MAX_BYTES:
        raise InputError(f"{url}: expected at most {archives.MAX_BYTES:,} bytes, found more")
    free = shutil.disk_usage(file.parent).free
    if (response.length or 0) > free:
        raise OSError(
            errno.ENOSPC, f"expected {response.length:,} bytes free for the download, found {free:,}", str(file)
        )
    progress = Progress(f"download {file.name}", max((total or 0) // _MB, 1), "MB")
    progress.resume_at(have // _MB)
    with file.open("ab") as out:
        while chunk := _read(response):
            if have == 0 and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                raise InputError(f"{url}: expected an archive, found an HTML page")
            out.write(chunk)
            have += len(chunk)
            if have > archives.MAX_BYTES:
                raise InputError(f"{url}: expected at most {archives.MAX_BYTES:,} bytes, found more")
            if have // _MB > progress.done:
                progress.advance(have // _MB - progress.done)
    if total is not None and have != total:
        raise _BrokenError(f"expected {total:,} bytes, found {have:,}")


def _read(response: http.client.HTTPResponse) -> bytes:
    chunk = bytearray(_CHUNK_BYTES)
    try:
        return bytes(chunk[: response.readinto(chunk)])  # .read() has no bound where a chunk's size is negative
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(" ".join(f"{type(error).__name__}: {error}".split())) from None


class _Paced(io.RawIOBase):
    """A connection's incoming bytes; TimeoutError if they drip: `TIMEOUT_S` alone allows a byte a minute for ever."""

    def __init__(self, raw: io.RawIOBase):
        self._raw, self._waited_s, self._came = raw, 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        start_s = time.monotonic()
        count = self._raw.readinto(buffer)
        if self._came:  # the wait for the first bytes has a limit of its own
            self._waited_s += time.monotonic() - start_s  # the time that our disk takes does not count
        self._came += count
        if self._waited_s > TIMEOUT_S:
            if self._came < MIN_BYTES_PER_S * self._waited_s:
                raise TimeoutError(f"{self._came:,} bytes in {self._waited_s:.0f} s")
            self._waited_s, self._came = 0.0, 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fp = io.BufferedReader(_Paced(self.fp.detach()))  # headers and body come through here


class _Connections(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Stands in for both of urllib's handlers; the responses are ours."""

    def do_open(self, connection_class, request, **arguments):
        def connect(*args, **kwargs):
            connection = connection_class(*args, **kwargs)
            connection.response_class = _Response
            return connection

        return super().do_open(connect, request, **arguments)


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """urllib itself follows redirects to http, https and ftp, and refuses the rest."""

    def redirect_request(self, request, response, code, message, headers, new_url):
        if urllib.parse.urlsplit(new_url).scheme not in ("http", "https"):
            raise InputError(f"{request.full_url}: expected a redirect to http or https, found {new_url[:200]!r}")
        response.close()  # urllib would read its body, of any length, into memory
        return super().redirect_request(request, response, code, message, headers, new_url)


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(url, headers=headers)
        return urllib.request.build_opener(_Connections, _HttpOnly).open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == (416 if "Range" in headers else 304 if len(headers) == 2 else None):
            return error
        if error.code in _TRY_AGAIN:
            raise _BrokenError(f"HTTP status {error.code}") from None
        reason = " ".join(str(error.reason).split())[:200]  # urllib refuses file: and endless redirects here
        raise InputError(f"{url}: expected the file, found HTTP status {error.code} {reason}") from None
    except (ValueError, http.client.InvalidURL) as error:
        raise InputError(f"{url}: expected an http or https address, found {error}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(" ".join(f"{type(error).__name__}: {error}".split())) from None
