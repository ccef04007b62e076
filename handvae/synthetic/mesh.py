"""The hand's triangle mesh: the template that ships with the package, linear blend skinning, and what is seen of it.

`python -m handvae.synthetic.mesh` rebuilds template.npz, which ships so that rendering needs no scikit-image.
"""

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from handvae.base.atomic import write_bytes
from handvae.synthetic.kinematics import BONES
from handvae.synthetic.template import POSITION_STEP_M, build_template

TEMPLATE_FILE = Path(__file__).with_name("template.npz")


@dataclass(frozen=True)
class Template:
    vertices_m: torch.Tensor  # (3, V) float32, rest pose
    normals: torch.Tensor  # (3, V) float32, unit
    weights: torch.Tensor  # (17, V) float32, sums to 1 over bones
    faces: torch.Tensor  # (3, F) int64, counter-clockwise seen from outside
    bones: torch.Tensor  # (V,) int64, the bone of greatest weight
    mixed: torch.Tensor  # (F,) bool, corners of different bones


@dataclass(frozen=True)
class Posed:
    """The meshes of B scenes in their cameras' frames."""

    vertices_m: torch.Tensor  # (3, B, V)
    normals: torch.Tensor  # (3, B, V)
    faces: torch.Tensor  # (3, F) of each mesh
    drawn: torch.Tensor  # (D,) scene * F + face, of those that face the camera; the surface is closed
    corners: torch.Tensor  # (3 corners, 3, D): u, v in pixels, 1/z in 1/m


@dataclass(frozen=True)
class Surface:
    """What the cameras see of the hands, one column per covered pixel, scene by scene."""

    pixels: torch.Tensor  # (P,) flat index, (scene * height + row) * width + column
    scene: torch.Tensor  # (P,)
    position_m: torch.Tensor  # (3, P) camera frame
    normal: torch.Tensor  # (3, P) unit, towards the outside
    rest_m: torch.Tensor  # (3, P) the same points on the template
    bone: torch.Tensor  # (P,)
    scenes: int
    height: int
    width: int


@cache
def load_template() -> Template:
    with np.load(TEMPLATE_FILE, allow_pickle=False) as file:
        vertices_m = file["vertices_i16"].astype(np.float32) * np.float32(POSITION_STEP_M)
        normals, weights = file["normals_i8"].astype(np.float32), file["weights_u8"].astype(np.float32)
        faces = file["faces_u16"].astype(np.int64)
    normals, weights = normals / np.linalg.norm(normals, axis=0), weights / weights.sum(axis=0)
    bones = weights.argmax(axis=0)
    corners = bones[faces]
    mixed = (corners[0] != corners[1]) | (corners[0] != corners[2])
    arrays = vertices_m, normals, weights, faces, bones, mixed
    return Template(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


def skin(template: Template, matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Linear blend skinning: bone maps (B, 17, 3, 4) -> vertices and unit normals (3, B, V)."""
    # one product a hand: what a product of many rounds to may depend on how many they are
    blend = torch.stack([hand.reshape(BONES, 12).t() @ template.weights for hand in matrices], dim=1)
    blend = blend.view(3, 4, len(matrices), -1)
    x, y, z = template.vertices_m
    vertices = blend[:, 0] * x + blend[:, 1] * y + blend[:, 2] * z + blend[:, 3]
    x, y, z = template.normals
    normals = blend[:, 0] * x + blend[:, 1] * y + blend[:, 2] * z
    return vertices, normals / (normals[0] ** 2 + normals[1] ** 2 + normals[2] ** 2).sqrt()


if __name__ == "__main__":
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **build_template())
    write_bytes(TEMPLATE_FILE, buffer.getvalue())
