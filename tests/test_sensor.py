import numpy as np
import pytest

from handvae.synthetic.sensor import KINECT_FOCAL_BASELINE, backdrop_m, measure

HEIGHT, WIDTH = 240, 320


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng([31, *seed])


def plane(depth_m: float, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width), depth_m, np.float32)


def block(hand_m: float, behind_m: float) -> np.ndarray:
    """A square thing before a wall: rows 80 to 159, columns 120 to 199."""
    depth_m = plane(behind_m)
    depth_m[80:160, 120:200] = hand_m
    return depth_m


@pytest.mark.parametrize("camera", ["tof", "structured"])
def test_measurements_are_whole_millimetres_near_the_truth_and_the_same_again(camera):
    depth_m = np.minimum(block(0.45, 0.8), backdrop_m(rng(0), 0.5, HEIGHT, WIDTH))
    before_m = depth_m.copy()
    depth_mm = measure(depth_m, rng(1), camera)
    assert depth_mm.shape == (HEIGHT, WIDTH) and depth_mm.dtype == np.float32
    np.testing.assert_array_equal(depth_mm, np.rint(depth_mm))
    np.testing.assert_array_equal(depth_mm, measure(depth_m, rng(1), camera))
    np.testing.assert_array_equal(depth_m, before_m)
    assert (depth_mm != measure(depth_m, rng(2), camera)).mean() > 0.3
    inside = depth_mm[84:156, 124:196]
    assert np.median(inside[inside > 0]) == pytest.approx(450, abs=2)


@pytest.mark.parametrize(("depth_m", "sd_mm"), [(0.25, 1.0), (0.75, 3.0)])
def test_time_of_flight_noise_grows_with_depth(depth_m, sd_mm):
    seen = measure(plane(depth_m), rng(4), "tof")
    seen = seen[seen > 0]
    assert seen.mean() == pytest.approx(1e3 * depth_m, abs=0.1)
    assert seen.std() == pytest.approx(np.hypot(sd_mm, np.sqrt(1 / 12)), rel=0.03)  # and rounding


def test_structured_light_noise_and_steps_grow_with_the_square_of_depth():
    spread_mm, step_mm = {}, {}
    for depth_m in (0.5, 1.0, 2.0):
        seen = measure(plane(depth_m, 480, 640), rng(5), "structured")
        seen = seen[seen > 0]
        spread_mm[depth_m], step_mm[depth_m] = seen.std(), np.diff(np.unique(seen)).max()
        assert seen.mean() == pytest.approx(1e3 * depth_m, abs=3 * depth_m**2)
    assert 0.5 < spread_mm[0.5] < 1.2
    assert 2.5 < spread_mm[2.0] / spread_mm[1.0] < 6
    for depth_m in (1.0, 2.0):
        assert step_mm[depth_m] == pytest.approx(1e3 * depth_m**2 / (8 * KINECT_FOCAL_BASELINE), abs=1)


def test_structured_light_shadows_lie_on_one_side_and_have_the_width_of_the_parallax():
    depth_mm = measure(block(0.6, 0.8), rng(6), "structured")
    width_px = int(KINECT_FOCAL_BASELINE * WIDTH / 640 * (1 / 0.6 - 1 / 0.8))
    holes = depth_mm[90:150] == 0
    assert width_px > 5
    assert holes[:, 120 - width_px + 1 : 120].mean() > 0.98
    assert holes[:, 200:].mean() < 0.01
    assert holes[:, : 120 - width_px - 2].mean() < 0.01
    assert (measure(plane(0.8), rng(6), "structured") == 0).mean() < 0.001


@pytest.mark.parametrize(("camera", "outside_m"), [("tof", (0.05, 1.6, np.inf)), ("structured", (0.3, 4.5, np.inf))])
def test_what_is_out_of_range_is_not_measured(camera, outside_m):
    for depth_m in outside_m:
        assert not measure(plane(depth_m), rng(9), camera).any()
