"""Unpacks archives that nobody vouches for: plain files and folders, all inside the target, or nothing.

Every name and declared size is checked before the first byte is written, and the bytes that come are counted.
"""

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from handvae.base.errors import InputError
from handvae.base.progress import tracked

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_BYTES = 200 * 10**9
MAX_MEMBERS = 2_000_000  # NYU has 729,000
MAX_EXPANSION = 200  # times the archive's size: deflate can reach 1032, pictures and labels stay under 20
_SMALL_BYTES = 100 * 10**6  # any archive may expand to this much
_CHUNK_BYTES = 65536

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    LookupError,
    NotImplementedError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)  # slots: there may be a million of them
class _Member:
    name: str  # as the archive has it
    is_folder: bool
    size: int  # bytes, as declared
    refused: str  # what it is, if neither plain file nor folder
    open: Callable[[], BinaryIO]


def extract(archive: Path, target: Path, max_bytes: int = MAX_BYTES) -> None:
    """Unpack `archive` into the existing, empty folder `target`. File modes and owners are not taken over.

    InputError for a damaged or encrypted archive, for members that are links or devices, leave the target or collide,
    and for more bytes than `max_bytes`, the disk or sense allow; the caller then deletes `target`.
    """
    try:
        with _members(archive) as members:
            paths = _checked(archive, members, _limits(archive, target, max_bytes))
            for path, member in tracked(paths.items(), f"unpack {archive.name}", len(paths), "files"):
                _write(archive, member, target / path)
    except _DAMAGE as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{archive}: expected a whole archive, found damage ({reason})") from None


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            yield _zip_members(file)
    elif archive.name.endswith(SUFFIXES):
        with archive.open("rb") if archive.name.endswith(".tar") else gzip.open(archive) as file:
            yield _tar_members(file)
    else:
        raise InputError(f"{archive}: expected an archive ({', '.join(SUFFIXES)}), found another suffix")


def _zip_members(file: zipfile.ZipFile) -> Iterator[_Member]:
    open_member = file.open  # one bound method for all
    for info in file.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)  # Unix archivers keep the mode here, others leave 0
        refused = ""
        if info.flag_bits & 1:
            refused = "encrypted"
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            refused = "a link" if stat.S_ISLNK(kind) else "a device"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            refused = "compressed by an unusual method"  # LZMA may ask for gigabytes of memory
        yield _Member(info.filename, info.is_dir(), info.file_size, refused, partial(open_member, info))


def _tar_members(file: BinaryIO) -> Iterator[_Member]:
    archive = tarfile.open(fileobj=_SmallReads(file), mode="r:")  # noqa: SIM115, owns nothing: `file` is the caller's
    open_member = archive.extractfile  # one bound method for all
    end = 0
    while info := archive.next():
        refused = ""
        if info.issparse() or not (info.isreg() or info.isdir()):
            refused = "a link" if info.issym() or info.islnk() else "a device or other special file"
        end = info.offset_data + (-(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE if info.isreg() else 0)
        yield _Member(info.name, info.isdir(), info.size, refused, partial(open_member, info))
    # tarfile takes a damaged header for the end; the real end is a block of zeros
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end of archive after the last member")
    while file.read(_CHUNK_BYTES):  # gzip checks its sum at the end of the stream
        if file.tell() > end + _SMALL_BYTES:
            raise tarfile.ReadError("data after the end of archive")


class _SmallReads:
    """A file for tarfile that refuses large reads: it would load a long name or header of any claimed size."""

    def __init__(self, file: BinaryIO):
        self.tell, self.seek, self._read = file.tell, file.seek, file.read

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _CHUNK_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._read(size)


def _limits(archive: Path, target: Path, max_bytes: int) -> dict[str, int]:
    return {
        "allowed": min(max_bytes, MAX_BYTES),
        "free on the disk": shutil.disk_usage(target).free,
        f"plausible ({MAX_EXPANSION} times the archive)": max(MAX_EXPANSION * archive.stat().st_size, _SMALL_BYTES),
    }


def _checked(archive: Path, members: Iterator[_Member], limits: dict[str, int]) -> dict[str, _Member]:
    """Relative path to member, in the archive's order. InputError for anything but files and folders of sane size."""
    paths: dict[str, _Member] = {}
    tree, total = {}, 0
    for member in members:
        where = f"{archive}: member {member.name[:200]!r}"
        if len(paths) == MAX_MEMBERS:
            raise InputError(f"{archive}: expected at most {MAX_MEMBERS:,} members, found more")
        if member.refused:
            raise InputError(f"{where}: expected a plain file or folder, found it {member.refused}")
        if member.size < 0:
            raise InputError(f"{where}: expected a size, found {member.size}")
        total += member.size  # checked at once: tarfile would read through a terabyte to reach the next header
        for name, limit in limits.items():
            if total > limit:
                raise InputError(f"{where}: expected at most the {limit:,} bytes {name}, found {total:,} up to here")
        path = _checked_path(where, member.name)
        if not path:
            continue  # "./", the target itself
        # casefolded: two names that some file systems hold for one would overwrite each other
        if not _entered(tree, path.casefold().split("/"), member.is_folder):
            raise InputError(f"{where}: expected every path once, found it again")
        paths[path] = member
    return paths


def _entered(tree: dict[str, dict | None], parts: list[str], is_folder: bool) -> bool:
    """Enter a path into `tree`: name to the tree of a folder, None for a file. False if another is in its way."""
    *parents, name = parts
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if tree is None:
            return False
    if is_folder:
        return tree.setdefault(name, {}) is not None
    if name in tree:
        return False
    tree[name] = None
    return True


def _checked_path(where: str, name: str) -> str:
    parts = [part for part in name.removesuffix("/").split("/") if part != "."]
    if name.startswith("/") or ".." in parts or "" in parts or "\\" in name or (parts and ":" in parts[0]):
        raise InputError(f"{where}: expected a path below the archive's folder, found one that leads out of it")
    if len(name) > 1000 or any(len(os.fsencode(part)) > 255 for part in parts):
        raise InputError(f"{where}: expected a path that fits the file system, found a longer one")
    return "/".join(parts)


def _write(archive: Path, member: _Member, path: Path) -> None:
    if member.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with member.open() as source, path.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > member.size:
                break
            file.write(chunk)
    if written != member.size:
        raise InputError(
            f"{archive}: member {member.name!r}: expected {member.size:,} bytes, found {written:,} or more"
        )
