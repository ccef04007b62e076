"""Videos and webcams frame by frame, and the video that is written beside them: streams, whatever their length."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from handvae.base import atomic
from handvae.base.errors import InputError
from handvae.prediction.pictures import Frame

DEFAULT_RATE = Fraction(30)  # of a webcam or a file that does not tell its own
WEBCAMS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}:none", "avfoundation")}


class Video:
    """An open video: its rate, the number of its frames as far as the file tells (0: unknown), and its frames."""

    def __init__(self, container: av.container.InputContainer, name: str):
        self._container, self.name = container, name
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = self._stream.average_rate or DEFAULT_RATE
        length_s = float(container.duration / av.time_base) if container.duration else 0.0
        self.frame_count = self._stream.frames or round(length_s * float(self.rate))

    def frames(self) -> Iterator[Frame]:
        """Every frame, turned as the file says (telephones film sideways). InputError where it cannot be decoded."""
        number = -1
        try:
            for number, frame in enumerate(self._container.decode(self._stream)):
                image_u8 = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
                time_s = number / float(self.rate) if frame.time is None else frame.time
                yield Frame(self.name, number, time_s, np.ascontiguousarray(image_u8))
        except FFmpegError as error:
            raise InputError(
                f"{self.name}: expected a whole video, frame {number + 1} does not decode: {error}"
            ) from error
        if number < 0:
            raise InputError(f"{self.name}: expected a video, found no frame in it")


@contextmanager
def opened(name: str) -> Iterator[Video]:
    """A video file, or the webcam `webcam:<number>`. InputError where it cannot be opened or holds no video."""
    live = name.startswith("webcam:")
    if not live and not Path(name).is_file():
        raise InputError(f"{name}: expected a picture, a video, a folder or webcam:0, found no file")
    source, driver = _webcam(name) if live else (name, None)
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


@contextmanager
def writing(path: Path, rate: Fraction) -> Iterator[Callable[[np.ndarray], None]]:
    """What adds a frame (H, W, 3) RGB to a new H.264 file, which appears under its name when it is complete.

    All frames have one size; sides of an odd number of pixels lose one.
    """
    with atomic.replacing_file(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate.limit_denominator(1001))
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "20", "preset": "veryfast", "threads": "1"}

        def add(image_u8: np.ndarray) -> None:
            height, width = (side // 2 * 2 for side in image_u8.shape[:2])
            if not stream.codec_context.is_open:
                stream.width, stream.height = width, height
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_u8[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))

        yield add
        container.mux(stream.encode())
