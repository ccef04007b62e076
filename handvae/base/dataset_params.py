"""What params.yaml and its readers must know of each dataset. A further set is an entry of DATASETS."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

from handvae.base.checked import Range

RGB, DEPTH, JOINTS_2D = INPUTS = ("rgb", "depth", "joints_2d")
MSRA_SUBJECTS = tuple(f"P{number}" for number in range(9))

_POSITIVE = Range("a positive number", lambda number: 0 < number < float("inf"))
_NON_NEGATIVE = Range("a number of at least 0", lambda number: 0 <= number < float("inf"))
Count = Annotated[int, _POSITIVE]
Positive = Annotated[float, _POSITIVE]
NonNegativeInt = Annotated[int, _NON_NEGATIVE]
NonNegative = Annotated[float, _NON_NEGATIVE]
Share = Annotated[float, Range("a share from 0 to 1", lambda share: 0 <= share <= 1)]


# data.<name>.protocol: how a set is read


class Frames(TypedDict):
    training: list[int]
    evaluation: list[int]


@dataclass(frozen=True)
class RhdProtocol:
    hands: Literal["dominant", "both"]
    without_visible_joint: Frames
    doubtful_labels: Share


@dataclass(frozen=True)
class StbProtocol:
    training: list[str]
    evaluation: list[str]
    views: list[Literal["left", "right"]]
    images: bool
    doubtful_labels: Share


@dataclass(frozen=True)
class DepthProtocol:
    centre: Literal["joint", "mass"]
    doubtful_labels: Share


@dataclass(frozen=True)
class IcvlProtocol(DepthProtocol):
    rotated_copies: bool


NOT_OF_FRAMES = ("centre", "without_visible_joint", "doubtful_labels")  # the rest says which frames there are


def frames_options(protocol: object) -> dict[str, object]:
    """The fields of a protocol that are arguments of `frames` of the set's module."""
    return {key: value for key, value in dataclasses.asdict(protocol).items() if key not in NOT_OF_FRAMES}


@dataclass(frozen=True)
class DatasetParams:
    title: str
    skeleton: str  # its name in joints.SKELETONS
    protocol: type
    rendered: dict[str, object]  # profiles.<profile>.synthetic.<name>: how much of the set is rendered
    inputs: tuple[str, ...]
    test_subjects: tuple[str | None, ...] = (None,)  # an experiment names the one that it leaves out

    @property
    def is_depth(self) -> bool:
        return self.inputs == (DEPTH,)


_SPLITS = {"training": Count, "evaluation": Count}
_PERIOD = Annotated[int | None, Range("a positive number", lambda frames: frames is None or frames > 0)]
_SEQUENCES = {"sequence": Count, "background_frames": _PERIOD}
DATASETS = {
    "rhd": DatasetParams("RHD", "HAND21", RhdProtocol, _SPLITS | {"image_px": Count}, (RGB, JOINTS_2D)),
    "stb": DatasetParams("STB", "HAND21", StbProtocol, _SEQUENCES, (RGB, JOINTS_2D)),
    "icvl": DatasetParams("ICVL", "ICVL16", IcvlProtocol, _SPLITS, (DEPTH,)),
    "nyu": DatasetParams("NYU", "NYU36", DepthProtocol, _SPLITS, (DEPTH,)),
    "msra": DatasetParams("MSRA15", "HAND21", DepthProtocol, {"gesture": Count}, (DEPTH,), MSRA_SUBJECTS),
}
