from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.synthetic import render
from handvae.synthetic.mesh import Template, load_template
from handvae.synthetic.raster import EMPTY, NEAR_M, depth_m, rasterise, triangle
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
    return rasterise(corners_tensor(triangles_uvz), HEIGHT, WIDTH).view(HEIGHT, WIDTH)


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


def test_neither_the_order_of_triangles_nor_of_their_corners_matters():
    triangles = random_triangles(60, 7)
    keys = rasterised(triangles)
    order = np.random.default_rng(0).permutation(60)
    mixed = rasterised(triangles[order])
    assert torch.equal(keys == EMPTY, mixed == EMPTY)
    drawn = keys != EMPTY
    assert torch.equal(depth_m(keys)[drawn], depth_m(mixed)[drawn])
    assert torch.equal(triangle(keys)[drawn], torch.from_numpy(order)[triangle(mixed)[drawn]])
    turned = rasterised(triangles[:, [2, 0, 1]])  # other roundings of the same planes
    assert torch.equal(triangle(turned)[drawn], triangle(keys)[drawn])
    torch.testing.assert_close(depth_m(turned)[drawn], depth_m(keys)[drawn], atol=2e-5, rtol=0)


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


def test_triangles_at_or_behind_the_lens_are_left_out():
    wide = np.array([[-50.0, -50.0], [100.0, -50.0], [0.0, 100.0]])
    for z, drawn in ((0.5, True), (0.9 * NEAR_M, False), (-0.5, False)):
        triangles = np.concatenate([wide, np.full((3, 1), z)], axis=1)[None]
        assert bool((rasterised(triangles) != EMPTY).any()) == drawn


CAMERA = torch.tensor([[[10.0, 0, 10.3], [0, 10.0, 10], [0, 0, 1]]])


@pytest.fixture
def square() -> Template:
    """A square of 2 m at z = 0 whose skin belongs to bone 3 at the left edge and to bone 4 at the right edge."""
    vertices = torch.tensor([[-1.0, 1.0, 1.0, -1.0], [-1.0, -1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    normals = torch.tensor([[0.0], [0.0], [-1.0]]).expand(3, 4)
    weights = torch.zeros(17, 4)
    weights[3], weights[4] = torch.tensor([1.0, 0, 0, 1]), torch.tensor([0, 1.0, 1, 0])
    faces = torch.tensor([[0, 0], [2, 3], [1, 2]])
    return Template(vertices, normals, weights, faces, weights.argmax(0), torch.ones(2) > 0)


def test_only_faces_that_look_at_the_camera_are_drawn_of_a_hand_and_of_its_mirror_image(square):
    for signs, drawn in (((1, 1, 1), 2), ((-1, 1, 1), 2), ((-1, 1, -1), 0), ((1, 1, -1), 0)):
        matrices = torch.cat([torch.diag(torch.tensor(signs).float()), torch.tensor([[0.0], [0.0], [1.5]])], dim=1)
        posed = render.pose_mesh(square, matrices.repeat(1, 17, 1, 1), CAMERA)
        assert len(posed.drawn) == drawn, signs


def test_the_visible_surface_knows_where_it_is_on_the_template(square):
    tilt = torch.tensor([[0.8, 0.0, 0.6, 0.1], [0.0, 1.0, 0.0, 0.0], [-0.6, 0.0, 0.8, 1.9]])
    posed = render.pose_mesh(square, tilt.repeat(1, 17, 1, 1), CAMERA)
    keys = render.draw(posed, HEIGHT, WIDTH)
    surface = render.visible_surface(square, posed, keys, CAMERA, HEIGHT, WIDTH)
    assert len(surface.pixels) > 50
    torch.testing.assert_close(tilt[:, :3] @ surface.rest_m + tilt[:, 3:], surface.position_m, atol=1e-5, rtol=0)
    torch.testing.assert_close(surface.normal, (tilt[:, 2:3] * -1).expand_as(surface.normal), atol=1e-5, rtol=0)


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


def test_normals_of_the_visible_skin_face_the_camera(drawn_hand):
    surface, _ = drawn_hand
    towards_camera = (surface.normal * -surface.position_m).sum(0) / surface.position_m.norm(dim=0)
    assert (towards_camera > -0.5).all()  # smooth normals may turn away a little at the outline
    assert (towards_camera < 0).float().mean() < 0.02


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
