"""data/raw/<set> -> data/processed/<set>.h5: crops, joints, cameras

Raw data that is gone is taken from the workspace, if this runs outside of it, or fetched by stages.download: DVC keeps
the manifest <set>.json, in a fresh clone and for its queue, but not the images.
"""

import json
import subprocess
import sys
from pathlib import Path

from handvae.base import atomic, params, workspace
from handvae.base.dataset_params import frames_options
from handvae.base.errors import InputError
from handvae.datasets import doubts
from handvae.datasets.sets import DATASETS, Dataset
from handvae.preprocessing import preprocess, store
from stages import command_line, run


def main(*words: str) -> None:
    parser = command_line("stages.preprocess", __doc__)
    parser.add_argument("set", choices=DATASETS)
    name = parser.parse_args(words).set
    settings = params.load()
    dataset, protocol, profile = DATASETS[name], settings.data[name].protocol, settings.profile
    manifest = read_manifest(path := Path(f"data/raw/{name}.json"))
    root = raw_data(name, manifest) or downloaded_again(name, path, manifest)
    labelled = dataset.frames(root, **frames_options(protocol))
    frames = doubts.few(name, labelled, protocol.doubtful_labels)
    for note in doubts.notes(frame.doubt for group in labelled.values() for frame in group):
        print(f"{name}: {note}")
    crops = preprocess.size(profile.crop_px, profile.context)
    source = source_text(manifest["description"], frames, protocol)
    attributes = {
        "dataset": name,
        "skeleton": dataset.SKELETON.name,
        "source": source,
        "synthetic": manifest["kind"] == "synthetic",
        "published": manifest["published"] and has_published_test(dataset, frames, labelled),
        "crop_px": crops.crop_px,
        "context_px": crops.context_px,
    }
    counts = write(Path(f"data/processed/{name}.h5"), root, frames, crops, attributes, protocol)
    print(f"{name}: {', '.join(f'{count:,} {group}' for group, count in counts.items())} hands from {source}")


def write(
    path: Path, root: Path, frames: dict[str, list], crops: preprocess.Size, attributes: dict, protocol: object
) -> dict[str, int]:
    """Crop and write the hands of every group; return their numbers."""
    name, centre = attributes["dataset"], getattr(protocol, "centre", "joint")
    dataset, counts = DATASETS[name], {}
    with store.writing(path, attributes) as file:
        for group, group_frames in frames.items():
            hands = preprocess.hands(group_frames, dataset.read, crops, f"{name} {group}", centre)
            counts[group] = store.add(file, group, hands, f"{path}: {group}")
        if name == "rhd":  # the only set that says which joints can be seen
            hidden = {split: preprocess.without_visible_joint(file[group]) for group, split in dataset.SPLITS.items()}
            preprocess.check_visible(hidden, protocol.without_visible_joint, root)
    return counts


def has_published_test(dataset: Dataset, frames: dict[str, list], labelled: dict[str, list]) -> bool:
    """Whether the test split is the published one. Where a set has none, each group is the test data of some model."""
    if "test" in frames:
        sequences = getattr(dataset, "PUBLISHED_TEST_SEQUENCES", None)
        published = sequences is None or {frame.sequence for frame in frames["test"]} == set(sequences)
        return published and len(frames["test"]) == dataset.PUBLISHED_TEST
    return all(len(frames[group]) == len(labelled[group]) for group in labelled)


def source_text(description: str, frames: dict[str, list], protocol: object) -> str:
    """The text of tables and figures on their data; for depth also what crops are centred on, which moves errors."""
    counts = {group: len(group_frames) for group, group_frames in frames.items()}
    samples = "images" if getattr(protocol, "images", True) else "labelled hands without images"
    if "test" in counts:
        text = f"{description}, {counts['train']:,} training and {counts['test']:,} test {samples}"
    else:
        text = f"{description}, {sum(counts.values()):,} {samples} of {len(counts)} subjects"
    words = {None: "", "joint": ", crops centred on the true joint", "mass": ", crops centred on the depth's mass"}
    return text + words[getattr(protocol, "centre", None)]


def read_manifest(path: Path) -> dict:
    """The manifest that stages.download wrote. InputError if it is gone."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the manifest that download writes: {error}") from error


def raw_data(name: str, manifest: dict) -> Path | None:
    """The folder of the data that the manifest describes, here or in the workspace; None if it is gone or changed."""
    for root in dict.fromkeys([Path(manifest["root"]), workspace.folder() / manifest["root"]]):
        try:
            if root.is_dir() and DATASETS[name].inspect(root)["splits"] == manifest["splits"]:
                return root
        except InputError as error:
            print(f"{name}: {error}")
    return None


def downloaded_again(name: str, path: Path, manifest: dict) -> Path:
    """The folder of the data after another stages.download. InputError if that brings other data than before.

    A process of its own, so that this stage does not depend on the code that renders and downloads. The manifest at
    `path` stays as it is: DVC tracks it.
    """
    print(f"{name}: {manifest['root']} is not what {path} describes: bringing the raw data again", flush=True)
    text = path.read_text()
    try:
        if code := subprocess.run([sys.executable, "-m", "stages.download", name]).returncode:
            sys.exit(code)  # its line says why
        fetched = read_manifest(path)
    finally:
        atomic.write_text(path, text)
    if fetched | {"root": ""} != manifest | {"root": ""}:
        raise InputError(
            f"{fetched['root']}: expected the raw data that {path} describes, found other data; "
            f"run `dvc repro -f download@{name}`{f' in {workspace.folder()}' if workspace.folder() != Path() else ''}"
        )
    return Path(fetched["root"])


if __name__ == "__main__":
    run(main, *sys.argv[1:])
