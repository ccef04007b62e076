"""Hands in your own pictures, videos and depth images: 3D joints, an overlay, JSON; of videos an MP4 and a CSV

INPUT: pictures, folders of them, videos, webcam:0 (Ctrl-C ends it). Each hand is looked for by a detector, unless you
give --box, --whole-image or --boxes. The length of its middle finger's bone (MCP to PIP) cannot be seen in a picture:
without --scale-bone-mm an adult's mean is taken. With --camera the input is a depth image in mm (16-bit grey), and
--model must be one for depth. Everything assumed stands in the JSON. docs/predict.md tells more.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from handvae.base.errors import InputError
from handvae.detection.detect import Detector
from handvae.model.checkpoints import Trained
from handvae.prediction import boxes, models, pictures, poses
from handvae.prediction.boxes import BoxFile, HandBox
from handvae.prediction.finders import detector_path, from_detector
from handvae.prediction.hands import ColourPredictor, DepthPredictor, Find
from handvae.prediction.outputs import Writer, refuse_to_replace
from stages import command_line, run

# around a depth image's hand, unless --cube-mm is given: about that of the training hands, which MSRA has by subject
CUBE_MM = {"icvl": 250.0, "nyu": 300.0, "msra": 180.0}


def main(*words: str) -> None:
    given = parsed(words)
    files = pictures.inputs(given.inputs)
    refuse_to_replace([*map(Path, files), *filter(None, [given.boxes])], given.out)
    trained, path = models.load(given.model, torch.device("cpu"))
    poses.check_input(trained, "depth" if given.camera else "rgb", files[0])
    write, failed = writing(given, trained, Writer(given.out, trained, path)), 0
    for name in files:
        try:
            write(name)
        except InputError as error:
            if len(files) == 1:
                raise
            print(f"error: {error}", file=sys.stderr)
            failed += 1
    if failed:
        raise InputError(f"{failed} of {len(files)} inputs have no prediction, see above; the others are written")


def writing(given: argparse.Namespace, trained: Trained, writer: Writer) -> Callable[[str], None]:
    """What predicts the hands of one input and writes its files."""
    if given.camera:
        fx, fy, cx, cy = given.camera
        camera = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        cube_mm = given.cube_mm or CUBE_MM[trained.settings.experiment.datasets[0]]
        predictor = DepthPredictor(trained, camera, cube_mm, given.side, partial(box_by_hand, given))
        return lambda name: writer.depth(name, predictor)
    predictor = ColourPredictor(trained, finder(given), given.scale_bone_mm, given.side)
    return lambda name: (writer.video if pictures.is_video(name) else writer.picture)(name, predictor)


def finder(given: argparse.Namespace) -> Find:
    """How the boxes of frames are known."""
    if given.box or given.whole_image:
        return lambda frames: [[box_by_hand(given, frame.name, frame.image_u8.shape[:2])] for frame in frames]
    if given.boxes:
        file = BoxFile.read(given.boxes)
        return lambda frames: [file.of(frame) for frame in frames]
    return from_detector(Detector.load(detector_path(given.detector)), given.side)


def box_by_hand(given: argparse.Namespace, name: str, image_hw: tuple[int, int]) -> HandBox | None:
    """That of --box, or of --whole-image, in the picture `name`; None without both."""
    height, width = image_hw
    if given.whole_image:
        return boxes.square((0.0, 0.0, width, height), image_hw, name, hand_side=given.side, source="--whole-image")
    return given.box and boxes.square(given.box, image_hw, name, hand_side=given.side, source="--box")


def parsed(words: tuple[str, ...]) -> argparse.Namespace:
    parser = command_line("stages.predict", __doc__)
    parser.add_argument("inputs", nargs="+", metavar="INPUT")
    parser.add_argument("--model", help="a row trained here, a folder, a file; default: the repository's for RGB")
    parser.add_argument("--out", type=Path, default=Path("predictions"), metavar="FOLDER")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--box",
        type=boxes.corners,
        metavar="x0,y0,x1,y1",
        help="pixels around the hand; --box=-9,0,80,89 if negative",
    )
    where.add_argument("--whole-image", action="store_true", help="the picture is a crop around the hand")
    where.add_argument("--boxes", type=Path, metavar="FILE", help="JSON of another detector")
    where.add_argument("--detector", type=Path, metavar="FILE", help="default: trained here, else the repository's")
    parser.add_argument("--side", choices=("left", "right", "auto"), default="auto", help="auto: as the box says")
    parser.add_argument("--scale-bone-mm", type=positive, metavar="MM")
    parser.add_argument("--camera", type=boxes.corners, metavar="fx,fy,cx,cy", help="of a depth image")
    cubes = ", ".join(f"{name.upper()} {mm:.0f}" for name, mm in CUBE_MM.items())
    parser.add_argument("--cube-mm", type=positive, metavar="MM", help=f"around the hand in depth; by model: {cubes}")
    given = parser.parse_args(words)
    given.side = boxes.SIDE_NUMBERS.get(given.side)
    if given.camera and (given.whole_image or given.boxes or given.detector):
        raise InputError("stages.predict: --camera, of depth images, goes with --box alone, or without it")
    return given


def positive(text: str) -> float:
    value = float(text)
    if not (np.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a length in mm, found {text}")
    return value


if __name__ == "__main__":
    run(main, *sys.argv[1:])
