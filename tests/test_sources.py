import errno
import gzip
import hashlib
import http.server
import io
import os
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from handvae import archives, http_download, sources
from handvae.errors import InputError

HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
MARKER = "training/anno.pickle"
FILES = {"set/training/anno.pickle": b"labels", "set/training/color/0.png": bytes(range(256)) * 400, "set/README": b""}


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


def locate(cache: Path, source: str | Path, sha256: str | None = None) -> Path:
    return sources.locate("rhd", str(source), sha256, cache, MARKER)


def saved(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(cache: Path, source: str | Path, sha256: str | None = None) -> str:
    """The message of a refused source; nothing may be left behind, inside the cache or beside it."""
    before = everything(cache.parent)
    with pytest.raises(InputError) as caught:
        locate(cache, source, sha256)
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


# archives


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_unpacked_whole(tmp_path, cache, name):
    archive = saved(tmp_path, name, ARCHIVES[name])
    root = locate(cache, archive, hashlib.sha256(ARCHIVES[name]).hexdigest())
    assert root == cache / "rhd" / "set" and held(root) == FILES
    assert {path.name for path in cache.iterdir()} == {"rhd"} and archive.exists()


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
    program = "import sys, pathlib; from handvae import sources; print('start', flush=True); " + (
        f"sources.locate('rhd', {str(archive)!r}, None, pathlib.Path({str(cache)!r}), {MARKER!r})"
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
        self.cuts: list[int] = []  # bytes after which the next responses break off
        self.length: int | None = None  # what Content-Length says instead of the truth
        self.requests: list[dict[str, str]] = []
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/files/a.zip"
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def _handler(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(dict(self.headers))
                server.answer(self)

            def log_message(self, *_):
                pass

        return Handler

    def answer(self, request) -> None:
        content, status = self.content, self.status
        conditional = request.headers.get("If-None-Match") or request.headers.get("If-Modified-Since")
        validators = (self.headers.get("ETag"), self.headers.get("Last-Modified"))
        headers = dict(self.headers)
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


def test_a_disk_too_small_for_the_download_is_found_before_it(server, cache, monkeypatch):
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr(http_download.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="bytes free for the download, found 10"):
        locate(cache, server.url)
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert held(locate(cache, server.url)) == FILES
