"""Downloads one archive over HTTP(S): resumed where it broke off, complete and what it claims to be, or not at all.

Proxies, passwords, certificates and redirects are as `requests` does them.
"""

import json
import os
import re
import shutil
import time
import urllib.parse
from pathlib import Path

import requests
import urllib3

from handvae.base.atomic import write_text
from handvae.base.errors import InputError
from handvae.base.progress import Progress
from handvae.download import archives

TIMEOUT_S = 60  # without a byte
WAITS_S = (1, 3, 10, 30)  # before each further try after a broken connection
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_BROKEN = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)
_RECORD = "download.json"  # beside the file: its address, and its validator
_CHUNK_BYTES = 1 << 18
_MB = 10**6


def download(url: str, folder: Path) -> Path:
    """Fetch `url` into `folder` and return the file, named as in the URL; what an earlier try left there is resumed.

    A download that broke off is an InputError and, if the server can resume it, stays for the next run. An InputError
    that leaves nothing: the server refuses, sends a page instead of an archive or redirects elsewhere than to HTTP(S).
    """
    file = folder / file_name(url)
    folder.mkdir(parents=True, exist_ok=True)
    for wait_s in (*WAITS_S, None):
        try:
            _fetch_rest(url, file)
            return file
        except _BROKEN as error:
            reason = error
            if wait_s is not None:
                time.sleep(wait_s)
        except InputError:
            shutil.rmtree(folder)
            raise
    hint = "; run again to resume" if _bytes_so_far(url, file) else ""
    if not hint:
        shutil.rmtree(folder)
    raise InputError(f"{url}: expected the whole file, found a broken connection ({reason}){hint}")


def validator_of(folder: Path) -> str | None:
    """The ETag or date of the file that `download` left in `folder`, for `is_current`."""
    return json.loads((folder / _RECORD).read_text())["validator"]


def is_current(url: str, validator: str | None) -> bool:
    """Whether the server still has the file that came with this validator. InputError if it cannot be asked."""
    if validator is None:
        return False
    header = "If-None-Match" if validator.startswith('"') else "If-Modified-Since"
    try:
        with _get(url, {header: validator}) as response:
            return response.status_code == 304 or _validator(response) == validator
    except _BROKEN as error:
        raise InputError(f"{url}: expected to ask whether the file has changed, found {error}") from None


def file_name(url: str) -> str:
    try:
        address = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise InputError(f"{url!r}: expected an http or https address, found {error}") from None
    if address.scheme not in ("http", "https") or not url.isprintable():
        raise InputError(f"{url!r}: expected an http or https address of one line, found {address.scheme!r}")
    name = re.sub(r"[^\w.-]", "_", urllib.parse.unquote(address.path).rpartition("/")[2])[-100:]
    if not name.lower().endswith(archives.SUFFIXES):
        raise InputError(f"{url}: expected the address of an archive ({', '.join(archives.SUFFIXES)}), found {name!r}")
    return name


def _bytes_so_far(url: str, file: Path) -> int:
    """What an earlier try left of `url` in `file`; 0 unless the server tells versions of the file apart."""
    try:
        record = json.loads((file.parent / _RECORD).read_text())
        return file.stat().st_size if record["url"] == url and record["validator"] else 0
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def _fetch_rest(url: str, file: Path) -> None:
    """Fetch what `file` lacks."""
    headers, start = {}, max(_bytes_so_far(url, file) - 1, 0)
    if start:  # the last byte again: a server has nothing to send after that of a whole file
        # If-Range: the rest of the file if it is still the same one, else the whole of the new one
        headers = {"Range": f"bytes={start}-", "If-Range": validator_of(file.parent)}
    with _get(url, headers) as response:
        if "html" in response.headers.get("Content-Type", "").lower():
            raise InputError(f"{url}: expected an archive, found an HTML page")
        part = response.headers.get("Content-Range", "").partition("-")[0], _validator(response)
        if response.status_code != 206:
            start = 0
            file.write_bytes(b"")  # before the record: a new record must never stand beside old bytes
            write_text(file.parent / _RECORD, json.dumps({"url": url, "validator": _validator(response)}))
        elif not start or part != (f"bytes {start}", headers["If-Range"]):
            file.unlink(missing_ok=True)
            raise requests.ConnectionError("a part of another file")
        _receive(response, file, start)


def _validator(response: requests.Response) -> str | None:
    """What tells this version of the file from others: a strong ETag or the date of its last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _receive(response: requests.Response, file: Path, start: int) -> None:
    """Write the response's body to `file` after its first `start` bytes."""
    left = response.raw.length_remaining or 0
    progress = Progress(f"download {file.name}", max((start + left) // _MB, 1), "MB")
    progress.resume_at(start // _MB)
    os.truncate(file, start)
    with file.open("ab") as out:
        # as they are sent: some servers call a .tar.gz a compressed .tar
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
            out.write(chunk)
            progress.advance_to(out.tell() // _MB)


def _get(url: str, headers: dict[str, str]) -> requests.Response:
    """Raises InputError where the server refuses, and _BROKEN where another try may help."""
    headers = {"User-Agent": "handvae", "Accept-Encoding": "identity", **headers}
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S)
    except _BROKEN:
        raise
    except (requests.RequestException, ValueError) as error:  # no address, or a redirect to none, or round and round
        raise InputError(f"{url}: expected an http or https address of a file, found {error}") from None
    if response.status_code in _TRY_AGAIN:
        raise requests.ConnectionError(f"HTTP status {response.status_code}")
    if not response.ok:
        raise InputError(f"{url}: expected the file, found HTTP status {response.status_code} {response.reason}")
    return response
