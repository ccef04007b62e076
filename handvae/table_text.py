"""Tables as text: Markdown to read, LaTeX for a paper."""


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex_table(header: list[str], rows: list[list[str]], caption: str) -> str:
    """The same table for a paper: booktabs, the caption says what is compared."""
    lines = [" & ".join(map(_latex, line)) + r" \\" for line in (header, *rows)]
    columns = "l" + "r" * (len(header) - 1)
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_latex(caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex(text: str) -> str:
    for plain, escaped in (("&", r"\&"), ("%", r"\%"), ("_", r"\_"), ("->", r"$\rightarrow$"), ("–", "--")):
        text = text.replace(plain, escaped)
    return text
