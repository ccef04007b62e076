"""Pictures and depth images of one's own, whatever program wrote them, and the files that a folder holds."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from handvae.base.errors import InputError
from handvae.base.system_files import is_system_file

MAX_PIXELS = 120_000_000  # of a picture, 360 MB of memory; the largest telephone cameras have 108 million
MAX_SIDE_PX = 20_000  # the detector looks at the square around the picture
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".3gp"})
VIDEO_SUFFIXES |= {".flv", ".ogv", ".ts", ".m2ts", ".vob", ".asf", ".3g2", ".mxf"}
DEPTH_MODES = ("I;16", "I;16B", "I;16L", "I")  # of Pillow: 16-bit grey
TURNS = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Frame:
    """A picture, or a frame of a video."""

    name: str  # of the file
    number: int
    time_s: float
    image_u8: np.ndarray  # (H, W, 3)


def read_rgb_u8(path: Path) -> np.ndarray:
    """(H, W, 3) RGB of a picture in any format that Pillow reads, turned as its EXIF data say.

    CMYK, grey, palette and 16-bit pictures are converted; transparent pixels are laid on white. Of several pictures in
    one file the first. InputError for a file that is no picture, is damaged, has 32 bits a channel or is too large.
    """
    with _opened(path) as image:
        image.load()
        if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
            raise InputError(f"{path}: expected 8 or 16 bits a channel, found 32, whose range is not known")
        # not ImageOps.exif_transpose, which reads and writes all other tags, and fails where one is damaged
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
        turned = image if turn is None else image.transpose(turn)
        if turned.mode in DEPTH_MODES:  # Pillow would cut off what is over 255
            return np.repeat((np.asarray(turned) >> 8).astype(np.uint8)[..., None], 3, axis=2)
        if turned.has_transparency_data:
            turned = turned.convert("RGBA")
            turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
        return np.array(turned.convert("RGB"))


def read_depth_mm(path: Path) -> np.ndarray:
    """(H, W) float32 depth in mm of a 16-bit grey picture that holds millimetres, 0 where nothing was measured."""
    with _opened(path) as image:
        if image.mode not in DEPTH_MODES:
            raise InputError(f"{path}: expected depth in mm, a 16-bit grey picture, found one of mode {image.mode}")
        if image.format == "PPM":
            raise InputError(f"{path}: expected depth in mm as PNG or TIFF, found PGM, which Pillow stretches")
        return np.array(image).astype(np.float32)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The picture, not yet decoded. InputError where it cannot be opened, is too large, or does not decode inside."""
    limit = f"expected at most {MAX_PIXELS / 1e6:.0f} million pixels, {MAX_SIDE_PX:,} a side"
    try:
        # Pillow's limit is a warning first, which nobody reads; ours is below its error
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(path)
        with image:
            if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE_PX:
                size = f"{image.width:,} x {image.height:,} px"
                raise InputError(f"{path}: {limit}, found {size}; make it smaller first")
            yield image
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {limit}; make it smaller first ({error})") from error
    except FileNotFoundError:
        raise InputError(f"{path}: expected a picture, a video, a folder or webcam:0, found no file") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: expected a picture, found a file that Pillow cannot read as one") from None
    except InputError:
        raise
    except Exception as error:  # whatever damage leads to in the reader of a format
        raise InputError(f"{path}: expected a whole picture that can be read ({error})") from error


def is_video(name: str) -> bool:
    return name.startswith("webcam:") or Path(name).suffix.lower() in VIDEO_SUFFIXES


def inputs(words: Iterable[str]) -> list[str]:
    """The pictures, videos and webcams that are named, those of folders in the order of their names.

    Of a folder every file that Pillow or the video reader may know by its suffix; the others are named on stdout.
    InputError for a folder without any, and where two would be written to files of one name.
    """
    Image.init()
    known, listed = set(Image.EXTENSION) | VIDEO_SUFFIXES, []
    for word in words:
        if not Path(word).is_dir():
            listed.append(word)
            continue
        names = [path.name for path in sorted(Path(word).iterdir()) if path.is_file() and not is_system_file(path.name)]
        kept = [name for name in names if Path(name).suffix.lower() in known]
        if not kept:
            raise InputError(f"{word}: expected pictures or videos in the folder, found none")
        if others := [name for name in names if name not in kept]:
            print(f"{word}: {len(others)} files are no pictures or videos: {', '.join(others[:5])}")
        listed += [str(Path(word) / name) for name in kept]
    by_stem: dict[tuple[str, bool], str] = {}
    for name in listed:
        if (other := by_stem.setdefault((stem(name), is_video(name)), name)) != name:
            raise InputError(f"{name}: its results would be written over those of {other}; run one at a time")
    return listed


def stem(name: str) -> str:
    """What the files of an input's results begin with."""
    return name.replace(":", "_") if name.startswith("webcam:") else Path(name).stem
