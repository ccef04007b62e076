"""What the paper prints: Spurr, Song, Park, Hilliges, "Cross-modal Deep Variational Hand Pose Estimation", CVPR 2018.

The numbers stand in paper.yaml. A task is (dataset, input); its output is the 21 palm-relative joints.
"""

from dataclasses import dataclass
from pathlib import Path

from handvae.base import yaml_text

Task = tuple[str, str]

DIRECTIONS = {"joints_2d": "2D->3D", "rgb": "RGB->3D", "depth": "depth->3D"}


def direction(input_: str, variant: int | str) -> str:
    """From what to what a model predicts; of three autoencoders that share nothing the one of 3D joints counts."""
    return "3D->3D" if variant == "separate" else DIRECTIONS[input_]


TASKS: dict[Task, str] = {  # in the tables' order of columns
    (dataset, input_): f"{DIRECTIONS[input_]} {dataset.upper()}"
    for dataset, input_ in (("rhd", "joints_2d"), ("rhd", "rgb"), ("stb", "rgb"))
}
# whose numbers Tables 2 and 6 repeat in their T+S+H row: the lowest mean of each task in Table 1
VARIANTS = (1, 2, 3, 4)
OF_LATENT_FIGURES = ("cross", "separate")  # Figures 1, 6, 8 and 9
BEST_VARIANT: dict[Task, int] = {("rhd", "joints_2d"): 3, ("rhd", "rgb"): 1, ("stb", "rgb"): 3}


@dataclass(frozen=True)
class PrintedTable:
    """One table of joint errors: a row a model (variant or invariances), a column a task."""

    statistic: str  # the key of the same quantity in reports/metrics/<name>.json
    rows_mm: dict[int | str, list[float]]  # a variant, or invariances of the best variant; in the order of TASKS

    def model(self, row: int | str, task: Task) -> tuple[int, str]:
        """Variant and invariances of the model in a cell."""
        return (row, "T+S+H") if isinstance(row, int) else (BEST_VARIANT[task], row)

    def cell_mm(self, row: int | str, task: Task) -> float:
        return self.rows_mm[row][list(TASKS).index(task)]


_PRINTED = yaml_text.load(Path(__file__).with_name("paper.yaml").read_text("utf-8"))

TABLES = {name: PrintedTable(**table) for name, table in _PRINTED["tables"].items()}
BASELINE_MM: dict[str, list[float]] = _PRINTED["baseline_mm"]
RIVAL = {"joints_2d": "zb17-2d", "rgb": "zb17"}  # the variant of params.yaml that trains [38], by input
DEPTH_MM: dict[str, float] = _PRINTED["depth_mm"]
PARAMETERS: dict[int, int] = _PRINTED["parameters"]
BASELINE_PARAMETERS: int = _PRINTED["baseline_parameters"]
SEMI_SUPERVISED_PERCENT: float = _PRINTED["semi_supervised_percent"]
# "minor" in the paper's words are the differences between the variants in its own Table 1
MINOR_PERCENT = max(
    100 * (max(column) / min(column) - 1) for column in zip(*TABLES["table1"].rows_mm.values(), strict=True)
)
PCK: dict[str, list[dict]] = _PRINTED["pck"]


def baseline_mm(task: Task) -> dict[str, float]:
    """What Tables 2 and 6 print for [38], by statistic."""
    return {statistic: row[list(TASKS).index(task)] for statistic, row in BASELINE_MM.items() if task in TASKS}


def numbers_mm(task: Task, variant: int | str, invariances: str) -> dict[str, float]:
    """What Tables 1, 2, 5 and 6 print for a model, by statistic; nothing where they do not have it."""
    return {
        table.statistic: table.cell_mm(row, task)
        for table in TABLES.values()
        for row in table.rows_mm
        if task in TASKS and table.model(row, task) == (variant, invariances)
    }
