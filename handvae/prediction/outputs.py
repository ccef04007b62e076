"""The files of a prediction: of a picture JSON and an overlay, of a video a CSV and an MP4, written as it is read."""

import csv
import io
import itertools
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from handvae.base import atomic
from handvae.base.errors import InputError
from handvae.base.progress import Progress
from handvae.model import interrupts
from handvae.model.checkpoints import Trained
from handvae.prediction import overlay, pictures, records, videos
from handvae.prediction.hands import ColourPredictor, DepthPredictor, Hand

FRAMES_AT_ONCE = 32  # of a video
VIDEO_HANDS = 2  # drawn beside a video's frame
STOPPING = b"\nthe files are finished; Ctrl-C once more gives them up\n"
NO_HAND = (
    "no hand that the detector is sure of, or that --boxes names; give its place by --box x0,y0,x1,y1, or "
    "--whole-image for a crop"
)


def refuse_to_replace(given: list[Path], folder: Path) -> None:
    """InputError where the results of an input, in `folder`, would be written over a file that is given."""
    # by the system's number of a file: a.PNG may be a.png, and a folder a link
    known = {(path.stat().st_dev, path.stat().st_ino): path for path in given if path.exists()}
    for path in given:
        for suffix in (".json", ".png", ".csv", ".mp4"):
            result = folder / f"{pictures.stem(str(path))}{suffix}"
            if result.exists() and (other := known.get((result.stat().st_dev, result.stat().st_ino))):
                raise InputError(f"{other}: would be written over by the results of {path}; name another --out")


@dataclass(frozen=True)
class Writer:
    """Writes into a folder, and says on stdout what."""

    folder: Path
    trained: Trained
    model_path: Path

    def picture(self, name: str, predictor: ColourPredictor) -> None:
        """<stem>.json and <stem>.png. InputError where there is no hand."""
        image_u8 = pictures.read_rgb_u8(Path(name))
        (hands,) = predictor.hands([pictures.Frame(name, 0, 0.0, image_u8)])
        if not hands:
            raise InputError(f"{name}: {NO_HAND}")
        self._write(name, image_u8, hands)

    def depth(self, name: str, predictor: DepthPredictor) -> None:
        """The same of a depth image in mm."""
        if pictures.is_video(name):
            raise InputError(f"{name}: expected a depth image, 16-bit grey in mm, found a video")
        depth_mm = pictures.read_depth_mm(Path(name))
        hand = predictor.hand(name, depth_mm)
        self._write(name, overlay.grey(depth_mm, float(np.median(hand.joints_mm[:, 2])), predictor.cube_mm), [hand])

    def video(self, name: str, predictor: ColourPredictor) -> None:
        """<stem>.csv and <stem>.mp4. Ctrl-C ends a webcam's, and both files are whole."""
        stem, live = self.folder / pictures.stem(name), name.startswith("webcam:")
        skeleton, seen, count = self.trained.settings.skeleton, 0, 0
        with (
            interrupts.noted(STOPPING) if live else nullcontext([]) as signals,
            videos.opened(name) as video,
            videos.writing(stem.with_name(f"{stem.name}.mp4"), video.rate) as add_frame,
            atomic.replacing_file(stem.with_name(f"{stem.name}.csv")) as partial,
            open(partial, "w", newline="") as file,
            _progress(name, video.frame_count) as progress,
        ):
            table, frames = csv.writer(file, lineterminator="\n"), video.frames()
            table.writerow(records.csv_header(skeleton))
            while batch := list(itertools.islice(frames, 1 if live else FRAMES_AT_ONCE)):
                for frame, hands in zip(batch, predictor.hands(batch), strict=True):
                    table.writerows(records.csv_rows(frame, hands, skeleton))
                    add_frame(overlay.draw(frame.image_u8, drawn(hands), VIDEO_HANDS))
                    seen, count = seen + bool(hands), count + 1
                if progress is not None:
                    progress.advance(len(batch))
                if signals:
                    break
        print(f"{name}: hands in {seen:,} of {count:,} frames -> {stem}.csv, {stem}.mp4")

    def _write(self, name: str, image_u8: np.ndarray, hands: list[Hand]) -> None:
        stem = self.folder / pictures.stem(name)
        model = {"name": self.trained.settings.name, "file": str(self.model_path)}
        text = records.json_text(name, image_u8.shape[:2], model, hands)
        buffer = io.BytesIO()
        Image.fromarray(overlay.draw(image_u8, drawn(hands))).save(buffer, "png")
        atomic.write_bytes(stem.with_name(f"{stem.name}.png"), buffer.getvalue())
        atomic.write_text(stem.with_name(f"{stem.name}.json"), text)
        sides = ", ".join(f"{records.side_name(hand)} hand" for hand in hands)
        print(f"{name}: {sides} -> {stem}.json, {stem}.png")


def drawn(hands: list[Hand]) -> list[overlay.DrawnHand]:
    return [
        overlay.DrawnHand(
            hand.skeleton, hand.uv_px, hand.joints_mm, hand.box and hand.box.corners_px, records.side_name(hand)
        )
        for hand in hands
    ]


def _progress(name: str, frame_count: int) -> AbstractContextManager[Progress | None]:
    """None where nobody knows how many frames there will be."""
    return Progress(f"predict {Path(name).name}", frame_count, "frames") if frame_count else nullcontext()
