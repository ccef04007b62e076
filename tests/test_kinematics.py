import numpy as np
import pytest

from handvae.base.joints import BONES21, HAND21
from handvae.synthetic import kinematics
from handvae.synthetic.kinematics import REFERENCE_SHAPE, HandPose, bone_matrices, forward_kinematics, sample_shape
from handvae.synthetic.poses import MAX_OVERLAP_M, overlap_m, sample_pose


@pytest.fixture(scope="module")
def sampled():
    """400 shapes and poses."""
    generators = [np.random.default_rng([5, index]) for index in range(400)]
    shapes = [sample_shape(rng) for rng in generators]
    return [(shape, sample_pose(rng, shape)) for shape, rng in zip(shapes, generators, strict=True)]


def flat_pose(**degrees) -> HandPose:
    """All angles zero but the named: middle=(base flexion, abduction, mid flexion, end flexion)."""
    angles = np.zeros((5, 4))
    for finger, values in degrees.items():
        angles[("thumb", "index", "middle", "ring", "little").index(finger)] = values
    return HandPose(np.radians(angles), np.zeros(2))


def test_a_middle_finger_lies_straight_on_the_line_from_its_base_and_bends_to_the_palm_side():
    base = kinematics.BASE[2] * kinematics.HAND_LENGTH_REFERENCE_M
    first, second, third = kinematics.LENGTHS[2] * kinematics.HAND_LENGTH_REFERENCE_M
    straight, bent = (flat_pose(middle=(0, 0, degrees, 0)) for degrees in (0, 90))
    for pose, steps in (
        (straight, [[0, 0, 0], [0, first, 0], [0, first + second, 0], [0, first + second + third, 0]]),
        (bent, [[0, 0, 0], [0, first, 0], [0, first, second], [0, first, second + third]]),
    ):
        joints_m = forward_kinematics(REFERENCE_SHAPE, pose).joints_m[HAND21.index("middle_mcp") :][:4]
        np.testing.assert_allclose(joints_m, base + steps, atol=1e-12)


def test_poses_move_joints_but_never_change_bone_lengths(sampled):
    for shape, pose in sampled[:100]:
        joints_m = forward_kinematics(shape, pose).joints_m
        lengths_m = [np.linalg.norm(joints_m[child] - joints_m[parent]) for parent, child in BONES21]
        bases_m = np.linalg.norm(kinematics.BASE, axis=1) * shape.hand_length_m
        expected_m = np.concatenate([bases_m[:, None], shape.lengths_m], axis=1)
        np.testing.assert_allclose(np.reshape(lengths_m, (5, 4)), expected_m, rtol=1e-9)


def test_bone_matrices_carry_the_template_to_the_posed_joints(sampled):
    at_rest = bone_matrices(REFERENCE_SHAPE, forward_kinematics(REFERENCE_SHAPE, kinematics.REST_POSE))
    np.testing.assert_allclose(at_rest, np.broadcast_to(np.eye(3, 4), (17, 3, 4)), atol=1e-12)
    for shape, pose in sampled[:30]:
        skeleton = forward_kinematics(shape, pose)
        matrices = bone_matrices(shape, skeleton)
        for bone in range(1, 16):
            base = 1 + (bone - 1) // 3 * 4 + (bone - 1) % 3
            for end in (base, base + 1):
                moved = matrices[bone] @ [*kinematics.REST.joints_m[end], 1]
                np.testing.assert_allclose(moved, skeleton.joints_m[end], atol=1e-12)


def test_sampled_angles_stay_inside_the_joint_limits_and_are_coupled_as_in_a_hand(sampled):
    degrees = np.degrees([pose.angles_rad for _, pose in sampled])
    assert (degrees >= kinematics.LIMITS_DEG[..., 0] - 1e-9).all()
    assert (degrees <= kinematics.LIMITS_DEG[..., 1] + 1e-9).all()
    used = np.ptp(degrees, axis=0) / np.ptp(kinematics.LIMITS_DEG, axis=-1)
    assert (used[:, [0, 2, 3]] > 0.8).all()
    mcp, abduction, pip, dip = np.moveaxis(degrees[:, 1:], -1, 0)
    assert np.corrcoef(pip.ravel(), dip.ravel())[0, 1] > 0.9
    bent = mcp > 70  # the collateral ligaments of a bent finger hold it
    assert np.abs(abduction[bent]).max() < 0.5 * np.abs(abduction[~bent]).max()


def test_no_sampled_finger_lies_in_another_or_in_the_palm(sampled):
    for shape, pose in sampled[:100]:
        assert overlap_m(shape, HandPose(pose.angles_rad[None], pose.wrist_rad[None]))[0] <= MAX_OVERLAP_M
    crossed, through_palm = flat_pose(index=(0, 15, 0, 0), middle=(0, -10, 0, 0)), flat_pose(middle=(150, 0, 60, 0))
    poses = np.stack([pose.angles_rad for pose in (crossed, through_palm, flat_pose())])
    overlaps = overlap_m(REFERENCE_SHAPE, HandPose(poses, np.zeros((3, 2))))
    assert (overlaps > MAX_OVERLAP_M).tolist() == [True, True, False]
