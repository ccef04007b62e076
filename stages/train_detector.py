"""data/raw/rhd and data/raw/stb -> models/detector.safetensors: finds hands in whole pictures for stages.predict

detector.yaml has its settings. A few minutes; a run that was stopped begins again.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from handvae.base import params
from handvae.base.dataset_params import frames_options
from handvae.base.progress import tracked
from handvae.datasets.sets import DATASETS
from handvae.detection import frames, settings, thresholds, training
from handvae.detection.detect import Detector
from handvae.model import devices
from stages import command_line, run
from stages.preprocess import downloaded_again, raw_data, read_manifest

SETS = ("rhd", "stb")
# A pose model whose trunk the network of sides starts from. It has seen all training frames of its set, those that the
# thresholds are set on too: on RHD the network may be a little less sure of other frames' sides than of these.
SIDES_START = Path("pretrained/rhd-rgb-v1.safetensors")


def main(*words: str) -> None:
    command_line("stages.train_detector", __doc__).parse_args(words)
    loaded, chosen = params.load(), settings.load()
    steps = chosen.steps_at(loaded.profile_name)
    devices.make_repeatable(devices.choose("cpu"))
    parts, held_out = [], []
    for name in SETS:
        of_set = labelled(name, loaded, "train", chosen.most_frames)
        first_held_out = len(of_set) - max(1, round(chosen.validation * len(of_set)))
        parts.append(frames.pictures(name, of_set[:first_held_out], chosen.picture_px, name))
        held_out.append((name, of_set[first_held_out:]))
    pictures = frames.concatenated(parts)
    of_sides = replace(loaded.profile.training["rgb"], steps=steps)
    trained = training.train(pictures, chosen, of_sides, steps, SIDES_START)
    data = "; ".join(f"{name.upper()}: {read_manifest(manifest(name))['description']}" for name in SETS)
    detector, path = Detector(trained, chosen, thresholds.OPEN, data), Path("models/detector.safetensors")
    validation = [frame for name, of_set in held_out for frame in detected(name, of_set, detector)]
    limits = thresholds.choose(validation, chosen.sides_right)
    replace(detector, thresholds=limits).save(path)
    print(
        f"{path}: trained on {len(pictures.images_u8):,} pictures, {path.stat().st_size / 1e6:.1f} MB; by "
        f"{len(validation):,} others a hand counts from a score of {limits.certain:g} on, its side is said from "
        f"{100 * limits.sure_of_side:g} % on"
    )


def detected(name: str, of_set: list[Any], detector: Detector) -> Iterator[thresholds.Frame]:
    """The hands of frames of the set `name`, and what the detector sees."""
    for frame in tracked(of_set, f"validate detector {name}", len(of_set), "frames"):
        samples = DATASETS[name].read(frame)
        hands = [sample for sample in samples if sample.visible.any()]
        (detections,) = detector.detect([samples[0].image_u8])
        yield thresholds.Frame([frames.square_px(hand) for hand in hands], [hand.side for hand in hands], detections)


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
