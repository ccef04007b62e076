import errno
import os

import pytest

from handvae.base import atomic


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    with pytest.raises(OSError), atomic.replacing_file(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(path.parent.iterdir())
    atomic.write_text(path, "whole")
    assert path.read_text() == "whole" and len(list(path.parent.iterdir())) == 1


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    atomic.write_text(path, "old")
    with pytest.raises(RuntimeError), atomic.replacing_file(path) as partial:
        partial.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old"


def test_a_folder_is_replaced_whole_and_what_a_killed_run_left_is_not_trusted(tmp_path):
    folder = tmp_path / "folder"
    left_behind = tmp_path / "folder.partial"
    left_behind.mkdir()
    (left_behind / "stale").touch()
    for names in (["a", "b"], ["c"]):
        with atomic.replacing_folder(folder) as partial:
            for name in names:
                (partial / name).touch()
        assert sorted(path.name for path in folder.iterdir()) == names
    with pytest.raises(RuntimeError), atomic.replacing_folder(folder) as partial:
        (partial / "d").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "c"]


def synced_names(monkeypatch) -> list[str]:
    """Filled with the name of every file that is synced, as it is called at that moment."""
    names, real = [], os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda number: (names.append(os.readlink(f"/proc/self/fd/{number}")), real(number))
    )
    return names


def test_a_file_alone_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = synced_names(monkeypatch)
    atomic.write_text(tmp_path / "file", "whole")
    assert synced == [f"{tmp_path}/file.partial"]


def test_files_synced_together_are_all_on_disk_at_the_end_and_not_one_by_one(tmp_path, monkeypatch):
    synced, paths = synced_names(monkeypatch), [tmp_path / str(number) for number in range(100)]
    with atomic.synced_together():
        for path in paths:
            atomic.write_text(path, "whole")
        assert not synced and all(path.read_text() == "whole" for path in paths)
    assert sorted(synced) == sorted(map(str, paths))
    atomic.write_text(tmp_path / "later", "whole")  # as ever
    assert synced[100:] == [f"{tmp_path}/later.partial"]


def test_a_failed_sync_at_the_end_is_an_error(tmp_path, monkeypatch):
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic.synced_together():
        atomic.write_text(tmp_path / "file", "whole")
