"""The run's errors beside the paper's, a section a task; every number is one of the tables'."""

from collections.abc import Mapping

import pandas as pd

from handvae.report import paper, semi_supervised
from handvae.report.text import markdown_table, markdown_text, over_seeds, row_interval, signed
from handvae.reproduction.artifacts import Artifacts

MEAN, MEDIAN = "epe_mean_mm", "epe_median_mm"
KEYS = ["task", "variant", "invariances", "trained_on", "experiment"]
PUBLISHED = "published"
NONE = "Not in this run."


def sections(run: Artifacts) -> str:
    """All tasks, depth, few labels and the counts of parameters, in Markdown."""
    tables = run.tables
    rows = pd.concat([_joined(tables["table1"], tables["table5"]), _joined(tables["table2"], tables["table6"])])
    rows = rows.drop_duplicates(["task", "experiment"])  # a model with all invariances is in both
    parts = [_task_section(name, task, rows[rows["task"] == name]) for task, name in paper.TASKS.items()]
    parts += [_depth_section(tables["depth"]), _labels_section(tables["semi_supervised"])]
    return "\n\n".join([*parts, _parameters_section(tables["parameters"])])


def counted(run: Artifacts) -> str:
    """How the paper's mean errors lie to ours, where both are of the published images; "" where none is."""
    frames = [run.tables[name] for name in ("table1", "table2", "depth")]
    names = [[*KEYS, "kind", "verdict"], [*KEYS, "kind", "verdict"], ["test", "encoder", "kind", "verdict"]]
    rows = pd.concat([frame.reindex(columns=columns) for frame, columns in zip(frames, names, strict=True)])
    rows = rows[(rows["kind"] == PUBLISHED) & (rows["verdict"] != "not printed")].drop_duplicates()
    counts = ", ".join(f"{count} {verdict}" for verdict, count in rows["verdict"].value_counts(sort=False).items())
    return f"Of the paper's mean errors that this run can test, as seen from ours: {counts}." if counts else ""


def _joined(means: pd.DataFrame, medians: pd.DataFrame) -> pd.DataFrame:
    """A row a model with both statistics."""
    of_median = [name for name in medians if name.startswith((MEDIAN, f"paper_{MEDIAN}"))]
    return means.merge(medians[[*KEYS, *of_median]], on=KEYS, how="left")


def _task_section(name: str, task: paper.Task, rows: pd.DataFrame) -> str:
    if rows.empty:
        return f"### {name}\n\n{NONE}"
    header = ["model", "mean: the paper", "mean: this run", "median: the paper", "median: this run"]
    baseline = [f"{paper.BASELINE_MM[statistic][list(paper.TASKS).index(task)]:.2f}" for statistic in (MEAN, MEDIAN)]
    lines = [["[38], T+S+H", baseline[0], "–", baseline[1], "–", "–"]]
    for row in rows.to_dict("records"):
        together = ", RHD and STB together" if "+" in row["trained_on"] else ""
        errors = [text for statistic in (MEAN, MEDIAN) for text in (_printed(row, statistic), _ours(row, statistic))]
        lines.append([f"variant {row['variant']}, {row['invariances']}{together}", *errors, row["verdict"]])
    cells = _with_verdicts(header, lines, rows)
    kinds = ", ".join(dict.fromkeys(rows["kind"]))
    return "\n\n".join([f"### {name}, {kinds}", cells, " ".join([*_remarks(rows), _order(rows)]).strip()])


def _with_verdicts(header: list[str], lines: list[list[str]], rows: pd.DataFrame) -> str:
    """A table whose last column, the verdicts, is there only where a row is of the published images."""
    if rows["kind"].eq(PUBLISHED).any():
        return markdown_table([*header, "the paper's mean, seen from ours"], lines)
    return markdown_table(header, [line[:-1] for line in lines])


def _remarks(rows: pd.DataFrame) -> list[str]:
    """The mean pose, how many observations, and for 2D->3D the errors over all joints."""
    own = rows[~rows["trained_on"].str.contains("+", regex=False)]
    texts = [f"Mean pose of the training set: {_each(own['mean_pose_epe_mm'], '{:.2f}')} mm."]
    texts.append(f"Blocks of test frames: {_each(rows['blocks'], '{:,.0f}')}.")
    hidden = own[own["epe_mean_all_joints_mm"].notna() & own["invariances"].eq("T+S+H")]
    each = [
        f"variant {row['variant']} {row_interval(row, 'epe_mean_all_joints_mm')}" for row in hidden.to_dict("records")
    ]
    return [*texts, f"Mean over all joints, hidden ones too: {', '.join(each)}."] if each else texts


def _order(rows: pd.DataFrame) -> str:
    """The variants from the best to the worst, in print and here; what is more than chance, the claims say."""
    variants = rows[rows["invariances"].eq("T+S+H") & ~rows["trained_on"].str.contains("+", regex=False)]
    variants = variants.drop_duplicates("variant")
    if len(variants) < 2:
        return ""
    ranked = [variants.sort_values(name, kind="stable")["variant"] for name in (f"paper_{MEAN}", MEAN)]
    printed, ours = (", ".join(map(str, of_side)) for of_side in ranked)
    told = "Which differences are more than chance: [paired.md](tables/paired.md)."
    chance = "With one seed this order may be chance." if variants["seeds"].min() < 2 else told
    return f"Variants from best to worst mean: the paper {printed}; this run {ours}. {chance}"


def _depth_section(rows: pd.DataFrame) -> str:
    if rows.empty:
        return f"### Depth -> 3D\n\n{NONE}"
    lines = [
        [
            *(f"{row['test']}, {row['encoder']}, {row['kind']}", _printed(row, MEAN, 1), _ours(row, MEAN)),
            *(f"{row['mean_pose_epe_mm']:.2f}", row.get("verdict", "")),
        ]
        for row in rows.to_dict("records")
    ]
    cells = _with_verdicts(["test, encoder", "mean: the paper", "mean: this run", "mean pose"], lines, rows)
    remark = "Errors are absolute. The paper prints one mean for each encoder and does not name the set."
    return f"### Depth -> 3D\n\n{cells}\n\n{remark}"


def _labels_section(rows: pd.DataFrame) -> str:
    heading = "### Few labels, RGB->3D STB (section 4.6, Figure 3)"
    if rows.empty:
        return f"{heading}\n\n{NONE}"
    header = ["labelled", "median: variant 1", "median: variant 3", "improvement, %"]
    lines = [
        [
            f"{row['label_percent']:g} %, {row['kind']}",
            *(_ours(row, f"{side}_{MEDIAN}", f"{side}_seeds") for side in semi_supervised.SIDES),
            row_interval(row, "improvement_percent", signed),
        ]
        for row in rows.to_dict("records")
    ]
    parts = [heading, markdown_table(header, lines)]
    if len(printed := rows["paper_improvement_percent"].dropna()):
        parts.append(f"The paper: up to {printed.max():.0f} % with few labels; it does not print the points.")
    return "\n\n".join(parts)


def _parameters_section(rows: pd.DataFrame) -> str:
    printed = rows[rows["paper_parameters"].notna()]
    lines = [
        [row["model"], f"{row['paper_parameters']:,.0f}", f"{row['parameters']:,.0f}", row["verdict"]]
        for row in printed.to_dict("records")
    ]
    cells = markdown_table(["network at the paper's size", "the paper", "counted here", "verdict"], lines)
    return f"### Parameters (section 7.3)\n\n{cells}\n\nThese need no training and no data."


def _printed(row: Mapping[str, object], statistic: str, digits: int = 2) -> str:
    printed = row[f"paper_{statistic}"]
    return "–" if pd.isna(printed) else f"{printed:.{digits}f}"


def _ours(row: Mapping[str, object], statistic: str, seeds: str = "seeds") -> str:
    return "\n".join([row_interval(row, statistic), *over_seeds(row, statistic, seeds)])


def _each(values: pd.Series, form: str) -> str:
    return markdown_text(" / ".join(dict.fromkeys(map(form.format, values))))
