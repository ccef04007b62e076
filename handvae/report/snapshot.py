"""The page of a committed run, results/<name>/README.md: how it was made, and its main tables as README.md has them."""

import math

import pandas as pd

from handvae.report import paper
from handvae.report.results import STATISTICS
from handvae.report.table_text import interval_text, markdown_text

MARK = "<!-- written by `python -m stages.snapshot`, which writes it again: do not edit -->"
MEAN, _ = STATISTICS


def readme(facts: dict[str, str], table1: pd.DataFrame, depth: pd.DataFrame) -> str:
    """The page in Markdown. `facts`: what is known of the run, by name; the tables as the report writes them."""
    data = "\n".join(f"- {markdown_text(text)}" for text in dict.fromkeys([*table1["data"], *depth["data"]]))
    parts = [
        MARK,
        f"# Results of profile `{facts['profile']}`",
        "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in facts.items())]),
        "Errors in mm with their 95 % interval, over blocks of test frames and over seeds where there are several; sd: "
        "standard deviation over seeds. Numbers on synthetic hands say nothing of the paper's.",
        f"Data:\n\n{data}",
        f"## Table 1: mean EPE\n\n{main_table(table1)}" if len(table1) else "",
        f"## Depth: mean EPE, absolute\n\n{depth_table(depth)}" if len(depth) else "",
        "All tables: [tables/tables.md](tables/tables.md). The paper's claims on this data: "
        "[tables/claims.md](tables/claims.md). Figures: [figures](figures). All on one page, to open in a browser: "
        "[index.html](index.html).",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def main_table(table1: pd.DataFrame) -> str:
    """Table 1 in Markdown: a row a variant and the mean pose; a task's numbers and beside them the paper's."""
    tasks = [task for task in paper.TASKS if (table1["task"] == paper.TASKS[task]).any()]
    of_tasks = [table1[table1["task"] == paper.TASKS[task]] for task in tasks]
    kinds = ["/".join(dict.fromkeys(of_task["kind"])) for of_task in of_tasks]
    names = [
        f"{paper.TASKS[task]}, {kind if kind == 'published' else f'**{kind}**'} | paper"
        for task, kind in zip(tasks, kinds, strict=True)
    ]
    lines = [f"| | {' | '.join(names)} |", f"|{' --- |' * (1 + 2 * len(tasks))}"]
    for variant in paper.TABLE1.rows_mm:
        cells = [
            f"{_cell(of_task[of_task['variant'] == variant])} | {paper.TABLE1.cell_mm(variant, task):.2f}"
            for task, of_task in zip(tasks, of_tasks, strict=True)
        ]
        lines.append(f"| Var. {variant} | {' | '.join(cells)} |")
    still = ["/".join(dict.fromkeys(map("{:.2f}".format, of_task["mean_pose_epe_mm"]))) for of_task in of_tasks]
    lines.append(f"| mean pose of the training set | {' | '.join(f'{text} | –' for text in still)} |")
    return "\n".join(lines)


def depth_table(depth: pd.DataFrame) -> str:
    """The depth results in Markdown: a row a test and encoder, the mean pose beside."""
    lines = ["| | mean EPE | mean pose |", "| --- | --- | --- |"]
    for (test, encoder), rows in depth.groupby(["test", "encoder"], sort=False):
        still = "/".join(dict.fromkeys(map("{:.2f}".format, rows["mean_pose_epe_mm"])))
        lines.append(f"| {test}, {encoder} | {_cell(rows)} | {still} |")
    return "\n".join(lines)


def _cell(rows: pd.DataFrame) -> str:
    """The number of each model of a cell, with its interval and, of several seeds, its spread."""
    texts = []
    for row in rows.to_dict("records"):
        text = interval_text(*(row[f"{MEAN}{end}"] for end in ("", "_low", "_high")))
        deviation = row.get(f"{MEAN}_sd", math.nan)
        texts.append(text if math.isnan(deviation) else f"{text}, sd {deviation:.2f} ({row['seeds']:.0f} seeds)")
    return "; ".join(texts) or "–"
