"""Where a dataset's raw files come from: a folder, or archives here or on the web. All end as a folder on disk."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path

from handvae.base.errors import InputError
from handvae.download import archives, http_download, unpacked
from handvae.download.unpacked import Archive

Find = Callable[[Path], Path]  # a dataset's root in a folder: the folder or one below. InputError if it is not there.

_NAMED = 3  # pieces of a list that are named; more are counted
# One folder that Google Drive sends as several archives: STB-20240131T120000Z-001.zip, or ...Z-1-001.zip, and so on.
_PART = re.compile(r"(?P<name>.+?)(?P<time>-\d{8}T\d{6}Z(-\d{1,2})?)?-\d{3}")
_SPLIT = re.compile(r"\.(z\d\d|(zip|tar|gz|tgz|7z)\.\d{2,3})$", re.IGNORECASE)  # pieces that are no archives themselves


def source_type(source: str | Sequence[str]) -> str:
    """ "url", "archive" or "folder"; a list is never a folder, and "url" if any piece of it is."""
    if not isinstance(source, str):
        return "url" if "url" in map(source_type, source) else "archive"
    if "://" in source:
        return "url"
    return "archive" if source.lower().endswith(archives.SUFFIXES) and not Path(source).is_dir() else "folder"


def short_name(source: str | Sequence[str]) -> str:
    """A short text for reports: file or folder names only, never a path, host or query."""
    if not isinstance(source, str):
        names = [short_name(piece) for piece in source]
        more = len(names) - _NAMED
        return ", ".join(names) if more <= 0 else f"{', '.join(names[:_NAMED])} and {more} more"
    if source_type(source) == "url":
        return source.partition("://")[2].partition("?")[0].partition("#")[0].rpartition("/")[2]
    return os.path.basename(os.path.abspath(source))


def locate(
    name: str, source: str | Sequence[str], sha256: str | Sequence[str | None] | None, cache: Path, find: Find
) -> Path:
    """Return the root of dataset `name`, as `find` finds it in what `source` holds.

    A folder is used in place. An archive (a file or an http(s) address) is unpacked to `cache`/<name>, each of a list
    of them to `cache`/<name>/<its name without suffix>, all or nothing, and again only if one of them or the folder has
    changed. The parts of one split download, x-001.zip and so on, count as one archive x. `sha256` is the archive's;
    for a list, one or None for each. InputError for whatever is missing, damaged, hostile or not the file it should be,
    and what `find` raises, with the source before it; nothing is left then but a download that broke off.
    """
    if source_type(source) == "folder":
        return _root(find, _checked_folder(source, sha256), source)
    pieces, label = ([source], source) if isinstance(source, str) else (source, f"{name} ({short_name(source)})")
    sums = [sha256] * len(pieces) if sha256 is None else [sha256] if isinstance(sha256, str) else sha256
    if not pieces or len(sums) != len(pieces):
        raise InputError(f"{label}: expected archives, and null or one SHA-256 for each, found {sha256}")
    stems = [_stem(piece, cache / name) for piece in pieces]
    target, downloads = cache / name, cache / f"{name}.download"
    parts = map(Archive, pieces, sums, stems, _folders(pieces, stems))
    unpacked.fetch(sorted(parts, key=attrgetter("stem")), target, downloads, lambda folder: _root(find, folder, label))
    return _root(find, target, label)


def _checked_folder(source: str, sha256: object) -> Path:
    if Path(source).is_file():
        actual = "a piece of a split one; join them first" if _SPLIT.search(source) else "another file"
        raise InputError(f"{source}: expected a folder or an archive ({', '.join(archives.SUFFIXES)}), found {actual}")
    if not Path(source).is_dir():
        raise InputError(f"{source}: expected a folder, found no folder")
    if sha256 is not None:
        raise InputError(f"{source}: expected no SHA-256 for a folder, found {sha256}")
    return Path(source)


def _stem(piece: str, target: Path) -> str:
    """The name without suffix of the archive that lies there, or at this address; unpacked it lies in `target`."""
    if source_type(piece) == "folder":
        raise InputError(
            f"{piece}: expected an archive ({', '.join(archives.SUFFIXES)}) or the address of one, found neither"
        )
    if "://" not in piece and not Path(piece).is_file():
        instead = f"; what was unpacked before can be the source itself: {target}" if target.is_dir() else ""
        raise InputError(f"{piece}: expected an archive, found no file{instead}")
    file_name = http_download.file_name(piece) if "://" in piece else Path(piece).name
    stem = file_name[: -len(next(filter(file_name.lower().endswith, archives.SUFFIXES)))]
    if not stem or stem.startswith("."):  # ".."
        raise InputError(f"{piece}: expected a file name that can name a folder, found {file_name!r}")
    return stem


def _folders(pieces: Sequence[str], stems: Sequence[str]) -> list[str]:
    """The folder in the target for each archive; "" if there is only one, or only the parts of one."""
    if len(set(map(str.casefold, stems))) < len(stems):  # on some file systems A and a are the same
        raise InputError(f"{', '.join(pieces)}: expected archives of different names in a list, found one again")
    parts = [_PART.fullmatch(stem) for stem in stems]
    wholes = [part["name"] if part else stem for part, stem in zip(parts, stems, strict=True)]
    counts = Counter(map(str.casefold, wholes))
    folders, spelled = [], {}
    for stem, part, whole in zip(stems, parts, wholes, strict=True):
        is_part = counts[whole.casefold()] > 1 or (part and part["time"])
        folder = whole if is_part else stem
        folders.append(spelled.setdefault(folder.casefold(), folder))
    return folders if len(spelled) > 1 else [""] * len(folders)


def _root(find: Find, folder: Path, source: str) -> Path:
    try:
        return find(folder)
    except InputError as error:
        reason = str(error).removeprefix(f"{folder}: ")  # `source` says it better, and a scratch folder is gone
        raise InputError(f"{source}: {reason}") from None
