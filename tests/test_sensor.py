import time

import numpy as np
import pytest
import torch

from handvae.base.errors import InputError
from handvae.base.joints import RIGHT
from handvae.synthetic.motion import NYU_VIEW, Motion, Subject
from handvae.synthetic.scenes import render_depth
from handvae.synthetic.sensor import KINECT_FOCAL_BASELINE, backdrop_m, measure

KINDS = ("tof", "structured")
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


@pytest.fixture(scope="module")
def hand_depth():
    hand = Motion((1,), "random", RIGHT, Subject(1, 0, 0.187), NYU_VIEW).hand(30)
    return hand, render_depth(hand, NYU_VIEW.camera, NYU_VIEW.height, NYU_VIEW.width)


@pytest.mark.parametrize("kind", KINDS)
def test_measurements_are_whole_millimetres_near_the_truth_and_the_same_again(kind):
    depth_m = np.minimum(block(0.45, 0.8), backdrop_m(rng(0), 0.5, HEIGHT, WIDTH))
    depth_mm = measure(depth_m, rng(1), kind)
    assert depth_mm.shape == (HEIGHT, WIDTH)
    assert depth_mm.dtype == np.float32
    np.testing.assert_array_equal(depth_mm, np.rint(depth_mm))
    np.testing.assert_array_equal(depth_mm, measure(depth_m, rng(1), kind))
    assert (depth_mm != measure(depth_m, rng(2), kind)).mean() > 0.3
    inside = depth_mm[84:156, 124:196]
    assert np.median(inside[inside > 0]) == pytest.approx(450, abs=2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_given_is_not_changed(kind):
    depth_m = block(0.5, np.inf)
    before = depth_m.copy()
    measure(depth_m, rng(3), kind)
    np.testing.assert_array_equal(depth_m, before)


@pytest.mark.parametrize(("depth_m", "sd_mm"), [(0.25, 1.0), (0.5, 2.0), (0.75, 3.0)])
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
        spread_mm[depth_m] = seen.std()
        step_mm[depth_m] = np.diff(np.unique(seen)).max()
        assert seen.mean() == pytest.approx(1e3 * depth_m, abs=3 * depth_m**2)
    assert 0.5 < spread_mm[0.5] < 1.2
    assert 2.5 < spread_mm[2.0] / spread_mm[1.0] < 6
    for depth_m in (1.0, 2.0):
        assert step_mm[depth_m] == pytest.approx(1e3 * depth_m**2 / (8 * KINECT_FOCAL_BASELINE), abs=1)


def test_structured_light_shadows_lie_on_one_side_and_have_the_width_of_the_parallax():
    depth_mm = measure(block(0.6, 0.8), rng(6), "structured")
    width_px = KINECT_FOCAL_BASELINE * WIDTH / 640 * (1 / 0.6 - 1 / 0.8)
    holes = depth_mm[90:150] == 0
    shadow = holes[:, 120 - int(width_px) + 1 : 120]
    assert width_px > 5
    assert shadow.mean() > 0.98
    assert holes[:, 200:].mean() < 0.01
    assert holes[:, : 120 - int(width_px) - 2].mean() < 0.01
    assert (measure(plane(0.8), rng(6), "structured") == 0).mean() < 0.001


def test_time_of_flight_edges_are_dropped_or_fly_between_hand_and_wall():
    depth_mm = measure(block(0.4, 0.7), rng(7), "tof")
    ring = np.zeros((HEIGHT, WIDTH), bool)
    ring[79:161, 119:201] = True
    ring[81:159, 121:199] = False
    edge, elsewhere = depth_mm[ring], depth_mm[~ring]
    assert 0.05 < (edge == 0).mean() < 0.5
    assert 0.05 < ((edge > 415) & (edge < 675)).mean() < 0.5
    assert (edge[edge > 0] > 385).all()  # nothing flies before the hand
    assert (elsewhere == 0).mean() < 0.002
    assert not ((elsewhere > 425) & (elsewhere < 670)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_small_holes_are_in_every_picture(kind):
    share = [(measure(plane(0.6), rng(8, index), kind) == 0).mean() for index in range(8)]
    assert min(share) > 0
    assert 1e-4 < np.mean(share) < 2e-3


@pytest.mark.parametrize(("kind", "outside_m"), [("tof", (0.05, 1.6, np.inf)), ("structured", (0.3, 4.5, np.inf))])
def test_what_is_out_of_range_is_not_measured(kind, outside_m):
    for depth_m in outside_m:
        assert not measure(plane(depth_m), rng(9), kind).any()


def test_a_hand_before_nothing_is_measured(hand_depth):
    _, depth_m = hand_depth
    for kind in KINDS:
        depth_mm = measure(depth_m, rng(10), kind)
        on_hand = np.isfinite(depth_m)
        assert np.isfinite(depth_mm).all()
        assert (depth_mm[on_hand] > 0).mean() > 0.9
        assert (depth_mm[~on_hand] > 0).mean() < 0.001


def test_unknown_kinds_are_errors():
    with pytest.raises(InputError, match="sonar"):
        measure(plane(0.5), rng(0), "sonar")


def test_the_backdrop_stands_behind_the_hand_and_varies():
    nearest_m = []
    for index in range(30):
        depth_m = backdrop_m(rng(11, index), 0.6, HEIGHT, WIDTH)
        assert depth_m.shape == (HEIGHT, WIDTH)
        assert depth_m.dtype == np.float32
        assert depth_m.min() >= 0.6 + 0.2 - 1e-6
        assert depth_m.max() < 3.5
        nearest_m.append(depth_m.min() - 0.6)
    assert np.ptp(nearest_m) > 0.2
    assert max(nearest_m) <= 0.6 + 1e-6
    np.testing.assert_array_equal(depth_m, backdrop_m(rng(11, 29), 0.6, HEIGHT, WIDTH))


def test_rendered_depth_lies_before_the_joints_and_is_the_same_again(hand_depth):
    hand, depth_m = hand_depth
    assert depth_m.shape == (480, 640)
    assert depth_m.dtype == np.float32
    seen = np.isfinite(depth_m)
    assert 0.01 < seen.mean() < 0.5
    z = hand.joints_m[:, 2]
    assert depth_m[seen].min() > z.min() - 0.03
    uv = np.round((hand.joints_m @ NYU_VIEW.camera.T)[:, :2] / z[:, None]).astype(int)
    inner = np.delete(np.arange(21), np.s_[4::4])  # fingertips lie on the skin, and so at times beside the outline
    assert (depth_m[uv[inner, 1], uv[inner, 0]] < z[inner] + 0.003).all()
    np.testing.assert_array_equal(depth_m, render_depth(hand, NYU_VIEW.camera, 480, 640))


def test_depth_pictures_are_made_fast(hand_depth):
    """On one core a 640 x 480 picture takes about 8 ms to render and 5 ms to measure; here with room for busy cores."""
    hand, depth_m = hand_depth
    behind_m = np.minimum(depth_m, backdrop_m(rng(12), 1.0, 480, 640))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for work, limit_s in (
            (lambda: render_depth(hand, NYU_VIEW.camera, 480, 640), 0.1),
            (lambda: measure(behind_m, rng(13), "tof"), 0.06),
            (lambda: measure(behind_m, rng(13), "structured"), 0.06),
        ):
            assert min(_seconds(work) for _ in range(5)) < limit_s
    finally:
        torch.set_num_threads(threads)


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
