"""Sets with several times the images of a rendered one: the same images under more names, and labels for each."""

import os
from pathlib import Path

import numpy as np

from handvae.datasets import icvl, msra, nyu, rhd, stb


def larger_rhd(root: Path, out: Path, times: int) -> None:
    for split in rhd.SPLITS.values():
        samples = rhd.read_annotations(root, split)
        uv_vis = np.stack([np.concatenate([sample.uv_px, sample.visible[:, None]], axis=1) for sample in samples])
        labels = (uv_vis, np.stack([sample.xyz_m for sample in samples]), np.stack([sample.K for sample in samples]))
        for folder in ("color", "mask"):
            for copy in range(times * len(samples)):
                original = root / split / folder / f"{copy % len(samples):05d}.png"
                link(original, out / split / folder / f"{copy:05d}.png")
        rhd.write_annotations(out / split, *(repeated(values, times) for values in labels))


def larger_stb(root: Path, out: Path, times: int) -> None:
    for sequence in stb.SEQUENCES:
        frames = stb.frames(root, [sequence], [], ["left"], images=False)["train"]
        for view in stb.VIEWS:
            for copy in range(times * len(frames)):
                original = stb.image_path(root, sequence, view, copy % len(frames))
                link(original, stb.image_path(out, sequence, view, copy))
        stb.write_labels(out, sequence, repeated(np.stack([frame.joints_mm for frame in frames]), times))


def larger_icvl(root: Path, out: Path, times: int) -> None:
    splits = icvl.frames(root, rotated_copies=True)
    files = {"labels": splits["train"]}
    files |= {name: [frame for frame in splits["test"] if frame.path.startswith(name)] for name in icvl.TEST_SEQUENCES}
    for name, frames in files.items():
        split = "Training" if name == "labels" else "Testing"
        paths = [renumbered(frame.path, copy) for copy in range(times) for frame in frames]
        for path, frame in zip(paths, frames * times, strict=True):
            link(frame.images / frame.path, out / split / "Depth" / path)
        uvd = repeated(np.stack([frame.uvd for frame in frames]), times)
        icvl.write_labels(out / split / f"{name}.txt", paths, uvd)


def renumbered(path: str, copy: int) -> str:
    folder, number = path.removesuffix(".png").split("/image_")
    return f"{folder}/{icvl.image_name(int(number) + 1000 * copy)}"


def larger_nyu(root: Path, out: Path, times: int) -> None:
    for split, frames in nyu.frames(root).items():
        for copy in range(times * len(frames)):
            link(frames[copy % len(frames)].image, nyu.image_path(out, split, "depth", copy + 1))
        nyu.write_labels(out, split, repeated(np.stack([[frame.joints_mm for frame in frames]] * nyu.VIEWS), times, 1))


def larger_msra(root: Path, out: Path, times: int) -> None:
    for subject, subject_frames in msra.frames(root).items():
        for gesture in msra.GESTURES:
            frames = [frame for frame in subject_frames if frame.gesture == gesture]
            for copy in range(times * len(frames)):
                link(frames[copy % len(frames)].image, msra.image_path(out, subject, gesture, copy))
            joints_mm = repeated(np.stack([frame.joints_mm for frame in frames]), times)
            msra.write_labels(out, subject, gesture, joints_mm)


LARGER = {"rhd": larger_rhd, "stb": larger_stb, "icvl": larger_icvl, "nyu": larger_nyu, "msra": larger_msra}


def repeated(values: np.ndarray, times: int, axis: int = 0) -> np.ndarray:
    return np.concatenate([values] * times, axis=axis)


def link(image: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    os.link(image, name)
