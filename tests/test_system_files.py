"""What macOS, Windows and Linux desktops leave in folders changes nothing that a set's reader says."""

import shutil
from pathlib import Path

import pytest

from handvae.base.system_files import is_system_file
from handvae.datasets import sets
from handvae.datasets.sets import DATASETS
from handvae.synthetic.generate import generate
from tests.damage import refusal
from tests.test_generate import SIZES

FILES = (".DS_Store", "Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", ".localized", ".directory")
FOLDERS = ("__MACOSX", "$RECYCLE.BIN", ".Spotlight-V100", ".Trashes", ".Trash-1000", ".fseventsd", "@eaDir")
FOLDERS += ("System Volume Information",)


@pytest.mark.parametrize("name", [*FILES, *FOLDERS, "._00000.png", "._labels.txt", "._"])
def test_system_files_are_known_by_their_names(name):
    assert is_system_file(name)


@pytest.mark.parametrize(
    "name", ["00000.png", "color", ".source.json", "_._a", "desktop", "Thumbs", "MACOSX", ".a", "..", "Testing"]
)
def test_other_names_are_none_of_them(name):
    assert not is_system_file(name)


def sprinkle(folder: Path) -> None:
    """What systems leave, in every folder here and below; of each file its AppleDouble twin."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(60))
    for place in folders:
        for name in FILES:
            (place / name).write_bytes(b"\0\0\0\1Bud1")


def sprinkle_folders(folder: Path) -> None:
    """What zips of Finder hold beside the set, and what bins and indices do: whole old copies of it."""
    root = next(path for path in folder.iterdir() if path.is_dir())
    for name in FOLDERS:
        shutil.copytree(root, folder / name)
    shutil.copytree(folder / "__MACOSX", root / "__MACOSX")


def told(name: str, folder: Path) -> tuple:
    """All that the package says of the set that lies in a folder."""
    dataset, options = DATASETS[name], {}
    root = sets.find(name, folder)
    if name == "rhd":
        options = {"hands": "both"}
    elif name == "stb":
        options = {"training": ["B1Counting"], "evaluation": ["B2Random"], "views": ["left"], "images": True}
    elif name == "icvl":
        options = {"rotated_copies": True}
    groups = dataset.frames(root, **options)
    names = {group: [sample.name for frame in groups[group] for sample in dataset.read(frame)] for group in groups}
    joints_mm = dataset.labelled_hands(root).joints_mm.tobytes()
    return root, dataset.inspect(root), names, joints_mm, len(dataset.frames_with_images(root))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("made")
    for name, sizes in SIZES.items():
        generate(name, folder / name / "set", sizes, seed=1, processes=1)
    return {name: folder / name for name in SIZES}


@pytest.fixture(params=SIZES)
def copy(made, tmp_path, request) -> tuple[str, Path]:
    shutil.copytree(made[request.param], tmp_path / "copy")
    return request.param, tmp_path / "copy"


def test_files_and_folders_of_systems_everywhere_change_nothing(copy):
    name, folder = copy
    before = told(name, folder)
    sprinkle_folders(folder)
    sprinkle(folder)
    assert told(name, folder) == before
    assert before[0] == folder / "set"


def test_they_are_in_no_message(copy):
    name, folder = copy
    (folder / "set").rename(folder / "too deep")
    (folder / "deep").mkdir()
    (folder / "too deep").rename(folder / "deep/set")
    for place in FOLDERS:
        shutil.copytree(folder / "deep/set", folder / place / "set")
    before = refusal(DATASETS[name].find, folder)
    assert "found neither, but deep" in before and before.endswith("but deep")
    sprinkle(folder)
    assert refusal(DATASETS[name].find, folder) == before
    assert f"; the set is in {folder / 'deep/set'}" in refusal(sets.find, name, folder)
