"""Where a dataset's raw files come from: a folder, a local archive, or the URL of one. All end as a folder on disk."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from handvae import archives, http_download
from handvae.atomic import replacing_folder, write_text
from handvae.errors import InputError

_RECORD = ".source.json"  # in an unpacked folder: which archive it came from and what it held


def kind(source: str) -> str:
    """ "url", "archive" or "folder"."""
    if "://" in source:
        return "url"
    return "archive" if source.endswith(archives.SUFFIXES) and not Path(source).is_dir() else "folder"


def locate(name: str, source: str, sha256: str | None, cache: Path, marker: str) -> Path:
    """Return the folder in which the file `marker` (a relative path) lies: the root of dataset `name`.

    A folder is used in place; a URL is downloaded to `cache`/<name>.download; archives are unpacked to `cache`/<name>,
    whole or not at all, and unpacked again only if the archive or the folder has changed. `sha256` is the archive's.
    InputError for whatever is missing, damaged, hostile or not the file it should be; then nothing is left in `cache`.
    """
    if kind(source) == "folder":
        if sha256 is not None:
            raise InputError(f"{source}: expected no SHA-256 for a folder, found {sha256}")
        return _root(Path(source), marker, source)
    if kind(source) == "archive":
        archive = Path(source)
        if not archive.is_file():
            raise InputError(f"{source}: expected an archive, found no file")
        return _unpacked(archive, source, sha256, cache / name, marker, origin={})
    if not source.startswith(("http://", "https://")):
        raise InputError(
            f"{source}: expected a folder, an archive or an http(s) address, found {source.split(':')[0]!r}"
        )
    if _unpacked_before(source, sha256, cache / name):
        return _root(cache / name, marker, source)
    download = cache / f"{name}.download"
    archive = http_download.download(source, download)
    origin = {"url": source, "validator": http_download.validator_of(download)}
    try:
        root = _unpacked(archive, source, sha256, cache / name, marker, origin)
    except InputError:
        shutil.rmtree(download)
        raise
    shutil.rmtree(download)
    return root


def _unpacked_before(url: str, sha256: str | None, target: Path) -> bool:
    """Whether `target` provably holds what `url` has: by the archive's SHA-256 if that is known, else by the server."""
    record = _record(target)
    if sha256 is not None:
        return record.get("sha256") == sha256.lower()
    return record.get("url") == url and http_download.is_current(url, record["validator"])


def _root(folder: Path, marker: str, source: str) -> Path:
    """`folder` or the one folder in it that holds `marker`."""
    if not folder.is_dir():
        raise InputError(f"{source}: expected a folder with {marker}, found no folder")
    roots = [root for root in (folder, *sorted(folder.iterdir())) if (root / marker).is_file()]
    if len(roots) != 1:
        raise InputError(f"{source}: expected one folder with {marker}, found {len(roots)}")
    return roots[0]


def _unpacked(archive: Path, source: str, sha256: str | None, target: Path, marker: str, origin: dict) -> Path:
    found = sha256_of(archive)
    if sha256 is not None and found != sha256.lower():
        raise InputError(f"{source}: expected SHA-256 {sha256.lower()}, found {found}")
    if _record(target).get("sha256") != found:
        with replacing_folder(target) as scratch:
            archives.extract(archive, scratch)
            _root(scratch, marker, source)  # refused before it takes the place of what is there
            write_text(scratch / _RECORD, json.dumps({"sha256": found, **origin, **_contents(scratch)}, indent=1))
    return _root(target, marker, source)


def _record(folder: Path) -> dict:
    """What was unpacked to `folder`; empty if it was not, or if files have come or gone since."""
    try:
        record = json.loads((folder / _RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if record.items() >= _contents(folder).items() else {}


def _contents(folder: Path) -> dict[str, int]:
    sizes = [
        os.path.getsize(os.path.join(where, name))
        for where, _, names in os.walk(folder)
        for name in names
        if name != _RECORD
    ]
    return {"files": len(sizes), "bytes": sum(sizes)}


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
