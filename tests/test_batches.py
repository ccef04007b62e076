from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.base.geometry import project
from handvae.base.joints import ROOT
from handvae.base.sections import Augmentation
from handvae.model import batches
from handvae.model.draws import BLOCK, Draw, draw_block, unaugmented
from handvae.model.parts import whole
from handvae.preprocessing import store

CPU = torch.device("cpu")
AUGMENTATION = Augmentation(rotation_deg=45.0, shift=0.1, scale=[0.8, 1.2], flip="always")
CROP, CONTEXT = 64, 96


def row(number, joints_mm, uv_px, camera, **columns):
    """A row of the store with the columns that all sets have, and others."""
    labels = {"joints_mm": joints_mm, "uv_px": uv_px, "camera": camera, "side": 0, "trainable": True, "frame": number}
    return labels | dict.fromkeys(("name", "moment"), f"hand {number}") | {"subject": "", "sequence": ""} | columns


def write_hands(path, count=6, seed=0, groups=("train",), sides=2, crop_px=CROP, context_px=CONTEXT, **attributes):
    """Hands whose images show a bright Gaussian blob on the middle MCP, so that the warp can be seen in the pixels."""
    rng = np.random.default_rng(seed)
    camera = np.array([[400.0, 0.0, 50.0], [0.0, 400.0, 45.0], [0.0, 0.0, 1.0]])
    v, u = np.mgrid[:context_px, :context_px]

    def hands():
        for number in range(count):
            joints = rng.uniform([-12, -12, 480], [12, 12, 520], (21, 3))
            uv = project(joints, camera)
            blob = np.exp(-((u - uv[9, 0]) ** 2 + (v - uv[9, 1]) ** 2) / (2 * 2.5**2))
            image = np.repeat((128 + 120 * blob)[..., None].round().astype(np.uint8), 3, axis=2)
            colour = {"image_u8": image, "visible": np.ones(21, bool), "scale_bone_mm": 40 + number}
            yield row(number, joints, uv, camera, side=number % sides, **colour)

    sizes = {"crop_px": crop_px, "context_px": context_px}
    store.write(path, {group: hands() for group in groups}, sizes | attributes)
    return path


JOINTS, CUBE_MM = 16, 200.0


def write_depth_hands(path, groups=("train",), count=6, seed=1, crop_px=CROP, context_px=CONTEXT):
    """Flat hands facing the camera: depth that grows to the right, and a hole where joint 3 is."""
    rng = np.random.default_rng(seed)

    def hands(group):
        for number in range(count):
            centre_mm = np.array([rng.uniform(-50, 50), rng.uniform(-50, 50), rng.uniform(300, 500)])
            camera = np.eye(3) * (crop_px * centre_mm[2] / CUBE_MM, crop_px * centre_mm[2] / CUBE_MM, 1)
            camera[:2, 2] = (context_px - 1) / 2 - camera[0, 0] * centre_mm[:2] / centre_mm[2]
            joints = centre_mm + rng.uniform(-60, 60, (JOINTS, 3))
            joints[3] = centre_mm + [*rng.uniform(-40, 40, 2), 0]  # in the plane where the crop is to scale
            uv = project(joints, camera)
            v, u = np.mgrid[:context_px, :context_px]
            depth = np.where(np.hypot(u - uv[3, 0], v - uv[3, 1]) < 4, -0.75, 1.0)
            depth = {"depth_f16": depth, "centre_mm": centre_mm, "cube_mm": CUBE_MM, "trainable": number != 2}
            name = f"{group} {number}"
            yield row(number, joints, uv, camera, side=1, **depth, name=name, moment=name, subject=group)

    store.write(path, {group: hands(group) for group in groups}, {"crop_px": crop_px, "context_px": context_px})
    return path


def load(path, groups=("train",), images=True, unit_mm=None, label_fraction=1.0, resident="auto"):
    """All rows of some groups of one file, on the CPU."""
    return batches.load_split([whole(path, list(groups))], images, unit_mm, CPU, label_fraction, resident)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return load(write_hands(tmp_path_factory.mktemp("store") / "set.h5"))


@pytest.fixture(scope="module")
def depth_split(tmp_path_factory):
    return load(write_depth_hands(tmp_path_factory.mktemp("store") / "set.h5"), unit_mm=50.0)


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """Six hands of both sides and ten left ones, as two sets."""
    folder = tmp_path_factory.mktemp("joint")
    both, left = write_hands(folder / "rhd.h5"), write_hands(folder / "stb.h5", count=10, seed=1, sides=1)
    return batches.load_split([whole(both, ["train"]), whole(left, ["train"])], True, 50.0, CPU)


def drawn(seed, block, size, rows, pairs=1, augmentation=AUGMENTATION, mirrored=True):
    """A draw from one pool of rows that are all mirrored half of the times, or none of which is."""
    pools, mirrored = [torch.arange(rows)], torch.full((rows,), mirrored)
    return draw_block(seed, block, size, pools, pairs, augmentation, mirrored)


def some_draw():
    """Eight samples of six rows, some of them mirrored."""
    draw, _ = drawn(0, 0, 1, 6)
    assert draw.flip.any() and not draw.flip.all() and draw.rotation_rad.abs().max() > 0.3
    return draw


def changed_draw(**changes):
    """Six rows, all warped in the same way."""
    draw = unaugmented(torch.arange(6))
    for key, value in changes.items():
        getattr(draw, key)[:] = value
    return draw


def test_without_augmentation_the_crop_is_the_middle_of_the_context(split):
    margin = (CONTEXT - CROP) // 2
    stored = split.images[:, margin:-margin, margin:-margin].permute(0, 3, 1, 2) / 255 - 0.5
    torch.testing.assert_close(split.inputs(changed_draw()), stored, atol=1e-4, rtol=0)


def test_warped_joints_reproject_through_the_warped_camera_which_is_a_plain_one(split):
    draw = some_draw()
    cameras = split.warped_cameras(draw)
    projected = project(split.warped_joints_mm(draw).numpy(), cameras.numpy())
    np.testing.assert_allclose(projected, split.warped_uv_px(draw), atol=2e-3)
    torch.testing.assert_close(cameras[:, 0, 0], cameras[:, 1, 1])
    assert cameras[:, 0, 1].abs().max() < 1e-3 and cameras[:, 1, 0].abs().max() < 1e-3
    assert (cameras[:, 0, 0] > 0).all() and (cameras[:, 2] == torch.tensor([0.0, 0.0, 1.0])).all()


def test_the_image_moves_with_its_joints(split):
    draw = some_draw()
    image, uv = split.inputs(draw), split.warped_uv_px(draw)
    grid_v, grid_u = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    checked = 0
    for number in range(len(draw.rows)):
        u, v = uv[number, 9].tolist()
        if 6 < u < CROP - 7 and 6 < v < CROP - 7:
            weight = (image[number, 0].double() - 0.01).clamp(min=0)
            centre = [(weight * grid).sum() / weight.sum() for grid in (grid_u, grid_v)]
            assert abs(centre[0] - u) < 0.3 and abs(centre[1] - v) < 0.3
            checked += 1
    assert checked >= 8


def test_a_flip_swaps_the_side_and_mirrors_the_hand(split):
    draws = changed_draw(), changed_draw(flip=True)
    a, b = (batches.batch(split, draw, {"rgb", "joints_2d", "joints_3d"}) for draw in draws)
    assert torch.equal(a["side_onehot"], b["side_onehot"].flip(1))
    torch.testing.assert_close(a["rgb"], b["rgb"].flip(3), atol=1e-4, rtol=0)
    for key, signs in (("joints_3d", [-1.0, 1, 1]), ("joints_2d", [-1.0, 1])):
        torch.testing.assert_close(a[key].view(6, 21, -1) * torch.tensor(signs), b[key].view(6, 21, -1))


def test_shift_and_zoom_change_the_view_and_not_the_3d_target(split):
    draws = changed_draw(), changed_draw(shift=0.1, scale=1.2)
    a, b = (batches.batch(split, draw, {"joints_2d", "joints_3d"}) for draw in draws)
    assert torch.equal(a["joints_3d"], b["joints_3d"])
    torch.testing.assert_close(1.2 * a["joints_2d"], b["joints_2d"], atol=1e-5, rtol=1e-5)


def test_targets_are_palm_relative_in_units_of_the_scale_bone_or_of_one_length(split, joint):
    target = batches.batch(split, changed_draw(), {"joints_3d"})["joints_3d"].view(6, 21, 3)[4]
    torch.testing.assert_close(target, (split.joints_mm[4] - split.joints_mm[4, ROOT]) / 44.0)
    assert not target[ROOT].any()
    assert joint.scale_mm.unique().tolist() == [50.0]


def test_each_epoch_visits_every_row_once_and_in_another_order():
    rows, size = 50, 7
    blocks = -(-2 * rows // (BLOCK * size))
    visited = torch.cat([drawn(0, block, size, rows)[0].rows for block in range(blocks)])
    first, second = visited[:rows].tolist(), visited[rows : 2 * rows].tolist()
    assert sorted(first) == sorted(second) == list(range(rows)) and first != second


def test_draws_follow_from_seed_and_block_alone_and_stay_in_their_ranges():
    def draws(seed, block):
        draw, noise = drawn(seed, block, 8, 100, pairs=2)
        return torch.cat([draw.rows.float(), draw.rotation_rad, draw.shift.flatten(), draw.scale, noise.flatten()])

    assert torch.equal(draws(0, 3), draws(0, 3))
    assert not torch.equal(draws(0, 3), draws(0, 4)) and not torch.equal(draws(0, 3), draws(1, 3))
    draw, noise = drawn(0, 0, 500, 100)
    assert draw.rotation_rad.abs().max() <= np.pi / 4 and draw.rotation_rad.std() > 0.4
    assert draw.shift.abs().max() <= 0.1 and draw.scale.min() >= 0.8 and draw.scale.max() <= 1.2
    assert 0.45 < draw.flip.float().mean() < 0.55
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 1) < 0.01


def test_augmentation_can_be_switched_off():
    draw, _ = drawn(0, 0, 32, 100, augmentation=Augmentation(0.0, 0.0, [1.0, 1.0], "never"), mirrored=False)
    plain = unaugmented(draw.rows)
    assert all(torch.equal(getattr(draw, field), getattr(plain, field)) for field in Draw.__dataclass_fields__)


def test_only_sets_with_hands_of_both_sides_are_mirrored_unless_asked_for(joint):
    for flip, expected in (("two_sided", (6, 0)), ("always", (6, 10)), ("never", (0, 0))):
        rows = joint.mirrored(replace(AUGMENTATION, flip=flip))
        assert (int(rows[:6].sum()), int(rows[6:].sum())) == expected


def test_two_sets_are_one_split_and_each_may_have_an_equal_share_of_every_batch(joint):
    assert len(joint) == len(joint.images) == 16 and [len(rows) for rows in joint.set_rows] == [6, 10]
    draw, _ = draw_block(0, 0, 4, joint.set_rows, 1, AUGMENTATION, joint.two_sided)
    assert all((batch_rows < 6).sum() == 2 for batch_rows in draw.rows.split(4))
    seconds = draw.rows[draw.rows >= 6]
    assert sorted(seconds[:10].tolist()) == list(range(6, 16))  # each set has epochs of its own
    assert not draw.flip[draw.rows >= 6].any() and draw.flip[draw.rows < 6].any()


# depth: the cube takes the palm's place


def test_depth_joints_are_in_units_of_half_the_cube_about_its_centre(depth_split):
    normalised = depth_split.targets(changed_draw())
    torch.testing.assert_close(normalised, (depth_split.joints_mm - depth_split.centre_mm[:, None]) / 100)
    torch.testing.assert_close(depth_split.to_mm(torch.arange(6), normalised), depth_split.joints_mm)


def test_warped_depth_and_its_joints_move_together_and_hands_keep_their_shape(depth_split):
    """The blob at joint 3 lies where its normalised x and y say, in units of half the crop, whatever the warp."""
    draw = some_draw()
    depth, normalised = depth_split.inputs(draw), depth_split.targets(draw)
    assert depth.shape == (8, 1, CROP, CROP)
    checked = 0
    for number in range(len(draw.rows)):
        v, u = torch.nonzero(depth[number, 0] < 1, as_tuple=True)
        expected = (CROP - 1) / 2 + normalised[number, 3, :2] * CROP / 2
        if ((expected > 6) & (expected < CROP - 7)).all():
            middle = torch.stack([u.double().mean(), v.double().mean()])
            assert (middle - expected).abs().max() < 0.6
            torch.testing.assert_close(normalised[number, 3, 2], torch.tensor(0.0), atol=1e-5, rtol=0)
            seen = depth[number, 0][v, u]
            torch.testing.assert_close(seen, torch.full_like(seen, -0.75) * draw.scale[number])
            checked += 1
    assert checked >= 6
    plain, warped = depth_split.targets(unaugmented(draw.rows)), normalised / draw.scale[:, None, None]
    plain_lengths, warped_lengths = ((hands[:, :, None] - hands[:, None]).norm(dim=3) for hands in (plain, warped))
    torch.testing.assert_close(plain_lengths, warped_lengths)
    torch.testing.assert_close(plain[..., 2], warped[..., 2])


def test_outside_the_context_crop_is_background_and_zoomed_background_stays(depth_split):
    assert (depth_split.inputs(changed_draw(shift=2.0, scale=0.5)) == 1).all()
    seen = depth_split.inputs(changed_draw(scale=0.5))
    torch.testing.assert_close(seen.unique(), torch.tensor([-0.375, 1.0]))
