"""Is my download right? Usage: python -m stages.doctor [rhd|stb|icvl|nyu|msra [folder]]; without a set, all five

Checks layout, counts and labels of the set that params.yaml names (or that lies in `folder`), prints what it finds, and
saves data/doctor/<set>.png: joints drawn over images. Ends with "ready", or with what to do and exit code 1.
"""

import sys
from pathlib import Path

from handvae import doctor
from handvae.base import atomic, params
from handvae.base.errors import InputError
from handvae.datasets.sets import DATASETS, TITLES
from handvae.download import sources
from handvae.report import figures
from stages import run

RAW, SHEETS = Path("data/raw"), Path("data/doctor")
IMAGES_SHOWN = 12


def main(name: str = "", folder: str = "") -> None:
    if name and name not in DATASETS:
        raise InputError(f"stages.doctor: expected one of {', '.join(DATASETS)}, found {name!r}")
    verdicts = {one: verdict(one, folder) for one in ([name] if name else DATASETS)}
    print("\n" + "\n".join(f"{one}: {text}" for one, text in verdicts.items()))
    if any(text != "ready" for text in verdicts.values()):
        sys.exit(1)


def verdict(name: str, folder: str) -> str:
    """Examine one set and print what is found; "ready", or what is wrong and what to do."""
    try:
        root = Path(folder) if folder else located(name)
        return examined(name, DATASETS[name].find(root))
    except InputError as error:
        return f"not ready: {error}"


def located(name: str) -> Path:
    """Where the set of params.yaml lies. InputError with the command that brings it, if it is not there yet."""
    source = params.load().data[name].source
    if source == "synthetic":
        place = RAW / name
    elif sources.kind(source) == "folder":
        return Path(source)
    else:
        place = RAW / "unpacked" / name
    if not place.is_dir():
        raise InputError(f"{place}: expected the set from {sources.shown(source)}; run `dvc repro download@{name}`")
    return place


def examined(name: str, root: Path) -> str:
    dataset = DATASETS[name]
    facts = dataset.inspect(root)
    counts = ", ".join(f"{split} {found['frames']:,}" for split, found in facts["splits"].items())
    kind = "the published set" if facts["published"] else "not the published set's counts"
    print(f"\n{name}: {TITLES[name]}'s layout\n  frames: {counts} ({kind})")
    for note in facts["notes"]:
        print(f"  note: {note}")
    examination = doctor.examine(dataset.labelled_hands(root))
    print("\n".join(f"  {line}" for line in examination.lines), flush=True)
    print(f"  {saved_sheet(name, root)}")
    for problem in examination.problems:
        print(f"  problem: {problem}")
    return (
        "ready" if not examination.problems else f"not ready: {examination.problems[0]}; is {root} the real set, whole?"
    )


def saved_sheet(name: str, root: Path) -> str:
    """Draw joints over some images, evenly chosen, and say where the picture is."""
    dataset = DATASETS[name]
    frames = dataset.frames_with_images(root)
    samples = [sample for frame in doctor.evenly(frames, IMAGES_SHOWN) for sample in dataset.read(frame)][:IMAGES_SHOWN]
    if not samples:
        return "no contact sheet: no image is here, only labels"
    caption = (
        "Do the joints lie on the hand, thumb orange to little finger pink? Then labels and images belong together."
    )
    figure = doctor.contact_sheet(samples, dataset.SKELETON, f"{TITLES[name]}: {len(samples)} images", caption)
    path = SHEETS / f"{name}.png"
    atomic.write_bytes(path, figures.png_bytes(figure))
    return f"joints over {len(samples)} images: {path}"


if __name__ == "__main__":
    run(main, *sys.argv[1:])
