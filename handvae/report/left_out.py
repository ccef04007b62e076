"""Rows of the grid that have no place in the report: how many, which, why and what to run, for each format."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from handvae.report.table_text import markdown_text

COMMAND = "python -m stages.grid <row>"  # makes the results of one row, and the report again


@dataclass(frozen=True)
class LeftOut:
    """A row of the grid, and why it is left out."""

    experiment: str
    dataset: str
    why: str


def line_of(left_out: Sequence[LeftOut], rows: int) -> str:
    """For the screen; `rows`: of the whole grid."""
    return f"{len(left_out)} of {rows} rows left out: {'; '.join(_by_set(left_out))}; `{COMMAND}` makes one"


def markdown_of(left_out: Sequence[LeftOut], rows: int) -> str:
    """A paragraph and a list; nothing where no row is left out."""
    if not left_out:
        return ""
    lines = "\n".join(f"- {markdown_text(text)}" for text in _by_set(left_out))
    return f"**{_count(left_out, rows)}** `{COMMAND}` makes the results of one.\n\n{lines}"


def html_of(left_out: Sequence[LeftOut], rows: int) -> str:
    """The same for the page."""
    if not left_out:
        return ""
    lines = "\n".join(f"<li>{html.escape(text)}</li>" for text in _by_set(left_out))
    command = f"<code>{html.escape(COMMAND)}</code> makes the results of one."
    return f'<div class="notice"><p>{_count(left_out, rows)} {command}</p>\n<ul>\n{lines}\n</ul></div>\n'


def _count(left_out: Sequence[LeftOut], rows: int) -> str:
    return f"{len(left_out)} of the grid's {rows} rows are left out, with all that is made from them."


def _by_set(left_out: Sequence[LeftOut]) -> list[str]:
    """A text for each set and reason, with its rows."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in left_out:
        groups.setdefault((one.dataset, one.why), []).append(one.experiment)
    return [f"{dataset.upper()}, {why}: {', '.join(names)}" for (dataset, why), names in groups.items()]
