import errno

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
