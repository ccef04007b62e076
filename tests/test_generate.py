import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from handvae.datasets.sets import DATASETS
from handvae.synthetic import generate

RHD = {"training": 7, "evaluation": 5, "image_px": 64}
SIZES = {
    "rhd": RHD,
    "stb": {"sequence": 1, "background_frames": 25},
    "icvl": {"training": 4, "evaluation": 3},
    "nyu": {"training": 3, "evaluation": 4},
    "msra": {"gesture": 1},
}
FILES = {"rhd": 3 * 12 + 2, "stb": 12 * 2 + 12, "icvl": 3 * 4 + 3 + 3, "nyu": 2 * 7 + 2, "msra": 9 * 17 * 2}


def tree(root: Path) -> dict[str, str]:
    """Every file below root and the SHA-256 of its bytes."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    roots = {name: tmp_path_factory.mktemp("generate") / name for name in SIZES}
    for name, root in roots.items():
        generate.generate(name, root, SIZES[name], seed=1, processes=1)
    return roots


def make(root: Path, seed: int = 1, processes: int = 1, **sizes) -> None:
    generate.generate("rhd", root, {**RHD, **sizes}, seed, processes)


@pytest.mark.parametrize("name", SIZES)
def test_every_set_has_its_layout_and_reads_back(made, name):
    dataset = DATASETS[name]
    assert dataset.find(made[name].parent) == made[name]
    assert not dataset.inspect(made[name])["published"]
    assert len(tree(made[name])) == FILES[name]  # images and label files
    assert [path.name for path in made[name].parent.iterdir()] == [name]  # the scratch folder is gone
    for frame in dataset.frames_with_images(made[name])[:3]:
        for sample in dataset.read(frame):
            assert np.isfinite(sample.joints_mm).all() and sample.joints_mm.shape == (len(dataset.SKELETON), 3)


def test_neither_processes_nor_units_change_a_byte(made, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "UNIT_FRAMES", 4)
    make(tmp_path / "rhd", processes=2)
    assert tree(tmp_path / "rhd") == tree(made["rhd"])


@pytest.mark.parametrize("name", SIZES)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_set(tmp_path, name):
    rendered, labels, trees = generate.SETS[name], [], []
    frames = rendered.frames(SIZES[name])[:1]
    for number, seed in enumerate((1, 2, 1)):
        labels.append(next(rendered.render(tmp_path / str(number), frames, seed, SIZES[name])))
        trees.append(tree(tmp_path / str(number)))
    first, other, again = labels
    assert all((first[key] == again[key]).all() and (first[key] != other[key]).any() for key in first)
    assert trees[0] == trees[2]
    assert set(trees[0]) == set(trees[1]) and all(trees[0][file] != trees[1][file] for file in trees[0])


def test_an_interrupted_run_goes_on_with_its_finished_units(made, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "UNIT_FRAMES", 2)
    rhd, written = generate.SETS["rhd"], []

    def render(root, frames, seed, sizes):
        for labels in rhd.render(root, frames, seed, sizes):
            written.append(labels)
            if len(written) == 6:  # in the middle of the third unit
                raise KeyboardInterrupt
            yield labels

    monkeypatch.setitem(generate.SETS, "rhd", dataclasses.replace(rhd, render=render))
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "rhd")
    assert not (tmp_path / "rhd").exists()
    make(tmp_path / "rhd")
    assert tree(tmp_path / "rhd") == tree(made["rhd"])
    assert len(written) == 6 + 12 - 4  # two units of two frames were not drawn again


def test_what_another_recipe_left_behind_is_not_used(made, tmp_path, monkeypatch):
    unfinished = dataclasses.replace(generate.SETS["rhd"], write_labels=None)  # breaks off in the end
    for other in ({"seed": 2}, {"image_px": 48}):
        with monkeypatch.context() as patch, pytest.raises(TypeError):
            patch.setitem(generate.SETS, "rhd", unfinished)
            make(tmp_path / "rhd", **other)
        assert (tmp_path / "rhd.partial").exists()
    make(tmp_path / "rhd")
    assert tree(tmp_path / "rhd") == tree(made["rhd"])
