from pathlib import Path

import numpy as np
import pytest

from handvae.base import geometry
from handvae.datasets import icvl, msra, nyu
from handvae.synthetic.generate import generate

SIZES = {"icvl": {"training": 24, "evaluation": 8}, "nyu": {"training": 8, "evaluation": 12}, "msra": {"gesture": 1}}
SETS = {"icvl": icvl, "nyu": nyu, "msra": msra}
FLESH_MM = 30.0  # from a joint to the surface before it, at most about a thumb's or palm's thickness


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("depth")
    for name, sizes in SIZES.items():
        generate(name, folder / name, sizes, seed=3, processes=1)
    return {name: folder / name for name in SIZES}


@pytest.fixture(scope="module")
def samples(roots) -> dict[str, list]:
    """About forty of each set."""
    frames = {name: SETS[name].frames_with_images(roots[name]) for name in SETS}
    chosen = {name: of_set[:: max(1, len(of_set) // 40)] for name, of_set in frames.items()}
    return {name: [hand for frame in chosen[name] for hand in SETS[name].read(frame)] for name in SETS}


def measured_at(sample, joint: int) -> float | None:
    """The depth in the pixel of a joint; None outside the picture."""
    u, v = sample.uv_px[joint].round().astype(int)
    height, width = sample.depth_mm.shape
    return sample.depth_mm[v, u] if 0 <= u < width and 0 <= v < height else None


@pytest.mark.parametrize("name", SIZES)
def test_what_is_measured_at_a_joint_is_flesh_before_it_or_something_nearer(samples, name):
    """Joints lie inside the hand: never nearer than what is measured there, and mostly a finger's thickness behind."""
    gaps_mm = []
    for sample in samples[name]:
        for joint, joint_mm in enumerate(sample.joints_mm):
            if depth_mm := measured_at(sample, joint):
                gaps_mm.append(joint_mm[2] - depth_mm)
    gaps_mm = np.array(gaps_mm)
    assert len(gaps_mm) > 200
    assert np.median(gaps_mm) > 3 and np.mean(gaps_mm < -8) < 0.03, (np.median(gaps_mm), np.mean(gaps_mm < -8))
    assert np.mean(gaps_mm < FLESH_MM) > 0.6


@pytest.mark.parametrize("name", SIZES)
def test_hands_have_the_side_that_the_set_says(roots, name):
    hands = SETS[name].labelled_hands(roots[name])
    bent = geometry.handedness(hands.joints_mm, hands.skeleton) * np.where(hands.side == 0, -1, 1)
    bent = bent[np.abs(bent) > 0.35]  # of flat hands the test says nothing
    assert len(bent) > 5 and (bent > 0).mean() > 0.97


def test_icvl_and_nyu_have_background_and_holes_and_msra_only_the_hand(samples):
    for name, least_background in (("icvl", 0.1), ("nyu", 0.5)):
        for sample in samples[name][:5]:
            behind = sample.depth_mm > sample.joints_mm[:, 2].max() + 100
            assert behind.mean() > least_background and (sample.depth_mm == 0).mean() > 1e-4
    for sample in samples["msra"][:5]:
        assert 0.005 < (sample.depth_mm > 0).mean() < 0.4
        assert not (sample.depth_mm > sample.joints_mm[:, 2].max() + 120).any()


def test_icvls_turned_copies_show_their_joints_on_the_same_depth(roots):
    frames = icvl.frames(roots["icvl"], rotated_copies=True)["train"]
    upright = {frame.path: icvl.read(frame)[0] for frame in frames if frame.path.count("/") == 1}
    turned = [frame for frame in frames if frame.path.count("/") == 2]
    assert len(turned) == 2 * len(upright) == 48
    agree = []
    for frame in turned:
        (sample,), original = icvl.read(frame), upright[frame.path.partition("/")[2]]
        np.testing.assert_allclose(sample.joints_mm[:, 2], original.joints_mm[:, 2], atol=1e-5)
        for joint in range(16):
            depths_mm = measured_at(sample, joint), measured_at(original, joint)
            if None not in depths_mm:
                agree.append(abs(depths_mm[0] - depths_mm[1]) < 15)
    assert np.mean(agree) > 0.85


def test_subjects_have_hands_of_their_own(roots):
    hands = msra.labelled_hands(roots["msra"])
    bones_mm = np.linalg.norm(hands.joints_mm[:, 10] - hands.joints_mm[:, 9], axis=1)
    of_subjects = [bones_mm[hands.subject == subject] for subject in msra.SUBJECTS]
    assert all(of_subject.std() < 1e-3 for of_subject in of_subjects)
    means_mm = [of_subject.mean() for of_subject in of_subjects]
    groups = [np.mean(means_mm[0:3]), np.mean(means_mm[3:6]), *means_mm[6:]]
    assert groups == sorted(groups, reverse=True)
    hands = nyu.labelled_hands(roots["nyu"])
    widths_mm = np.linalg.norm(hands.joints_mm[:, 30] - hands.joints_mm[:, 31], axis=1)
    first, second = (widths_mm[hands.subject == f"subject {number}"] for number in (1, 2))
    assert second.mean() / first.mean() == pytest.approx(29.9 / 35.32, abs=0.03)  # as in the real test labels


@pytest.mark.parametrize("name", ["nyu", "msra"])
def test_cubes_hold_the_hands(samples, name):
    for sample in samples[name]:
        reach_mm = np.abs(sample.joints_mm - sample.joints_mm[sample.centre_joint]).max()
        assert reach_mm < sample.cube_mm / 2 + 10
