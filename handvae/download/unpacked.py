"""Archives as folders on disk: fetched and unpacked once, with a record of which archives they were."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from handvae.base.atomic import replacing_folder, write_text
from handvae.base.errors import InputError
from handvae.base.system_files import is_system_file
from handvae.download import archives, http_download

RECORD = ".source.json"  # in an unpacked folder: which archives it came from and what they held


@dataclass(frozen=True)
class Archive:
    source: str
    sha256: str | None
    download: Path  # the folder to which an address is downloaded

    @property
    def is_address(self) -> bool:
        return "://" in self.source


def fetch(parts: Sequence[Archive], target: Path, check: Callable[[Path], object] = lambda folder: None) -> bool:
    """See to it that `target` holds what an archive does, or the parts of one; True if it had to be unpacked.

    `check` may refuse what was unpacked before it takes the place of what is there. On any InputError but that of a
    broken connection, nothing of the archives that were downloaded is left.
    """
    record = _record(target)
    known = record.get("parts", [record])
    known = known if len(known) == len(parts) else [{}] * len(parts)
    if all(_unpacked_before(part, was) for part, was in zip(parts, known, strict=True)):
        return False
    downloads = [part.download for part in parts if part.is_address]
    files = [_file_of(part) for part in parts]
    try:
        found = [_identified(part, file) for part, file in zip(parts, files, strict=True)]
        unpacked = [one["sha256"] for one in found] != [was.get("sha256") for was in known]
        if unpacked:
            _unpack(files, found, target, check)
        else:  # where they can be had now
            found = [{**was, **one} for was, one in zip(known, found, strict=True)]
            write_text(target / RECORD, json.dumps({**record, **_as_record(found)}, indent=1))
    except (OSError, MemoryError):
        raise  # this machine's trouble, a full disk for one: the download is whole, and the next run goes on from it
    except Exception:
        for download in downloads:
            shutil.rmtree(download)
        raise
    for download in downloads:
        shutil.rmtree(download)
    return unpacked


def _unpacked_before(part: Archive, record: dict) -> bool:
    """Whether `record` provably is of what the address has: by the SHA-256 if that is known, else by the server."""
    if not part.is_address:
        return False
    checked_address(part.source)
    if part.sha256 is not None:
        return record.get("sha256") == part.sha256.lower()
    return record.get("url") == part.source and http_download.is_current(part.source, record["validator"])


def _file_of(part: Archive) -> Path:
    if not part.is_address:
        return checked_file(part.source)
    return http_download.download(part.source, part.download)


def _identified(part: Archive, file: Path) -> dict:
    """What the record says of an archive. InputError if it is not the one that was expected."""
    found = sha256_of(file)
    if part.sha256 is not None and found != part.sha256.lower():
        raise InputError(f"{part.source}: expected SHA-256 {part.sha256.lower()}, found {found}")
    if not part.is_address:
        return {"sha256": found}
    return {"sha256": found, "url": part.source, "validator": http_download.validator_of(part.download)}


def _unpack(files: Sequence[Path], found: list[dict], target: Path, check: Callable[[Path], object]) -> None:
    with replacing_folder(target) as scratch:
        for file in files:
            archives.extract(file, scratch)
        check(scratch)
        write_text(scratch / RECORD, json.dumps({**_as_record(found), **_contents(scratch)}, indent=1))


def _as_record(found: list[dict]) -> dict:
    return found[0] if len(found) == 1 else {"parts": found}


def _record(folder: Path) -> dict:
    """What was unpacked to `folder`; empty if it was not, or if files have come or gone since."""
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if record.items() >= _contents(folder).items() else {}


def _contents(folder: Path) -> dict[str, int]:
    """Number and bytes of the files, without what systems leave where people look (Finder's .DS_Store)."""
    sizes = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_system_file(name)]
        kept = [name for name in names if name != RECORD and not is_system_file(name)]
        sizes += [os.path.getsize(os.path.join(where, name)) for name in kept]
    return {"files": len(sizes), "bytes": sum(sizes)}


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_file(source: str) -> Path:
    if not Path(source).is_file():
        raise InputError(f"{source}: expected an archive, found no file")
    return Path(source)


def checked_address(source: str) -> str:
    """The name of the file at this address."""
    if not source.isprintable():
        raise InputError(f"{source!r}: expected an address of one line, found other characters in it")
    if not source.startswith(("http://", "https://")):
        raise InputError(
            f"{source}: expected a folder, an archive or an http(s) address, found {source.split(':')[0]!r}"
        )
    return http_download.file_name(source)
