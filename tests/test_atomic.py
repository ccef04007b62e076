import errno
import os

import pytest

from handvae.base import atomic


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    for content in ("first", "second"):
        with pytest.raises(OSError), atomic.replacing_file(path) as partial:
            partial.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
        assert [file.read_text() for file in path.parent.iterdir()] == ([] if content == "first" else ["first"])
        atomic.write_text(path, content)
        assert [file.read_text() for file in path.parent.iterdir()] == [content]


def test_a_folder_is_replaced_whole_and_what_a_killed_run_left_is_not_trusted(tmp_path):
    folder = tmp_path / "folder"
    (tmp_path / "folder.partial").mkdir()
    (tmp_path / "folder.partial" / "stale").touch()
    for names in (["a", "b"], ["c"]):
        with atomic.replacing_folder(folder) as partial:
            for name in names:
                (partial / name).touch()
        assert sorted(path.name for path in folder.iterdir()) == names
    with pytest.raises(RuntimeError), atomic.replacing_folder(folder) as partial:
        (partial / "d").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "c"]


@pytest.fixture
def synced(monkeypatch) -> list[str]:
    """Filled with the name of every file that is synced, as it is called at that moment."""
    names, original = [], os.fsync

    def fsync(number):
        names.append(os.readlink(f"/proc/self/fd/{number}"))
        original(number)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


def test_a_file_is_on_disk_before_it_has_its_name_and_files_synced_together_at_their_end(tmp_path, synced):
    atomic.write_text(tmp_path / "file", "whole")
    assert synced == [f"{tmp_path}/file.partial"]
    paths = [tmp_path / str(number) for number in range(100)]
    with atomic.synced_together():
        for path in paths:
            atomic.write_text(path, "whole")
        assert len(synced) == 1 and all(path.read_text() == "whole" for path in paths)
    assert sorted(synced[1:]) == sorted(map(str, paths))
    atomic.write_text(tmp_path / "later", "whole")  # as ever
    assert synced[101:] == [f"{tmp_path}/later.partial"]
