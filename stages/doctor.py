"""Is my download right? Usage: python -m stages.doctor [rhd|stb|icvl|nyu|msra [folder]]; without a set, all five

Checks layout, counts and labels of the set that params.yaml names (or that lies in `folder`), prints what it finds, and
saves data/doctor/<set>.png: joints drawn over images. Ends with "ready", or with what to do and exit code 1.
"""

import json
import os
import sys
from pathlib import Path

from handvae import doctor
from handvae.base import atomic, params
from handvae.base.dataset_params import frames_options
from handvae.base.errors import InputError
from handvae.datasets import doubts, sets
from handvae.datasets.sample import DepthSample
from handvae.datasets.sets import DATASETS, TITLES
from handvae.download import sources
from handvae.report import style
from stages import download, run

RAW, SHEETS = Path("data/raw"), Path("data/doctor")
IMAGES_EXAMINED, IMAGES_SHOWN = 120, 12
CAPTION = "Do the joints lie on the hand, each finger in its own colour? Then labels and images belong together."


def main(name: str = "", folder: str = "") -> None:
    if name and name not in DATASETS:
        raise InputError(f"stages.doctor: expected one of {', '.join(DATASETS)}, found {name!r}")
    verdicts = {one: verdict(one, folder) for one in ([name] if name else DATASETS)}
    print("\n" + "\n".join(f"{one}: {text}" for one, text in verdicts.items()))
    if any(text != "ready" for text in verdicts.values()):
        sys.exit(1)


def verdict(name: str, folder: str) -> str:
    """Examine one set and print what is found; "ready", or what is wrong and what to do."""
    folder = os.path.expanduser(folder)
    try:
        if folder and Path(folder).is_file():
            raise InputError(
                f"{folder}: expected the unpacked set, found a file; make it data.{name}.source, run `dvc repro "
                f"download@{name}`, then this without a folder"
            )
        problems = problems_of(name, sets.find(name, Path(folder) if folder else located(name)))
    except (InputError, OSError) as error:
        return f"not ready: {' '.join(str(error).split())}"
    for problem in problems:
        print(f"  problem: {problem}")
    more = f" (and {len(problems) - 1} more problems, above)" if len(problems) > 1 else ""
    return f"not ready: {problems[0]}{more}; see docs/data.md" if problems else "ready"


def located(name: str) -> Path:
    """Where the set of params.yaml lies. InputError with the command that brings it, if it is not there yet."""
    data = params.load().data[name]
    if sources.source_type(data.source) == "folder" and data.source != "synthetic":
        return Path(data.source)
    try:
        manifest = json.loads((RAW / f"{name}.json").read_text())
    except (OSError, ValueError):
        manifest = {}
    wanted = [download.describe(name, "", data, published) for published in (False, True)]
    if data.source == "synthetic":
        wanted = [download.describe(name, "synthetic", data, False)]
    if manifest.get("description") not in wanted or not Path(manifest["root"]).is_dir():
        what = "synthetic hands" if data.source == "synthetic" else sources.short_name(data.source)
        raise InputError(
            f"{RAW / name}: expected {what}, found nothing, or what is left of another source; run "
            f"`dvc repro download@{name}`"
        )
    return Path(manifest["root"])


def problems_of(name: str, root: Path) -> list[str]:
    """Print what is found out about a set; return what is wrong with it."""
    dataset = DATASETS[name]
    facts = dataset.inspect(root)
    counts = ", ".join(f"{split} {found['frames']:,}" for split, found in facts["splits"].items())
    kind = "the published set" if facts["published"] else "not the published set's counts"
    print(f"\n{name}: {TITLES[name]}'s layout\n  frames: {counts} ({kind})")
    for note in facts["notes"]:
        print(f"  note: {note}")
    examinations = [doctor.examine(dataset.labelled_hands(root))]
    print("\n".join(f"  {line}" for line in examinations[0].lines), flush=True)
    frames = dataset.frames_with_images(root)
    if frames:
        examinations.append(examined_images(name, root, frames))
        print("\n".join(f"  {line}" for line in examinations[1].lines))
    else:
        print("  no image is here, only labels: no picture of them")
    return [problem for one in examinations for problem in one.problems] + protocol_problems(name, root)


def examined_images(name: str, root: Path, frames: list) -> doctor.Examination:
    """Look at some of the images, evenly chosen, and save a picture of a few with their joints."""
    dataset = DATASETS[name]
    chosen = doctor.evenly(frames, IMAGES_EXAMINED)
    samples = [dataset.read(frame)[0] for frame in chosen]
    agreements = []
    if name == "rhd":
        agreements = [dataset.visible_joints_on_mask(frame) for frame in chosen]
    elif isinstance(samples[0], DepthSample):
        agreements = [doctor.depth_agreement(sample) for sample in samples]
    found = doctor.examine_images(agreements, samples, len(frames))
    shown, path = doctor.evenly(samples, IMAGES_SHOWN), SHEETS / f"{name}.png"
    folder = root.resolve().name.encode(errors="replace").decode()  # what no font can draw
    title = f"{folder} ({TITLES[name]}'s layout): {len(shown)} of {len(frames):,} images"
    atomic.write_bytes(path, style.png_bytes(doctor.contact_sheet(shown, dataset.SKELETON, title, CAPTION)))
    found.lines.append(f"{len(samples):,} of {len(frames):,} images decoded; joints over {len(shown)} of them: {path}")
    return found


def protocol_problems(name: str, root: Path) -> list[str]:
    """What keeps the set from being read as params.yaml wants it; nothing where there is no params.yaml."""
    if not Path("params.yaml").exists():
        return []
    protocol = params.load().data[name].protocol
    try:
        doubts.few(name, DATASETS[name].frames(root, **frames_options(protocol)), protocol.doubtful_labels)
    except InputError as error:
        return [str(error)]
    return []


if __name__ == "__main__":
    run(main, *sys.argv[1:])
