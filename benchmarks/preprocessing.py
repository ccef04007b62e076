"""Checking and preprocessing every set at its published size and at a tenth of it: time, memory, images/s.

python -m benchmarks.preprocessing FOLDER: renders the five sets at profile small's sizes into FOLDER, or takes what an
earlier run left there, and prints a table. Larger sets have the same images under more names (hard links) and labels
for each. The time of a set of profile tiny, a few frames, is start-up and not compared.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from handvae.base import workers
from handvae.datasets import icvl, msra, nyu, png, rhd, stb
from handvae.datasets.sets import DATASETS

REPOSITORY = Path(__file__).parent.parent
# How often a tenth of the published size holds a set of profile small
TENTH = {"rhd": 3, "stb": 3, "icvl": 2, "nyu": 7, "msra": 6}
PROFILE = "small"  # whose sizes are rendered
REPEATS = 3  # of the short runs, because machines are noisy

Row = tuple[str, str, str, str]  # what, measured, held to, ratio


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


def staged(name: str, root: Path) -> tuple[float, float]:
    """Check and preprocess the set as the two stages do: seconds, and MB of the largest process at any time."""
    with tempfile.TemporaryDirectory() as folder:
        settings = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
        settings["data"][name]["source"] = str(root.resolve())
        (Path(folder) / "params.yaml").write_text(yaml.safe_dump(settings))
        start, peak_kb = time.perf_counter(), 0
        for stage in ("download", "preprocess"):
            process = subprocess.Popen(
                [sys.executable, "-m", f"stages.{stage}", name],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            while process.poll() is None:
                peak_kb = max([peak_kb, *resident_kb(process.pid)])
                time.sleep(0.05)
            if process.returncode:
                sys.exit(f"error: stages.{stage} {name} failed on {root}")
        return time.perf_counter() - start, peak_kb / 1024


def resident_kb(session: int) -> Iterator[int]:
    """Memory of every process of a session (Linux)."""
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.getsid(int(entry)) == session:
                lines = Path(f"/proc/{entry}/status").read_text().splitlines()
                yield next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
        except OSError:  # it has just ended
            continue


def images_a_second_decoded(root: Path) -> float:
    """Of the colour and mask images of RHD's training split, one after the other on one core."""
    paths = sorted((root / "training/color").iterdir())
    start = time.perf_counter()
    for path in paths:
        png.read_rgb_u8(path)
        png.read_grey_u8(path.parent.parent / "mask" / path.name)
    return len(paths) / (time.perf_counter() - start)


def measured(name: str, folder: Path) -> list[Row]:
    """The published size, a tenth of it, and a few frames."""
    roots = {size: folder / f"{name}-{size}" for size in ("tiny", "tenth", "whole")}
    counts = {size: images(name, root) for size, root in roots.items()}
    runs = {
        size: [staged(name, root) for _ in range(1 if size == "whole" else REPEATS)] for size, root in roots.items()
    }
    seconds = {size: min(run[0] for run in runs[size]) for size in roots}
    megabytes = {size: max(run[1] for run in runs[size]) for size in roots}
    tenth_s, whole_s = (seconds[size] - seconds["tiny"] for size in ("tenth", "whole"))
    sizes = f"{name}, {counts['tenth']:,} and {counts['whole']:,} images"
    memory = f"{megabytes['tenth']:.0f} and {megabytes['whole']:.0f} MB"
    held_kb = 1024 * (megabytes["whole"] - megabytes["tenth"]) / (counts["whole"] - counts["tenth"])
    time_text = f"{seconds['tenth']:.1f} and {seconds['whole']:.1f} s, {seconds['tiny']:.1f} s of each start-up"
    rate, ratio = counts["whole"] / whole_s / workers.cores(), whole_s / tenth_s / 10
    found = [
        (f"{sizes}: largest process", memory, "1,500 MB", f"{held_kb:.1f} KB more an image, its labels"),
        (f"{sizes}: time", time_text, "10 times, 15 % more or less", f"{ratio:.2f}"),
    ]
    if name == "rhd":
        bare = images_a_second_decoded(roots["whole"])
        text = f"{rate:.0f} images/s a core, decoding alone {bare:.0f}"
        found.append((f"{name}, {counts['whole']:,} images", text, "half of decoding alone", f"{2 * rate / bare:.2f}"))
    return found


def images(name: str, root: Path) -> int:
    """How many images the set holds that are preprocessed."""
    facts = DATASETS[name].inspect(root)["splits"].values()
    return sum(of_split.get("images", of_split["frames"]) for of_split in facts)


def rows(folder: Path) -> list[Row]:
    from handvae.synthetic.generate import generate  # torch: not in a process that only prints usage

    profiles = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["profiles"]
    for name, tenth in TENTH.items():
        for profile in ("tiny", PROFILE):
            if not (root := folder / f"{name}-{profile}").is_dir():
                generate(name, root, profiles[profile]["synthetic"][name], 0, workers.cores())
        for size, times in (("tenth", tenth), ("whole", 10 * tenth)):
            if not (root := folder / f"{name}-{size}").is_dir():
                LARGER[name](folder / f"{name}-{PROFILE}", work := folder / f"{name}.partial", times)
                work.rename(root)
    return [row for name in TENTH for row in measured(name, folder)]


if __name__ == "__main__":
    match sys.argv[1:]:
        case [folder]:
            for row in rows(Path(folder)):
                print("| " + " | ".join(row) + " |")
        case _:
            sys.exit(f"error: {__doc__.splitlines()[2]}")
