"""Tables as text: CSV for programs, Markdown to read, LaTeX for a paper; a cell may have several lines."""

from collections.abc import Callable, Mapping

import pandas as pd


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
    """The line of a cell on several models that differ in their seed, where there are several."""
    seeds = row.get("seeds")
    if seeds is None or pd.isna(seeds):
        return []
    return [f"sd {row[f'{statistic}_sd']:.2f} over {seeds} seeds"]


def signed(number: float, digits: int = 2) -> str:
    """A difference, with the sign it has in print."""
    return f"{number:+.{digits}f}".replace("-", "−")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("\n", "<br>") for line in lines)


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
    """A bracket at the beginning of a row would be read as an argument of the line break before it."""
    parts = [_latex(part) for part in text.split("\n")]
    lines = r" \\ ".join(parts)
    shown = lines if len(parts) == 1 else rf"\makecell[r]{{{lines}}}"
    return "{}" * shown.startswith("[") + shown


def _latex(text: str) -> str:
    signs = {"&": r"\&", "%": r"\%", "_": r"\_", "->": r"$\rightarrow$", "–": "--", "±": r"$\pm$", "−": "$-$"}
    for plain, escaped in signs.items():
        text = text.replace(plain, escaped)
    return text
