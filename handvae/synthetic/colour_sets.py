"""The synthetic hand as the two colour sets: what is drawn for a frame of RHD or STB, and which files it becomes."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.geometry import project
from handvae.base.joints import LEFT
from handvae.datasets import png, stb
from handvae.datasets.rhd import MASK_LABELS, TO_HAND21, write_annotations, write_frame
from handvae.synthetic import landmarks, scenes
from handvae.synthetic.backgrounds import Background, sample_background
from handvae.synthetic.kinematics import FOREARM, PALM
from handvae.synthetic.scenes import Picture, PlacedHand, Scene
from handvae.synthetic.sequences import STB_HAND_LENGTH_M, STB_VIEW, Sequence, Subject
from handvae.synthetic.shading import Look

RHD_SPLITS = ("training", "evaluation")  # the position is part of every frame's seed
BATCH = 5  # frames of RHD drawn at once, a divisor of generate.UNIT_FRAMES; more no longer fit the processor's cache
MIN_VISIBLE_JOINTS = 3  # a forearm can hide its hand; with fewer joints a picture says nothing
STB_SEED = 2  # keeps STB's random numbers apart from those of the other sets


@dataclass(frozen=True)
class RhdFrame:
    color_u8: np.ndarray  # (H, W, 3)
    mask_u8: np.ndarray  # (H, W) RHD part labels
    depth_m: np.ndarray  # (H, W) float32
    uv_vis: np.ndarray  # (42, 3) u, v in pixels, visible 0 or 1; left hand first, each wrist, then tip to base
    xyz_m: np.ndarray  # (42, 3) camera frame
    K: np.ndarray  # (3, 3)


def rhd_frames(sizes: dict[str, int]) -> list[tuple[str, int]]:
    if not all(sizes[split] <= 99_999 for split in RHD_SPLITS):
        raise InputError(f"synthetic RHD: expected at most 99,999 frames a split, which has five digits, found {sizes}")
    return [(split, index) for split in RHD_SPLITS for index in range(sizes[split])]


def render_rhd(
    root: Path, frames: list[tuple[str, int]], seed: int, sizes: dict[str, int]
) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(frames), BATCH):
        batch = frames[start : start + BATCH]
        for (split, index), frame in zip(batch, make_rhd_frames(seed, batch, sizes["image_px"]), strict=True):
            write_frame(root / split, index, frame.color_u8, frame.mask_u8, frame.depth_m)
            yield {"uv_vis": frame.uv_vis, "xyz_m": frame.xyz_m, "K": frame.K}


def write_rhd_labels(root: Path, frames: list[tuple[str, int]], labels: dict[str, np.ndarray]) -> None:
    rows = rows_by_part(frames)
    for split in RHD_SPLITS:
        write_annotations(root / split, **{name: column[rows[split]] for name, column in labels.items()})


def rows_by_part(frames: list[tuple[str, int]]) -> dict[str, list[int]]:
    """The row numbers of every part of a set, in order; [] of a part without frames."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, (part, _) in enumerate(frames):
        rows[part].append(row)
    return rows


def make_rhd_frames(seed: int, frames: list[tuple[str, int]], image_px: int) -> list[RhdFrame]:
    """Drawn at once; each is a function of the seed, the size and its own split and number alone."""
    rngs = [scenes.scene_rng(seed, RHD_SPLITS.index(split), index) for split, index in frames]
    drawn: list[RhdFrame | None] = [None] * len(frames)
    while missing := [row for row, frame in enumerate(drawn) if frame is None]:
        drawn_scenes = [scenes.sample_scene(rngs[row], image_px, image_px) for row in missing]
        pictures = scenes.render_scenes(drawn_scenes, image_px, image_px)
        for row, scene, picture in zip(missing, drawn_scenes, pictures, strict=True):
            drawn[row] = _rhd_frame(scene, picture)
    return drawn


def _rhd_frame(scene: Scene, picture: Picture) -> RhdFrame | None:
    """None of a hand that can hardly be seen: about one scene in a thousand is drawn again."""
    xyz_m, uv_vis = _annotate(scene, picture.depth_m)
    if uv_vis[:, 2].sum() < MIN_VISIBLE_JOINTS:
        return None
    backdrop_m = scenes.backdrop_depth_m(scene.backdrop, *picture.depth_m.shape)
    depth_m = np.where(np.isfinite(picture.depth_m), picture.depth_m, backdrop_m)
    mask_u8 = part_labels(scene.hand.side)[picture.bones]
    return RhdFrame(picture.image_u8, mask_u8, depth_m, uv_vis, xyz_m, scene.camera)


def part_labels(side: int) -> np.ndarray:
    """(256,) RHD's mask label of every bone: body, then thumb to little finger tip to palm, then the palm."""
    first, last = MASK_LABELS[side]
    labels = np.zeros(256, np.uint8)  # 0 is the background: render.NO_BONE
    labels[FOREARM], labels[PALM] = 1, last
    labels[1:16] = (first + np.arange(15)).reshape(5, 3)[:, ::-1].ravel()
    return labels


def _annotate(scene: Scene, depth_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """xyz_m and uv_vis (42, 3). The absent hand is the mirror image of the one in the picture, far to the side."""
    hand, order, width = scene.hand, list(TO_HAND21), depth_m.shape[1]
    absent_m = hand.joints_m * [-1, 1, 1]
    edge_m = absent_m[:, 2] * (1.5 * width - scene.camera[0, 2]) / scene.camera[0, 0]
    absent_m[:, 0] += (edge_m - absent_m[:, 0]).max()
    xyz_m, uv_vis = np.zeros((2, 21, 3)), np.zeros((2, 21, 3))
    present, absent = (0, 1) if hand.side == LEFT else (1, 0)
    xyz_m[present], xyz_m[absent] = hand.joints_m[order], absent_m[order]
    uv_vis[..., :2] = project(xyz_m, scene.camera)
    uv_vis[present, :, 2] = scenes.visible_joints(hand, project(hand.joints_m, scene.camera), depth_m)[order]
    return xyz_m.reshape(42, 3), uv_vis.reshape(42, 3)


def stb_frames(sizes: dict[str, int | None]) -> list[tuple[str, int]]:
    return [(sequence, number) for sequence in stb.SEQUENCES for number in range(sizes["sequence"])]


def render_stb(root: Path, frame: tuple[str, int], seed: int, sizes: dict[str, int | None]) -> dict[str, np.ndarray]:
    """Both views of one frame of a sequence: the same left hand everywhere.

    The background and the light of a sequence change every `background_frames` frames. With None each place has one
    background and one light for both its sequences, as in the real set.
    """
    sequence, number = frame
    hand = stb_hand(seed, sequence, number)
    look, background = stb_surroundings(seed, sequence, number, sizes["background_frames"])
    for view in stb.VIEWS:
        hand_in_view = scenes.moved(hand, stb.in_view(np.zeros(3), view) / 1000.0)
        scene = Scene(hand_in_view, stb.CAMERA, look, background, np.zeros(3))
        (picture,) = scenes.render_scenes([scene], *stb.IMAGE_HW)
        png.write(stb.image_path(root, sequence, view, number), picture.image_u8)
    return {"joints_mm": 1000.0 * landmarks.stb21(hand)}


def stb_hand(seed: int, sequence: str, number: int) -> PlacedHand:
    """The hand of frame `number` of a sequence, in the left camera's frame."""
    style = "counting" if sequence.endswith("Counting") else "random"
    subject = Subject(seed, STB_SEED, STB_HAND_LENGTH_M)
    return Sequence((seed, STB_SEED, stb.SEQUENCES.index(sequence)), style, LEFT, subject, STB_VIEW).hand(number)


def write_stb_labels(root: Path, frames: list[tuple[str, int]], labels: dict[str, np.ndarray]) -> None:
    rows = rows_by_part(frames)
    for sequence in stb.SEQUENCES:
        stb.write_labels(root, sequence, labels["joints_mm"][rows[sequence]])


@lru_cache(maxsize=8)
def stb_surroundings(seed: int, sequence: str, number: int, background_frames: int | None) -> tuple[Look, Background]:
    """Light and background of frame `number` of a sequence, and the one skin of the whole set."""
    changes = number // background_frames if background_frames else 0
    source = sequence if background_frames else f"B{sequence[1]}Counting"
    rng = np.random.default_rng([seed, STB_SEED, stb.SEQUENCES.index(source), changes])
    background, light = sample_background(rng), scenes.sample_look(rng)
    skin = scenes.sample_look(np.random.default_rng([seed, STB_SEED, 0]))
    fields = ("light", "light_rgb", "sky", "sky_rgb", "ground_rgb", "shadow")
    return replace(skin, **{name: getattr(light, name) for name in fields}), background
