import dataclasses
import json
import os
import shutil
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
from handvae.report import style
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
    return Hands(SKELETONS["HAND21"], joints, uv_px, cameras, np.full(count, side), np.full(count, "P0"), True)


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("doctor")
    for name, sizes in SIZES.items():
        generate(name, folder / name, sizes, seed=1, processes=1)
    return {name: folder / name for name in SIZES}


def run(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **changes}
    command = [sys.executable, "-m", "stages.doctor", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_good_labels_have_no_problem(side):
    found = doctor.examine(hands(side))
    assert found.problems == []
    text = "\n".join(found.lines)
    assert "20 labelled hands of 21 joints; depth" in text and "  middle: from root to middle_mcp" in text
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
    assert "and so 19 other bones" in doctor.examine(metres).problems[0]
    order = list(stb.TO_HAND21)  # little finger first, taken for the thumb: a hand of the other side
    other_order = changed(good, joints_mm=good.joints_mm[:, order], uv_px=good.uv_px[:, order])
    assert any("other side" in problem for problem in doctor.examine(other_order).problems)


@pytest.mark.parametrize("name", SIZES)
def test_every_synthetic_set_is_healthy_and_can_be_looked_at(roots, name):
    dataset = DATASETS[name]
    assert doctor.examine(dataset.labelled_hands(roots[name])).problems == []
    samples = [sample for frame in dataset.frames_with_images(roots[name])[:3] for sample in dataset.read(frame)]
    png = style.png_bytes(doctor.contact_sheet(samples, dataset.SKELETON, "title", "caption"))
    assert png == style.png_bytes(doctor.contact_sheet(samples, dataset.SKELETON, "title", "caption"))
    assert len(png) > 20_000


def test_pixels_that_were_made_from_the_joints_prove_nothing():
    found = doctor.examine(changed(hands(), pixels_labelled=False))
    assert "only images show" in "".join(found.lines) and "project to their pixels" not in "".join(found.lines)


def agreement(name: str, root: Path, changed_frames=list) -> doctor.Examination:
    frames = changed_frames(DATASETS[name].frames_with_images(root))
    samples = [DATASETS[name].read(frame)[0] for frame in frames]
    of = rhd.visible_joints_on_mask if name == "rhd" else None
    agreements = [of(frame) for frame in frames] if of else [doctor.depth_agreement(sample) for sample in samples]
    return doctor.examine_images(agreements, samples, 1000)


@pytest.mark.parametrize("name", ["rhd", "icvl", "nyu", "msra"])
def test_images_agree_with_their_own_labels_and_not_with_others(roots, name):
    found = agreement(name, roots[name])
    assert found.problems == [] and " of 1,000 images " in found.lines[0]

    def next_ones_labels(frames):
        label = {"rhd": "annotation", "icvl": "uvd"}.get(name, "joints_mm")
        key = {"rhd": lambda frame: frame.annotation.xyz_m[:, 0].sum()}.get(name)
        others = sorted(frames, key=key) if key else frames
        return [
            dataclasses.replace(frame, **{label: getattr(other, label)})
            for frame, other in zip(frames, others[len(others) // 2 :] + others[: len(others) // 2], strict=True)
        ]

    shifted = agreement(name, roots[name], next_ones_labels)
    assert any("only" in problem and "of the visible joints" in problem for problem in shifted.problems)


def test_masks_of_the_other_hand_are_noticed(roots, tmp_path):
    shutil.copytree(roots["rhd"], tmp_path / "set")
    for path in (tmp_path / "set").glob("*/mask/*.png"):
        mask_u8 = rhd.png.read_grey_u8(path)
        hand = mask_u8 >= 2
        rhd.png.write(path, np.where(hand, (mask_u8 - 2 + 16) % 32 + 2, mask_u8).astype(np.uint8))
    found = agreement("rhd", tmp_path / "set")
    assert any("no visible joint of the hand with more mask pixels: do left" in problem for problem in found.problems)


def test_frames_are_chosen_at_even_distances():
    assert doctor.evenly(list(range(11)), 3) == [0, 5, 10]
    assert doctor.evenly([7, 8], 12) == [7, 8] and doctor.evenly([], 3) == []


def test_the_program_ends_with_ready_and_a_picture(roots, tmp_path):
    result = run(tmp_path, "nyu", str(roots["nyu"]))
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "nyu: ready"
    assert "frames: train 3, test 4 (not the published set's counts)" in result.stdout
    assert (tmp_path / "data/doctor/nyu.png").stat().st_size > 20_000


def test_the_folder_may_lie_in_the_home_folder(roots, tmp_path):
    result = run(tmp_path, "nyu", "~/nyu", HOME=str(roots["nyu"].parent))
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "nyu: ready"


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
    archive = tmp_path / "labels.zip"
    archive.touch()
    assert "found a file; make it data.stb.source" in run(tmp_path, "stb", str(archive)).stdout
    inside = run(tmp_path, "stb", str(roots["stb"] / "images"))
    assert f"the set is in {roots['stb']}" in inside.stdout.splitlines()[-1]
    other = run(tmp_path, "icvl", str(roots["nyu"]))
    assert other.stdout.splitlines()[-1].endswith("; this looks like NYU")
    odd = tmp_path / os.fsdecode(b"a $x_ \xff")
    shutil.copytree(roots["msra"], odd)
    assert run(tmp_path, "msra", str(odd)).returncode == 0
    unknown = run(tmp_path, "hands")
    assert unknown.returncode == 1 and "expected one of rhd, stb, icvl, nyu, msra, found 'hands'" in unknown.stderr


def test_the_protocol_of_params_must_find_its_frames(roots, tmp_path):
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    shutil.copytree(roots["stb"], tmp_path / "STB")
    assert run(tmp_path, "stb", "STB").stdout.splitlines()[-1] == "stb: ready"
    (tmp_path / "STB/labels/B3Random_BB.mat").unlink()
    last = run(tmp_path, "stb", "STB").stdout.splitlines()[-1]
    assert "stb: not ready: STB: data.stb.protocol: expected sequences whose labels are here" in last
    assert "found 'B3Random'" in last


def test_what_another_source_left_is_not_taken_for_the_set(roots, tmp_path):
    text = (REPOSITORY / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(
        text.replace("  nyu:\n    source: synthetic", "  nyu:\n    source: new.zip", 1)
    )
    manifest = {"description": "old.zip (NYU's layout)", "root": str(roots["nyu"])}
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/nyu.json").write_text(json.dumps(manifest))
    assert "nyu: expected new.zip, found nothing, or what is left" in run(tmp_path, "nyu").stdout.splitlines()[-1]
    manifest["description"] = "new.zip (NYU's layout)"
    (tmp_path / "data/raw/nyu.json").write_text(json.dumps(manifest))
    assert run(tmp_path, "nyu").stdout.splitlines()[-1] == "nyu: ready"


def test_help_is_printed(tmp_path):
    result = run(tmp_path, "--help")
    assert result.returncode == 0 and "Usage: python -m stages.doctor" in result.stdout


@needs_real
def test_the_real_samples_are_healthy():
    for dataset, root in ((stb, REAL / "stb"), (rhd, REAL / "photos")):
        assert doctor.examine(dataset.labelled_hands(root)).problems == []
