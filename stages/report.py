"""The grid's predictions and metrics -> tables, figures, claims and their page. Usage: python -m stages.report

Experiments come from params.yaml, never from what lies in the folders, so that a removed one leaves no row behind. Rows
without results, or with results of other settings, are left out and named. No model is loaded: what needs one was
computed by the evaluate stage.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import nbformat

from handvae.base import atomic, params, workspace
from handvae.evaluation import published
from handvae.model import networks
from handvae.report import (
    claims,
    departures,
    figures,
    grid,
    latent_figures,
    pages,
    paper_figures,
    paper_tables,
    pck_curves,
    table_text,
    viewer,
)
from handvae.report.left_out import LeftOut, line_of
from handvae.report.parameters import baseline_layers, our_layers
from handvae.report.results import Result
from stages import run

PREDICTIONS, PROCESSED, METRICS = Path("data/predictions"), Path("data/processed"), Path("reports/metrics")
TRAINING = Path("reports/training")
TABLES, FIGURES, NOTEBOOKS = Path("reports/tables"), Path("reports/figures"), Path("reports/notebooks")
PAGE = Path("reports/index.html")


def main() -> None:
    settings = params.load()
    results, left_out = grid.read_grid(settings, PREDICTIONS, METRICS, TRAINING, PROCESSED)
    print(f"report: read {len(results)} experiments", flush=True)
    if left_out:
        print(f"report: {line_of(left_out, len(settings.experiments))}", flush=True)
    inputs = {result.input for result in results}
    note = departures.sentence(departures.departures(settings.profile.augmentation, inputs), settings.profile_name)
    texts = table_texts(results, left_out, note)
    references = {
        name: published.reference_curves(
            name, {of: workspace.source(file) for of, file in source.references.items()}, pck_curves.THRESHOLDS_MM
        )
        for name, source in settings.data.items()
    }
    made = paper_figures.figures_of(results, PROCESSED, references)
    latent, embeddings = latent_figures.latent_figures_of(results, PROCESSED)
    texts |= {f"tsne_{name}.csv": table_text.csv_table(frame) for name, frame in embeddings.items()}
    made = dict(sorted((made | latent).items()))
    print(f"report: made {len(texts)} tables and {len(made)} figures", flush=True)
    remove_left_over(settings.experiments)
    write_all(TABLES, texts)
    write_all(FIGURES, {f"{name}.png": figures.png_bytes(figure) for name, figure in made.items()})
    titles = {name: figure.get_suptitle() for name, figure in made.items()}
    shown = {result.experiment: settings.experiments[result.experiment] for result in results}
    notebooks = pages.executed_notebooks(shown, titles)
    write_all(NOTEBOOKS, {f"{name}.ipynb": nbformat.writes(notebook) + "\n" for name, notebook in notebooks.items()})
    atomic.write_text(
        PAGE, pages.index_page(notebooks, viewer.viewer_data(results, PROCESSED), results, left_out, note)
    )
    print(f"report: wrote {TABLES}, {FIGURES}, {NOTEBOOKS} and {PAGE}", flush=True)


def table_texts(results: list[Result], left_out: list[LeftOut], note: str) -> dict[str, str]:
    """File name -> text: CSV of every table, LaTeX of those that a page holds, Markdown of all that are to be read."""
    modules, counts = networks.paper_modules().items(), networks.paper_parameter_counts()
    shapes = {name: {key: tuple(value.shape) for key, value in module.named_parameters()} for name, module in modules}
    made = paper_tables.tables_of(results, counts, [*our_layers(shapes), *baseline_layers()])
    texts = {}
    for name, table in made.items():
        texts[f"{name}.csv"] = table_text.csv_table(table.frame)
        if table.caption:
            texts[f"{name}.tex"] = table_text.latex_table(table.header, table.rows, table.caption)
    held = claims.claims_table(results, counts)
    texts |= {"claims.csv": table_text.csv_table(held), "claims.md": claims.claims_markdown(held)}
    return texts | {"tables.md": paper_tables.markdown_page(results, made, left_out, note)}


def remove_left_over(experiments: Iterable[str]) -> None:
    """Delete what experiments that are not in params.yaml any more have left beside those that are."""
    known = set(experiments)
    for path in sorted([*PREDICTIONS.glob("*.h5"), *METRICS.glob("*"), *TRAINING.glob("*")]):
        if path.stem.removesuffix("_pck") not in known:
            path.unlink()
            print(f"report: deleted {path}: no such experiment in params.yaml", flush=True)


def write_all(folder: Path, contents: dict[str, str | bytes]) -> None:
    """The folder with these files and no others."""
    with atomic.replacing_folder(folder) as partial:
        for name, content in contents.items():
            (partial / name).write_bytes(content.encode() if isinstance(content, str) else content)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
