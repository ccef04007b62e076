import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handvae import doctor
from handvae.base.geometry import project
from handvae.base.joints import LEFT, RIGHT, SKELETONS
from handvae.datasets import rhd, stb
from handvae.datasets.labels import Hands
from handvae.datasets.sets import DATASETS
from handvae.report import figures
from handvae.synthetic.generate import generate
from tests.conftest import REAL, REPOSITORY, needs_real
from tests.test_generate import SIZES

CAMERA = np.array([[800.0, 0, 320], [0, 800.0, 240], [0, 0, 1]])


def hands(side: int = LEFT, count: int = 20, seed: int = 0) -> Hands:
    """Plain hands, palm to the camera, fingers bent towards it."""
    rng = np.random.default_rng(seed)
    joints = np.zeros((count, 21, 3))
    for finger in range(5):
        x = (finger - 2) * (-18.0 if side == RIGHT else 18.0)
        for segment in range(4):
            joints[:, 1 + 4 * finger + segment] = [x, -70.0 - 20 * segment, -8.0 * segment**2]
    joints += rng.normal(0, 0.5, joints.shape) + [0, 0, 600]
    cameras = np.broadcast_to(CAMERA, (count, 3, 3))
    uv_px = project(joints, CAMERA)
    return Hands(SKELETONS["HAND21"], joints, uv_px, cameras, np.full(count, side), np.full(count, "P0"))


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("doctor")
    for name, sizes in SIZES.items():
        generate(name, folder / name, sizes, seed=1, processes=1)
    return {name: folder / name for name in SIZES}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "stages.doctor", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_good_labels_have_no_problem(side):
    found = doctor.examine(hands(side))
    assert found.problems == []
    text = "\n".join(found.lines)
    assert "20 labelled hands of 21 joints; depth" in text and "middle_mcp to middle_pip 21" in text
    assert f"20 {'left' if side == LEFT else 'right'} hands: 100.0 % of the 20 bent ones bend like one" in text


def changed(good: Hands, **columns) -> Hands:
    return Hands(**{**good.__dict__, **columns})


def test_labels_that_cannot_be_right_are_problems():
    good = hands()
    mirrored = changed(good, joints_mm=good.joints_mm * [-1, 1, 1], uv_px=[640, 0] + good.uv_px * [-1, 1])
    assert any("mirrored" in problem for problem in doctor.examine(mirrored).problems)
    shifted = changed(good, uv_px=good.uv_px + 5)
    assert any("100.0 % of the joints project more than 1 px" in p for p in doctor.examine(shifted).problems)
    metres = changed(good, joints_mm=good.joints_mm / 1000)
    assert any("wrong unit or order" in problem for problem in doctor.examine(metres).problems)
    order = list(stb.TO_HAND21)  # little finger first, taken for the thumb: a hand of the other side
    other_order = changed(good, joints_mm=good.joints_mm[:, order], uv_px=good.uv_px[:, order])
    assert any("other side" in problem for problem in doctor.examine(other_order).problems)


@pytest.mark.parametrize("name", SIZES)
def test_every_synthetic_set_is_healthy_and_can_be_looked_at(roots, name):
    dataset = DATASETS[name]
    assert doctor.examine(dataset.labelled_hands(roots[name])).problems == []
    samples = [sample for frame in dataset.frames_with_images(roots[name])[:3] for sample in dataset.read(frame)]
    png = figures.png_bytes(doctor.contact_sheet(samples, dataset.SKELETON, "title", "caption"))
    assert png == figures.png_bytes(doctor.contact_sheet(samples, dataset.SKELETON, "title", "caption"))
    assert len(png) > 20_000


def test_frames_are_chosen_at_even_distances():
    assert doctor.evenly(list(range(11)), 3) == [0, 5, 10]
    assert doctor.evenly([7, 8], 12) == [7, 8] and doctor.evenly([], 3) == []


def test_the_program_ends_with_ready_and_a_picture(roots, tmp_path):
    result = run(tmp_path, "nyu", str(roots["nyu"]))
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "nyu: ready"
    assert "frames: train 3, test 4 (not the published set's counts)" in result.stdout
    assert (tmp_path / "data/doctor/nyu.png").stat().st_size > 20_000


def test_the_program_says_what_is_wrong_and_exits_with_1(roots, tmp_path):
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    missing = run(tmp_path, "icvl")
    assert missing.returncode == 1 and "run `dvc repro download@icvl`" in missing.stdout
    broken = stb.image_path(roots["stb"], "B1Counting", "left", 0)
    content = broken.read_bytes()
    broken.write_bytes(content[:1000])
    result = run(tmp_path, "stb", str(roots["stb"]))
    broken.write_bytes(content)
    last = result.stdout.splitlines()[-1]
    assert (
        result.returncode == 1 and last.startswith("stb: not ready") and "BB_left_0.png: expected a whole PNG" in last
    )
    assert "Traceback" not in result.stderr
    unknown = run(tmp_path, "hands")
    assert unknown.returncode == 1 and "expected one of rhd, stb, icvl, nyu, msra, found 'hands'" in unknown.stderr


@needs_real
def test_the_real_samples_are_healthy():
    for dataset, root in ((stb, REAL / "stb"), (rhd, REAL / "photos")):
        assert doctor.examine(dataset.labelled_hands(root)).problems == []
