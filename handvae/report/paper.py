"""What the paper prints: Spurr, Song, Park, Hilliges, "Cross-modal Deep Variational Hand Pose Estimation", CVPR 2018.

Numbers only, each with its place. A task is (dataset, input); its output is the 21 palm-relative joints.
"""

from dataclasses import dataclass

Task = tuple[str, str]

DIRECTIONS = {"joints_2d": "2D->3D", "rgb": "RGB->3D", "depth": "depth->3D"}
TASKS: dict[Task, str] = {  # in the tables' order of columns
    (dataset, input_): f"{DIRECTIONS[input_]} {dataset.upper()}"
    for dataset, input_ in (("rhd", "joints_2d"), ("rhd", "rgb"), ("stb", "rgb"))
}

# whose numbers Tables 2 and 6 repeat in their T+S+H row: the lowest mean of each task in Table 1
BEST_VARIANT: dict[Task, int] = {("rhd", "joints_2d"): 3, ("rhd", "rgb"): 1, ("stb", "rgb"): 3}


@dataclass(frozen=True)
class PrintedTable:
    """One table of joint errors: a row a model (variant or invariances), a column a task."""

    place: str
    statistic: str  # the key of the same quantity in reports/metrics/<name>.json
    rows_mm: dict[int | str, tuple[float, ...]]  # a variant, or invariances of the best variant; in the order of TASKS

    def model(self, row: int | str, task: Task) -> tuple[int, str]:
        """Variant and invariances of the model in a cell."""
        return (row, "T+S+H") if isinstance(row, int) else (BEST_VARIANT[task], row)

    def cell_mm(self, row: int | str, task: Task) -> float:
        return self.rows_mm[row][list(TASKS).index(task)]


# Variants 1 to 4, all with invariances T+S+H
TABLE1 = PrintedTable(
    "Table 1",
    "epe_mean_mm",
    {1: (17.23, 19.73, 8.75), 2: (17.82, 19.99, 8.61), 3: (17.14, 20.04, 8.56), 4: (17.63, 20.35, 9.57)},
)
TABLE5 = PrintedTable(
    "Table 5",
    "epe_median_mm",
    {1: (14.68, 16.74, 7.44), 2: (15.13, 16.97, 7.39), 3: (14.46, 16.96, 7.16), 4: (14.83, 17.30, 8.16)},
)

# The best variant of each task (3, 1, 3) under fewer invariances
TABLE2 = PrintedTable(
    "Table 2",
    "epe_mean_mm",
    {
        "T+S+H": (17.14, 19.73, 8.56),
        "T+S": (18.90, 20.20, 10.16),
        "T+H": (19.69, 22.34, 9.59),
        "T": (21.15, 22.53, 9.49),
    },
)
TABLE6 = PrintedTable(
    "Table 6",
    "epe_median_mm",
    {
        "T+S+H": (14.46, 16.74, 7.16),
        "T+S": (14.91, 16.93, 9.11),
        "T+H": (16.41, 18.99, 8.33),
        "T": (16.92, 19.10, 7.78),
    },
)

# Zimmermann & Brox [38] with T+S+H, printed in Tables 2 and 6 in the order of TASKS
BASELINE_MM = {"epe_mean_mm": (22.43, 30.42, 8.68), "epe_median_mm": (18.84, 24.49, 7.52)}

# Section 7.3: mean error of depth -> 3D in mm by encoder; the text does not name the data set, which is probably ICVL
DEPTH_MM = {"resnet18": 8.5, "resnet50": 8.0}

# Section 7.3: the smallest and the biggest model, that is variants 1 and 4 from RGB, both counts with H; and [38]
PARAMETERS_PLACE = "section 7.3"
PARAMETERS = {1: 12_398_387, 4: 14_347_346}
BASELINE_PARAMETERS = 21_394_529

# Section 4.6, Figure 3, whose points are not printed: with few labels variant 3's median EPE is lower than variant 1's
# by up to so many percent
SEMI_SUPERVISED_PERCENT = 22.0


def mean_epe_mm(task: Task, variant: int | str, invariances: str) -> float | None:
    """The mean EPE that Table 1 or 2 prints for a model; None where neither does."""
    if task not in TASKS:
        return None
    for table in (TABLE1, TABLE2):
        for row in table.rows_mm:
            if table.model(row, task) == (variant, invariances):
                return table.cell_mm(row, task)
    return None


_DIGITISED_MM = (21.05, 25, 30, 35, 40, 45, 50)
_PROTOCOL_MM = tuple(50 * step / 19 for step in range(8, 20))  # the protocol's last 12 thresholds
_STEREO_MM = (20, 25, 30, 35, 40, 45, 50)


@dataclass(frozen=True)
class PrintedCurve:
    """One of Figure 4's PCK curves: its AUC as its legend has it, and points (threshold in mm, PCK)."""

    name: str
    auc: float
    points: tuple[tuple[float, float], ...]


def _points(thresholds_mm: tuple[float, ...], *shares: float) -> tuple[tuple[float, float], ...]:
    return tuple(zip(thresholds_mm, shares, strict=True))


# "Ours" on RHD: read off the published curve, as kept by LearnableGroups-Hand
FIGURE_4A = _points(_DIGITISED_MM, 0.653, 0.738, 0.817, 0.872, 0.906, 0.933, 0.941)

# RGB->3D, the paper's own curve first. On RHD [38] is read off too; on STB all numbers are the evaluations' own: "ours"
# and [38] as kept by LearnableGroups-Hand; PSO, ICPPSO and CHPR, which see stereo depth, as reported by Zhang et al.
# [37] and kept by the code of [38] and of the paper.
FIGURE_4 = {
    "rhd": (
        PrintedCurve("the paper, digitised", 0.849, FIGURE_4A),
        PrintedCurve("[38], digitised", 0.675, _points(_DIGITISED_MM, 0.440, 0.527, 0.621, 0.696, 0.747, 0.796, 0.823)),
    ),
    "stb": (
        PrintedCurve(
            "the paper",
            0.983,
            _points(
                _PROTOCOL_MM,
                *(0.9483, 0.9615, 0.9705, 0.9771, 0.9819, 0.9857, 0.9886, 0.9909, 0.9926, 0.9942, 0.9954, 0.9963),
            ),
        ),
        PrintedCurve(
            "[38]",
            0.948,
            _points(
                _PROTOCOL_MM,
                *(0.8699, 0.8969, 0.9168, 0.9321, 0.9435, 0.9528, 0.9599, 0.9660, 0.9716, 0.9765, 0.9802, 0.9833),
            ),
        ),
        PrintedCurve(
            "CHPR, stereo depth", 0.839, _points(_STEREO_MM, 0.5658, 0.7171, 0.8224, 0.8816, 0.9145, 0.9375, 0.9605)
        ),
        PrintedCurve(
            "ICPPSO, stereo depth", 0.748, _points(_STEREO_MM, 0.5197, 0.6447, 0.7171, 0.7730, 0.8092, 0.8487, 0.8684)
        ),
        PrintedCurve(
            "PSO, stereo depth", 0.709, _points(_STEREO_MM, 0.3224, 0.5395, 0.6743, 0.7566, 0.8092, 0.8651, 0.8947)
        ),
    ),
}
