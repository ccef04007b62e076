"""Where a dataset's raw files come from: a folder, or archives here or on the web. All end as a folder on disk."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from handvae.base.errors import InputError
from handvae.download import archives, unpacked
from handvae.download.unpacked import Archive

Find = Callable[[Path], Path]  # a dataset's root in a folder: the folder or one below. InputError if it is not there.

_SHOWN = 3  # names of a list's pieces; more are counted
# One folder that Google Drive sends as several archives: STB-20240131T120000Z-001.zip, or ...Z-1-001.zip, and so on.
_PART = re.compile(r"(?P<name>.+?)(?P<time>-\d{8}T\d{6}Z(-\d{1,2})?)?-\d{3}")
_SPLIT = re.compile(r"\.(z\d\d|(zip|tar|gz|tgz|7z)\.\d{2,3})$", re.IGNORECASE)  # pieces that are no archives themselves


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
    or its folder has changed. The parts of one split download, x-001.zip and so on, count as one archive x. `sha256` is
    the archive's; for a list, one or None for each. InputError for whatever is missing, damaged, hostile or not the
    file it should be, and what `find` raises, with the source before it; nothing of that archive is left then. The
    other pieces of a list stay for the next run, but if `find` refuses them together, those unpacked in this call are
    removed.
    """
    if not isinstance(source, str):
        return _locate_list(name, source, sha256, cache, find)
    if not isinstance(sha256, str | None):
        raise InputError(f"{source}: expected one SHA-256 for one source, found a list of {len(sha256)}")
    if kind(source) != "folder":
        archive = Archive(source, sha256, cache / f"{name}.download")
        unpacked.fetch([archive], cache / name, lambda folder: _found(find, folder, source))
        return _found(find, cache / name, source)
    if sha256 is not None:
        raise InputError(f"{source}: expected no SHA-256 for a folder, found {sha256}")
    if Path(source).is_file():
        found = "a piece of a split one; join them first" if _SPLIT.search(source) else "another file"
        raise InputError(f"{source}: expected a folder or an archive ({archives.KINDS}), found {found}")
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
    target, downloads, label = cache / name, cache / f"{name}.download", f"{name} ({shown(pieces)})"
    groups = _groups({stem: Archive(*one, downloads / stem) for stem, *one in zip(stems, pieces, sums, strict=True)})
    new = []
    try:
        if len(groups) == 1:  # as a single archive
            unpacked.fetch(*groups.values(), target, lambda folder: _found(find, folder, label))
        else:
            _keep_only(groups, target)
            for folder, parts in groups.items():
                if unpacked.fetch(parts, target / folder):  # whatever it holds: `find` sees all of them together
                    new.append(target / folder)
        shutil.rmtree(downloads, ignore_errors=True)  # what earlier runs began, of other pieces
        return _found(find, target, label, refused=new)
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
        file_name = unpacked.checked_address(piece) if kind(piece) == "url" else unpacked.checked_file(piece).name
        stem = file_name.removesuffix(next(suffix for suffix in archives.SUFFIXES if file_name.endswith(suffix)))
        if not stem or stem.startswith(".") or stem.endswith(".partial"):  # "..", or a name that we use
            raise InputError(f"{piece}: expected a file name that can name a folder, found {file_name!r}")
        if stem.casefold() in stems:
            raise InputError(f"{piece}: expected archives of different names in a list, found {stem!r} again")
        stems[stem.casefold()] = stem
    return list(stems.values())


def _groups(pieces: dict[str, Archive]) -> dict[str, list[Archive]]:
    """By the names of the folders in which they are unpacked: the parts of one download, or an archive alone."""
    parts = {stem: _PART.fullmatch(stem) for stem in pieces}
    names = {stem: part["name"] if part else stem for stem, part in parts.items()}
    times = Counter(name.casefold() for name in names.values())
    groups: dict[str, list[Archive]] = {}
    folders: dict[str, str] = {}  # by their casefolded selves, as in `_stems`
    for stem, piece in pieces.items():
        several = times[names[stem].casefold()] > 1 or (parts[stem] and parts[stem]["time"])
        name = names[stem] if several else stem
        groups.setdefault(folders.setdefault(name.casefold(), name), []).append(piece)
    return {name: sorted(group, key=lambda piece: piece.download) for name, group in groups.items()}


def _keep_only(names: Collection[str], folder: Path) -> None:
    """Remove from `folder` what an earlier list, a single archive or a killed run left there: it would be read."""
    if (folder / unpacked.RECORD).exists():  # one archive's: its folders are no pieces, whatever their names
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
