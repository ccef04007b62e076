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
    return depth_crops.crop(depth_mm, camera, np.asarray(centre_mm, float), CUBE_MM, crop_px, context_px)


def test_every_pixel_of_the_crop_is_the_nearest_one_of_the_image():
    depth = plane(400) + np.arange(320, dtype=np.float32) / 8 + np.arange(240, dtype=np.float32)[:, None] / 4
    image, transform = crop(depth)  # zoom 1/2: crop pixel x shows image pixel 160 + 2 (x - 37)
    assert image.dtype == np.float16
    np.testing.assert_allclose(transform, [[0.5, 0, 37 - 80], [0, 0.5, 37 - 60], [0, 0, 1]])
    expected = ((depth - 400) / 125)[120 - 74 : 120 + 75 : 2, 160 - 74 : 160 + 75 : 2].clip(-1, 1)
    np.testing.assert_array_equal(image, expected.astype(np.float16))


MEASURED = {275: -1.0, 400: 0.0, 462.5: 0.5, 525: 1.0}
OUTSIDE_THE_CUBE = {200: -1.0, 10.5: -1.0, 600: 1.0}  # before it: its front; behind it: background
NOT_MEASURED = {0: 1.0, 10: 1.0, 1500: 1.0, np.nan: 1.0}


@pytest.mark.parametrize(("z_mm", "value"), (MEASURED | OUTSIDE_THE_CUBE | NOT_MEASURED).items())
def test_a_plane_has_the_value_of_its_depth(z_mm, value):
    assert (crop(plane(z_mm))[0] == value).all()


def test_beyond_1500_mm_and_beside_the_image_is_background():
    assert (crop(plane(1520), (0, 0, 1450))[0] == 1).all()
    assert (crop(plane(400), (5000, 0, 400))[0] == 1).all()
    image, transform = crop(plane(400), (-250, -190, 400))  # image pixel (10, 6)
    np.testing.assert_allclose(transform_px(np.zeros(2), transform), (37 - 5, 37 - 3))
    assert (image[:34] == 1).all() and (image[:, :32] == 1).all() and (image[34:, 32:] == 0).all()


@pytest.mark.parametrize("crop_px", [64, 75])
def test_the_context_crop_has_the_crop_in_its_middle(crop_px):
    depth = np.random.default_rng(0).uniform(300, 500, (240, 320)).astype(np.float32)
    centre_mm = np.array([13.7, -21.2, 411.3])
    alone, small = crop(depth, centre_mm, crop_px, crop_px)
    image, transform = crop(depth, centre_mm, crop_px, crop_px + 32)
    np.testing.assert_array_equal(image[16:-16, 16:-16], alone)
    np.testing.assert_allclose(transform, np.array([[1, 0, 16], [0, 1, 16], [0, 0, 1]]) @ small)


def test_the_networks_crop_is_as_wide_as_the_cube_and_has_its_centre_in_the_middle():
    for sign in (-1, 1):
        side_mm = CENTRE + [sign * CUBE_MM / 2, sign * CUBE_MM / 2, 0]
        _, transform = crop(plane(400), crop_px=64, context_px=96)
        edge = transform_px(project(side_mm, CAMERA), transform)
        np.testing.assert_allclose(edge, 96 / 2 - 0.5 + sign * 32)  # pixels end half a pixel beyond their centres
    centre_mm = np.array([33.3, -51.0, 555.0])
    _, transform = crop(plane(555, (480, 640)), centre_mm, 64, 96, NYU)
    np.testing.assert_allclose(project(centre_mm, transform @ NYU), (47.5, 47.5))


@pytest.mark.parametrize("joint", [(-40, 30, 600), (20, -60, 560), (70, 50, 640)])
def test_a_joint_projects_onto_the_pixels_that_show_it(joint):
    """The middle of a small sphere in the crop is where map @ camera projects its centre."""
    joint = np.array(joint, float)
    image, transform = crop(sphere(joint, 12.0, NYU, (480, 640)), (10, 5, 600), 128, 192, NYU)
    v, u = np.nonzero(image < 1)
    uv = project(joint, transform @ NYU)
    np.testing.assert_allclose(uv, transform_px(project(joint, NYU), transform))
    assert np.linalg.norm(uv - (u.mean(), v.mean())) < 0.25
    nearest = image[tuple(np.rint(uv[::-1]).astype(int))]
    assert nearest == pytest.approx((joint[2] - 12 - 600) / 125, abs=2e-3)


# the centre of mass


def blob(u, v, half_px, z_mm):
    depth = plane(0)
    depth[v - half_px : v + half_px + 1, u - half_px : u + half_px + 1] = z_mm
    return depth


def centre_of_mass(depth_mm, start_mm):
    return depth_crops.centre_of_mass_mm(depth_mm, CAMERA, np.array(start_mm, float), CUBE_MM)


def test_the_mean_is_of_pixels_and_depths_each():
    centre = centre_of_mass(blob(100, 100, 0, 300) + blob(120, 104, 0, 400), (-60, -20, 350))
    np.testing.assert_allclose(centre, ((110 - 160) * 350 / 240, (102 - 120) * 350 / 240, 350))


@pytest.mark.parametrize("other", [(160, 150, 4, 600), (160, 150, 4, 250), (260, 120, 4, 400), (160, 150, 4, 8)])
def test_what_is_outside_the_cube_is_not_counted(other):
    np.testing.assert_allclose(centre_of_mass(blob(160, 120, 8, 400) + blob(*other), (0, 0, 420)), (0, 0, 400))


def test_the_cube_is_placed_a_second_time():
    """From a start beside the hand part of it is outside; around the first mean all of it is inside."""
    wide = blob(160, 120, 30, 400)  # 100 mm
    np.testing.assert_allclose(centre_of_mass(wide, (120, 0, 400)), (0, 0, 400), atol=1e-9)  # the cube begins at -5 mm


def test_the_border_of_the_cube_belongs_to_it():
    depth = blob(85, 120, 0, 400)  # 75 px from the middle: half of the cube
    assert centre_of_mass(depth, CENTRE)[0] == pytest.approx(-125)
    assert centre_of_mass(depth, CENTRE + [0.1, 0, 0]) is None


@pytest.mark.parametrize("start", [(0, 0, 400), (-5000, 9000, 400)])
def test_where_nothing_was_measured_there_is_no_centre(start):
    assert centre_of_mass(plane(0), start) is None
    assert centre_of_mass(blob(160, 120, 3, 700), start) is None
