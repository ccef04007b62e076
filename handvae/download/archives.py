"""Unpacks archives that nobody vouches for: plain files and folders, all inside the target, or nothing.

Every name and declared size is checked before the first byte is written, and the bytes that come are counted.
"""

import errno
import gzip
import io
import os
import shutil
import stat
import struct
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
from handvae.base.system_files import is_system_file

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
KINDS = ", ".join(SUFFIXES)  # for messages
MAX_BYTES = 200 * 10**9
MAX_MEMBERS = 1_000_000  # NYU has 729,081; the list of a million takes a gigabyte of memory
MAX_EXPANSION = 200  # times the archive's size: deflate can reach 1032, pictures and labels stay under 20
_SMALL_BYTES = 100 * 10**6  # any archive may expand to this much
_CHUNK_BYTES = 65536
_PAX_TYPES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_EXTRA_TYPES = (*_PAX_TYPES, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_EXTRA_HEADERS = 16  # before one tar member's own: a real one has each kind once at most

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    NotImplementedError,
    RecursionError,
)
_NAMES = (errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG)  # a file system's answers to a name that it cannot hold


@dataclass(frozen=True, slots=True)  # slots: there may be a million of them
class _Member:
    name: str  # as the archive has it, but for Windows' backslashes
    is_folder: bool
    size: int  # bytes, as declared
    refused: str  # what it is, if neither plain file nor folder
    open: Callable[[], BinaryIO]


def extract(archive: Path, target: Path, max_bytes: int = MAX_BYTES) -> None:
    """Unpack `archive` into the folder `target`, which is empty or holds other parts of the same download.

    File modes and owners are not taken over, what operating systems add is left out. InputError for a damaged or
    encrypted archive, for members that are links or devices, leave the target or collide, and for more bytes than
    `max_bytes`, the disk or sense allow; the caller then deletes `target`.
    """
    try:
        with _members(archive) as members:
            paths = _checked(archive, members, _limits(archive, target, max_bytes))
            for path, member in tracked(paths.items(), f"unpack {archive.name}", len(paths), "files"):
                _write(archive, member, target / path)
    except _DAMAGE as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{archive}: expected a whole archive, found damage ({reason}) in its {archive.stat().st_size:,} bytes; "
            "download it again"
        ) from None
    except (FileExistsError, NotADirectoryError) as error:
        again = Path(error.filename).relative_to(target)
        raise InputError(
            f"{archive}: expected every path once in all parts of a download, found {again} again"
        ) from None
    except OSError as error:
        if error.errno not in _NAMES:
            raise
        raise InputError(f"{archive}: expected names that this file system can hold, found {error}") from None


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    if archive.name.endswith(".zip"):
        with archive.open("rb") as file:
            _check_directory(archive, file)
            yield _zip_members(file, archive.stat().st_size)
    elif archive.name.endswith(SUFFIXES):
        with archive.open("rb") if archive.name.endswith(".tar") else gzip.open(archive) as file:
            yield _tar_members(file, _plausible_bytes(archive))
    else:
        raise InputError(f"{archive}: expected an archive ({KINDS}), found another suffix")


def _check_directory(archive: Path, file: BinaryIO) -> None:
    """Count a zip's entries: zipfile takes a kilobyte of memory for each, and believes one that hides those after it.

    InputError for too many; BadZipFile if the record at the end, where zipfile looks for it too, counts otherwise.
    """
    length = file.seek(0, os.SEEK_END)
    tail_start = file.seek(max(length - 76 - 22 - 65535, 0))  # zip64's two records, the last one, its comment
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or end + 22 > len(tail):
        raise zipfile.BadZipFile("no end record")
    disk, count, size = (*struct.unpack_from("<H", tail, end + 4), *struct.unpack_from("<HI", tail, end + 10))
    if disk not in (0, 0xFFFF):
        raise InputError(f"{archive}: expected a whole archive, found the last piece of a split one; join them first")
    if end >= 76 and tail[end - 20 :].startswith(b"PK\6\7") and tail[end - 76 :].startswith(b"PK\6\6"):
        end -= 76
        count, size = struct.unpack_from("<QQ", tail, end + 32)
    stop = tail_start + end
    if size > stop:
        raise zipfile.BadZipFile("a directory larger than the file")
    found, position = 0, file.seek(stop - size)
    while position < stop:
        if found == MAX_MEMBERS:
            raise InputError(f"{archive}: expected at most {MAX_MEMBERS:,} members, found more")
        found += 1
        position = file.seek(sum(struct.unpack_from("<3H", file.read(46), 28)), os.SEEK_CUR)  # name, extra, comment
    if (found - count) % 65536:  # macOS writes large counts without zip64, in the 16 bits that there are
        raise zipfile.BadZipFile(f"{count:,} entries announced and {found:,} there")


def _zip_members(raw: BinaryIO, size: int) -> Iterator[_Member]:
    file = zipfile.ZipFile(raw)  # owns nothing: `raw` is the caller's
    open_member = file.open  # one bound method for all
    for info in file.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)  # Unix archivers keep the mode here, others leave 0
        refused = ""
        if not 0 <= info.header_offset < size:
            raise zipfile.BadZipFile(f"a member at byte {info.header_offset:,}")
        if info.flag_bits & 1:
            refused = "encrypted"
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            refused = "a link" if stat.S_ISLNK(kind) else "a device"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            refused = "compressed by an unusual method"  # LZMA may ask for gigabytes of memory
        # PowerShell 5 and other programs of Windows write backslashes, against the standard
        name = info.filename.replace("\\", "/")
        yield _Member(name, name.endswith("/"), info.file_size, refused, partial(open_member, info))


def _tar_members(file: BinaryIO, max_bytes: int) -> Iterator[_Member]:
    """tarfile parses single blocks only: its reader takes quadratic time for some headers, and memory for all."""
    extra, headers = {}, 0  # what headers before the member's own say of it, and how many
    while (block := file.read(tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")  # raises for the end of the file
        if info.type in _EXTRA_TYPES:
            headers += 1
            if headers > _EXTRA_HEADERS or not 0 <= info.size <= _CHUNK_BYTES:
                raise tarfile.ReadError(f"a header of {info.size:,} bytes, number {headers} of one member")
            if file.tell() > max_bytes:  # of members alone we would know from their sizes
                raise tarfile.ReadError(f"headers that expand to more than {max_bytes:,} bytes")
            extra |= _extra(info.type, file.read(_padded(info.size))[: info.size])
            continue
        is_plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
        refused = ""
        if not (is_plain or info.isdir()) or any(key.startswith("GNU.sparse.") for key in extra):
            refused = "a link" if info.issym() or info.islnk() else "a device or other special file"
        size, start = int(extra.get("size", info.size)), file.tell()
        yield _Member(extra.get("path", info.name), info.isdir(), size, refused, partial(_Part, file, start, size))
        file.seek(start + _padded(size) if is_plain else start)
        extra, headers = {}, 0
    if headers:
        raise tarfile.ReadError("a header without its member at the end")
    end = file.tell()
    while file.read(_CHUNK_BYTES):  # gzip checks its sum at the end of the stream
        if file.tell() > end + _SMALL_BYTES:
            raise tarfile.ReadError("data after the end of archive")


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _extra(kind: bytes, content: bytes) -> dict[str, str]:
    """What an extra header says of the next member. A pax one has lines "<the line's length> <key>=<value>"."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": _text(content.partition(b"\0")[0])}
    said, position = {}, 0 if kind in _PAX_TYPES else len(content)  # links and what is said of all members: not read
    while position < len(content):
        digits = content[position : position + 6].partition(b" ")[0]
        record = content[position : position + int(digits)]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) != int(digits) or not equals or not record.endswith(b"\n"):
            raise tarfile.ReadError("a pax header with a bad record")
        said[_text(key)] = _text(value)
        position += len(record)
    return said


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


class _Part(io.RawIOBase):
    """`size` bytes of `file` from `start` on, for reading once."""

    def __init__(self, file: BinaryIO, start: int, size: int):
        file.seek(start)
        self._file, self._left = file, size

    def read(self, size: int) -> bytes:
        content = self._file.read(min(size, self._left))
        self._left -= len(content)
        return content


def _limits(archive: Path, target: Path, max_bytes: int) -> dict[str, int]:
    return {
        "allowed": min(max_bytes, MAX_BYTES),
        "free on the disk": shutil.disk_usage(target).free,
        f"plausible ({MAX_EXPANSION} times the archive)": _plausible_bytes(archive),
    }


def _plausible_bytes(archive: Path) -> int:
    return max(MAX_EXPANSION * archive.stat().st_size, _SMALL_BYTES)


def _checked(archive: Path, members: Iterator[_Member], limits: dict[str, int]) -> dict[str, _Member]:
    """Relative path to member, in the archive's order. InputError for anything but files and folders of sane size."""
    paths: dict[str, _Member] = {}
    tree, total = {}, 0
    for number, member in enumerate(members):
        where = f"{archive}: member {member.name[:200]!r}"
        if number == MAX_MEMBERS:  # of whatever path: a million times "./" is too many
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
        if not path or any(map(is_system_file, path.split("/"))):
            continue  # "./", the target itself; __MACOSX and the like
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
