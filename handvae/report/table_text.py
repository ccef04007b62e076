"""Tables as text: CSV for programs, Markdown to read, LaTeX for a paper; a cell may have several lines."""

import re
from collections.abc import Callable, Mapping

import pandas as pd

# what Markdown would read as markup; an underscore inside a word and most brackets it takes as they are
_MARKUP = re.compile(r"[\\`*<&|$~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\](?=\()|:(?=//)")
_LATEX = {
    **{"->": r"$\rightarrow$", "–": "--", "±": r"$\pm$", "−": "$-$"},
    **{sign: rf"\{sign}" for sign in "&%_#${}"},
    **{"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "`": r"\textasciigrave{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}
_LATEX_SIGNS = re.compile("|".join([*map(re.escape, _LATEX), "-(?=-)"]))  # of two hyphens LaTeX makes a dash


class Markdown(str):
    """A cell that is written in Markdown already; all others are plain text."""


def csv_table(frame: pd.DataFrame) -> str:
    """Columns in millimetres or percent with two decimals, other fractions with four: as far as they mean anything."""
    shown = frame.copy()
    for name in shown.select_dtypes("float"):
        digits = 2 if "_mm" in name or "percent" in name else 4
        shown[name] = ["" if pd.isna(value) else f"{value:.{digits}f}" for value in shown[name]]
    return shown.to_csv(index=False, lineterminator="\n")


def cell(row: Mapping[str, object], statistic: str, digits: int = 2, verdict: str = "verdict") -> str:
    """One number of a table's row, a line each: ours with its interval, over seeds, the paper's, the verdict.

    `digits`: decimals with which the paper prints its number; `verdict`: the column of the verdict.
    """
    ours = row[statistic]
    lines = [interval_text(*(row[f"{statistic}{end}"] for end in ("", "_low", "_high"))), *over_seeds(row, statistic)]
    printed = row[f"paper_{statistic}"]
    if pd.isna(printed):
        return "\n".join([*lines, row["kind"]])
    return "\n".join([*lines, f"paper {printed:.{digits}f} (ours {signed(ours - printed)})", row[verdict]])


def interval_text(number: float, low: float, high: float, shown: Callable[[float], str] = "{:.2f}".format) -> str:
    """A number with its interval; of a single block of frames there is none."""
    if pd.isna(low):
        return f"{shown(number)} [1 block of frames: no interval]"
    return f"{shown(number)} [{shown(low)}, {shown(high)}]"


def over_seeds(row: Mapping[str, object], statistic: str) -> list[str]:
    """The line of a cell on how many models it is of, that differ in their seed; none in a table of one model a row."""
    deviation, seeds = row.get(f"{statistic}_sd"), row.get("seeds")
    if deviation is None or pd.isna(seeds):
        return []
    return ["1 seed"] if pd.isna(deviation) else [f"sd {deviation:.2f} over {seeds} seeds"]


def signed(number: float, digits: int = 2) -> str:
    """A difference, with the sign it has in print."""
    return f"{number:+.{digits}f}".replace("-", "−")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [list(map(_markdown_cell, header)), ["---"] * len(header), *(map(_markdown_cell, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_text(text: str) -> str:
    """Plain text as a part of a line of Markdown, where it is shown as it is."""
    return _MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", " ".join(text.splitlines()))


def _markdown_cell(text: str) -> str:
    return text if isinstance(text, Markdown) else "<br>".join(map(markdown_text, text.splitlines()))


def latex_table(header: list[str], rows: list[list[str]], caption: str) -> str:
    """The same table for a paper; the caption says what is compared."""
    lines = [" & ".join(map(_latex_cell, line)) + r" \\" for line in (header, *rows)]
    columns = "l" + "r" * (len(header) - 1)
    return "\n".join(
        [
            "% packages: booktabs, makecell",
            r"\begin{table*}",
            rf"\caption{{{_latex(caption)}}}",
            r"\centering\small",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def _latex_cell(text: str) -> str:
    first, *others = (_latex(part) for part in text.split("\n"))
    lines = r" \\ ".join([first, *map(_after_line_break, others)])
    return rf"\makecell[r]{{{lines}}}" if others else _after_line_break(first)


def _after_line_break(text: str) -> str:
    """A bracket or star that follows a line break would be read as an argument of it."""
    return "{}" * text.startswith(("[", "*")) + text


def _latex(text: str) -> str:
    return _LATEX_SIGNS.sub(lambda sign: _LATEX.get(sign[0], "-{}"), text)
