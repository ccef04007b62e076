from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.base.joints import HAND21, LEFT, RIGHT
from handvae.synthetic import render
from handvae.synthetic import scenes as scenes_module
from handvae.synthetic.backgrounds import KINDS, draw_background, sample_background
from handvae.synthetic.kinematics import sample_shape
from handvae.synthetic.poses import sample_pose
from handvae.synthetic.scenes import (
    Picture,
    PlacedHand,
    Scene,
    backdrop_depth_m,
    place_hand,
    project,
    random_rotation,
    render_scenes,
    sample_scene,
    scene_rng,
    visible_joints,
)

SIZE = 160


def picture(scene: Scene, *size: int, **options) -> Picture:
    return render_scenes([scene], *size, **options)[0]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [sample_scene(scene_rng(2, 0, index), SIZE, SIZE) for index in range(60)]


@pytest.fixture(scope="module")
def pictures(scenes):
    return [picture(scene, SIZE, SIZE, rgb=False) for scene in scenes]


def test_a_scene_depends_on_its_seed_split_and_index_alone(scenes):
    again = sample_scene(scene_rng(2, 0, 17), SIZE, SIZE)
    np.testing.assert_array_equal(again.hand.matrices, scenes[17].hand.matrices)
    first, second = picture(again, SIZE, SIZE), picture(scenes[17], SIZE, SIZE)
    np.testing.assert_array_equal(first.image_u8, second.image_u8)
    np.testing.assert_array_equal(first.depth_m, second.depth_m)
    for other in ((3, 0, 17), (2, 1, 17), (2, 0, 18)):
        different = sample_scene(scene_rng(*other), SIZE, SIZE)
        assert not np.allclose(different.hand.joints_m, again.hand.joints_m)


@pytest.mark.parametrize(("height", "width"), [(160, 160), (480, 640), (240, 320), (320, 200)])
def test_all_joints_are_in_the_picture_and_in_front_of_the_camera(height, width):
    for index in range(25):
        scene = sample_scene(scene_rng(4, 0, index), height, width)
        uv_px = project(scene.hand.joints_m, scene.camera)
        assert (uv_px >= 0).all()
        assert (uv_px <= [width - 1, height - 1]).all()
        assert (scene.hand.joints_m[:, 2] > 0.15).all()


def test_left_and_right_hands_come_equally_often(scenes):
    lefts = sum(scene.hand.side == LEFT for scene in scenes)
    assert 15 <= lefts <= 45  # four standard deviations around 30


def test_rotations_are_rotations_and_lean_to_no_side():
    rng = np.random.default_rng(0)
    rotations = np.stack([random_rotation(rng) for _ in range(3000)])
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (3000, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    assert np.abs(rotations.mean(axis=0)).max() < 4 * np.sqrt(1 / 3 / 3000)  # every entry has variance 1/3
    np.testing.assert_allclose((rotations**2).mean(axis=0), np.full((3, 3), 1 / 3), atol=0.03)


def test_curled_fingers_tell_left_from_right():
    """The sign test of datasets.md 0.3 in the camera frame: fingers bend towards the side their hand says."""
    checked = 0
    for index in range(200):
        rng = np.random.default_rng([9, index])
        shape = sample_shape(rng)
        pose = sample_pose(rng, shape)
        if (pose.angles_rad[1:, 0] + 0.5 * pose.angles_rad[1:, 2]).mean() < 0.5:
            continue  # a flat hand shows no side this way
        checked += 1
        for side, sign in ((LEFT, -1), (RIGHT, 1)):
            joints = place_hand(shape, pose, side, random_rotation(rng), rng.standard_normal(3)).joints_m
            mcp, tip = joints[5::4], joints[8::4]
            normal = np.cross(mcp[0] - joints[0], mcp[3] - joints[0])
            assert sign * (normal @ (tip.mean(axis=0) - mcp.mean(axis=0))) > 0
    assert checked > 80


def test_a_left_hand_is_the_mirror_image_of_a_right_hand(scenes):
    mirror = np.diag([-1.0, 1.0, 1.0])
    for index in range(8):
        rng = scene_rng(12, 0, index)
        shape = sample_shape(rng)
        pose, rotation = sample_pose(rng, shape), random_rotation(rng)
        wrist_m = np.array([0.05, -0.02, 0.6])
        right = place_hand(shape, pose, RIGHT, rotation, wrist_m)
        left = place_hand(shape, pose, LEFT, mirror @ rotation @ mirror, mirror @ wrist_m)
        np.testing.assert_allclose(left.joints_m, right.joints_m @ mirror, atol=1e-12)
        camera = np.array([[200.0, 0, (SIZE - 1) / 2], [0, 200.0, SIZE / 2], [0, 0, 1]])
        seen = [picture(replace(scenes[0], hand=hand, camera=camera), SIZE, SIZE, rgb=False) for hand in (right, left)]
        assert (seen[0].bones != render.NO_BONE).mean() > 0.02
        assert (seen[0].bones != seen[1].bones[:, ::-1]).mean() < 5e-4  # pixels on a part's border may round


def test_visible_joints_of_the_digits_lie_on_their_own_digits_pixels(scenes, pictures):
    right, total = 0, 0
    for scene, seen in zip(scenes, pictures, strict=True):
        uv_px = project(scene.hand.joints_m, scene.camera)
        visible = visible_joints(scene.hand, uv_px, seen.depth_m)
        for joint, name in enumerate(HAND21):
            if visible[joint] and name.split("_")[-1] in ("pip", "dip", "ip", "tip"):
                column, row = np.round(uv_px[joint]).astype(int)
                around = seen.bones[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                digit = (joint - 1) // 4
                right += bool(np.isin(around, 1 + 3 * digit + np.arange(3)).any())
                total += 1
    assert total > 250
    assert right / total > 0.98


def test_some_joints_are_hidden_and_most_are_not(scenes, pictures):
    visible = [
        visible_joints(scene.hand, project(scene.hand.joints_m, scene.camera), seen.depth_m)
        for scene, seen in zip(scenes, pictures, strict=True)
    ]
    assert 0.5 < np.mean(visible) < 0.85


def test_a_joint_is_hidden_by_what_is_nearer_than_its_own_flesh():
    joints_m = np.tile([0.0, 0.0, 0.5], (21, 1))
    hand = PlacedHand(RIGHT, joints_m, np.full(21, 0.010), np.zeros((17, 3, 4)))
    uv_px = np.tile([3.0, 2.0], (21, 1))
    uv_px[4] = [9.6, 2.0]  # rounds to column 10: outside
    uv_px[5] = [3.4, 1.6]  # rounds to the same pixel
    depth_m = np.full((6, 10), np.inf, np.float32)
    assert visible_joints(hand, uv_px, depth_m)[[0, 5]].all()
    assert not visible_joints(hand, uv_px, depth_m)[4]
    for distance_m, expected in ((0.5 - 0.016, True), (0.5 - 0.017, False)):  # the limit is 1.35 * 10 + 3 = 16.5 mm
        depth_m[2, 3] = distance_m
        assert visible_joints(hand, uv_px, depth_m)[0] == visible_joints(hand, uv_px, depth_m)[5] == expected


def test_depth_lies_on_the_flesh_of_the_visible_joints(scenes, pictures):
    for scene, seen in zip(scenes, pictures, strict=True):
        uv_px = project(scene.hand.joints_m, scene.camera)
        visible = visible_joints(scene.hand, uv_px, seen.depth_m)
        visible[4::4] = False  # fingertips lie on the skin, and so at times beside the outline
        column, row = np.round(uv_px[visible]).astype(int).T
        before_m = scene.hand.joints_m[visible, 2] - seen.depth_m[row, column]
        on_hand = np.isfinite(before_m)
        assert on_hand.all()
        assert (before_m[on_hand] < 0.04).all()
        assert np.median(before_m[on_hand]) > 0  # joints are inside, the skin is before them


def test_depth_only_pictures_have_the_depth_and_parts_of_full_ones(scenes):
    full, bare = picture(scenes[3], SIZE, SIZE), picture(scenes[3], SIZE, SIZE, rgb=False)
    assert bare.image_u8 is None
    np.testing.assert_array_equal(full.depth_m, bare.depth_m)
    np.testing.assert_array_equal(full.bones, bare.bones)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_draws_what_the_cpu_draws(scenes):
    for scene in scenes[:6]:
        cpu, gpu = picture(scene, SIZE, SIZE), picture(scene, SIZE, SIZE, device="cuda")
        assert (cpu.bones != gpu.bones).mean() < 1e-3
        both = np.isfinite(cpu.depth_m) & np.isfinite(gpu.depth_m)
        assert np.median(np.abs(cpu.depth_m - gpu.depth_m)[both]) < 1e-5
        assert np.abs(cpu.image_u8.astype(int) - gpu.image_u8).mean() < 0.5


def test_the_backdrop_is_a_plane_behind_the_hand_within_rhds_range():
    for index in range(40):
        scene = sample_scene(scene_rng(6, 0, index), SIZE, SIZE)
        depth_m = backdrop_depth_m(scene.backdrop, SIZE, SIZE)
        assert depth_m.max() < 5.0
        assert depth_m.min() > scene.hand.joints_m[:, 2].max()
        rows, columns = np.mgrid[:SIZE, :SIZE]
        points = (
            np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(scene.camera).T * depth_m[..., None]
        )
        away = points.reshape(-1, 3) - points.reshape(-1, 3).mean(axis=0)
        assert np.linalg.svd(away[::97], compute_uv=False)[2] < 1e-3 * np.linalg.svd(away[::97], compute_uv=False)[0]


def test_backgrounds_of_every_kind_are_drawn_within_range_and_vary():
    seen = set()
    for index in range(60):
        background = sample_background(np.random.default_rng(index))
        image = draw_background(background, 90, 121)
        assert image.shape == (3, 90, 121)
        assert float(image.min()) >= 0
        assert float(image.max()) <= 1 + 1e-6
        assert torch.equal(image, draw_background(background, 90, 121))
        assert image.std() > 1e-3
        seen.add(background.kind)
    assert seen == set(KINDS)


def test_the_flat_end_of_the_forearm_never_faces_the_lens_inside_the_picture(monkeypatch):
    def shown():
        drawn = [sample_scene(scene_rng(0, 0, index), 320, 320) for index in range(60)]
        return sum(scenes_module.cut_in_view(scene.hand, scene.camera, 320, 320) for scene in drawn)

    assert shown() == 0
    monkeypatch.setattr(
        scenes_module, "_place_in_view", _placed_without_rule(scenes_module._place_in_view, monkeypatch)
    )
    assert shown() > 0  # without the rule a few scenes show it


def _placed_without_rule(place, monkeypatch):
    """`_place_in_view` as if no forearm were in the way."""

    def placed(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(scenes_module, "cut_in_view", lambda *_: False)
            return place(*arguments)

    return placed
