import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
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
FILES = {  # images and label files
    "rhd": 3 * 12 + 2,
    "stb": 12 * 2 + 12,
    "icvl": 3 * 4 + 3 + 3,
    "nyu": 2 * 7 + 2,
    "msra": 9 * 17 * 2,
}


def tree(root: Path) -> dict[str, str]:
    """Every file below root and the SHA-256 of its bytes."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


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
    facts = dataset.inspect(made[name])
    assert not facts["published"]
    assert len(tree(made[name])) == FILES[name]
    assert [path.name for path in made[name].parent.iterdir()] == [name]  # the scratch folder is gone
    for frame in dataset.frames_with_images(made[name])[:3]:
        for sample in dataset.read(frame):
            assert np.isfinite(sample.joints_mm).all() and sample.joints_mm.shape == (len(dataset.SKELETON), 3)


@pytest.mark.parametrize("name", ["rhd", "icvl", "nyu"])
def test_neither_processes_nor_units_change_a_byte(made, tmp_path, monkeypatch, name):
    for unit_frames, processes in ((1, 1), (4, 2)):
        monkeypatch.setattr(generate, "UNIT_FRAMES", unit_frames)
        root = tmp_path / f"{unit_frames}-{processes}"
        generate.generate(name, root, SIZES[name], 1, processes)
        assert tree(root) == tree(made[name])


def test_fewer_frames_are_the_first_frames(made, tmp_path):
    make(tmp_path / "rhd", training=3, evaluation=1)
    fewer, more = tree(tmp_path / "rhd"), tree(made["rhd"])
    images = [name for name in fewer if name.endswith(".png")]
    assert len(images) == 12
    assert all(fewer[name] == more[name] for name in images)


@pytest.mark.parametrize("name", ["stb", "icvl", "nyu", "msra"])
def test_another_seed_gives_another_set(made, tmp_path, name):
    sizes = {**SIZES[name], "training": 1, "evaluation": 1} if "training" in SIZES[name] else SIZES[name]
    rendered, root = generate.SETS[name], tmp_path / name
    frames = rendered.frames(sizes)[:1]
    rows = [next(iter(rendered.render(root / str(seed), frames, seed, sizes))) for seed in (1, 2, 1)]
    trees = [tree(root / str(seed)) for seed in (1, 2)]
    assert all((rows[0][key] == rows[2][key]).all() and (rows[0][key] != rows[1][key]).any() for key in rows[0])
    assert set(trees[0]) == set(trees[1]) and all(trees[0][file] != trees[1][file] for file in trees[0])


def test_another_seed_and_the_other_split_give_other_pictures(made, tmp_path):
    make(tmp_path / "rhd", seed=2, training=1, evaluation=1)
    splits = ("training", "evaluation")
    pictures = [root / split / "color" / "00000.png" for root in (made["rhd"], tmp_path / "rhd") for split in splits]
    assert len({path.read_bytes() for path in pictures}) == 4


def failing(render, at: int, calls: list):
    def render_or_fail(root, frames, seed, sizes):
        for labels in render(root, frames, seed, sizes):
            calls.append(labels)
            if len(calls) == at:
                raise OSError("no space left on device")
            yield labels

    return render_or_fail


def test_an_interrupted_run_goes_on_with_its_finished_units(made, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "UNIT_FRAMES", 2)
    root, written, rhd = tmp_path / "rhd", [], generate.SETS["rhd"]
    monkeypatch.setitem(generate.SETS, "rhd", dataclasses.replace(rhd, render=failing(rhd.render, 6, written)))
    with pytest.raises(OSError, match="no space left"):  # in the middle of the third unit
        make(root)
    assert not root.exists()
    make(root)
    assert tree(root) == tree(made["rhd"])
    assert len(written) == 6 + 12 - 4  # two units of two frames were not drawn again


def test_what_another_recipe_left_behind_is_not_used(made, tmp_path, monkeypatch):
    rhd = generate.SETS["rhd"]
    monkeypatch.setitem(generate.SETS, "rhd", dataclasses.replace(rhd, write_labels=None))  # breaks off in the end
    for other in ({"seed": 2}, {"image_px": 48}):
        with pytest.raises(TypeError):
            make(tmp_path / "rhd", **other)
    monkeypatch.undo()
    make(tmp_path / "rhd")
    assert tree(tmp_path / "rhd") == tree(made["rhd"])


def test_a_run_killed_at_once_and_started_again_ends_with_the_same_bytes(tmp_path, monkeypatch):
    program = """
import sys
from pathlib import Path
from handvae.synthetic import generate
generate.UNIT_FRAMES = 5
if __name__ == "__main__":
    sizes = {"training": 40, "evaluation": 5, "image_px": 48}
    generate.generate("rhd", Path(sys.argv[1]), sizes, seed=3, processes=2)
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path / "killed")]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    work = tmp_path / "killed.partial"
    while not list(work.glob("units/*.npz")) and run.poll() is None:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert work.exists()
    time.sleep(0.5)  # the workers notice and die
    left = tree(work)
    time.sleep(0.3)
    assert tree(work) == left
    monkeypatch.setattr(generate, "UNIT_FRAMES", 5)
    for name in ("killed", "whole"):
        make(tmp_path / name, seed=3, training=40, evaluation=5, image_px=48)
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")
    assert not work.exists()
