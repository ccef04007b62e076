"""What the page and the tables say of a run itself: which rows it lacks, where it trains otherwise than the paper."""

from collections.abc import Sequence
from dataclasses import dataclass

from handvae.base.sections import Augmentation
from handvae.report.results import Result

COMMAND = "python -m stages.grid <row>"  # makes the results of one row, and the report again

# The paper's section 7.1 names augmentation under RGB only: rotations in [-45, 45] degrees and flips, of every set; its
# depth models have "the same architecture and training regime". The range of the shift is not given.
PAPERS = {
    "rgb": {"rotation_deg": 45.0, "flip": "always"},
    "depth": {"rotation_deg": 45.0, "flip": "always"},
    "joints_2d": {"rotation_deg": 0.0, "flip": "never"},
}
NAMES = {"rgb": "RGB", "depth": "depth", "joints_2d": "2D joints"}


@dataclass(frozen=True)
class LeftOut:
    """A row of the grid, and why it is left out."""

    experiment: str
    dataset: str
    why: str


def count_text(left_out: Sequence[LeftOut], results: list[Result]) -> str:
    """How many rows are left out, in a sentence."""
    rows = len({result.experiment for result in results}) + len(left_out)
    return f"{len(left_out)} of the grid's {rows} rows are left out, with all that is made from them."


def reasons(left_out: Sequence[LeftOut]) -> list[str]:
    """A text for each set and reason, with its rows."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in left_out:
        groups.setdefault((row.dataset, row.why), []).append(row.experiment)
    return [f"{dataset.upper()}, {why}: {', '.join(names)}" for (dataset, why), names in groups.items()]


def departures(augmentation: dict[str, Augmentation], inputs: set[str], profile: str) -> str:
    """Which of the `inputs` are augmented otherwise: what differs, and the paper's value. "" where nothing does."""
    texts = []
    for name, papers in PAPERS.items():
        ours = {key: getattr(augmentation[name], key) for key in papers}
        odd = [f"{key} {ours[key]} (the paper: {value})" for key, value in papers.items() if ours[key] != value]
        if odd and name in inputs:
            texts.append(f"{NAMES[name]}: {', '.join(odd)}")
    why = "docs/choices.md says why and what it is worth."
    return f"Profile {profile} augments otherwise than the paper. {'; '.join(texts)}. {why}" if texts else ""
