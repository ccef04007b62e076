import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from handvae import doctor
from handvae.base.geometry import project
from handvae.base.joints import LEFT, RIGHT, SKELETONS
from handvae.datasets import nyu, rhd, rhd_annotations, stb
from handvae.datasets.labels import Hands
from handvae.datasets.sets import DATASETS
from handvae.synthetic.generate import generate
from stages import doctor as stage
from stages import run
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


@pytest.mark.parametrize("side, name", [(LEFT, "left"), (RIGHT, "right")])
def test_good_labels_have_no_problem(side, name):
    good = doctor.examine(hands(side))
    text = "\n".join(good.lines)
    assert good.problems == [] and "20 labelled hands of 21 joints; depth" in text
    assert f"20 {name} hands: 100.0 % of the 20 bent ones bend like one" in text


def test_labels_that_cannot_be_right_are_problems():
    good = hands()
    order = list(stb.TO_HAND21)  # little finger first, taken for the thumb: a hand of the other side
    for columns, expected in (
        ({"joints_mm": good.joints_mm * [-1, 1, 1], "uv_px": [640, 0] + good.uv_px * [-1, 1]}, "mirrored"),
        ({"uv_px": good.uv_px + 5}, "100.0 % of the joints project more than 1 px"),
        ({"joints_mm": good.joints_mm / 1000}, "expected 3 to 130 mm; 19 other bones are out of range too: wrong"),
        ({"joints_mm": good.joints_mm[:, order], "uv_px": good.uv_px[:, order]}, "other side"),
    ):
        problems = doctor.examine(dataclasses.replace(good, **columns)).problems
        assert any(expected in problem for problem in problems), problems


def agreement(name: str, frames: list) -> doctor.Examination:
    samples = [DATASETS[name].read(frame)[0] for frame in frames]
    agreements = map(rhd.visible_joints_on_mask, frames) if name == "rhd" else map(doctor.depth_agreement, samples)
    return doctor.examine_images(list(agreements), samples, 1000)


def with_others_labels(name: str, frames: list) -> list:
    """Each frame with the labels of one that lies half the set away, of RHD in the order of where the hand is."""
    key = {"rhd": "annotation", "icvl": "uvd"}.get(name, "joints_mm")
    others = sorted(frames, key=lambda frame: frame.annotation.xyz_m[:, 0].sum()) if name == "rhd" else frames
    half = len(frames) // 2
    pairs = zip(frames, others[half:] + others[:half], strict=True)
    return [dataclasses.replace(frame, **{key: getattr(other, key)}) for frame, other in pairs]


@pytest.mark.parametrize("name", SIZES)
def test_a_synthetic_set_is_healthy_and_its_images_do_not_agree_with_the_labels_of_others(roots, name):
    assert doctor.examine(DATASETS[name].labelled_hands(roots[name])).problems == []
    if name != "stb":  # whose colour images have no mask
        frames = DATASETS[name].frames_with_images(roots[name])
        own, shifted = agreement(name, frames), agreement(name, with_others_labels(name, frames))
        assert own.problems == [] and " of 1,000 images " in own.lines[0]
        assert any("only" in problem and "of the visible joints" in problem for problem in shifted.problems)


def test_masks_of_the_other_hand_are_noticed(roots, tmp_path):
    shutil.copytree(roots["rhd"], tmp_path / "set")
    for path in (tmp_path / "set").glob("*/mask/*.png"):
        mask_u8 = rhd.png.read_grey_u8(path)
        rhd.png.write(path, np.where(mask_u8 >= 2, (mask_u8 - 2 + 16) % 32 + 2, mask_u8).astype(np.uint8))
    problems = agreement("rhd", rhd.frames_with_images(tmp_path / "set")).problems
    assert any("no visible joint of the hand with more mask pixels: do left" in problem for problem in problems)


def says(capsys, *words: str) -> tuple[int, str, str]:
    """The exit code of `python -m stages.doctor`, all that it prints, and the last line."""
    code = 0
    try:
        run(stage.main, *words)
    except SystemExit as end:
        code = end.code
    out = capsys.readouterr().out
    return code, out, out.splitlines()[-1]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The working folder, with params.yaml; no picture is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "contact_sheet", lambda *arguments: None)
    monkeypatch.setattr(stage.style, "png_bytes", lambda figure: b"")
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    return tmp_path


def test_the_program_ends_with_ready_and_a_picture_of_a_folder_of_any_name_in_the_home_folder(
    roots, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    odd = os.fsdecode(b"a $x_ \xff")
    shutil.copytree(roots["nyu"], tmp_path / odd)
    code, out, last = says(capsys, "nyu", f"~/{odd}")
    assert (code, last) == (0, "nyu: ready") and "frames: train 3, test 4 (not the published set's counts)" in out
    assert (tmp_path / "data/doctor/nyu.png").stat().st_size > 20_000


def test_a_folder_that_changed_since_dvc_read_it_is_told(roots, here, capsys):
    folder, written = shutil.copytree(roots["nyu"], here / "NYU"), here / "data/raw/nyu.json"
    written.parent.mkdir(parents=True)
    for root, splits, told in (
        ("NYU", nyu.inspect(folder)["splits"], False),
        ("NYU", {}, True),
        ("elsewhere", {}, False),
    ):
        written.write_text(json.dumps({"root": root, "splits": splits}))
        code, out, last = says(capsys, "nyu", "NYU")
        assert (code, last) == (0, "nyu: ready")
        assert ("changed since data/raw/nyu.json was written: add -f to the next `dvc repro`" in out) == told


def test_a_set_in_the_working_folder_is_examined_before_anything_was_downloaded(roots, here, monkeypatch, capsys):
    monkeypatch.chdir(shutil.copytree(roots["nyu"], here / "NYU"))
    assert says(capsys, "nyu", ".")[2] == "nyu: ready"


def test_a_frame_without_any_visible_joint_is_told_before_all_images_are_read(roots, here, capsys):
    folder = shutil.copytree(roots["rhd"], here / "RHD")
    path = rhd_annotations.annotation_path(folder / "evaluation")
    raw = pickle.loads(path.read_bytes())
    raw[0]["uv_vis"][:, 2] = 0
    path.write_bytes(pickle.dumps(raw))
    expected = "expected a visible joint on every dominant hand, found none in frames of evaluation 0; if that is right"
    assert (said := says(capsys, "rhd", "RHD"))[0] == 1 and expected in said[2]


def test_the_program_says_what_is_wrong_and_exits_with_1(roots, here, capsys):
    shutil.copytree(roots["stb"], here / "STB")
    assert says(capsys, "stb", "STB")[2] == "stb: ready"
    (here / "STB/labels/B3Random_BB.mat").unlink()  # which the protocol of params.yaml wants
    broken = stb.image_path(shutil.copytree(roots["stb"], here / "broken"), "B1Counting", "left", 0)
    broken.write_bytes(broken.read_bytes()[:1000])
    (here / "labels.zip").touch()
    for words, expected in (
        (["icvl"], "run `dvc repro -f download@icvl`"),
        (["stb", "broken"], "BB_left_0.png: expected a whole PNG"),
        (["stb", "STB"], "STB: data.stb.protocol: expected sequences whose labels are here"),
        (["stb", "labels.zip"], "found a file; make it data.stb.source"),
        (["stb", str(roots["stb"] / "images")], f"the set is in {roots['stb']}"),
        (["icvl", str(roots["nyu"])], "; this looks like NYU"),
    ):
        code, _, last = says(capsys, *words)
        assert code == 1 and last.startswith(f"{words[0]}: not ready: ") and expected in last


@needs_real
def test_the_real_samples_are_healthy():
    for dataset, root in ((stb, REAL / "stb"), (rhd, REAL / "photos")):
        assert doctor.examine(dataset.labelled_hands(root)).problems == []
