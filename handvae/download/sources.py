"""Where a dataset's raw files come from: a folder, or archives here or on the web. All end as a folder on disk."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from handvae.base.atomic import replacing_folder, write_text
from handvae.base.errors import InputError
from handvae.download import archives, http_download

Find = Callable[[Path], Path]  # a dataset's root in a folder: the folder or one below. InputError if it is not there.

_RECORD = ".source.json"  # in an unpacked folder: which archive it came from and what it held
_SHOWN = 3  # names of a list's pieces; more are counted


def kind(source: str | Sequence[str]) -> str:
    """ "url", "archive" or "folder"; a list is never a folder, and "url" if any piece of it is."""
    if not isinstance(source, str):
        return "url" if "url" in map(kind, source) else "archive"
    if "://" in source:
        return "url"
    return "archive" if source.endswith(archives.SUFFIXES) and not Path(source).is_dir() else "folder"


def shown(source: str | Sequence[str]) -> str:
    """A short text for reports: file or folder names only, never a path, host or query."""
    if not isinstance(source, str):
        names = [shown(piece) for piece in source]
        more = len(names) - _SHOWN
        return ", ".join(names) if more <= 0 else f"{', '.join(names[:_SHOWN])} and {more} more"
    if kind(source) == "url":
        return source.partition("://")[2].partition("?")[0].partition("#")[0].rpartition("/")[2]
    return os.path.basename(os.path.abspath(source))


def locate(
    name: str,
    source: str | Sequence[str],
    sha256: str | Sequence[str | None] | None,
    cache: Path,
    find: Find,
) -> Path:
    """Return the root of dataset `name`, as `find` finds it in what `source` holds.

    A folder is used in place; an archive (a file or an http(s) address) is unpacked to `cache`/<name>, each of a list
    of them to `cache`/<name>/<its name without suffix>: whole or not at all, and fetched or unpacked again only if it
    or its folder has changed. `sha256` is the archive's; for a list, one or None for each. InputError for whatever is
    missing, damaged, hostile or not the file it should be, and what `find` raises, with the source before it; nothing
    of that archive is left then. The other pieces of a list stay for the next run, but if `find` refuses them together,
    those unpacked in this call are removed.
    """
    if not isinstance(source, str):
        return _locate_list(name, source, sha256, cache, find)
    if not isinstance(sha256, str | None):
        raise InputError(f"{source}: expected one SHA-256 for one source, found a list of {len(sha256)}")
    if kind(source) != "folder":
        _fetch(source, sha256, cache / name, cache / f"{name}.download", find)
        return _found(find, cache / name, source)
    if sha256 is not None:
        raise InputError(f"{source}: expected no SHA-256 for a folder, found {sha256}")
    if Path(source).is_file():
        raise InputError(f"{source}: expected a folder or an archive ({archives.KINDS}), found another file")
    if not Path(source).is_dir():
        raise InputError(f"{source}: expected a folder, found no folder")
    return _found(find, Path(source), source)


def _locate_list(
    name: str, pieces: Sequence[str], sha256: str | Sequence[str | None] | None, cache: Path, find: Find
) -> Path:
    stems = _stems(name, pieces)
    sums = [None] * len(pieces) if sha256 is None else sha256
    if isinstance(sums, str) or len(sums) != len(pieces):
        found = "a single one" if isinstance(sums, str) else f"a list of {len(sums)}"
        raise InputError(f"{name}: expected null or a list of {len(pieces)} SHA-256, one per archive, found {found}")
    target, downloads = cache / name, cache / f"{name}.download"
    _keep_only(stems, target)
    new = []
    try:
        for stem, piece, piece_sum in zip(stems, pieces, sums, strict=True):
            # whatever a piece holds will do: `find` sees all of them together
            if _fetch(piece, piece_sum, target / stem, downloads / stem, find=lambda folder: folder):
                new.append(target / stem)
        shutil.rmtree(downloads, ignore_errors=True)  # what earlier runs began, of other pieces
        return _found(find, target, f"{name} ({shown(pieces)})", refused=new)
    finally:
        for folder in (target, downloads):
            with suppress(OSError):
                folder.rmdir()  # if it is empty


def _stems(name: str, pieces: Sequence[str]) -> list[str]:
    """The names of the folders of a list's pieces. InputError for whatever can be refused before any is fetched."""
    if not pieces:
        raise InputError(f"{name}: expected archives or addresses of archives, found an empty list")
    stems: dict[str, str] = {}  # by its casefolded self: some file systems hold A and a for one
    for piece in pieces:
        if kind(piece) == "folder":
            raise InputError(
                f"{piece}: expected only archives and addresses of archives in a list, found neither ({archives.KINDS})"
            )
        file_name = _checked_address(piece) if kind(piece) == "url" else _checked_file(piece).name
        stem = file_name.removesuffix(next(suffix for suffix in archives.SUFFIXES if file_name.endswith(suffix)))
        if not stem or stem.startswith(".") or stem.endswith(".partial"):  # "..", or a name that we use
            raise InputError(f"{piece}: expected a file name that can name a folder, found {file_name!r}")
        if stem.casefold() in stems:
            raise InputError(f"{piece}: expected archives of different names in a list, found {stem!r} again")
        stems[stem.casefold()] = stem
    return list(stems.values())


def _checked_file(source: str) -> Path:
    if not Path(source).is_file():
        raise InputError(f"{source}: expected an archive, found no file")
    return Path(source)


def _checked_address(source: str) -> str:
    """The name of the file at this address."""
    if not source.isprintable():
        raise InputError(f"{source!r}: expected an address of one line, found other characters in it")
    if not source.startswith(("http://", "https://")):
        raise InputError(
            f"{source}: expected a folder, an archive or an http(s) address, found {source.split(':')[0]!r}"
        )
    return http_download.file_name(source)


def _keep_only(names: Collection[str], folder: Path) -> None:
    """Remove from `folder` what an earlier list, a single archive or a killed run left there: it would be read."""
    if (folder / _RECORD).exists():  # one archive's: its folders are no pieces, whatever their names
        shutil.rmtree(folder)
    for path in folder.iterdir() if folder.exists() else ():
        if path.name in names and path.is_dir():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _found(find: Find, folder: Path, source: str, refused: Collection[Path] = ()) -> Path:
    """What `find` returns; if it refuses, the folders `refused` are removed."""
    try:
        return find(folder)
    except InputError as error:
        for path in refused:
            shutil.rmtree(path)
        reason = str(error).removeprefix(f"{folder}: ")  # `source` says it better, and a scratch folder is gone
        raise InputError(f"{source}: {reason}") from None


def _fetch(source: str, sha256: str | None, target: Path, download: Path, find: Find) -> bool:
    """See to it that `target` holds what the archive `source` does; True if it had to be unpacked."""
    if kind(source) == "archive":
        return _unpack(_checked_file(source), source, sha256, target, find, origin={})
    _checked_address(source)
    if _unpacked_before(source, sha256, target):
        return False
    archive = http_download.download(source, download)
    origin = {"url": source, "validator": http_download.validator_of(download)}
    try:
        unpacked = _unpack(archive, source, sha256, target, find, origin)
    except (OSError, MemoryError):
        raise  # this machine's trouble, a full disk for one: the download is whole, and the next run goes on from it
    except Exception:
        shutil.rmtree(download)
        raise
    shutil.rmtree(download)
    return unpacked


def _unpacked_before(url: str, sha256: str | None, target: Path) -> bool:
    """Whether `target` provably holds what `url` has: by the archive's SHA-256 if that is known, else by the server."""
    record = _record(target)
    if sha256 is not None:
        return record.get("sha256") == sha256.lower()
    return record.get("url") == url and http_download.is_current(url, record["validator"])


def _unpack(archive: Path, source: str, sha256: str | None, target: Path, find: Find, origin: dict) -> bool:
    found = sha256_of(archive)
    if sha256 is not None and found != sha256.lower():
        raise InputError(f"{source}: expected SHA-256 {sha256.lower()}, found {found}")
    record = _record(target)
    if record.get("sha256") == found:
        write_text(target / _RECORD, json.dumps({**record, **origin}, indent=1))  # where it can be had now
        return False
    with replacing_folder(target) as scratch:
        archives.extract(archive, scratch)
        _found(find, scratch, source)  # refused before it takes the place of what is there
        write_text(scratch / _RECORD, json.dumps({"sha256": found, **origin, **_contents(scratch)}, indent=1))
    return True


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
