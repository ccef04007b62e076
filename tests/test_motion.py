import numpy as np
import pytest

from handvae.base.geometry import project
from handvae.base.joints import LEFT, RIGHT
from handvae.synthetic import motion as motions
from handvae.synthetic.kinematics import LIMITS_DEG, HandPose, forward_kinematics
from handvae.synthetic.motion import Motion, Subject
from handvae.synthetic.poses import MAX_OVERLAP_M, overlap_m
from handvae.synthetic.scenes import cut_in_view, moved

FRAMES = 300
MOTIONS = {
    "stb": Motion((1, 0), "counting", LEFT, Subject(1, 0, motions.STB_HAND_LENGTH_M), motions.STB_VIEW),
    "nyu": Motion((1, 3), "random", RIGHT, Subject(1, 2, motions.NYU_HAND_LENGTHS_M[0]), motions.NYU_VIEW),
    "msra": Motion((1, 4), "Y", RIGHT, Subject(1, 3, motions.MSRA_HAND_LENGTHS_M[4]), motions.MSRA_VIEW),
}


@pytest.fixture(scope="module", params=list(MOTIONS))
def motion(request) -> Motion:
    return MOTIONS[request.param]


@pytest.fixture(scope="module")
def hands(motion):
    return [motion.hand(frame) for frame in range(FRAMES)]


def batch(motion: Motion, frames) -> HandPose:
    poses = [motion.at(frame).pose for frame in frames]
    return HandPose(np.stack([p.angles_rad for p in poses]), np.stack([p.wrist_rad for p in poses]))


def test_joints_move_about_as_fast_as_in_stb_and_without_jerks(hands):
    """STB's B1Counting: median 2.4, mean 2.6, greatest 21.8 mm a frame."""
    steps_mm = 1e3 * np.diff([hand.joints_m for hand in hands], axis=0)
    speed_mm = np.linalg.norm(steps_mm, axis=-1)
    assert 1.5 < np.median(speed_mm) < 3.5
    assert speed_mm.max() < 22
    assert np.linalg.norm(np.diff(steps_mm, axis=0), axis=-1).max() < 6


def test_a_frame_depends_neither_on_other_frames_nor_on_their_order(motion, hands):
    motions._keys.cache_clear()
    for frame in (211, 3, 250, 40):
        again = motion.hand(frame)
        np.testing.assert_array_equal(again.joints_m, hands[frame].joints_m)
        np.testing.assert_array_equal(again.matrices, hands[frame].matrices)


def test_angles_stay_inside_the_joint_limits_and_no_finger_goes_through_another(motion):
    poses = batch(motion, range(FRAMES))
    degrees = np.degrees(poses.angles_rad)
    assert (degrees >= LIMITS_DEG[..., 0] - 1e-9).all()
    assert (degrees <= LIMITS_DEG[..., 1] + 1e-9).all()
    overlaps = overlap_m(motion.shape, poses)
    assert overlaps[:: motions.KEY_FRAMES].max() <= MAX_OVERLAP_M
    assert overlaps.max() <= MAX_OVERLAP_M + 0.001  # in between, only some points of the way are checked


def test_the_hand_is_in_every_cameras_picture_at_its_distance(motion, hands):
    view = motion.view
    lens = np.array([view.width, view.height])
    for hand in hands[::3]:
        for offset_m in (0, view.baseline_m):
            seen = moved(hand, np.array([-offset_m, 0, 0]))
            uv_px = project(seen.joints_m, view.camera)
            assert (uv_px > 0.01 * lens).all()
            assert (uv_px < 0.99 * lens - 1).all()
            assert not cut_in_view(seen, view.camera, view.height, view.width)
    centre_m = np.array([motion.at(frame).centre_m for frame in range(FRAMES)])
    assert view.depth_m[0] <= centre_m[:, 2].min() and centre_m[:, 2].max() <= view.depth_m[1]
    assert np.abs(centre_m[:, :2] - [view.baseline_m / 2, 0]).max() <= view.lateral_m + 1e-12


def is_straight(shape, pose: HandPose) -> np.ndarray:
    """(..., 4) of the fingers: whether base and tip are nearly as far apart as their bones are long."""
    chains = forward_kinematics(shape, pose).joints_m[..., 1:, :].reshape(*pose.angles_rad.shape[:-2], 5, 4, 3)
    reach_m = np.linalg.norm(chains[..., 3, :] - chains[..., 0, :], axis=-1)
    return (reach_m / shape.lengths_m.sum(axis=1))[..., 1:] > 0.9


def test_counting_extends_one_digit_after_another():
    motion = MOTIONS["stb"]
    poses = batch(motion, range(0, 12 * motions.KEY_FRAMES, motions.KEY_FRAMES))
    fingers = is_straight(motion.shape, poses).sum(axis=1)
    # first index to little, then the thumb; then thumb first
    assert fingers.tolist() == [0, 1, 2, 3, 4, 4, 0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("gesture", motions.GESTURES)
def test_gestures_extend_the_fingers_of_the_table_and_vary_a_little(gesture):
    motion = Motion((2, 0), gesture, RIGHT, Subject(2, 0, 0.17), motions.MSRA_VIEW)
    poses = batch(motion, range(0, 101, 25))
    assert (is_straight(motion.shape, poses) == [letter != "-" for letter in motions.GESTURES[gesture][1:]]).all()
    assert 0.3 < np.degrees(poses.angles_rad).std(axis=0).mean() < 5
