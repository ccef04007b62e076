import numpy as np
import pytest

from handvae.base.geometry import project, transform_px
from handvae.preprocessing import depth_crops

CAMERA = np.array([[240.0, 0.0, 160.0], [0.0, 240.0, 120.0], [0.0, 0.0, 1.0]])
NYU = np.array([[588.03, 0.0, 320.0], [0.0, 587.07, 240.0], [0.0, 0.0, 1.0]])
CENTRE = np.array([0.0, 0.0, 400.0])
CUBE_MM = 250.0  # 150 px at 400 mm


def plane(z_mm, hw=(240, 320)):
    return np.full(hw, z_mm, np.float32)


def sphere(centre_mm, radius_mm, camera, hw):
    """The depth that a camera sees of a sphere, 0 around it."""
    v, u = np.mgrid[: hw[0], : hw[1]]
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(camera).T  # z = 1
    a, b = (rays**2).sum(axis=-1), rays @ centre_mm
    root = b**2 - a * (centre_mm @ centre_mm - radius_mm**2)
    return np.where(root > 0, (b - np.sqrt(root.clip(0))) / a, 0).astype(np.float32)


def crop(depth_mm, centre_mm=CENTRE, crop_px=75, context_px=75, camera=CAMERA):
    return depth_crops.crop(depth_mm, camera, centre_mm, CUBE_MM, crop_px, context_px)


# the crop


def test_every_pixel_of_the_crop_is_the_nearest_one_of_the_image():
    depth = plane(400) + np.arange(320, dtype=np.float32) / 8 + np.arange(240, dtype=np.float32)[:, None] / 4
    image, transform = crop(depth)  # zoom 1/2: crop pixel x shows image pixel 160 + 2 (x - 37)
    assert image.dtype == np.float16
    np.testing.assert_allclose(transform, [[0.5, 0, 37 - 80], [0, 0.5, 37 - 60], [0, 0, 1]])
    expected = ((depth - 400) / 125)[120 - 74 : 120 + 75 : 2, 160 - 74 : 160 + 75 : 2].clip(-1, 1)
    np.testing.assert_array_equal(image, expected.astype(np.float16))


@pytest.mark.parametrize(
    ("z_mm", "value"),
    [
        (400, 0.0),
        (462.5, 0.5),
        (275, -1.0),
        (525, 1.0),
        (200, -1.0),  # before the cube: its front
        (600, 1.0),  # behind it: background
        (0, 1.0),  # not measured
        (10, 1.0),  # nor these
        (10.5, -1.0),
        (1500, 1.0),
        (np.nan, 1.0),
    ],
)
def test_a_plane_has_the_value_of_its_depth(z_mm, value):
    image, _ = crop(plane(z_mm))
    assert (image == value).all()


def test_a_cube_far_away_has_no_measurement_behind_1500_mm():
    image, _ = crop(plane(1520), centre_mm=np.array([0.0, 0.0, 1450.0]))
    assert (image == 1).all()


def test_outside_the_image_is_background():
    image, transform = crop(plane(400), centre_mm=np.array([-250.0, -190.0, 400.0]))  # image pixel (10, 6)
    inside = transform_px(np.array([0.0, 0.0]), transform)
    np.testing.assert_allclose(inside, (37 - 5, 37 - 3))
    assert (image[:34] == 1).all() and (image[:, :32] == 1).all() and (image[34:, 32:] == 0).all()


def test_a_crop_beside_the_image_is_all_background():
    image, _ = crop(plane(400), centre_mm=np.array([5000.0, 0.0, 400.0]))
    assert (image == 1).all()


@pytest.mark.parametrize("crop_px", [64, 75])
def test_the_context_crop_has_the_crop_in_its_middle(crop_px):
    depth = np.random.default_rng(0).uniform(300, 500, (240, 320)).astype(np.float32)
    centre_mm = np.array([13.7, -21.2, 411.3])
    alone, small = crop(depth, centre_mm, crop_px, crop_px)
    image, transform = crop(depth, centre_mm, crop_px, crop_px + 32)
    assert image.shape == (crop_px + 32, crop_px + 32)
    np.testing.assert_array_equal(image[16:-16, 16:-16], alone)
    np.testing.assert_allclose(transform, np.array([[1, 0, 16], [0, 1, 16], [0, 0, 1]]) @ small)


def test_the_networks_crop_is_as_wide_as_the_cube():
    for sign in (-1, 1):
        side_mm = CENTRE + [sign * CUBE_MM / 2, sign * CUBE_MM / 2, 0]
        _, transform = crop(plane(400), crop_px=64, context_px=96)
        edge = transform_px(project(side_mm, CAMERA), transform)
        np.testing.assert_allclose(edge, 96 / 2 - 0.5 + sign * 32)  # pixels end half a pixel beyond their centres


def test_the_centre_of_the_cube_is_the_middle_of_the_crop():
    centre_mm = np.array([33.3, -51.0, 555.0])
    _, transform = crop(plane(555, (480, 640)), centre_mm, 64, 96, NYU)
    np.testing.assert_allclose(project(centre_mm, transform @ NYU), (47.5, 47.5))


def test_joints_project_onto_the_pixels_that_show_them():
    """Small spheres at known places: the middle of each in the crop is where map @ camera projects its centre."""
    joints = np.array([[-40.0, 30.0, 600.0], [20.0, -60.0, 560.0], [70.0, 50.0, 640.0]])
    seen = [sphere(joint, 12.0, NYU, (480, 640)) for joint in joints]
    centre_mm = np.array([10.0, 5.0, 600.0])
    for joint, depth in zip(joints, seen, strict=True):
        image, transform = crop(depth, centre_mm, 128, 192, NYU)
        v, u = np.nonzero(image < 1)
        uv = project(joint, transform @ NYU)
        np.testing.assert_allclose(uv, transform_px(project(joint, NYU), transform))
        assert np.linalg.norm(uv - (u.mean(), v.mean())) < 0.25
        nearest = image[tuple(np.rint(uv[::-1]).astype(int))]
        assert nearest == pytest.approx((joint[2] - 12 - 600) / 125, abs=2e-3)


def test_another_focal_length_down_leaves_one_zoom():
    _, transform = crop(plane(600, (480, 640)), np.array([0.0, 0.0, 600.0]), camera=NYU)
    assert transform[0, 0] == transform[1, 1] and transform[0, 1] == transform[1, 0] == 0


# the centre


def blob(u, v, half_px, z_mm):
    depth = plane(0)
    depth[v - half_px : v + half_px + 1, u - half_px : u + half_px + 1] = z_mm
    return depth


def test_the_centre_of_a_blob_is_where_it_is():
    depth = blob(190, 90, 10, 480.0)
    centre = depth_crops.centre_of_mass_mm(depth, CAMERA, np.array([30.0, -30.0, 450.0]), CUBE_MM)
    np.testing.assert_allclose(centre, (30 * 2, -30 * 2, 480))  # 240 px a radian: 2 mm a pixel at 480 mm


def test_the_mean_is_of_pixels_and_depths_each():
    depth = blob(100, 100, 0, 300.0) + blob(120, 104, 0, 400.0)
    centre = depth_crops.centre_of_mass_mm(depth, CAMERA, np.array([-60.0, -20.0, 350.0]), CUBE_MM)
    np.testing.assert_allclose(centre, ((110 - 160) * 350 / 240, (102 - 120) * 350 / 240, 350))


def test_what_is_outside_the_cube_is_not_counted():
    hand = blob(160, 120, 8, 400.0)
    start = np.array([0.0, 0.0, 420.0])
    for other in (blob(160, 150, 4, 600.0), blob(160, 150, 4, 250.0), blob(260, 120, 4, 400.0), blob(160, 150, 4, 8.0)):
        np.testing.assert_allclose(depth_crops.centre_of_mass_mm(hand + other, CAMERA, start, CUBE_MM), (0, 0, 400))


def test_the_cube_is_placed_a_second_time():
    """From a start beside the hand part of it is outside; around the first mean all of it is inside."""
    depth = blob(160, 120, 30, 400.0)  # 100 mm wide
    start = np.array([120.0, 0.0, 400.0])  # the cube begins at -5 mm
    np.testing.assert_allclose(depth_crops.centre_of_mass_mm(depth, CAMERA, start, CUBE_MM), (0, 0, 400), atol=1e-9)


def test_the_border_of_the_cube_belongs_to_it():
    depth = blob(85, 120, 0, 400.0)  # 75 px from the middle: half of the cube
    assert depth_crops.centre_of_mass_mm(depth, CAMERA, CENTRE, CUBE_MM)[0] == pytest.approx(-125)
    assert depth_crops.centre_of_mass_mm(depth, CAMERA, CENTRE + [0.1, 0, 0], CUBE_MM) is None


def test_a_hand_at_the_border_of_the_image_has_the_centre_of_what_is_seen():
    depth = plane(0)
    depth[100:141, :11] = 400.0
    centre = depth_crops.centre_of_mass_mm(depth, CAMERA, np.array([-280.0, 0.0, 400.0]), CUBE_MM)
    np.testing.assert_allclose(project(centre, CAMERA), (5, 120))


@pytest.mark.parametrize("start", [(0, 0, 400), (5000, 0, 400), (-5000, 9000, 400), (0, 0, 1400)])
def test_where_nothing_was_measured_there_is_no_centre(start):
    assert depth_crops.centre_of_mass_mm(plane(0), CAMERA, np.array(start, float), CUBE_MM) is None
    far = blob(160, 120, 3, 700.0)
    assert depth_crops.centre_of_mass_mm(far, CAMERA, np.array(start, float), CUBE_MM) is None


def test_the_centre_of_a_sphere_is_before_its_middle():
    centre_mm = np.array([25.0, -40.0, 600.0])
    depth = sphere(centre_mm, 50.0, NYU, (480, 640))
    found = depth_crops.centre_of_mass_mm(depth, NYU, centre_mm + [20, 10, -15], CUBE_MM)
    # the mean depth of a half sphere of radius r over its disc is r 2/3 before the middle
    np.testing.assert_allclose(found, (25, -40, 600 - 50 * 2 / 3), atol=3)


# the cube's units


def test_joints_in_the_cube_have_the_units_of_the_image():
    """A sphere's nearest point has in the crop the depth that DepthSplit.targets gives it."""
    middle = np.array([0.0, 0.0, 400.0])
    image, _ = crop(sphere(middle, 40.0, CAMERA, (240, 320)), CENTRE)
    front = (middle - [0, 0, 40] - CENTRE) / (CUBE_MM / 2)
    assert image.min() == pytest.approx(front[2], abs=1e-3)
