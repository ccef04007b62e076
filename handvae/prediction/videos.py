"""Videos and webcams frame by frame, and the video that is written beside them: streams, whatever their length."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from handvae.base import atomic
from handvae.base.errors import InputError

DEFAULT_RATE = Fraction(30)  # of a webcam or a file that does not tell its own
WEBCAMS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}:none", "avfoundation")}


@dataclass(frozen=True)
class VideoFrame:
    number: int
    time_s: float
    image_u8: np.ndarray  # (H, W, 3)


class Video:
    """An open video: its rate, the number of its frames as far as the file tells (0: unknown), and its frames."""

    def __init__(self, container: av.container.InputContainer, name: str):
        self._container, self.name = container, name
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = self._stream.average_rate or DEFAULT_RATE
        length_s = float(container.duration / av.time_base) if container.duration else 0.0
        self.frame_count = self._stream.frames or round(length_s * float(self.rate))

    def frames(self) -> Iterator[VideoFrame]:
        """Every frame, turned as the file says (telephones film sideways). InputError where it cannot be decoded."""
        number = -1
        try:
            for number, frame in enumerate(self._container.decode(self._stream)):
                image_u8 = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
                time_s = number / float(self.rate) if frame.time is None else frame.time
                yield VideoFrame(number, time_s, np.ascontiguousarray(image_u8))
        except FFmpegError as error:
            raise InputError(
                f"{self.name}: expected a whole video, frame {number + 1} does not decode: {error}"
            ) from error
        if number < 0:
            raise InputError(f"{self.name}: expected a video, found no frame in it")


@contextmanager
def opened(name: str) -> Iterator[Video]:
    """A video file, or the webcam `webcam:<number>`. InputError where it cannot be opened or holds no video."""
    if not name.startswith("webcam:") and not Path(name).is_file():
        raise InputError(f"{name}: expected a picture, a video, a folder or webcam:0, found no file")
    source, driver = _webcam(name) if name.startswith("webcam:") else (name, None)
    try:
        container = av.open(source, format=driver)
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{name}: expected a video that FFmpeg reads: {error}") from error
    with container:
        if not container.streams.video:
            raise InputError(f"{name}: expected a video, found no pictures in it")
        yield Video(container, name)


def _webcam(name: str) -> tuple[str, str]:
    number = name.removeprefix("webcam:")
    if sys.platform not in WEBCAMS or not number.isdecimal():
        raise InputError(f"{name}: expected webcam:0, on Linux or macOS; elsewhere record a video first")
    pattern, driver = WEBCAMS[sys.platform]
    return pattern.format(number), driver


class Mp4:
    """An H.264 file to which frames of one size are added; sides of an odd number of pixels lose one."""

    def __init__(self, container: av.container.OutputContainer, rate: Fraction):
        self._container, self._rate, self._stream = container, rate, None

    def add(self, image_u8: np.ndarray) -> None:
        """Append a frame (H, W, 3) RGB."""
        height, width = (side // 2 * 2 for side in image_u8.shape[:2])
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._rate.limit_denominator(1001))
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.options = {"crf": "20", "preset": "veryfast"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_u8[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode())


@contextmanager
def writing(path: Path, rate: Fraction) -> Iterator[Mp4]:
    """A new MP4, which appears under its name when it is complete."""
    with atomic.replacing_file(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        video = Mp4(container, rate)
        yield video
        video.finish()
