"""Archives as a folder on disk: fetched and unpacked once, with a record of which archives they were."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from handvae.base.atomic import replacing_folder, write_text
from handvae.base.errors import InputError
from handvae.base.system_files import is_system_file
from handvae.download import archives, http_download

Check = Callable[[Path], object]  # raises InputError for a folder that is not what it should be
RECORD = ".source.json"  # in an unpacked folder: which archives it came from and what they held


@dataclass(frozen=True)
class Archive:
    source: str
    sha256: str | None
    stem: str  # its file's name without suffix
    folder: str  # below the target, or ""

    @property
    def is_address(self) -> bool:
        return "://" in self.source


def fetch(parts: Sequence[Archive], target: Path, downloads: Path, check: Check) -> None:
    """Fill `target` with what the archives hold; they are unpacked again only if something has changed.

    `check` may refuse what was unpacked before it replaces what is there. On any InputError but that of a broken
    connection, nothing is left in `downloads`; after a broken connection another run goes on with what is there.
    """
    known = _known(target, parts)
    if not all(map(_is_unpacked, parts, known)):
        try:
            files = [
                http_download.download(part.source, downloads / part.stem) if part.is_address else Path(part.source)
                for part in parts
            ]
        finally:
            with suppress(OSError):
                downloads.rmdir()  # if it is empty
        try:
            identities = list(map(_identity, parts, files))
            if [new["sha256"] for new in identities] == [old.get("sha256") for old in known]:
                _write_record(target, identities)  # the addresses may be new
            else:
                _unpack(parts, files, identities, target, check)
        except InputError:  # and not at a full disk: the downloads are whole
            shutil.rmtree(downloads, ignore_errors=True)
            raise
    shutil.rmtree(downloads, ignore_errors=True)  # also what earlier runs began, of other archives


def _known(target: Path, parts: Sequence[Archive]) -> list[dict]:
    """What the record in `target` says of each archive; {} each if it holds others, or files have come or gone."""
    try:
        record = json.loads((target / RECORD).read_text())
    except (OSError, ValueError):
        record = {}
    known = record.get("parts", [])
    same = [identity["folder"] for identity in known] == [part.folder for part in parts]
    return known if same and record.items() >= _contents(target).items() else [{}] * len(parts)


def _is_unpacked(part: Archive, identity: dict) -> bool:
    """Whether `identity` is that of the file at the address, by its SHA-256 if that is known, else by the server."""
    if not part.is_address:
        return False
    if part.sha256 is not None:
        return identity.get("sha256") == part.sha256.lower()
    return identity.get("url") == part.source and http_download.is_current(part.source, identity["validator"])


def _identity(part: Archive, file: Path) -> dict:
    """What the record says of an archive. InputError if it is not the one that was expected."""
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if part.sha256 is not None and sha256 != part.sha256.lower():
        raise InputError(f"{part.source}: expected SHA-256 {part.sha256.lower()}, found {sha256}")
    web = {"url": part.source, "validator": http_download.validator_of(file.parent)} if part.is_address else {}
    return {"sha256": sha256, "folder": part.folder, **web}


def _unpack(
    parts: Sequence[Archive], files: Sequence[Path], identities: list[dict], target: Path, check: Check
) -> None:
    with replacing_folder(target) as scratch:
        for part, file in zip(parts, files, strict=True):
            (scratch / part.folder).mkdir(exist_ok=True)
            archives.extract(file, scratch / part.folder)
        check(scratch)
        _write_record(scratch, identities)


def _write_record(folder: Path, identities: list[dict]) -> None:
    write_text(folder / RECORD, json.dumps({"parts": identities, **_contents(folder)}, indent=1))


def _contents(folder: Path) -> dict[str, int]:
    """Number and bytes of the files, without what systems leave where people look (Finder's .DS_Store)."""
    sizes = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_system_file(name)]
        kept = [name for name in names if name != RECORD and not is_system_file(name)]
        sizes += [os.path.getsize(os.path.join(parent, name)) for name in kept]
    return {"files": len(sizes), "bytes": sum(sizes)}
