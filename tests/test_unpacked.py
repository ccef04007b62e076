"""Archives that are parts of one download, and folders of archives that people look into, where `test_sources` has the
rest."""

import hashlib
from pathlib import Path

import pytest

from handvae.base.errors import InputError
from handvae.download import sources
from tests import test_sources
from tests.test_sources import FILES, content_of, find_set, held, locate, marks, refusal, saved, zipped

# as Google Drive sends a folder: each part holds some of its files
NAMES = ("set-20240131T120000Z-001.zip", "set-20240131T120000Z-002.zip")
PARTS = {
    NAMES[0]: zipped(
        {"set/": b"", "set/training/": b"", "set/training/anno.pickle": FILES["set/training/anno.pickle"]}
    ),
    NAMES[1]: zipped({name: content for name, content in FILES.items() if "anno" not in name}),
}


server = test_sources.server  # the same fixture


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def parts(tmp_path) -> list[Path]:
    return [saved(tmp_path / "mine", name, content) for name, content in PARTS.items()]


@pytest.mark.parametrize("pattern", [None, "set-20240131T120000Z-1-{}.zip", "set-{}.zip"])
def test_parts_of_one_download_are_unpacked_together_as_one_archive_is(tmp_path, cache, parts, pattern):
    if pattern:
        parts = [part.rename(part.with_name(pattern.format(f"{n:03}"))) for n, part in enumerate(parts, 1)]
    root = locate(cache, parts)
    assert root == cache / "rhd" / "set" and held(root) == FILES
    assert {path.name for path in cache.iterdir()} == {"rhd"}
    before = marks(cache)
    locate(cache, parts[::-1], [None, hashlib.sha256(parts[0].read_bytes()).hexdigest()])
    assert marks(cache) == before


def test_a_changed_part_is_unpacked_with_the_others(tmp_path, cache, parts):
    locate(cache, parts)
    saved(tmp_path / "mine", NAMES[1], zipped({"set/README": b"newer"}))
    root = locate(cache, parts)
    assert held(root) == {"set/training/anno.pickle": b"labels", "set/README": b"newer"}


def test_parts_that_hold_the_same_file_are_refused_and_leave_nothing(tmp_path, cache, parts):
    for again in ("set/README", "set/README/x", "set/training"):
        saved(tmp_path / "mine", NAMES[0], zipped({again: b"1"}))
        message = refusal(cache, parts)
        assert f"{parts[1]}: expected every path once in all parts of a download, found set/" in message
    saved(tmp_path / "mine", NAMES[0], PARTS[NAMES[0]])
    assert "expected SHA-256" in refusal(cache, parts, [None, "0" * 64])
    assert held(locate(cache, parts)) == FILES


def test_parts_from_the_web_are_fetched_once_and_resumed(server, cache):
    server.files = dict(PARTS)
    addresses = [server.at(name) for name in NAMES]
    server.cuts = [10**6, 100, 20, 10, 10, 10]  # the first part comes whole
    with pytest.raises(InputError, match=r"-002\.zip: .*run again to resume"):
        locate(cache, addresses)
    assert not (cache / "rhd").exists()
    server.asked()
    root = locate(cache, addresses)
    assert root == cache / "rhd" / "set" and held(root) == FILES
    assert server.asked() == [(NAMES[0], "Range"), (NAMES[1], "Range")]
    before = marks(cache)
    assert {path.name for path in cache.iterdir()} == {"rhd"}
    locate(cache, addresses)
    assert marks(cache) == before and server.asked() == [(name, "If-None-Match") for name in NAMES]
    locate(cache, addresses, [hashlib.sha256(content).hexdigest() for content in PARTS.values()])
    assert marks(cache) == before and server.asked() == []
    server.files[NAMES[1]] = b"<!DOCTYPE html>"
    with pytest.raises(InputError, match=r"-002\.zip: expected an archive, found an HTML page"):
        locate(cache, addresses)
    assert held(root) == FILES


def test_parts_beside_other_archives_share_a_folder_named_like_what_they_are_parts_of(tmp_path, cache):
    pieces = {
        "B1-20240131T120000Z-001.zip": {"B1/0.png": b"0"},  # Google Drive numbers a single part too
        "images-20240131T120000Z-001.zip": {"images/0.png": b"0"},
        "images-20240131T120000Z-002.zip": {"images/1.png": b"1"},
        "labels-001.zip": {"labels/0.mat": b"0"},  # alone: a name like others
    }
    archives = [saved(tmp_path / "mine", name, zipped(files)) for name, files in pieces.items()]
    root = locate(cache, archives, find=lambda folder: folder)
    assert content_of(root) == {
        "B1/B1/0.png": b"0",
        "images/images/0.png": b"0",
        "images/images/1.png": b"1",
        "labels-001/labels/0.mat": b"0",
    }
    before = marks(root)
    assert marks(locate(cache, archives, find=lambda folder: folder)) == before


def test_a_list_of_one_is_as_without_brackets(tmp_path, cache):
    archive = saved(tmp_path, "RHD_v1-1.zip", zipped())
    before = locate(cache, archive), marks(cache)
    assert (locate(cache, [archive]), marks(cache)) == before
    assert before[0] == cache / "rhd" / "set"


def test_looking_into_an_unpacked_folder_does_not_unpack_it_again(server, cache):
    root = locate(cache, server.url)
    before = marks(cache)
    server.asked()
    junk = [saved(folder, ".DS_Store", b"Bud1") for folder in (cache / "rhd", root, root / "training")]
    junk += [saved(root / "@eaDir" / "a", "thumb.jpg", b"1"), saved(root, "Thumbs.db", b"1")]
    locate(cache, server.url)
    assert server.asked() == [("a.zip", "If-None-Match")] and all(path.exists() for path in junk)
    for path in junk:
        path.unlink()
    assert marks(cache) == before


@pytest.mark.parametrize("name", ["RHD.zip.001", "RHD.z01", "RHD.tar.gz.001", "RHD.7z.002"])
def test_the_pieces_of_a_split_archive_are_named(tmp_path, cache, name):
    message = refusal(cache, saved(tmp_path, name, zipped()[:500]), find=find_set)
    assert message.endswith("found a piece of a split one; join them first")


def test_the_short_name_of_parts_is_theirs():
    assert sources.shown([f"/a/{name}" for name in NAMES]) == ", ".join(NAMES)
