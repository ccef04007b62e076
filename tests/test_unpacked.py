import errno
import hashlib
from pathlib import Path

import pytest

from handvae.base.errors import InputError
from handvae.download import archives, unpacked
from handvae.download.unpacked import Archive
from tests import small_archives
from tests.small_archives import FILES, content_of, find_set, saved, zipped

server = small_archives.server
TWO = {"x/x.zip": b"1", "y/y.zip": b"2"}  # what `two` unpacks to


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "cache" / "rhd"


def archive(source, sha256: str | None = None, folder: str = "") -> Archive:
    return Archive(str(source), sha256, Path(str(source)).name.split(".")[0], folder)


def fetch(target: Path, *parts: Archive, check=lambda folder: None) -> dict[str, bytes]:
    unpacked.fetch(parts, target, target.with_name("rhd.download"), check)
    assert [path.name for path in target.parent.iterdir()] == ["rhd"]
    return content_of(target)


def refusal(target: Path, *parts: Archive, **check) -> str:
    """The message; what was in the target before stays, and nothing is left of the download."""
    before = marks(target)
    with pytest.raises(InputError) as caught:
        fetch(target, *parts, **check)
    assert marks(target) == before and not [path for path in target.parent.iterdir() if path != target]
    return str(caught.value)


def marks(folder: Path) -> dict[str, tuple[int, int]]:
    """By these one sees whether a file was written again."""
    stats = {path: (folder / path).stat() for path in content_of(folder)}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in stats.items()}


@pytest.fixture
def two(tmp_path, server) -> list[Archive]:
    """An archive on disk and another on the web."""
    server.files = {"y.zip": zipped({"y.zip": b"2"})}
    here = saved(tmp_path, "x.zip", zipped({"x.zip": b"1"}))
    return [archive(here, folder="x"), archive(server.at("y.zip"), folder="y")]


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_archive_is_unpacked_again_only_if_it_or_its_folder_has_changed(tmp_path, target):
    file = saved(tmp_path, "a.zip", zipped())
    assert fetch(target, archive(file)) == FILES
    before = marks(target)
    saved(target / "set", ".DS_Store", b"Bud1")  # by whoever looked into it
    saved(target / "@eaDir" / "a", "thumb.jpg", b"1")
    fetch(target, archive(file))
    assert before.items() < marks(target).items()
    (target / "set/README").unlink()
    assert fetch(target, archive(file)) == FILES and marks(target) != before
    saved(tmp_path, "a.zip", zipped({"set/README": b"newer"}))
    assert fetch(target, archive(file)) == {"set/README": b"newer"}


def test_an_address_is_asked_for_its_file_only_if_that_may_have_changed(server, target):
    assert fetch(target, archive(server.url)) == FILES and server.asked("name") == ["a.zip"]
    before = marks(target)
    fetch(target, archive(server.url))
    assert server.asked("If-None-Match") == ['"1"']
    fetch(target, archive(server.url, sha256_of(server.content).upper()))
    assert server.asked("name") == [] and marks(target) == before  # the SHA-256 is proof enough, without a network
    server.content, server.headers = zipped({"set/README": b"new"}), {"ETag": '"2"'}
    assert fetch(target, archive(server.url)) == {"set/README": b"new"}


@pytest.mark.parametrize("web", [True, False])
def test_a_wrong_sha256_is_refused_with_both(server, tmp_path, target, web):
    source = server.url if web else saved(tmp_path, "a.zip", server.content)
    target.mkdir(parents=True)
    message = f"{source}: expected SHA-256 {'0' * 64}, found {sha256_of(server.content)}"
    assert refusal(target, archive(source, "0" * 64)) == message
    assert fetch(target, archive(source, sha256_of(server.content))) == FILES


def test_a_refused_newer_version_leaves_the_one_before(server, target):
    fetch(target, archive(server.url))
    server.headers = {"ETag": '"2"'}
    server.content = zipped({"x/y": b"1"})
    assert "expected one folder with" in refusal(target, archive(server.url), check=find_set)
    server.content = zipped()[:-30]  # under the same ETag, as by a proxy
    assert "found File is not a zip file" in refusal(target, archive(server.url))
    server.content = zipped()
    assert fetch(target, archive(server.url)) == FILES


def test_all_are_unpacked_again_if_one_has_changed(two, tmp_path, target):
    assert fetch(target, *two) == TWO
    before = marks(target)
    fetch(target, *two)
    assert marks(target) == before
    saved(tmp_path, "x.zip", zipped({"x.zip": b"3"}))
    assert fetch(target, *two) == {**TWO, "x/x.zip": b"3"}


def test_a_download_that_broke_off_goes_on_there_and_whole_ones_are_kept(server, two, target):
    parts = [*two, archive(server.at("a.zip"), folder="a")]
    server.cuts = [10**6, 500, 101, 101, 101, 101]  # y.zip comes whole
    with pytest.raises(InputError, match=r"a\.zip: .*run again to resume"):
        fetch(target, *parts)
    assert not target.exists()
    server.requests.clear()
    assert fetch(target, *parts).items() >= TWO.items()
    assert server.asked("Range") == [f"bytes={len(server.files['y.zip']) - 1}-", "bytes=899-"]


def test_a_full_disk_leaves_the_download_for_the_next_run(server, target, monkeypatch):
    def fail(folder, *_):
        (folder / "half.png").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(archives, "_write", fail)
        fetch(target, archive(server.url))
    assert not target.exists() and not target.with_name("rhd.partial").exists()
    server.requests.clear()
    assert fetch(target, archive(server.url)) == FILES
    assert server.asked("Range") == [f"bytes={len(server.content) - 1}-"]
