from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.synthetic import render
from handvae.synthetic.mesh import load_template
from handvae.synthetic.raster import EMPTY, depth_m, rasterise, triangle
from handvae.synthetic.scenes import sample_scene, scene_rng
from handvae.synthetic.shading import shade

HEIGHT, WIDTH = 20, 26  # not square, so that swapped axes show
SIZE = 160, 200


def corners_tensor(triangles_uvz: np.ndarray) -> torch.Tensor:
    """(F, 3, 3) corners u, v, z -> what rasterise takes."""
    uvw = triangles_uvz.astype(np.float64).copy()
    uvw[..., 2] = 1 / uvw[..., 2]
    return torch.from_numpy(uvw.transpose(1, 2, 0).astype(np.float32)).contiguous()


def rasterised(triangles_uvz: np.ndarray) -> torch.Tensor:
    first = torch.zeros(len(triangles_uvz), dtype=torch.int64)
    return rasterise(corners_tensor(triangles_uvz), HEIGHT, WIDTH, first, 1).view(HEIGHT, WIDTH)


def random_triangles(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    uv = rng.uniform(-4, 1, (count, 1, 2)) + rng.random((count, 1, 2)) * [WIDTH, HEIGHT]
    uv = uv + rng.uniform(-6, 6, (count, 3, 2))
    return np.concatenate([uv, rng.uniform(0.3, 1.5, (count, 3, 1))], axis=2)


def brute_force(triangles_uvz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, triangle, and whether any triangle's edge runs so near a pixel that rounding decides."""
    depth, owner = np.full((HEIGHT, WIDTH), np.inf), np.full((HEIGHT, WIDTH), -1)
    unsure = np.zeros((HEIGHT, WIDTH), bool)
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    for index, corners in enumerate(triangles_uvz):
        (u0, v0), (u1, v1), (u2, v2) = (corner[:2, None, None] - [column, row] for corner in corners)
        area = np.array([u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0])
        share = area / area.sum(axis=0)
        unsure |= (share.min(axis=0) > -1e-2) & (np.abs(share).min(axis=0) < 1e-2)
        z = 1 / (share / corners[:, 2, None, None]).sum(axis=0)
        nearer = (share.min(axis=0) >= 0) & (z < depth)
        depth[nearer], owner[nearer] = z[nearer], index
    return depth, owner, unsure


@pytest.mark.parametrize("seed", range(3))
def test_the_rasteriser_agrees_with_testing_every_pixel_against_every_triangle(seed):
    triangles = random_triangles(40, seed)
    keys = rasterised(triangles)
    depth, owner, unsure = brute_force(triangles)
    drawn = (keys != EMPTY).numpy()
    clear = ~unsure
    assert clear.mean() > 0.6
    assert 0.15 < drawn[clear].mean() < 0.95
    np.testing.assert_array_equal(drawn[clear], np.isfinite(depth)[clear])
    both = clear & drawn
    np.testing.assert_array_equal(triangle(keys).numpy()[both], owner[both])
    np.testing.assert_allclose(depth_m(keys).numpy()[both], depth[both], atol=3e-6)


def test_a_pixel_is_sampled_at_its_integer_coordinates():
    point = np.array([[[4.8, 6.7, 1.0], [5.3, 6.8, 1.0], [5.0, 7.4, 1.0]]])  # a speck around u = 5, v = 7
    assert (rasterised(point) != EMPTY).nonzero().tolist() == [[7, 5]]


def test_a_surface_cut_into_slivers_has_no_cracks():
    rng = np.random.default_rng(1)
    u = np.concatenate([[-1.0], np.sort(rng.uniform(-1, WIDTH, 60)), [WIDTH + 1.0]])
    v_on_pixel_centres = np.sort(np.round(rng.uniform(-1, HEIGHT, 30)))
    v = np.concatenate([[-1.0], v_on_pixel_centres, [HEIGHT + 1.0]])
    grid = np.stack(np.broadcast_arrays(u[None], v[:, None], np.float64(1.0)), axis=-1)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    triangles = np.concatenate([np.stack(t, axis=2).reshape(-1, 3, 3) for t in ((a, b, c), (a, c, d))])
    assert (rasterised(triangles) != EMPTY).all()


@pytest.fixture(scope="module", params=[0, 1])
def drawn_hand(request):
    """The surface of a hand, and its picture over a grey that is the same everywhere, in a light that casts shadows."""
    scene = sample_scene(scene_rng(11, 0, request.param), *SIZE)
    template, camera = load_template(), torch.from_numpy(scene.camera.astype(np.float32))[None]
    posed = render.pose_mesh(template, torch.from_numpy(scene.hand.matrices[None].astype(np.float32)), camera)
    keys = render.draw(posed, *SIZE)
    surface = render.visible_surface(template, posed, keys, camera, *SIZE)

    def picture(grey: float, **look) -> torch.Tensor:
        colour = shade(surface, posed, [replace(scene.look, **look)])
        return render.compose(surface, colour, [torch.full((3, *SIZE), grey)])[0]

    return surface, picture


def test_the_hand_changes_only_its_own_pixels_and_their_blurred_rim(drawn_hand):
    surface, picture = drawn_hand
    image = picture(0.5).numpy()
    hand = (render.bone_map(surface)[0] != render.NO_BONE).numpy()
    grown = hand.copy()
    for axis in (0, 1):
        grown |= np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
    assert (image[~grown] == 128).all()
    assert (image[hand] != 128).any(axis=-1).mean() > 0.95


def test_skin_is_neither_burnt_out_nor_black_and_shadows_only_darken_it(drawn_hand):
    surface, picture = drawn_hand
    skin = picture(0.0).reshape(-1, 3).index_select(0, surface.pixels).float()
    assert 20 < skin.mean() < 235
    assert (skin >= 254).all(dim=1).float().mean() < 0.05
    lit, shadowed = (picture(0.0, shadow=shadow).int() for shadow in (0.0, 0.9))
    assert (shadowed <= lit).all() and (shadowed < lit).any()
