from pathlib import Path

import pytest

from handvae.base.errors import InputError
from handvae.download import sources
from tests import damage, small_archives
from tests.small_archives import FILES, MARKER, content_of, find_set, saved, tarred, zipped

server = small_archives.server

# STB's trap: some of its zips have a top folder, some have not, and all have files of the same names
PIECES = {
    "B1.zip": {"0.png": b"B1, 0", "1.png": b"B1, 1"},
    "B4.zip": {"B4/0.png": b"B4, 0", "B4/1.png": b"B4, 1"},
    "labels.tar.gz": {"labels/B1.mat": b"B1", "labels/B4.mat": b"B4"},
}
ZIPS = {name: zipped(files) if name.endswith(".zip") else tarred(files, mode="w:gz") for name, files in PIECES.items()}
LOCATED = {f"{name.split('.')[0]}/{path}": content for name, files in PIECES.items() for path, content in files.items()}


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def pieces(server, tmp_path) -> list[str | Path]:
    """The second is on the web, the others on this disk."""
    server.files = dict(ZIPS)
    here = [saved(tmp_path / "mine", name, ZIPS[name]) for name in ("B1.zip", "labels.tar.gz")]
    return [here[0], server.at("B4.zip"), here[1]]


def locate(cache: Path, source, sha256=None, find: sources.Find = find_set) -> Path:
    source = [str(piece) for piece in source] if isinstance(source, list) else str(source)
    return sources.locate("rhd", source, sha256, cache, find)


def whole(folder: Path) -> Path:
    return folder


def refusal(cache: Path, source, sha256=None, find: sources.Find = find_set) -> str:
    """The message of a refused source; nothing may be left behind, inside the cache or beside it."""
    before = set(cache.parent.rglob("*"))
    message = damage.refusal(locate, cache, source, sha256, find)
    assert set(cache.parent.rglob("*")) - {cache} == before - {cache}
    return message


def test_a_folder_is_used_in_place_by_itself_or_by_the_one_that_holds_it(tmp_path, cache):
    saved(tmp_path / "data" / "RHD_published_v2" / "training", "anno.pickle", b"labels")
    assert locate(cache, tmp_path / "data" / "RHD_published_v2") == tmp_path / "data" / "RHD_published_v2"
    assert locate(cache, tmp_path / "data") == tmp_path / "data" / "RHD_published_v2"
    assert not cache.exists()


def test_what_is_no_folder_of_the_set_and_no_archive_is_refused(tmp_path, cache):
    assert refusal(cache, tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: expected a folder, found no folder"
    (tmp_path / "data").mkdir()
    assert refusal(cache, tmp_path / "data") == f"{tmp_path / 'data'}: expected one folder with {MARKER}, found 0"
    assert "expected no SHA-256 for a folder" in refusal(cache, tmp_path / "data", "0" * 64)
    piece = "a piece of a split one; join them first"
    for name, found in (("a.rar", "another file"), ("RHD.zip.001", piece), ("RHD.z01", piece)):
        file = saved(tmp_path, name, zipped())
        expected = "expected a folder or an archive (.zip, .tar, .tar.gz, .tgz)"
        assert refusal(cache, file) == f"{file}: {expected}, found {found}"


@pytest.mark.parametrize("name", ["a.zip", "A.Zip", "a.tar.gz"])
def test_an_archive_on_disk_or_web_is_unpacked_to_the_cache(tmp_path, server, cache, name):
    server.files = {name: tarred(mode="w:gz") if name == "a.tar.gz" else zipped()}
    for source in (saved(tmp_path, name, server.files[name]), [tmp_path / name], server.at(name)):
        root = locate(cache, source)
        assert root == cache / "rhd" / "set" and content_of(root.parent) == FILES
        assert {path.name for path in cache.iterdir()} == {"rhd"}
    (tmp_path / name).unlink()
    said = damage.refusal(locate, cache, tmp_path / name)
    assert said.endswith(f"found no file; what was unpacked before can be the source itself: {cache / 'rhd'}")
    assert locate(cache, cache / "rhd") == root


def test_a_list_is_unpacked_side_by_side_with_and_without_top_folders(server, pieces, cache):
    root = locate(cache, pieces, find=whole)
    assert root == cache / "rhd" and content_of(root) == LOCATED
    assert {path.name for path in cache.iterdir()} == {"rhd"} and server.asked("name") == ["B4.zip"]
    locate(cache, pieces[::2], find=whole)
    assert content_of(root) == {path: content for path, content in LOCATED.items() if not path.startswith("B4")}


def test_the_message_of_find_is_kept_under_the_name_of_the_source_instead_of_the_folder(tmp_path, pieces, cache):
    def find(folder: Path) -> Path:
        raise InputError(f"{folder}: expected hands, found feet")

    archive = saved(tmp_path, "a.zip", zipped())
    assert refusal(cache, archive, find=find) == f"{archive}: expected hands, found feet"
    assert refusal(cache, tmp_path, find=find) == f"{tmp_path}: expected hands, found feet"
    assert refusal(cache, pieces, find=find) == "rhd (B1.zip, B4.zip, labels.tar.gz): expected hands, found feet"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("b1.tar.gz", "expected archives of different names in a list"),
        ("nowhere.zip", "nowhere.zip: expected an archive, found no file"),
        ("folder.zip", "folder.zip: expected an archive (.zip, .tar, .tar.gz, .tgz) or the address of one"),
        ("...zip", "expected a file name that can name a folder, found '...zip'"),
        ("http://127.0.0.1:9/B5.rar", "expected the address of an archive"),
    ],
)
def test_a_list_with_a_bad_entry_is_refused_before_anything_is_fetched(server, pieces, tmp_path, cache, name, expected):
    (tmp_path / "other" / "folder.zip").mkdir(parents=True)
    for file in ("b1.tar.gz", "...zip"):
        saved(tmp_path / "other", file, ZIPS["B1.zip"])
    source = name if "://" in name else tmp_path / "other" / name
    assert expected in refusal(cache, [*pieces, source], find=whole)
    assert server.asked("name") == []


def test_sums_of_another_number_are_refused_before_anything_is_fetched(server, pieces, cache):
    for source, sha256 in ((pieces, ["0" * 64, None]), (pieces, "0" * 64), (server.url, [None, None]), ([], None)):
        assert "expected archives, and null or one SHA-256 for each, found" in refusal(cache, source, sha256)
    assert server.asked("name") == []


# as Google Drive sends a folder: each part holds some of its files
CONTENTS = [{f"set/{MARKER}": FILES[f"set/{MARKER}"]}, {name: FILES[name] for name in FILES if MARKER not in name}]


@pytest.mark.parametrize("pattern", ["set-20240131T120000Z-1-{}.zip", "set-{}.zip"])
def test_parts_of_one_download_are_unpacked_together_as_one_archive_is_and_hold_no_path_twice(tmp_path, cache, pattern):
    contents = enumerate([*CONTENTS, CONTENTS[1]], 1)
    parts = [saved(tmp_path, pattern.format(f"{number:03}"), zipped(files)) for number, files in contents]
    assert f"{parts[2]}: expected a whole archive" in refusal(cache, parts)
    root = locate(cache, parts[:2])
    assert root == cache / "rhd" / "set" and content_of(root.parent) == FILES


def test_parts_beside_other_archives_share_a_folder_named_like_what_they_are_parts_of(tmp_path, cache):
    unpacked = {
        ("B1-20240131T120000Z-001.zip", "B1"): "0.png",  # Google Drive numbers a single part too
        ("images-20240131T120000Z-001.zip", "images"): "0.png",
        ("images-20240131T120000Z-002.zip", "images"): "1.png",
        ("labels-001.zip", "labels-001"): "0.mat",  # alone: a name like others
    }
    archives = [saved(tmp_path / "mine", name, zipped({file: b"0"})) for (name, _), file in unpacked.items()]
    expected = {f"{folder}/{file}" for (_, folder), file in unpacked.items()}
    assert set(content_of(locate(cache, archives, find=whole))) == expected


@pytest.mark.parametrize(
    "source, type_, name",
    [
        ("/a/b/RHD", "folder", "RHD"),
        ("/a/b/RHD_v1-1.zip", "archive", "RHD_v1-1.zip"),
        (["/a/B1.zip", "https://user:word@host/where/labels.zip?token=secret/1#top"], "url", "B1.zip, labels.zip"),
        ([f"/a/B{i}.zip" for i in range(1, 7)], "archive", "B1.zip, B2.zip, B3.zip and 3 more"),
    ],
)
def test_the_short_name_of_a_source_is_no_path_host_or_secret(source, type_, name):
    assert (sources.source_type(source), sources.short_name(source)) == (type_, name)
