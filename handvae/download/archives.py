"""Unpacks archives that nobody vouches for: plain files and folders, all inside the target, or an InputError.

tarfile and zipfile parse, and check sums. This module refuses what they do silently: follow links, drop "..", write a
file twice, expand without bound. (tarfile's `data` filter allows links and is not in every 3.11; zipfile has none.)
"""

import errno
import gzip
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import BinaryIO

from handvae.base.errors import InputError
from handvae.base.progress import Progress, tracked
from handvae.base.system_files import is_system_file

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
TAR = b"ustar"  # from byte 257 on
MAX_BYTES = 200 * 10**9
MAX_EXPANSION = 200  # times the archive's size: deflate can reach 1032, pictures and labels stay under 20
SMALL_BYTES = 100 * 10**6  # any archive may expand to this much
MAX_MEMBERS = 1_000_000  # NYU has 729,081
_MB = 10**6

# what the two modules, and this one, raise for a bad archive; of OSErrors, those with one of these codes
_BAD = (tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error, OSError)
_BAD += (EOFError, ValueError, LookupError, ArithmeticError, RuntimeError)
_BAD_CODES = (None, errno.EEXIST, errno.ENOTDIR, errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG)


def extract(archive: Path, target: Path) -> None:
    """Unpack `archive` into the folder `target`, which is empty or holds other parts of the same download.

    File modes and owners are not taken over, what operating systems add is left out. InputError for a damaged or
    encrypted archive, for links and devices, paths that leave the target or are there twice, and for more bytes than
    MAX_BYTES or MAX_EXPANSION allow; the caller then deletes `target`.
    """
    most_bytes = min(MAX_BYTES, max(MAX_EXPANSION * archive.stat().st_size, SMALL_BYTES))
    unpack = _unpack_zip if archive.name.lower().endswith(".zip") else _unpack_tar
    try:
        unpack(archive, target, most_bytes)
    except _BAD as error:
        if isinstance(error, OSError) and error.errno not in _BAD_CODES:
            raise
        raise InputError(
            f"{archive}: expected a whole archive of plain files and folders, each once in all parts of a download, "
            f"found {' '.join(str(error).split())}; download its {archive.stat().st_size:,} bytes again, or join "
            "its pieces"
        ) from None


def _unpack_zip(archive: Path, target: Path, most_bytes: int) -> None:
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
        _check_number(len(infos))
        total = sum(info.file_size for info in infos)  # zipfile hands out no more of a member than it declares
        if total > most_bytes:
            raise ValueError(f"more than {most_bytes:,} bytes in it")
        if total > (free := shutil.disk_usage(target).free):
            raise OSError(errno.ENOSPC, f"expected {total:,} bytes free to unpack {archive}, found {free:,}")
        for info in tracked(infos, f"unpack {archive.name}", len(infos), "files"):
            if b"PK\1\2" in info.comment + info.extra:  # a length with a flipped bit; zipfile does not miss them
                raise ValueError(f"members hidden behind {info.filename!r}")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may ask for gigabytes
                raise ValueError(f"{info.filename!r} compressed by an unusual method")
            # PowerShell 5 and other programs of Windows write backslashes, against the standard
            name = info.filename.replace("\\", "/")
            mode = stat.S_IFMT(info.external_attr >> 16)  # Unix archivers keep it here, others leave 0
            _write(target, name, name.endswith("/"), mode in (0, stat.S_IFREG), partial(file.open, info))


def _unpack_tar(archive: Path, target: Path, most_bytes: int) -> None:
    def read(size: int) -> bytes:
        if file.tell() > most_bytes:
            raise ValueError(f"more than {most_bytes:,} bytes in it")
        return file.read(size)

    progress = Progress(f"unpack {archive.name}", max(archive.stat().st_size // _MB, 1), "MB")
    with archive.open("rb") as raw:
        # whatever its name says: a browser may have undone the compression of a .tar.gz on the way
        is_tar = archive.name.lower().endswith(".tar") or raw.read(257 + len(TAR))[257:] == TAR
        raw.seek(0)
        file = raw if is_tar else gzip.GzipFile(fileobj=raw)
        with tarfile.open(fileobj=SimpleNamespace(read=read), mode="r|", tarinfo=_StrictInfo) as tar:
            for number, info in enumerate(tar, 1):
                _check_number(number)
                tar.members.clear()  # it would keep all of them in memory
                is_file = info.isreg() and not info.issparse() and info.size >= 0
                _write(target, info.name, info.isdir(), is_file, partial(tar.extractfile, info))
                progress.advance_to(raw.tell() // _MB)
        while read(_MB):  # gzip checks its sum at the end of the stream
            pass


def _check_number(members: int) -> None:
    if members > MAX_MEMBERS:
        raise ValueError(f"more than {MAX_MEMBERS:,} members")


class _StrictInfo(tarfile.TarInfo):
    """tarfile takes a damaged header, and the end of a cut file, for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(tar)
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError, tarfile.InvalidHeaderError) as error:
            raise tarfile.ReadError(str(error)) from None


def _write(target: Path, name: str, is_folder: bool, is_file: bool, open_member: Callable[[], BinaryIO]) -> None:
    """Write one member below `target`; `is_file`: a plain one."""
    relative = PurePosixPath(name)  # without "." and doubled slashes
    path, parts = target / relative, relative.parts
    if relative.is_absolute() or ".." in parts or "\\" in name or ":" in "".join(parts[:1]):
        raise ValueError(f"a path that leads out of the archive's folder, {name[:200]!r}")
    if not (is_folder or is_file):
        raise ValueError(f"a link, a device or another special file, {name[:200]!r}")
    if any(map(is_system_file, parts)):
        return
    (path if is_folder else path.parent).mkdir(parents=True, exist_ok=True)
    if not is_folder:
        with open_member() as source, path.open("xb") as file:  # x: never over another
            shutil.copyfileobj(source, file, _MB)
