"""Sets with several times the images of a rendered one: the same images under more names, and labels for each."""

import os
from pathlib import Path

import numpy as np

from handvae.datasets import icvl, msra, nyu, rhd, stb


def larger_rhd(root: Path, out: Path, times: int) -> None:
    for split in rhd.SPLITS.values():
        found = rhd.read_annotations(root, split)
        uv_vis = np.stack([np.concatenate([one.uv_px, one.visible[:, None]], axis=1) for one in found])
        labels = (uv_vis, np.stack([one.xyz_m for one in found]), np.stack([one.K for one in found]))
        for kind in ("color", "mask"):
            for copy in range(times * len(found)):
                link(root / split / kind / f"{copy % len(found):05d}.png", out / split / kind / f"{copy:05d}.png")
        rhd.write_annotations(out / split, *(repeated(values, times) for values in labels))


def larger_stb(root: Path, out: Path, times: int) -> None:
    for sequence in stb.SEQUENCES:
        found = stb.frames(root, [sequence], [], ["left"], images=False)["train"]
        for view in stb.VIEWS:
            for copy in range(times * len(found)):
                at = stb.image_path(root, sequence, view, copy % len(found))
                link(at, stb.image_path(out, sequence, view, copy))
        stb.write_labels(out, sequence, repeated(np.stack([frame.joints_mm for frame in found]), times))


def larger_icvl(root: Path, out: Path, times: int) -> None:
    found = icvl.frames(root, rotated_copies=True)
    files = {"labels": found["train"]}
    files |= {name: [one for one in found["test"] if one.path.startswith(name)] for name in icvl.TEST_SEQUENCES}
    for name, of_file in files.items():
        split = "Training" if name == "labels" else "Testing"
        paths = [renumbered(one.path, copy) for copy in range(times) for one in of_file]
        for path, one in zip(paths, of_file * times, strict=True):
            link(one.images / one.path, out / split / "Depth" / path)
        icvl.write_labels(out / split / f"{name}.txt", paths, repeated(np.stack([one.uvd for one in of_file]), times))


def renumbered(path: str, copy: int) -> str:
    folder, number = path.removesuffix(".png").split("/image_")
    return f"{folder}/{icvl.image_name(int(number) + 1000 * copy)}"


def larger_nyu(root: Path, out: Path, times: int) -> None:
    for split, found in nyu.frames(root).items():
        for copy in range(times * len(found)):
            link(found[copy % len(found)].image, nyu.image_path(out, split, "depth", copy + 1))
        nyu.write_labels(out, split, repeated(np.stack([[frame.joints_mm for frame in found]] * nyu.VIEWS), times, 1))


def larger_msra(root: Path, out: Path, times: int) -> None:
    for subject, of_subject in msra.frames(root).items():
        for gesture in msra.GESTURES:
            found = [frame for frame in of_subject if frame.gesture == gesture]
            for copy in range(times * len(found)):
                link(found[copy % len(found)].image, msra.image_path(out, subject, gesture, copy))
            joints_mm = repeated(np.stack([frame.joints_mm for frame in found]), times)
            msra.write_labels(out, subject, gesture, joints_mm)


LARGER = {"rhd": larger_rhd, "stb": larger_stb, "icvl": larger_icvl, "nyu": larger_nyu, "msra": larger_msra}


def repeated(values: np.ndarray, times: int, axis: int = 0) -> np.ndarray:
    return np.concatenate([values] * times, axis=axis)


def link(image: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    os.link(image, name)
