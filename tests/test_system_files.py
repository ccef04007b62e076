"""What macOS, Windows and Linux desktops leave in folders changes nothing that a set's reader says."""

import shutil
from pathlib import Path

import pytest

from handvae.base.system_files import is_system_file
from handvae.datasets import sets
from handvae.datasets.sets import DATASETS
from tests.damage import refusal
from tests.test_doubts import SETS, untouched

OURS = ("00000.png", "color", ".source.json", "_._a", "desktop", "Thumbs", "MACOSX", ".a", "..", "Testing")
THEIRS = (".DS_Store", "Thumbs.db", "desktop.ini", "Desktop.ini", ".directory", "__MACOSX", "$RECYCLE.BIN")
THEIRS += (".Trashes", ".Trash-1000", "@eaDir", "System Volume Information", "._00000.png", "._")


def test_system_files_are_known_by_their_names():
    assert all(map(is_system_file, THEIRS)) and not any(map(is_system_file, OURS))


def sprinkle(folder: Path) -> None:
    """What systems leave, in every folder here and below; of each file its AppleDouble twin."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(60))
    for path in (below / name for below in folders for name in (".DS_Store", "Thumbs.db")):
        path.write_bytes(b"\0\0\0\1Bud1")


def read(name: str, folder: Path) -> tuple:
    """All that the package says of the set that lies in a folder."""
    dataset, root = DATASETS[name], sets.find(name, folder)
    groups = dataset.frames(root, **SETS[name].options)
    names = {group: [sample.name for frame in groups[group] for sample in dataset.read(frame)] for group in groups}
    joints_mm = dataset.labelled_hands(root).joints_mm.tobytes()
    return root, dataset.inspect(root), names, joints_mm, len(dataset.frames_with_images(root))


@pytest.mark.parametrize("name", SETS)
def test_files_and_folders_of_systems_everywhere_change_nothing_and_are_in_no_message(tmp_path, name):
    folder, root = tmp_path / "folder", tmp_path / "folder/set"
    SETS[name].write(root, untouched, untouched)
    before = read(name, folder)
    assert before[0] == root
    shutil.copytree(root, folder / "$RECYCLE.BIN")  # bins hold whole old copies of the set
    shutil.copytree(folder / "$RECYCLE.BIN", root / "__MACOSX")
    sprinkle(folder)
    assert read(name, folder) == before

    (folder / "deep").mkdir()
    root.rename(folder / "deep/set")  # too deep to be found
    assert refusal(DATASETS[name].find, folder).endswith("found neither, but deep")
    assert f"; the set is in {folder / 'deep/set'}" in refusal(sets.find, name, folder)
