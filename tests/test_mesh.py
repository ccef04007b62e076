import numpy as np
import pytest
import torch

from handvae.synthetic.kinematics import bone_matrices, forward_kinematics, sample_shape
from handvae.synthetic.mesh import TEMPLATE_FILE, load_template, skin
from handvae.synthetic.poses import sample_pose
from handvae.synthetic.template import build_template


@pytest.fixture(scope="module")
def template():
    return load_template()


def skinned(template, matrices: np.ndarray) -> list[np.ndarray]:
    """Vertices and normals (3, V) of one hand."""
    return [of_hands[:, 0].numpy() for of_hands in skin(template, torch.from_numpy(matrices[None].astype(np.float32)))]


def winding_numbers(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N,) how often the closed surface wraps each point: 1 inside, 0 outside (van Oosterom & Strackee 1983)."""
    numbers = []
    for point in points:
        a, b, c = (vertices[:, faces[i]] - point[:, None] for i in range(3))
        la, lb, lc = (np.linalg.norm(v, axis=0) for v in (a, b, c))
        triple = np.einsum("if,if->f", a, np.cross(b, c, axis=0))
        dot = [np.einsum("if,if->f", *pair) for pair in ((a, b), (b, c), (c, a))]
        solid = 2 * np.arctan2(triple, la * lb * lc + dot[0] * lc + dot[1] * la + dot[2] * lb)
        numbers.append(solid.sum() / (4 * np.pi))
    return np.array(numbers)


def test_the_shipped_template_is_what_the_code_builds():
    built = build_template()
    with np.load(TEMPLATE_FILE, allow_pickle=False) as shipped:
        assert set(shipped.files) == set(built)
        np.testing.assert_array_equal(shipped["faces_u16"], built["faces_u16"])
        for name in ("vertices_i16", "normals_i8", "weights_u8"):  # one step: another libm may round the other way
            np.testing.assert_allclose(shipped[name].astype(int), built[name].astype(int), atol=1)


def test_the_surface_is_closed_oriented_and_without_handles(template):
    faces = template.faces.numpy()
    edges = np.concatenate([faces[[0, 1]], faces[[1, 2]], faces[[2, 0]]], axis=1)
    forward = set(map(tuple, edges.T))
    assert len(forward) == edges.shape[1]  # each directed edge once
    assert all((b, a) in forward for a, b in forward)  # and its opposite, of the neighbouring face
    vertices = template.vertices_m.shape[1]
    assert vertices - len(forward) // 2 + faces.shape[1] == 2  # Euler: one sphere, so no web closed to a ring


@pytest.mark.parametrize("seed", range(4))
def test_joints_lie_inside_the_skin_and_fingertips_on_it(template, seed):
    rng = np.random.default_rng(seed)
    shape = sample_shape(rng)
    skeleton = forward_kinematics(shape, sample_pose(rng, shape))
    vertices = skinned(template, bone_matrices(shape, skeleton))[0].astype(float)
    is_tip = np.isin(np.arange(21), (4, 8, 12, 16, 20))
    assert (winding_numbers(skeleton.joints_m[~is_tip], vertices, template.faces.numpy()) > 0.5).all()
    to_skin = np.linalg.norm(vertices[:, :, None] - skeleton.joints_m[is_tip].T[:, None, :], axis=0).min(axis=0)
    assert (to_skin < 0.004).all()
