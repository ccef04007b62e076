import gzip
import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from handvae.download import archives
from tests import damage
from tests.small_archives import FILES, content_of, saved, tar_member, tarred, zipped

ARCHIVES = {
    "a.zip": zipped(),
    "stored.zip": zipped(method=zipfile.ZIP_STORED),
    "a.tar": tarred(),
    "a.tar.gz": tarred(mode="w:gz"),
    "A.ZIP": zipped(),
    "undone.tar.gz": tarred(),
    "a.tgz": tarred({f"./{name}": content for name, content in FILES.items()}, mode="w:gz"),
}


def extracted(folder: Path, name: str, content: bytes) -> dict[str, bytes]:
    target = folder / "target"
    target.mkdir(parents=True, exist_ok=True)
    archives.extract(saved(folder, name, content), target)
    return content_of(target)


def refusal(folder: Path, name: str, content: bytes) -> str:
    message = damage.refusal(extracted, folder, name, content)
    assert message.startswith(f"{folder / name}: expected ")
    assert {path.name for path in folder.iterdir()} == {name, "target"} and not Path("/tmp/evil").exists()
    return message


def windows_zip(*names: str) -> bytes:
    """As PowerShell 5 writes it: the names have backslashes."""
    content = zipped({name.replace("\\", "/"): b"hi" for name in names})
    for name in names:
        content = content.replace(name.replace("\\", "/").encode(), name.encode())
    return content


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_unpacked_whole(tmp_path, name):
    assert extracted(tmp_path, name, ARCHIVES[name]) == FILES


def test_folders_may_come_after_their_files_and_twice_and_their_modes_are_not_taken_over(tmp_path):
    names = ("./", "set", "set/training/", "./set/training", "set/empty")
    folders = [tar_member(name, tarfile.DIRTYPE) for name in names]
    for info in folders:
        info.mode = 0
    assert extracted(tmp_path, "a.tar", tarred(extra=folders)) == FILES
    assert stat.S_IMODE((tmp_path / "target/set/empty").stat().st_mode) & 0o700 == 0o700


def test_what_systems_add_is_left_out_and_backslashes_of_windows_are_slashes(tmp_path):
    added = ("set\\._a.txt", "__MACOSX\\set\\._a.txt", "set\\Thumbs.db")
    content = windows_zip("set\\training\\a.txt", "set\\empty\\", *added)
    assert extracted(tmp_path, "a.zip", content) == {"set/training/a.txt": b"hi"}
    folders = [path for path in (tmp_path / "target").rglob("*") if path.is_dir()]
    assert sorted(path.name for path in folders) == ["empty", "set", "training"]


def zip_with(name: str, mode: int = 0o100644, content: bytes = b"evil") -> bytes:
    buffer = io.BytesIO(zipped())
    info = zipfile.ZipInfo(name)
    info.external_attr, info.create_system = mode << 16, 3
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(info, content)
    return buffer.getvalue()


def changed_zip(offset: int, value: bytes) -> bytes:
    """With another value in the directory's entry of the first file."""
    content = bytearray(zipped())
    position = content.index(b"PK\1\2") + offset
    content[position : position + len(value)] = value
    return bytes(content)


LINK, DEVICE = tarfile.SYMTYPE, tarfile.CHRTYPE
HUGE = tar_member("set/huge", size=10**12).tobuf(tarfile.GNU_FORMAT)
OUT, SPECIAL, AGAIN = "a path that leads out", "a link, a device or another special file", "File exists"
HOSTILE = {
    "up.zip": (zip_with("set/../../evil"), OUT),
    "up.tar": (tarred({**FILES, "../evil": b"1"}), OUT),
    "absolute.tar.gz": (tarred({**FILES, "/tmp/evil": b"1"}, mode="w:gz"), OUT),
    "server.zip": (windows_zip("\\\\server\\evil"), OUT),
    "drive.zip": (windows_zip("C:\\evil"), OUT),
    "link.zip": (zip_with("set/link", 0o120777, b"/etc"), SPECIAL),
    "symlink.tar": (tarred(extra=[tar_member("set/link", LINK, "README")]), SPECIAL),
    "hardlink.tar": (tarred(extra=[tar_member("set/link", tarfile.LNKTYPE, "set/README")]), SPECIAL),
    "through.tar": (tarred({}, [tar_member("set", LINK, "/tmp"), tar_member("set/evil")]), SPECIAL),
    "device.tar": (tarred(extra=[tar_member("set/null", DEVICE)]), SPECIAL),
    "twice.tar": (tarred(extra=[tar_member("set/./README")]), AGAIN),
    "file-as-folder.tar": (tarred(extra=[tar_member("set/README/x")]), "set/README"),
    "terabyte.tar": (HUGE, "unexpected end of data"),
    "encrypted.zip": (changed_zip(8, b"\1"), "encrypted"),
    "method.zip": (zipped(method=zipfile.ZIP_LZMA), "an unusual method"),
    "hiding.zip": (changed_zip(32, struct.pack("<H", 60_000)), "hidden behind"),
    "page.tar.gz": (b"<html>not found</html>", "Not a gzipped file"),
    "cut.tar": (tarred()[:-10240], "unexpected end of data"),
    "cut-in-header.tar": (tarred({"a": b"1", "b": b"2"})[:1100], "truncated header"),
    "wrong-sum.tar.gz": (tarred(mode="w:gz")[:-8] + bytes(8), "CRC check failed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_damaged_archive_is_refused_by_name(tmp_path, name):
    content, reason = HOSTILE[name]
    assert reason in refusal(tmp_path, name, content)


def tar_bomb(type_: bytes) -> bytes:
    return gzip.compress(tar_member("set/zeros", type_, size=10**7).tobuf() + b"a" * 10**7 + bytes(1024))


BOMBS = {
    "a.zip": zipped({"set/zeros": bytes(10**7)}),
    "file.tar.gz": tar_bomb(tarfile.REGTYPE),
    "name.tar.gz": tar_bomb(tarfile.GNUTYPE_LONGNAME),
    "tail.tar.gz": gzip.compress(tarred() + bytes(10**7)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(archives, "SMALL_BYTES", 10**6)
    monkeypatch.setattr(archives, "MAX_EXPANSION", 20)
    assert "more than 1,000,000 bytes in it" in refusal(tmp_path, name, BOMBS[name])
    assert sum(map(len, content_of(tmp_path / "target").values())) < 2 * 10**6


def test_a_disk_too_small_for_a_zip_is_seen_before_the_first_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("usage", (), {"free": 1000}))
    with pytest.raises(OSError, match=r"expected 102,406 bytes free to unpack .*a.zip, found 1,000"):
        extracted(tmp_path, "a.zip", zipped())
    assert content_of(tmp_path / "target") == {}


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    assert "more than 2 members" in refusal(tmp_path, "a.zip", ARCHIVES["a.zip"])
