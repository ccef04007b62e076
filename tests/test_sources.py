import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.download import archives, http_download, sources

HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
MARKER = "training/anno.pickle"
FILES = {"set/training/anno.pickle": b"labels", "set/training/color/0.png": bytes(range(256)) * 400, "set/README": b""}


def find_set(folder: Path) -> Path:
    roots = [root for root in (folder, *sorted(folder.iterdir())) if (root / MARKER).is_file()]
    if len(roots) != 1:
        raise InputError(f"expected one folder with {MARKER}, found {len(roots)}")
    return roots[0]


def zipped(files=FILES, kind=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def member(name: str, kind=tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def tarred(files=FILES, extra=(), mode="w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


ARCHIVES = {
    "a.zip": zipped(),
    "stored.zip": zipped(kind=zipfile.ZIP_STORED),
    "a.tar": tarred(),
    "a.tar.gz": tarred(mode="w:gz"),
    "a.tgz": tarred({f"./{name}": content for name, content in FILES.items()}, mode="w:gz"),
}


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def locate(cache: Path, source, sha256=None, find: sources.Find = find_set) -> Path:
    source = [str(piece) for piece in source] if isinstance(source, list) else str(source)
    return sources.locate("rhd", source, sha256, cache, find)


def saved(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(cache: Path, source, sha256=None, find: sources.Find = find_set) -> str:
    """The message of a refused source; nothing may be left behind, inside the cache or beside it."""
    before = everything(cache.parent)
    with pytest.raises(InputError) as caught:
        locate(cache, source, sha256, find)
    message = str(caught.value)
    assert "expected" in message and "found" in message and "\n" not in message
    assert everything(cache.parent) - {cache} == before - {cache} and everything(cache) == set()
    return message


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def held(root: Path) -> dict[str, bytes]:
    return {f"set/{path.relative_to(root)}": path.read_bytes() for path in root.rglob("*") if path.is_file()}


# folders


def test_a_folder_is_used_in_place_by_itself_or_by_the_one_that_holds_it(tmp_path, cache):
    (tmp_path / "data" / "RHD_published_v2" / "training").mkdir(parents=True)
    saved(tmp_path / "data" / "RHD_published_v2" / "training", "anno.pickle", b"labels")
    saved(tmp_path / "data", "notes.txt", b"")
    assert locate(cache, tmp_path / "data" / "RHD_published_v2") == tmp_path / "data" / "RHD_published_v2"
    assert locate(cache, tmp_path / "data") == tmp_path / "data" / "RHD_published_v2"
    assert not cache.exists()


def test_a_folder_without_the_set_or_with_two_is_refused(tmp_path, cache):
    assert "found no folder" in refusal(cache, tmp_path / "nowhere")
    for name in "ab":
        (tmp_path / "data" / name / "training").mkdir(parents=True)
    assert f"expected one folder with {MARKER}, found 0" in refusal(cache, tmp_path / "data")
    assert "expected no SHA-256 for a folder" in refusal(cache, tmp_path / "data", "0" * 64)
    for name in "ab":
        saved(tmp_path / "data" / name / "training", "anno.pickle", b"")
    assert "found 2" in refusal(cache, tmp_path / "data")


@pytest.mark.parametrize("name", ["a.rar", "a.7z", "a.ZIP", "a"])
def test_a_file_of_another_kind_is_refused_with_the_kinds_that_are_read(tmp_path, cache, name):
    message = f"{tmp_path / name}: expected a folder or an archive (.zip, .tar, .tar.gz, .tgz), found another file"
    assert refusal(cache, saved(tmp_path, name, ARCHIVES["a.zip"])) == message
    assert "found neither (.zip, .tar, .tar.gz, .tgz)" in refusal(cache, [tmp_path / name])


# archives


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_unpacked_whole(tmp_path, cache, name):
    archive = saved(tmp_path, name, ARCHIVES[name])
    root = locate(cache, archive, hashlib.sha256(ARCHIVES[name]).hexdigest())
    assert root == cache / "rhd" / "set" and held(root) == FILES
    assert {path.name for path in cache.iterdir()} == {"rhd"} and archive.exists()


def test_an_archive_may_list_its_folders_before_or_after_their_files_and_twice(tmp_path, cache):
    folders = [member(name, tarfile.DIRTYPE) for name in ("./", "set", "set/training/", "./set/Training", "set/empty")]
    root = locate(cache, saved(tmp_path, "a.tar", tarred(extra=folders)))
    assert held(root) == FILES and (root / "empty").is_dir()


def test_modes_of_the_archive_are_not_taken_over(tmp_path, cache):
    info = member("set/training", tarfile.DIRTYPE)
    info.mode = 0o000
    content = tarred({"set/training/anno.pickle": b"labels"}, [info])
    root = locate(cache, saved(tmp_path, "a.tar", content))
    assert (root / MARKER).stat().st_mode & 0o7777 == saved(tmp_path, "own", b"").stat().st_mode & 0o7777
    assert (root / "training").stat().st_mode & 0o700 == 0o700


def test_the_same_archive_is_not_unpacked_again_and_a_changed_one_or_folder_is(tmp_path, cache):
    archive = saved(tmp_path, "a.zip", zipped())
    root = locate(cache, archive)
    first = (root / MARKER).stat().st_ino, (root / MARKER).stat().st_mtime_ns
    locate(cache, archive)
    assert ((root / MARKER).stat().st_ino, (root / MARKER).stat().st_mtime_ns) == first
    (root / "training" / "color" / "0.png").unlink()
    assert held(locate(cache, archive)) == FILES
    saved(tmp_path, "a.zip", zipped({"set/training/anno.pickle": b"other"}))
    assert held(locate(cache, archive)) == {"set/training/anno.pickle": b"other"}


def test_what_a_killed_run_left_does_not_count(tmp_path, cache):
    archive = saved(tmp_path, "a.zip", zipped())
    (cache / "rhd.partial" / "set").mkdir(parents=True)
    saved(cache / "rhd.partial" / "set", "half.png", b"ha")
    (cache / "rhd" / "set" / "training").mkdir(parents=True)
    saved(cache / "rhd" / "set" / "training", "anno.pickle", b"of something else")
    assert held(locate(cache, archive)) == FILES
    assert {path.name for path in cache.iterdir()} == {"rhd"}


def test_a_wrong_sha256_is_refused_with_both(tmp_path, cache):
    archive = saved(tmp_path, "a.zip", zipped())
    message = refusal(cache, archive, "0" * 64)
    assert f"expected SHA-256 {'0' * 64}" in message and f"found {hashlib.sha256(zipped()).hexdigest()}" in message


def test_an_archive_without_the_set_is_refused_and_leaves_the_one_before(tmp_path, cache):
    assert f"expected one folder with {MARKER}, found 0" in refusal(
        cache, saved(tmp_path, "b.zip", zipped({"x/y": b"1"}))
    )
    root = locate(cache, saved(tmp_path, "a.zip", zipped()))
    with pytest.raises(InputError):
        locate(cache, saved(tmp_path, "c.zip", zipped({"x/y": b"1"})))
    assert held(root) == FILES


def test_a_missing_archive_and_another_scheme_are_refused(tmp_path, cache):
    assert "found no file" in refusal(cache, tmp_path / "a.zip")
    assert "found 'ftp'" in refusal(cache, "ftp://127.0.0.1/a.zip")
    assert "found 'file'" in refusal(cache, f"file://{tmp_path}/a.zip")


def zip_with(name: str, mode: int = 0o100644, content: bytes = b"evil") -> bytes:
    buffer = io.BytesIO(zipped())
    info = zipfile.ZipInfo(name)
    info.external_attr, info.create_system = mode << 16, 3
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(info, content)
    return buffer.getvalue()


def encrypted_zip() -> bytes:
    """The flag is what counts; Python cannot write an encrypted member."""
    content = bytearray(zipped())
    position = content.index(b"PK\x01\x02")
    content[position + 8] |= 1
    return bytes(content)


def lying_zip() -> bytes:
    """A member of 1,024 zeros that the directory declares as 100 bytes."""
    content = bytearray(zipped({"set/training/anno.pickle": b"labels", "set/training/zeros": bytes(1024)}))
    position = content.rindex(b"PK\x01\x02")
    content[position + 24 : position + 28] = struct.pack("<I", 100)
    return bytes(content)


def tar_declaring(size: int) -> bytes:
    info = tarfile.TarInfo("set/huge")
    info.size = size
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(info)
    return buffer.getvalue()


def sparse_tar() -> bytes:
    info = tarfile.TarInfo("set/sparse")
    info.type = tarfile.GNUTYPE_SPARSE
    return tarred(extra=[info])


def tar_with_long_header(size: int) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"a" * size + bytes(1024))


OUT = "expected a path below the archive's folder"
PLAIN = "expected a plain file or folder"
HOSTILE = {
    "up.zip": (zip_with("set/../../evil"), OUT),
    "up.tar": (tarred({**FILES, "../evil": b"1"}), OUT),
    "absolute.zip": (zip_with("/tmp/evil"), OUT),
    "absolute.tar.gz": (tarred({**FILES, "/tmp/evil": b"1"}, mode="w:gz"), OUT),
    "windows.zip": (zip_with("set\\..\\..\\evil"), OUT),
    "drive.zip": (zip_with("C:/evil"), OUT),
    "link.zip": (zip_with("set/link", 0o120777, b"/etc"), PLAIN + ", found it a link"),
    "device.zip": (zip_with("set/device", 0o020644), PLAIN + ", found it a device"),
    "symlink.tar": (tarred(extra=[member("set/link", tarfile.SYMTYPE, "/etc")]), PLAIN + ", found it a link"),
    "hardlink.tar": (tarred(extra=[member("set/link", tarfile.LNKTYPE, "/etc/passwd")]), PLAIN + ", found it a link"),
    "through.tar": (
        tarred({}, [member("set", tarfile.SYMTYPE, "/tmp"), member("set/training", tarfile.DIRTYPE)]),
        PLAIN,
    ),
    "device.tar": (tarred(extra=[member("set/null", tarfile.CHRTYPE)]), PLAIN),
    "pipe.tar": (tarred(extra=[member("set/pipe", tarfile.FIFOTYPE)]), PLAIN),
    "sparse.tar": (sparse_tar(), PLAIN),
    "twice.tar": (tarred(extra=[member("set/README")]), "expected every path once"),
    "case.zip": (zip_with("set/readme"), "expected every path once"),
    "dots.tar": (tarred(extra=[member("set/./README")]), "expected every path once"),
    "file-as-folder.tar": (tarred(extra=[member("set/README/x")]), "expected every path once"),
    "file-then-folder.tar": (tarred(extra=[member("set/readme", tarfile.DIRTYPE)]), "expected every path once"),
    "folder-as-file.tar": (tarred(extra=[member("set/training")]), "expected every path once"),
    "terabyte.tar": (tar_declaring(10**12), "found 1,000,000,"),
    "negative.tar": (tar_declaring(-5), "expected a size, found -5"),
    "long-name.zip": (zip_with("set/" + "n" * 300), "expected a path that fits"),
    "long-header.tar.gz": (tar_with_long_header(10**6), "a header of 1,000,"),
    "encrypted.zip": (encrypted_zip(), "found it encrypted"),
    "method.zip": (zipped(kind=zipfile.ZIP_LZMA), "an unusual method"),
    "lying.zip": (lying_zip(), "expected a whole archive, found damage"),
    "page.zip": (b"<html>not found</html>", "expected a whole archive"),
    "page.tar.gz": (b"<html>not found</html>", "expected a whole archive"),
    "empty.tar": (b"", "expected a whole archive"),
    "cut.zip": (zipped()[:-30], "expected a whole archive"),
    "cut.tar": (tarred()[:-10240], "expected a whole archive"),
    "cut.tar.gz": (tarred(mode="w:gz")[:-20], "expected a whole archive"),
    "wrong-sum.tar.gz": (tarred(mode="w:gz")[:-8] + b"\0\0\0\0\0\0\0\0", "expected a whole archive"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_damaged_archive_is_refused_and_leaves_nothing(tmp_path, cache, name):
    content, expected = HOSTILE[name]
    message = refusal(cache, saved(tmp_path, name, content))
    assert expected in message and name in message
    assert not (tmp_path / "evil").exists() and not Path("/tmp/evil").exists()


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, cache, monkeypatch, suffix):
    monkeypatch.setattr(archives, "_SMALL_BYTES", 10**6)
    monkeypatch.setattr(archives, "_write", lambda *_: pytest.fail("a byte was written"))
    bomb = {**FILES, "set/zeros": bytes(30 * 10**6)}
    content = zipped(bomb) if suffix == ".zip" else tarred(bomb, mode="w:gz")
    assert "plausible (200 times the archive)" in refusal(cache, saved(tmp_path, "bomb" + suffix, content))


def test_the_check_of_nyus_729081_members_fits_in_memory(tmp_path):
    count = 20_000
    names = (f"dataset/train/synthdepth_1_{i:07d}.png" for i in range(count))
    members = (archives._Member(name, False, 100_000, "", io.BytesIO) for name in names)
    tracemalloc.start()
    paths = archives._checked(tmp_path / "a.zip", members, {"allowed": archives.MAX_BYTES})
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(paths) == count and held_bytes * 729_081 / count < 10**9 and archives.MAX_MEMBERS > 729_081


def test_limits_of_size_disk_and_number_hold(tmp_path, cache, monkeypatch):
    archive = saved(tmp_path, "a.zip", zipped())
    monkeypatch.setattr(archives, "MAX_BYTES", 102_405)
    assert "expected at most the 102,405 bytes allowed, found 102,406" in refusal(cache, archive)
    monkeypatch.undo()
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage)
    assert "1,000 bytes free on the disk" in refusal(cache, archive)
    monkeypatch.undo()
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    assert "expected at most 2 members" in refusal(cache, archive)


@pytest.mark.parametrize("size", [50, 200])
def test_a_member_that_holds_more_or_less_than_declared_is_stopped(tmp_path, size):
    lying = archives._Member("x", False, 100, "", lambda: io.BytesIO(bytes(size)))
    with pytest.raises(InputError, match=r"member 'x': expected 100 bytes, found"):
        archives._write(tmp_path / "a.zip", lying, tmp_path / "x")
    assert (tmp_path / "x").stat().st_size <= 100


def test_a_full_disk_leaves_nothing_that_a_later_run_trusts(tmp_path, cache, monkeypatch):
    archive = saved(tmp_path, "a.zip", zipped())
    write = archives._write

    def full(archive, member, path):
        if path.name == "0.png":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(archive, member, path)

    monkeypatch.setattr(archives, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        locate(cache, archive)
    assert everything(cache) == set()
    monkeypatch.undo()
    assert held(locate(cache, archive)) == FILES


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_a_mutated_archive_is_unpacked_right_or_refused(tmp_path, name):
    """Checksums of zip and gzip find every change of content; a plain .tar has them for its headers only."""
    rng = np.random.default_rng(4)
    small = {"set/training/anno.pickle": b"labels", "set/training/color/0.png": bytes(range(200))}
    content = zipped(small) if name == "a.zip" else tarred(small, mode="w:gz" if name.endswith("gz") else "w")
    refused = 0
    for number in range(200):
        data = bytearray(content)
        if number % 4:
            for position in rng.integers(0, len(data) if name != "a.tar" else 2560, int(rng.integers(1, 4))):
                data[position] ^= int(rng.integers(1, 256))
        else:
            del data[int(rng.integers(0, len(data))) :]
        cache = tmp_path / str(number)
        try:
            root = locate(cache, saved(tmp_path, name, bytes(data)))
            if name != "a.tar":
                found = sorted(content for path, content in held(root).items() if not path.endswith(".json"))
                assert found == sorted(small.values())
        except InputError as error:
            assert "\n" not in str(error) and everything(cache) == set()
            refused += 1
    assert refused > 60


def test_a_run_killed_at_any_moment_then_run_again_gives_the_same_folder(tmp_path, cache):
    files = {
        "set/training/anno.pickle": b"labels",
        **{f"set/training/color/{i}.png": bytes([i % 256]) * i for i in range(600)},
    }
    archive = saved(tmp_path, "a.zip", zipped(files))
    program = (
        "import sys, pathlib; from handvae.download import sources; from tests.test_sources import find_set as find; "
        "print('start', flush=True); "
        f"sources.locate('rhd', {str(archive)!r}, None, pathlib.Path({str(cache)!r}), find)"
    )
    for delay_s in (0.005, 0.02, 0.04, 0.08):
        run = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=HERE
        )
        run.stdout.readline()
        time.sleep(delay_s)
        run.kill()
        run.communicate()
    assert held(locate(cache, archive)) == files
    assert {path.name for path in cache.iterdir()} == {"rhd"}


# HTTP


class Server:
    """A local server whose misbehaviour is set by attributes; it notes the requests that it got."""

    def __init__(self):
        self.content, self.headers, self.ranges, self.status = zipped(), {"ETag": '"1"'}, True, 200
        self.files: dict[str, bytes] = {}  # by name, each with its own ETag; any other name has `content`
        self.cuts: list[int] = []  # bytes after which the next responses break off
        self.length: int | None = None  # what Content-Length says instead of the truth
        self.requests: list[dict[str, str]] = []
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = self.at("a.zip")
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def at(self, name: str) -> str:
        return f"http://127.0.0.1:{self.httpd.server_address[1]}/files/{name}"

    def asked(self) -> list[tuple[str, ...]]:
        """The file and the conditions of each request so far, which are then forgotten."""
        conditions = ("If-None-Match", "If-Modified-Since", "Range")
        asked = [(request["name"], *(key for key in conditions if key in request)) for request in self.requests]
        self.requests.clear()
        return asked

    def _handler(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append({**self.headers, "name": self.path.rpartition("/")[2]})
                server.answer(self)

            def log_message(self, *_):
                pass

        return Handler

    def answer(self, request) -> None:
        name = request.path.rpartition("/")[2]
        content, status = self.files.get(name, self.content), self.status
        headers = {**self.headers, **({"ETag": f'"{zlib.crc32(content)}"'} if name in self.files else {})}
        conditional = request.headers.get("If-None-Match") or request.headers.get("If-Modified-Since")
        validators = (headers.get("ETag"), headers.get("Last-Modified"))
        wanted = request.headers.get("Range")
        if conditional and conditional in validators:
            content, status = b"", 304
        elif wanted and self.ranges and request.headers.get("If-Range") in validators:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(content) else 416
            end = f"{start}-{len(content) - 1}" if status == 206 else "*"
            headers["Content-Range"] = f"bytes {end}/{len(content)}"
            content = content[start:]
        request.send_response(status)
        for key, value in headers.items():
            request.send_header(key, value)
        request.send_header("Content-Length", str(self.length if self.length is not None else len(content)))
        request.end_headers()
        request.wfile.write(content[: self.cuts.pop(0)] if self.cuts else content)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http_download, "WAITS_S", (0, 0, 0, 0))
    server = Server()
    yield server
    server.httpd.shutdown()
    server.httpd.server_close()


def test_a_url_is_downloaded_and_unpacked_and_the_archive_removed(server, cache):
    root = locate(cache, server.url, hashlib.sha256(server.content).hexdigest())
    assert held(root) == FILES and {path.name for path in cache.iterdir()} == {"rhd"}
    assert len(server.requests) == 1


def test_a_cut_connection_is_resumed_where_it_broke_off(server, cache):
    server.cuts = [700, 300]
    assert held(locate(cache, server.url)) == FILES
    assert [request.get("Range") for request in server.requests] == [None, "bytes=700-", "bytes=1000-"]
    assert server.requests[1]["If-Range"] == '"1"'


def test_a_server_that_answers_busy_is_tried_again(server, cache):
    answers = iter([503, 200])
    server.answer, answer = (lambda request: (setattr(server, "status", next(answers)), answer(request))), server.answer
    assert held(locate(cache, server.url)) == FILES


def test_a_broken_download_is_resumed_by_the_next_run(server, cache):
    server.cuts = [500, 100, 100, 100, 100]
    with pytest.raises(InputError, match="run again to resume"):
        locate(cache, server.url)
    assert (cache / "rhd.download" / "a.zip").stat().st_size == 900 and not (cache / "rhd").exists()
    server.requests.clear()
    assert held(locate(cache, server.url)) == FILES
    assert [request.get("Range") for request in server.requests] == ["bytes=900-"]


def test_a_run_killed_between_download_and_unpacking_goes_on(server, cache):
    http_download.download(server.url, cache / "rhd.download")
    server.requests.clear()
    assert held(locate(cache, server.url)) == FILES
    assert [request.get("Range") for request in server.requests] == [f"bytes={len(server.content)}-"]


@pytest.mark.parametrize("headers", [{"Last-Modified": "Fri, 13 Oct 2017 10:00:00 GMT"}, {"ETag": '"1"'}])
def test_a_file_that_changed_meanwhile_is_fetched_anew(server, cache, headers):
    server.headers, server.cuts = headers, [500] * 5
    server.ranges = False
    with pytest.raises(InputError):
        locate(cache, server.url)
    server.ranges, server.cuts = True, [500, 100, 100, 100, 100]
    with pytest.raises(InputError, match="resume"):
        locate(cache, server.url)
    server.content = zipped({"set/training/anno.pickle": b"a newer set of files"})
    server.headers = {key: value.replace("1", "2") for key, value in headers.items()}
    assert held(locate(cache, server.url)) == {"set/training/anno.pickle": b"a newer set of files"}


def test_a_server_without_ranges_or_validators_is_read_from_the_start(server, cache):
    for headers, ranges in (({"ETag": '"1"'}, False), ({}, True), ({"ETag": 'W/"1"'}, True)):
        server.headers, server.ranges, server.cuts = headers, ranges, [700]
        root = locate(cache, server.url)
        assert held(root) == FILES
        (root / MARKER).unlink()


def test_the_same_file_on_the_server_is_not_fetched_again(server, cache):
    locate(cache, server.url)
    server.requests.clear()
    locate(cache, server.url)
    assert [request.get("If-None-Match") for request in server.requests] == ['"1"']
    server.requests.clear()
    locate(cache, server.url, hashlib.sha256(server.content).hexdigest())
    assert server.requests == []  # the SHA-256 is proof enough, without a network
    server.content, server.headers = zipped({"set/training/anno.pickle": b"new"}), {"ETag": '"2"'}
    assert held(locate(cache, server.url)) == {"set/training/anno.pickle": b"new"}


def test_a_length_that_is_too_large_is_a_lie(server, cache):
    for ranges in (True, False):
        server.ranges, server.length = ranges, len(server.content) + 500
        assert f"expected {len(server.content) + 500:,} bytes" in refusal(cache, server.url)


def test_a_length_that_is_too_small_gives_a_damaged_archive(server, cache):
    server.length = len(server.content) - 500
    assert "a.zip: expected a whole archive, found damage" in refusal(cache, server.url)


def test_no_length_at_all_is_refused(server, cache, monkeypatch):
    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(server.content)

    server.answer = answer
    assert "expected the server to state the file's length" in refusal(cache, server.url)


def test_a_page_instead_of_the_archive_is_refused(server, cache):
    server.content = b"\n<!DOCTYPE html><title>Log in</title>"
    assert "expected an archive, found an HTML page" in refusal(cache, server.url)
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    server.content = zipped()
    assert "expected an archive, found an HTML page" in refusal(cache, server.url)


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/a.zip", "gopher://127.0.0.1/"])
def test_a_redirect_to_another_scheme_is_refused(server, cache, place):
    server.status, server.headers = 302, {"Location": place}
    message = refusal(cache, server.url)
    assert "edirect" in message and f"{place!r}" in message


def test_a_redirect_within_http_is_followed(server, cache):
    answer = server.answer

    def redirect_once(request):
        server.status, server.headers = (302, {"Location": server.url}) if request.path == "/moved.zip" else (200, {})
        answer(request)

    server.answer = redirect_once
    assert held(locate(cache, server.url.replace("files/a.zip", "moved.zip"))) == FILES


def test_refusing_servers_and_addresses_are_named(server, cache):
    server.status = 404
    assert "found HTTP status 404" in refusal(cache, server.url)
    server.status, server.headers = 301, {"Location": server.url}
    assert "found HTTP status 301" in refusal(cache, server.url)  # round and round
    assert "expected the address of an archive" in refusal(cache, server.url.replace("a.zip", "download?id=3"))
    assert "expected an http or https address" in refusal(cache, "http://[::1/a.zip")


def test_an_address_of_more_lines_is_refused_in_one(cache):
    assert "expected an address of one line" in refusal(cache, "http://127.0.0.1:9/a.zip#\n")


def test_a_server_that_is_not_there_leaves_nothing(server, cache):
    server.httpd.shutdown()
    server.httpd.server_close()
    assert "found a broken connection (URLError" in refusal(cache, server.url)


def test_a_wrong_sha256_of_a_download_is_refused_with_both(server, cache):
    message = refusal(cache, server.url, "0" * 64)
    assert f"expected SHA-256 {'0' * 64}" in message and hashlib.sha256(server.content).hexdigest() in message


def test_a_hostile_download_is_refused_and_leaves_nothing(server, cache):
    server.content = HOSTILE["up.zip"][0]
    assert OUT in refusal(cache, server.url)


def broken_zip() -> bytes:
    """One flipped byte in the end record: the directory's place. Every member lies before the file then."""
    content = bytearray(zipped())
    content[content.rindex(b"PK\x05\x06") + 19] ^= 0x80
    return bytes(content)


def test_a_download_that_cannot_be_unpacked_is_fetched_anew_by_the_next_run(server, cache):
    server.content = broken_zip()  # under the same ETag, as by a proxy
    assert "found damage (BadZipFile: a member at byte -2,1" in refusal(cache, server.url)
    server.requests.clear()
    server.content = zipped()
    assert held(locate(cache, server.url)) == FILES
    assert [request.get("Range") for request in server.requests] == [None]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_a_download_outlives_trouble_of_the_machine(server, cache, monkeypatch, error):
    monkeypatch.setattr(archives, "_write", raising(error))
    with pytest.raises(type(error)):
        locate(cache, server.url)
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server.requests.clear()
    assert held(locate(cache, server.url)) == FILES
    assert [request.get("Range") for request in server.requests] == [f"bytes={len(server.content)}-"]


def test_a_download_does_not_outlive_what_nobody_thought_of(server, cache, monkeypatch):
    monkeypatch.setattr(archives, "_write", raising(RuntimeError("?")))
    with pytest.raises(RuntimeError):
        locate(cache, server.url)
    assert everything(cache) == set()


def raising(error: Exception):
    def fail(*_):
        raise error

    return fail


def test_a_disk_too_small_for_the_download_is_found_before_it(server, cache, monkeypatch):
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr(http_download.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="bytes free for the download, found 10"):
        locate(cache, server.url)
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert held(locate(cache, server.url)) == FILES


def test_a_download_larger_than_allowed_is_refused_before_it(server, cache):
    server.length = 10**30
    assert "expected at most 200,000,000,000 bytes, found more" in refusal(cache, server.url)


def test_a_part_that_was_not_asked_for_is_refused(server, cache):
    server.status, server.headers = 206, {"Content-Range": f"bytes 0-{len(server.content) - 1}/{len(server.content)}"}
    assert "expected the whole file, found a part of it (HTTP status 206)" in refusal(cache, server.url)


@pytest.mark.parametrize("size", [b"-5", b"-1", b"zz", b"f" * 20])
def test_a_chunk_of_a_size_that_cannot_be_is_a_broken_connection(server, cache, size):
    def answer(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(size + b"\r\n" + server.content)

    server.answer = answer
    assert "found a broken connection (IncompleteRead" in refusal(cache, server.url)


def test_a_negative_chunk_size_does_not_load_the_whole_body_at_once(server, cache):
    def answer(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        with suppress(OSError):  # the client hangs up
            request.wfile.write(b"-1\r\n")
            for _ in range(100):
                request.wfile.write(bytes(10**5))

    server.answer = answer
    tracemalloc.start()
    refusal(cache, server.url)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 5 * 10**6


def test_the_body_of_a_redirect_is_not_read(server, cache):
    answer = server.answer

    def redirect_once(request):
        if request.path == "/moved.zip":
            server.status, server.headers, server.length = 302, {"Location": server.url}, 10**15
        else:
            server.status, server.headers, server.length = 200, {}, None
        answer(request)

    server.answer = redirect_once
    assert held(locate(cache, server.url.replace("files/a.zip", "moved.zip"))) == FILES


def dripping(server, place: str, seconds: float, pieces: int):
    """Answers that send their headers, or their body, in as many pieces over this time."""

    def answer(request):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(server.content)}\r\nX: {'x' * 1000}\r\n\r\n".encode()
        slow, fast = (head, server.content) if place == "headers" else (server.content, b"")
        with suppress(OSError):  # the client hangs up
            request.wfile.write(b"" if place == "headers" else head)
            for number in range(pieces):
                request.wfile.write(slow[len(slow) * number // pieces : len(slow) * (number + 1) // pieces])
                request.wfile.flush()
                time.sleep(seconds / pieces)
            request.wfile.write(fast)

    return answer


@pytest.mark.parametrize("place", ["headers", "body"])
def test_a_server_that_drips_is_given_up_however_regularly_it_does(server, cache, monkeypatch, place):
    monkeypatch.setattr(http_download, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(http_download, "WAITS_S", ())
    monkeypatch.setattr(http_download, "MIN_BYTES_PER_S", 10**5)
    server.answer = dripping(server, place, seconds=2, pieces=100)
    assert "found a broken connection (TimeoutError: " in refusal(cache, server.url)


@pytest.mark.parametrize("place", ["headers", "body"])
def test_a_slow_line_is_borne(server, cache, monkeypatch, place):
    monkeypatch.setattr(http_download, "TIMEOUT_S", 0.15)
    monkeypatch.setattr(http_download, "MIN_BYTES_PER_S", 500)
    server.answer = dripping(server, place, seconds=0.4, pieces=20)
    assert held(locate(cache, server.url)) == FILES


def test_an_archive_that_is_had_from_elsewhere_now_is_not_unpacked_again_nor_fetched_twice(server, tmp_path, cache):
    before = marks(locate(cache, saved(tmp_path, "a.zip", server.content)))
    assert marks(locate(cache, server.url)) == before and server.asked() == [("a.zip",)]
    assert marks(locate(cache, server.url)) == before and server.asked() == [("a.zip", "If-None-Match")]


# lists of archives

# STB's trap: some of its zips have a top folder, some have not, and all have files of the same names
PIECES = {
    "B1.zip": {"0.png": b"B1, 0", "1.png": b"B1, 1"},
    "B4.zip": {"B4/0.png": b"B4, 0", "B4/1.png": b"B4, 1"},
    "labels.tar.gz": {"labels/B1.mat": b"B1", "labels/B4.mat": b"B4"},
}
ZIPS = {name: zipped(files) if name.endswith(".zip") else tarred(files, mode="w:gz") for name, files in PIECES.items()}
LOCATED = {f"{name.split('.')[0]}/{path}": content for name, files in PIECES.items() for path, content in files.items()}


def find_stb(folder: Path) -> Path:
    for file in ("B1/0.png", "B4/0.png", "labels/B1.mat", "labels/B4.mat"):
        piece, _, name = file.partition("/")
        if not (folder / file).is_file() and not (folder / piece / piece / name).is_file():
            raise InputError(f"expected {file}, found no such file")
    return folder


def marks(folder: Path) -> dict[str, tuple[int, int]]:
    """By these one sees whether a file was written again."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".source.json"]
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def content_of(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".source.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def pieces(server, tmp_path) -> list[str | Path]:
    """The second is on the web, the others on this disk."""
    server.files = dict(ZIPS)
    here = [saved(tmp_path / "mine", name, ZIPS[name]) for name in ("B1.zip", "labels.tar.gz")]
    return [here[0], server.at("B4.zip"), here[1]]


def test_a_list_from_disk_and_web_is_unpacked_side_by_side_with_and_without_top_folders(server, pieces, cache):
    root = locate(cache, pieces, find=find_stb)
    assert root == cache / "rhd" and content_of(root) == LOCATED
    assert {path.name for path in root.iterdir()} == {"B1", "B4", "labels"}
    assert all((root / stem / ".source.json").is_file() for stem in ("B1", "B4", "labels"))
    assert {path.name for path in cache.iterdir()} == {"rhd"} and server.asked() == [("B4.zip",)]


def test_pieces_that_did_not_change_are_neither_unpacked_nor_fetched_again(server, pieces, cache):
    before = marks(locate(cache, pieces, find=find_stb))
    server.asked()
    assert marks(locate(cache, pieces, find=find_stb)) == before
    assert server.asked() == [("B4.zip", "If-None-Match")]
    sums = [None, hashlib.sha256(ZIPS["B4.zip"]).hexdigest().upper(), None]
    assert marks(locate(cache, pieces, sums, find_stb)) == before and server.asked() == []
    assert marks(locate(cache, pieces[::-1], find=find_stb)) == before  # nor for another order


@pytest.mark.parametrize("changed", ["B1", "B4"])
def test_a_changed_piece_or_folder_replaces_only_itself(server, pieces, tmp_path, cache, changed):
    root = locate(cache, pieces, find=find_stb)
    before = marks(root)
    newer = zipped({"0.png": b"newer"})
    server.files["B4.zip"] = newer if changed == "B4" else ZIPS["B4.zip"]
    saved(tmp_path / "mine", "B1.zip", newer if changed == "B1" else ZIPS["B1.zip"])
    after = marks(locate(cache, pieces, find=find_stb))
    kept = {path for path in after if not path.startswith(changed)}
    assert content_of(root / changed) == {"0.png": b"newer"} and len(kept) == 4
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    (root / "labels" / "labels" / "B1.mat").unlink()
    assert content_of(locate(cache, pieces, find=find_stb) / "labels") == PIECES["labels.tar.gz"]
    assert marks(root / changed) == {
        path[len(changed) + 1 :]: after[path] for path in after if path.startswith(changed)
    }


def test_a_piece_that_left_the_list_and_what_killed_runs_left_are_removed(pieces, cache):
    root = locate(cache, pieces, find=find_stb)
    before = marks(root)
    saved(root / "B9.partial", "0.png", b"half")
    saved(root, "notes.txt", b"")
    saved(cache / "rhd.download" / "B9", "B9.zip", b"half")
    saved(cache / "rhd.download", "a.zip", b"half of a single archive")
    left = marks(locate(cache, [pieces[0], pieces[2]], find=lambda folder: folder))
    assert left == {path: mark for path, mark in before.items() if not path.startswith("B4")}
    assert {path.name for path in cache.iterdir()} == {"rhd"} and len(list(root.iterdir())) == 2


def test_a_single_archive_and_a_list_do_not_pass_for_each_other(tmp_path, pieces, cache):
    """The archive holds folders named like pieces, with the records that would make them trusted."""
    forged = {"files": 1, "bytes": 5, "sha256": hashlib.sha256(ZIPS["B1.zip"]).hexdigest()}
    single = zipped({**FILES, "B1/0.png": b"false", "B1/.source.json": json.dumps(forged)})
    locate(cache, saved(tmp_path, "a.zip", single))
    assert content_of(locate(cache, pieces, find=find_stb)) == LOCATED
    assert locate(cache, saved(tmp_path, "a.zip", zipped())) == cache / "rhd" / "set"
    assert content_of(cache / "rhd") == FILES


def test_a_find_that_fails_leaves_nothing_new(server, pieces, tmp_path, cache):
    def nothing(folder: Path) -> Path:
        raise InputError("expected hands, found feet")

    assert "found feet" in refusal(cache, pieces, find=nothing) and not (cache / "rhd").exists()
    before = marks(locate(cache, pieces[:2], find=lambda folder: folder))
    with pytest.raises(InputError, match="found feet"):
        locate(cache, pieces, find=nothing)
    assert marks(cache / "rhd") == before and {path.name for path in cache.iterdir()} == {"rhd"}
    assert content_of(locate(cache, pieces, find=find_stb)) == LOCATED


def test_find_sees_a_single_archive_before_it_replaces_what_is_there(tmp_path, cache):
    def find(folder: Path) -> Path:
        seen.append((folder, content_of(folder), content_of(cache / "rhd")))
        return folder / "set"

    seen: list = []
    assert locate(cache, saved(tmp_path, "a.zip", zipped()), find=find) == cache / "rhd" / "set"
    (scratch, new, old), (target, *_) = seen
    assert (scratch != target == cache / "rhd") and new == FILES and old == {}


def test_the_message_of_find_is_kept_under_the_name_of_the_source_instead_of_the_folder(tmp_path, pieces, cache):
    def find(folder: Path) -> Path:
        raise InputError(f"{folder}: expected hands, found feet")

    archive = saved(tmp_path, "a.zip", zipped())
    assert refusal(cache, archive, find=find) == f"{archive}: expected hands, found feet"
    assert refusal(cache, tmp_path, find=find) == f"{tmp_path}: expected hands, found feet"
    assert refusal(cache, pieces, find=find) == "rhd (B1.zip, B4.zip, labels.tar.gz): expected hands, found feet"


def test_the_sums_of_a_list_are_one_for_each_or_null(pieces, cache):
    sums = [hashlib.sha256(content).hexdigest() for content in ZIPS.values()]
    for number, piece in enumerate(pieces):
        wrong = [None] * number + ["0" * 64]
        wrong += sums[number + 1 :]
        assert refusal_of_one(cache, pieces, wrong) == f"{piece}: expected SHA-256 {'0' * 64}, found {sums[number]}"
    assert content_of(locate(cache, pieces, [sums[0], None, sums[2].upper()], find_stb)) == LOCATED


def refusal_of_one(cache: Path, pieces: list, sha256=None) -> str:
    """The message; the pieces before the refused one are there, and nothing else is."""
    with pytest.raises(InputError) as caught:
        locate(cache, pieces, sha256, find_stb)
    refused = next(i for i, piece in enumerate(pieces) if Path(str(piece)).name in str(caught.value))
    stems = {Path(str(piece)).name.split(".")[0] for piece in pieces[:refused]}
    assert set(content_of(cache)) == {f"rhd/{path}" for path in LOCATED if path.split("/")[0] in stems}
    assert {path.name for path in cache.glob("*")} == ({"rhd"} if stems else set())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sums_of_another_number_are_refused_before_anything_is_fetched(server, pieces, tmp_path, cache):
    assert "rhd: expected null or a list of 3 SHA-256, one per archive, found a list of 2" in refusal(
        cache, pieces, ["0" * 64, None]
    )
    assert "found a single one" in refusal(cache, pieces, "0" * 64)
    assert "expected one SHA-256 for one source, found a list of 1" in refusal(cache, server.url, [None])
    assert "expected one SHA-256 for one source" in refusal(cache, tmp_path, [None])
    assert server.asked() == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("B1.tar.gz", "B1.tar.gz: expected archives of different names in a list, found 'B1' again"),
        ("b1.zip", "b1.zip: expected archives of different names"),
        ("http://127.0.0.1:9/x/B1.tgz?dl=1", "expected archives of different names"),
        ("nowhere.zip", "nowhere.zip: expected an archive, found no file"),
        ("a folder", "a folder: expected only archives and addresses of archives in a list, found neither"),
        ("folder.zip", "folder.zip: expected only archives and addresses of archives in a list, found neither"),
        ("...zip", "expected a file name that can name a folder, found '...zip'"),
        (".zip", "expected a file name that can name a folder, found '.zip'"),
        ("http://127.0.0.1:9/...zip", "expected a file name that can name a folder, found '...zip'"),
        ("B4.partial.zip", "expected a file name that can name a folder"),
        ("ftp://127.0.0.1/B5.zip", "found 'ftp'"),
        ("http://127.0.0.1:9/B5.rar", "expected the address of an archive"),
    ],
)
def test_a_list_with_a_bad_entry_is_refused_before_anything_is_fetched(server, pieces, tmp_path, cache, name, expected):
    (tmp_path / "other" / "a folder").mkdir(parents=True)
    (tmp_path / "other" / "folder.zip").mkdir()
    for file in ("B1.tar.gz", "b1.zip", "...zip", ".zip", "B4.partial.zip"):
        saved(tmp_path / "other", file, ZIPS["B1.zip"])
    source = name if "://" in name else tmp_path / "other" / name
    assert expected in refusal(cache, [*pieces, source], find=find_stb)
    assert server.asked() == []


def test_an_empty_list_is_refused(cache):
    assert "rhd: expected archives or addresses of archives, found an empty list" in refusal(cache, [])


@pytest.mark.parametrize("place", ["disk", "web"])
@pytest.mark.parametrize("name", ["up.zip", "link.zip", "symlink.tar", "cut.tar.gz", "lying.zip", "page.zip"])
def test_a_hostile_or_damaged_piece_is_refused_by_name_and_nothing_of_it_left(
    server, pieces, tmp_path, cache, place, name
):
    content, expected = HOSTILE[name]
    server.files[name] = content
    hostile = server.at(name) if place == "web" else saved(tmp_path / "mine", name, content)
    message = refusal_of_one(cache, [*pieces[:2], hostile, pieces[2]])
    page = place == "web" and name == "page.zip"
    assert name in message and ("expected an archive, found an HTML page" if page else expected) in message
    before = marks(cache / "rhd")
    after = marks(locate(cache, pieces, find=find_stb))
    assert not (tmp_path / "evil").exists() and before.items() <= after.items() and len(after) == 6


def test_a_piece_whose_newer_version_is_refused_keeps_the_old_one_but_is_not_trusted(server, pieces, cache):
    locate(cache, pieces, find=find_stb)
    server.files["B4.zip"] = b"<!DOCTYPE html><title>Log in</title>"
    for _ in range(2):
        with pytest.raises(InputError, match=r"B4\.zip: expected an archive, found an HTML page"):
            locate(cache, pieces, find=find_stb)
    assert content_of(cache / "rhd") == LOCATED and {path.name for path in cache.iterdir()} == {"rhd"}


def test_a_list_whose_download_broke_off_goes_on_there(server, pieces, cache):
    server.cuts = [100, 20, 10, 10, 10]
    with pytest.raises(InputError, match=r"B4\.zip: .*run again to resume"):
        locate(cache, pieces, find=find_stb)
    before = marks(cache / "rhd")
    assert {path.name for path in (cache / "rhd").iterdir()} == {"B1"}
    server.requests.clear()
    after = marks(locate(cache, pieces, find=find_stb))
    assert [request.get("Range") for request in server.requests] == ["bytes=150-"]
    assert before.items() <= after.items() and content_of(cache / "rhd") == LOCATED
    assert {path.name for path in cache.iterdir()} == {"rhd"}


def test_a_piece_that_came_from_elsewhere_leaves_no_half_download(server, pieces, tmp_path, cache):
    server.cuts = [100, 20, 10, 10, 10]
    with pytest.raises(InputError, match="run again to resume"):
        locate(cache, pieces, find=find_stb)
    pieces[1] = saved(tmp_path / "mine", "B4.zip", ZIPS["B4.zip"])
    assert content_of(locate(cache, pieces, find=find_stb)) == LOCATED
    assert {path.name for path in cache.iterdir()} == {"rhd"}


def test_a_run_killed_in_the_middle_of_a_list_goes_on_where_it_was(server, pieces, cache):
    noise = np.random.default_rng(0).integers(0, 256, 10**6, dtype=np.uint8).tobytes()
    server.files["B5.zip"] = zipped({"B5/0.png": noise}, zipfile.ZIP_STORED)
    sources_ = [str(pieces[0]), server.at("B4.zip"), server.at("B5.zip"), str(pieces[2])]
    answer, killed = server.answer, threading.Event()

    def stall(request):
        if request.path.endswith("B5.zip"):
            request.send_response(200)
            request.send_header("ETag", f'"{zlib.crc32(server.files["B5.zip"])}"')
            request.send_header("Content-Length", str(len(server.files["B5.zip"])))
            request.end_headers()
            request.wfile.write(server.files["B5.zip"][:600_000])
            killed.wait(30)
        else:
            answer(request)

    server.answer = stall
    program = "import pathlib; from handvae.download import sources; " + (
        f"sources.locate('rhd', {sources_!r}, None, pathlib.Path({str(cache)!r}), lambda folder: folder)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=HERE
    )
    half, deadline_s = cache / "rhd.download" / "B5" / "B5.zip", time.monotonic() + 20
    while not (half.exists() and half.stat().st_size >= 1 << 19) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    run.kill()
    run.wait()
    killed.set()
    server.answer, before = answer, marks(cache / "rhd")
    assert {path.split("/")[0] for path in before} == {"B1", "B4"}
    server.requests.clear()
    root = locate(cache, sources_, find=find_stb)
    assert [(request["name"], request.get("Range")) for request in server.requests] == [
        ("B4.zip", None),
        ("B5.zip", f"bytes={1 << 19}-"),
    ]
    assert before.items() <= marks(root).items() and content_of(root) == {**LOCATED, "B5/B5/0.png": noise}
    assert {path.name for path in cache.iterdir()} == {"rhd"}


def test_kind_and_short_name_of_a_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.zip").mkdir()
    url = "https://user:word@host/some/where/labels.zip?token=secret/1#top"
    cases = [
        ("/a/b/RHD", "folder", "RHD"),
        ("sets/RHD/", "folder", "RHD"),
        (".", "folder", tmp_path.name),
        ("x.zip", "folder", "x.zip"),
        ("/a/b/RHD_v1-1.zip", "archive", "RHD_v1-1.zip"),
        (url, "url", "labels.zip"),
        (["/a/Training.tar.gz", "b/Testing.tar.gz"], "archive", "Training.tar.gz, Testing.tar.gz"),
        (["/a/B1.zip", url], "url", "B1.zip, labels.zip"),
        ([f"/a/B{i}.zip" for i in range(1, 7)], "archive", "B1.zip, B2.zip, B3.zip and 3 more"),
    ]
    assert [(sources.kind(source), sources.shown(source)) for source, _, _ in cases] == [case[1:] for case in cases]
