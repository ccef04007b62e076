"""What the paper prints: Spurr, Song, Park, Hilliges, "Cross-modal Deep Variational Hand Pose Estimation", CVPR 2018.

Numbers only, each with its place. A task is (dataset, input); its output is the 21 palm-relative joints.
"""

from dataclasses import dataclass

Task = tuple[str, str]

DIRECTIONS = {"joints_2d": "2D->3D", "rgb": "RGB->3D"}
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

# Section 7.3: the smallest and the biggest model, that is variants 1 and 4 from RGB; both counts include H.
PARAMETERS_PLACE = "section 7.3"
PARAMETERS = {1: 12_398_387, 4: 14_347_346}

# Figure 4a, RGB->3D on RHD, "Ours": read off the published curve, (threshold in mm, PCK)
FIGURE_4A = ((21.05, 0.653), (25, 0.738), (30, 0.817), (35, 0.872), (40, 0.906), (45, 0.933), (50, 0.941))

# Figure 4b, RGB->3D on STB, "Ours", at the protocol's last 12 thresholds: the evaluation's own numbers, as kept by
# LearnableGroups-Hand
_PCK_4B = (0.9483, 0.9615, 0.9705, 0.9771, 0.9819, 0.9857, 0.9886, 0.9909, 0.9926, 0.9942, 0.9954, 0.9963)
FIGURE_4B = tuple((50 * step / 19, pck) for step, pck in enumerate(_PCK_4B, start=8))
