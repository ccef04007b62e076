"""detector.yaml, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from handvae.base import yaml_text
from handvae.base.checked import Range, convert
from handvae.base.errors import InputError

POSITIVE = Range("a number over 0", lambda value: value > 0)
SHARE = Range("a share between 0 and 1", lambda value: 0 < value < 1)
PATH = Path("detector.yaml")


@dataclass(frozen=True)
class DetectorSettings:
    """What decides a detector, but its data."""

    picture_px: Annotated[int, Range("a multiple of 16 from 32", lambda value: value >= 32 and value % 16 == 0)]
    width: Annotated[int, POSITIVE]
    batch_size: Annotated[int, POSITIVE]
    learning_rate: Annotated[float, POSITIVE]
    steps: dict[str, int]  # by profile
    most_frames: Annotated[int, POSITIVE]
    validation: Annotated[float, SHARE]
    sides_right: Annotated[float, SHARE]

    def steps_at(self, profile: str) -> int:
        """The steps of a profile. InputError if it has none."""
        if profile not in self.steps:
            raise InputError(f"{PATH}: steps: expected those of profile {profile!r}, found {', '.join(self.steps)}")
        return self.steps[profile]


def load(path: Path = PATH) -> DetectorSettings:
    """InputError that names the key where the file is not as expected."""
    try:
        return convert(yaml_text.load(path.read_text()), DetectorSettings)
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected the detector's settings, found no file; run this in the repository"
        ) from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
