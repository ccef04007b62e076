from dataclasses import replace

import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.base.joints import LEFT, RIGHT
from handvae.synthetic import motion as motion_module
from handvae.synthetic.kinematics import LIMITS_DEG, HandPose, forward_kinematics
from handvae.synthetic.motion import (
    GESTURES,
    KEY_FRAMES,
    MSRA_HAND_LENGTHS_M,
    MSRA_VIEW,
    NYU_HAND_LENGTHS_M,
    NYU_VIEW,
    PALM_TO_CAMERA,
    STB_HAND_LENGTH_M,
    STB_VIEW,
    Motion,
    Subject,
    gesture_deg,
    subject_shape,
)
from handvae.synthetic.poses import MAX_OVERLAP_M, overlap_m
from handvae.synthetic.scenes import cut_in_view, moved, project

FRAMES = 300
MOTIONS = {
    "stb": Motion((1, 0), "counting", LEFT, Subject(1, 0, STB_HAND_LENGTH_M), STB_VIEW),
    "nyu": Motion((1, 3), "random", RIGHT, Subject(1, 2, NYU_HAND_LENGTHS_M[0]), NYU_VIEW),
    "msra": Motion((1, 4), "Y", RIGHT, Subject(1, 3, MSRA_HAND_LENGTHS_M[4]), MSRA_VIEW),
}


@pytest.fixture(scope="module", params=list(MOTIONS))
def motion(request) -> Motion:
    return MOTIONS[request.param]


@pytest.fixture(scope="module")
def hands(motion):
    return [motion.hand(frame) for frame in range(FRAMES)]


def batch(motion: Motion, frames) -> HandPose:
    poses = [motion.pose(frame) for frame in frames]
    return HandPose(np.stack([p.angles_rad for p in poses]), np.stack([p.wrist_rad for p in poses]))


def test_joints_move_about_as_fast_as_in_stb_and_without_jerks(hands):
    """STB's B1Counting: median 2.4, mean 2.6, greatest 21.8 mm a frame."""
    steps_mm = 1e3 * np.diff([hand.joints_m for hand in hands], axis=0)
    speed_mm = np.linalg.norm(steps_mm, axis=-1)
    assert 1.5 < np.median(speed_mm) < 3.5
    assert speed_mm.max() < 22
    assert np.linalg.norm(np.diff(steps_mm, axis=0), axis=-1).max() < 6


def test_a_frame_depends_neither_on_other_frames_nor_on_their_order(motion, hands):
    motion_module._keys.cache_clear()
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
    assert overlaps[::KEY_FRAMES].max() <= MAX_OVERLAP_M
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


def test_the_palm_turns_away_from_the_camera_by_the_angle_allowed_at_most(motion):
    turns = [motion.placement(frame)[0] @ PALM_TO_CAMERA.T for frame in range(0, FRAMES, 5)]
    degrees = np.degrees([np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)) for turn in turns])
    assert 0.5 * motion.view.max_angle_deg < max(degrees) <= motion.view.max_angle_deg + 1e-6


def test_what_no_motion_can_be_is_an_error():
    nyu = MOTIONS["nyu"]
    with pytest.raises(InputError, match="no place for a hand"):
        replace(nyu, view=replace(NYU_VIEW, depth_m=(0.06, 0.07))).hand(0)
    with pytest.raises(InputError, match="style"):
        replace(nyu, style="A")
    with pytest.raises(InputError, match="side"):
        replace(nyu, side=2)
    with pytest.raises(InputError, match="frame"):
        nyu.pose(-1)


def is_straight(shape, pose: HandPose) -> np.ndarray:
    """(..., 4) of the fingers: whether base and tip are nearly as far apart as their bones are long."""
    chains = forward_kinematics(shape, pose).joints_m[..., 1:, :].reshape(*pose.angles_rad.shape[:-2], 5, 4, 3)
    reach_m = np.linalg.norm(chains[..., 3, :] - chains[..., 0, :], axis=-1)
    return (reach_m / shape.lengths_m.sum(axis=1))[..., 1:] > 0.9


def test_counting_extends_one_digit_after_another():
    motion = MOTIONS["stb"]
    fingers = is_straight(motion.shape, batch(motion, [KEY_FRAMES * number for number in range(12)])).sum(axis=1)
    # first index to little, then the thumb; then thumb first
    assert fingers.tolist() == [0, 1, 2, 3, 4, 4, 0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("gesture", GESTURES)
def test_gestures_extend_the_fingers_of_the_table_and_vary_a_little(gesture):
    motion = Motion((2, 0), gesture, RIGHT, Subject(2, 0, 0.17), MSRA_VIEW)
    poses = batch(motion, range(0, 101, 25))
    assert (is_straight(motion.shape, poses) == [letter != "-" for letter in GESTURES[gesture][1:]]).all()
    assert 0.3 < np.degrees(poses.angles_rad).std(axis=0).mean() < 5


def test_gestures_differ_and_thumbs_touch_where_they_should():
    angles = [gesture_deg(gesture) for gesture in GESTURES]
    assert all(np.abs(a - b).max() > 20 for i, a in enumerate(angles) for b in angles[:i])
    shape = subject_shape(0, 0, 0.187)
    for gesture, finger in motion_module.TOUCHING.items():
        tips_m = forward_kinematics(shape, HandPose(np.radians(gesture_deg(gesture)), np.zeros(2))).joints_m[4::4]
        gaps_m = np.linalg.norm(tips_m[1:] - tips_m[0], axis=1)
        assert 1 + gaps_m.argmin() == finger and gaps_m.min() < 0.025


def test_a_subjects_hand_is_always_the_same_and_its_own():
    shape = subject_shape(5, 2, 0.18)
    assert shape.hand_length_m == 0.18
    np.testing.assert_array_equal(shape.lengths_m, subject_shape(5, 2, 0.18).lengths_m)
    np.testing.assert_allclose(subject_shape(5, 2, 0.09).lengths_m, shape.lengths_m / 2)
    assert not np.allclose(shape.lengths_m, subject_shape(5, 3, 0.18).lengths_m)
