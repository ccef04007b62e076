"""The page of a committed run, results/<name>/README.md: how it was made, and its main tables as README.md has them."""

from string import Template

import pandas as pd

from handvae.report import paper
from handvae.report.text import delivered, markdown_text, row_interval

MARK = delivered("snapshot.md").splitlines()[0]
TABLE1 = paper.TABLES["table1"]


def readme(facts: dict[str, str], table1: pd.DataFrame, depth: pd.DataFrame) -> str:
    """The page in Markdown. `facts`: what is known of the run, by name; the tables as the report writes them."""
    parts = {
        "facts": "\n".join(f"| {name} | {text} |" for name, text in facts.items()),
        "data": "\n".join(f"- {markdown_text(text)}" for text in dict.fromkeys([*table1["data"], *depth["data"]])),
    }
    tables = [f"## Table 1: mean EPE\n\n{main_table(table1)}"] if len(table1) else []
    tables += [f"## Depth: mean EPE, absolute\n\n{depth_table(depth)}"] if len(depth) else []
    parts |= {"tables": "\n\n".join(tables), "profile": facts["profile"]}
    return Template(delivered("snapshot.md")).substitute(parts)


def main_table(table1: pd.DataFrame) -> str:
    """Table 1 in Markdown: a row a variant and the mean pose; a task's numbers and beside them the paper's."""
    columns = [["", "---", *(f"Var. {variant}" for variant in TABLE1.rows_mm), "mean pose of the training set"]]
    for task, name in paper.TASKS.items():
        rows = table1[table1["task"] == name]
        if len(rows):
            data = "/".join(rows["kind"].unique())
            cells = [_cell(rows[rows["variant"] == variant]) for variant in TABLE1.rows_mm]
            columns.append(
                [f"{name}, {data if data == 'published' else f'**{data}**'}", "---", *cells, _mean_pose(rows)]
            )
            printed = [f"{TABLE1.cell_mm(variant, task):.2f}" for variant in TABLE1.rows_mm]
            columns.append(["paper", "---", *printed, "–"])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True)).replace("|  |", "| |")


def depth_table(depth: pd.DataFrame) -> str:
    """The depth results in Markdown: a row a test and encoder, the mean pose beside."""
    lines = ["| | mean EPE | mean pose |", "| --- | --- | --- |"]
    for (test, encoder), rows in depth.groupby(["test", "encoder"], sort=False):
        lines.append(f"| {test}, {encoder} | {_cell(rows)} | {_mean_pose(rows)} |")
    return "\n".join(lines)


def _mean_pose(rows: pd.DataFrame) -> str:
    return "/".join(dict.fromkeys(map("{:.2f}".format, rows["mean_pose_epe_mm"])))


def _cell(rows: pd.DataFrame) -> str:
    """The number of each model of a cell, with its interval and, of several seeds, its spread."""
    texts = []
    for row in rows.to_dict("records"):
        deviation = row.get("epe_mean_mm_sd")
        spread = "" if pd.isna(deviation) else f", sd {deviation:.2f} ({row['seeds']:.0f} seeds)"
        texts.append(row_interval(row, "epe_mean_mm") + spread)
    return "; ".join(texts) or "–"
