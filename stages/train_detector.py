"""data/raw/rhd and data/raw/stb -> models/detector.safetensors: finds hands in whole pictures for stages.predict

detector.yaml has its settings. A few minutes; a run that was stopped begins again.
"""

import sys
from dataclasses import replace
from pathlib import Path

from handvae.base import params
from handvae.base.dataset_params import frames_options
from handvae.datasets.sets import DATASETS
from handvae.detection import frames, network, settings, training
from handvae.model import devices
from stages import command_line, run
from stages.preprocess import downloaded_again, raw_data, read_manifest

SETS = ("rhd", "stb")


def main(*words: str) -> None:
    command_line("stages.train_detector", __doc__).parse_args(words)
    loaded, chosen = params.load(), settings.load()
    devices.make_repeatable(devices.choose("cpu"))
    parts = [
        frames.pictures(name, labelled(name, loaded, "train", chosen.most_frames), chosen.picture_px, name)
        for name in SETS
    ]
    pictures = frames.concatenated(parts)
    steps = chosen.steps[loaded.profile_name]
    of_sides = replace(loaded.profile.training["rgb"], steps=steps)
    trained = training.train(pictures, chosen, of_sides, steps)
    data = "; ".join(f"{name.upper()}: {read_manifest(manifest(name))['description']}" for name in SETS)
    path = Path("models/detector.safetensors")
    network.save(path, trained, chosen, data)
    print(f"{path}: trained on {len(pictures.images_u8):,} pictures, {path.stat().st_size / 1e6:.1f} MB")


def manifest(name: str) -> Path:
    return Path(f"data/raw/{name}.json")


def labelled(name: str, loaded: params.Params, split: str, most: int) -> list:
    """At most so many frames of a split, with all their hands where the set has two."""
    facts = read_manifest(manifest(name))
    root = raw_data(name, facts) or downloaded_again(name, manifest(name), facts)
    options = frames_options(loaded.data[name].protocol)
    if name == "rhd":
        options["hands"] = "both"
    of_split = DATASETS[name].frames(root, **options)[split]
    return frames.evenly([frame for frame in of_split if frame.doubt is None], most)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
