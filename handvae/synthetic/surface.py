"""What is between posing a hand and shading it: meshes before their cameras, and what of them is seen."""

from dataclasses import dataclass

import torch


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
