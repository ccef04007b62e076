"""Is my download right?

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
from handvae.datasets import doubts, rhd, sets
from handvae.datasets.sample import DepthSample
from handvae.datasets.sets import DATASETS, TITLES
from handvae.download import sources
from handvae.preprocessing import preprocess
from handvae.report import style
from stages import command_line, download, run

RAW, SHEETS = Path("data/raw"), Path("data/doctor")
IMAGES_EXAMINED, IMAGES_DRAWN = 120, 12
CAPTION = "Do the joints lie on the hand, each finger in its own colour? Then labels and images belong together."


def main(*words: str) -> None:
    parser = command_line("stages.doctor", __doc__)
    parser.add_argument("set", nargs="?", choices=DATASETS, help="without it: all five, as params.yaml names them")
    parser.add_argument("folder", nargs="?", default="", help="the unpacked set; without it: the source in params.yaml")
    given = parser.parse_args(words)
    verdicts = {name: verdict(name, given.folder) for name in ([given.set] if given.set else DATASETS)}
    print("\n" + "\n".join(f"{dataset}: {text}" for dataset, text in verdicts.items()))
    if any(text != "ready" for text in verdicts.values()):
        sys.exit(1)


def verdict(name: str, folder: str) -> str:
    """Examine a set and print what that tells; "ready", or what is wrong and what to do."""
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
    if data.source != "synthetic" and sources.source_type(data.source) == "folder":
        return Path(data.source)
    wanted = [download.describe(name, data, published) for published in (False, True)]
    if (known := manifest(name)).get("description") not in wanted or not Path(known["root"]).is_dir():
        source = "synthetic hands" if data.source == "synthetic" else sources.short_name(data.source)
        raise InputError(
            f"{RAW / name}: expected {source}, found nothing, or what is left of another source; run "
            f"`dvc repro -f download@{name}`"
        )
    return Path(known["root"])


def manifest(name: str) -> dict:
    """What stages.download wrote of the set last time; nothing if it did not."""
    try:
        return json.loads((RAW / f"{name}.json").read_text())
    except (OSError, ValueError):
        return {}


def problems_of(name: str, root: Path) -> list[str]:
    """Print what the files, labels and images of a set tell; return what is wrong with it."""
    dataset = DATASETS[name]
    facts = dataset.inspect(root)
    counts = ", ".join(f"{split} {of_split['frames']:,}" for split, of_split in facts["splits"].items())
    published = "the published set" if facts["published"] else "not the published set's counts"
    print(f"\n{name}: {TITLES[name]}'s layout\n  frames: {counts} ({published})")
    for note in facts["notes"] + changed_notes(name, root, facts):
        print(f"  note: {note}")
    labels = doctor.examine(dataset.labelled_hands(root))
    print("\n".join(f"  {line}" for line in labels.lines), flush=True)
    if not (frames := dataset.frames_with_images(root)):
        print("  no image is here, only labels: no picture of them")
        return labels.problems + protocol_problems(name, root)
    images = examined_images(name, root, frames)
    print("\n".join(f"  {line}" for line in images.lines))
    return labels.problems + images.problems + protocol_problems(name, root)


def changed_notes(name: str, root: Path, facts: dict) -> list[str]:
    """That the set is not what DVC read last time, which does not look into folders."""
    before = manifest(name)
    if not before or Path(before["root"]).resolve() != root.resolve() or before["splits"] == facts["splits"]:
        return []
    return [f"changed since {RAW / name}.json was written: add -f to the next `dvc repro` or `dvc exp run`"]


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
    examination = doctor.examine_images(agreements, samples, len(frames))
    drawn, path = doctor.evenly(samples, IMAGES_DRAWN), SHEETS / f"{name}.png"
    folder = root.resolve().name.encode(errors="replace").decode()  # without what no font can draw
    title = f"{folder} ({TITLES[name]}'s layout): {len(drawn)} of {len(frames):,} images"
    atomic.write_bytes(path, style.png_bytes(doctor.contact_sheet(drawn, dataset.SKELETON, title, CAPTION)))
    counts = f"{len(samples):,} of {len(frames):,} images decoded; joints over {len(drawn)} of them"
    examination.lines.append(f"{counts}: {path}")
    return examination


def protocol_problems(name: str, root: Path) -> list[str]:
    """What keeps the set from being read as params.yaml wants it; nothing where there is no params.yaml."""
    if not Path("params.yaml").exists():
        return []
    protocol = params.load().data[name].protocol
    try:
        labelled = DATASETS[name].frames(root, **frames_options(protocol))
        doubts.few(name, labelled, protocol.doubtful_labels)
        if name == "rhd":
            preprocess.check_visible(without_visible_hand(labelled), protocol.without_visible_joint, root)
    except InputError as error:
        return [str(error)]
    return []


def without_visible_hand(labelled: dict[str, list[rhd.Frame]]) -> dict[str, list[int]]:
    """By split the frames of RHD whose dominant hand is wanted, and no hand shows a joint.

    Where the other hand shows one only the masks tell which is dominant: preprocessing reads them.
    """
    return {
        rhd.SPLITS[group]: [
            frame.index for frame in frames if frame.hands == "dominant" and not frame.annotation.visible_sides()
        ]
        for group, frames in labelled.items()
    }


if __name__ == "__main__":
    run(main, *sys.argv[1:])
