import gzip
import shutil
import time
from pathlib import Path

import pytest

from handvae.base.errors import InputError
from handvae.download import http_download
from tests import damage, small_archives
from tests.small_archives import tarred, zipped

server = small_archives.server


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "download"


def refusal(url: str, folder: Path) -> str:
    """The message of a refused download; nothing of it may be left."""
    message = damage.refusal(http_download.download, url, folder)
    assert url in message and not folder.exists()
    return message


def broken_off(url: str, folder: Path) -> int:
    """How many bytes are there after a run that gave up."""
    with pytest.raises(InputError, match=r"a\.zip: expected the whole file, found a broken connection .*run again"):
        http_download.download(url, folder)
    return (folder / "a.zip").stat().st_size


def test_a_file_comes_whole_under_its_name_in_the_address(server, folder):
    file = http_download.download(server.url + "?token=1#top", folder)
    assert file == folder / "a.zip" and file.read_bytes() == server.content and len(server.requests) == 1


def test_a_cut_connection_is_resumed_where_it_broke_off(server, folder):
    server.cuts = [700, 300]
    assert http_download.download(server.url, folder).read_bytes() == server.content
    assert server.requests[1]["If-Range"] == '"1"'
    assert server.asked("Range") == [None, "bytes=699-", "bytes=998-"]


def test_a_broken_download_is_resumed_by_the_next_run(server, folder):
    server.cuts = [500, 101, 101, 101, 101]
    assert broken_off(server.url, folder) == 900
    server.requests.clear()
    assert http_download.download(server.url, folder).read_bytes() == server.content
    assert server.asked("Range") == ["bytes=899-"]


def test_a_server_that_answers_busy_is_tried_again(server, folder):
    statuses = iter([503, 200])
    answer = server.answer
    server.answer = lambda request: (setattr(server, "status", next(statuses)), answer(request))
    assert http_download.download(server.url, folder).read_bytes() == server.content


@pytest.mark.parametrize("obeys_if_range", [True, False])
@pytest.mark.parametrize("headers", [{"Last-Modified": "Fri, 13 Oct 2017 10:00:00 GMT"}, {"ETag": '"1"'}])
def test_a_file_that_changed_meanwhile_is_fetched_anew(server, folder, headers, obeys_if_range):
    server.headers, server.cuts = headers, [500, 100, 100, 100, 100]
    broken_off(server.url, folder)
    server.content = zipped({"set/training/anno.pickle": bytes(2000)})
    server.headers = {key: value.replace("1", "2") for key, value in headers.items()}
    server.obeys_if_range = obeys_if_range
    assert http_download.download(server.url, folder).read_bytes() == server.content


@pytest.mark.parametrize(("headers", "ranges"), [({"ETag": '"1"'}, False), ({}, True), ({"ETag": 'W/"1"'}, True)])
def test_a_server_without_ranges_or_validators_is_read_from_the_start(server, folder, headers, ranges):
    server.headers, server.ranges, server.cuts = headers, ranges, [700]
    assert http_download.download(server.url, folder).read_bytes() == server.content
    if ranges:
        shutil.rmtree(folder)
        server.cuts = [500] * 5
        assert "run again" not in refusal(server.url, folder)


def test_a_length_that_is_too_large_never_passes(server, folder):
    server.length = len(server.content) + 500
    assert broken_off(server.url, folder) == len(server.content)


def test_a_server_that_falls_silent_is_given_up(server, folder, monkeypatch):
    monkeypatch.setattr(http_download, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(http_download, "WAITS_S", ())
    server.answer = lambda request: time.sleep(0.3)
    assert "timed out" in refusal(server.url, folder)


def test_a_compressed_tar_is_kept_as_it_is_sent(server, folder):
    server.files, server.headers = {"a.tar.gz": tarred(mode="w:gz")}, {"Content-Encoding": "gzip"}
    file = http_download.download(server.at("a.tar.gz"), folder)
    assert gzip.decompress(file.read_bytes()) == tarred()


def test_redirects_are_followed_within_http_alone(server, folder):
    server.moved_to = server.url
    assert http_download.download(server.at("moved.zip"), folder).read_bytes() == server.content
    shutil.rmtree(folder)
    for target, said in (("file:///etc/passwd", "'file:///etc/passwd'"), (server.at("moved.zip"), "30 redirects")):
        server.moved_to = target
        assert said in refusal(server.at("moved.zip"), folder)


def test_pages_and_refusing_servers_are_named(server, folder):
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    assert "expected an archive, found an HTML page" in refusal(server.url, folder)
    server.status = 404
    assert "found HTTP status 404" in refusal(server.url, folder)
    server.close()
    assert "Connection refused" in refusal(server.url, folder)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9/download?id=3", "expected the address of an archive (.zip, .tar, .tar.gz, .tgz)"),
        ("http://[::1/a.zip", "expected an http or https address"),
        ("http://127.0.0.1:9/a.zip#\n", "expected an http or https address of one line"),
    ],
)
def test_what_is_no_address_of_an_archive_is_refused(url, expected):
    assert expected in damage.refusal(http_download.file_name, url)
    for name in ("%2e%2e%2fa.zip", "..%5Ca.zip", "a%00.zip"):  # a name leads nowhere
        assert not set(http_download.file_name(f"https://host/{name}")) & set("/\\\0")
