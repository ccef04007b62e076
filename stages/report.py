"""report: predictions and metrics of the grid's experiments -> tables, figures, and the notebook that shows them.

Experiments come from params.yaml, never from what lies in the folders, so that a removed one leaves no row behind.
"""

import tempfile
from pathlib import Path

import nbformat
import papermill
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from handvae import atomic, depth_table, figures, networks, paper, params, report_figures, table_text, tables
from handvae.errors import InputError
from stages import run

PREDICTIONS, PROCESSED, METRICS = Path("data/predictions"), Path("data/processed"), Path("reports/metrics")
TABLES, FIGURES = Path("reports/tables"), Path("reports/figures")
NOTEBOOK, EXECUTED, PAGE = (
    Path("notebooks/paper.ipynb"),
    Path("reports/notebooks/paper.ipynb"),
    Path("reports/paper.html"),
)

PAGE_HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cross-modal deep variational hand pose estimation, reproduced</title>
<style>
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #222; }}
h1, h2, h3 {{ line-height: 1.25; }}
img {{ max-width: 100%; height: auto; }}
table {{ display: block; overflow-x: auto; border: 0; border-collapse: collapse; margin: 1rem 0; font-size: 14px; }}
th, td {{ padding: 0.3rem 0.7rem; border: 0; border-bottom: 1px solid #ddd; text-align: left; }}
tbody th {{ white-space: nowrap; }}
code {{ background: #f4f4f4; padding: 0 0.2em; white-space: nowrap; }}
.anchor-link {{ display: none; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def main() -> None:
    settings = params.load()
    results = [_read_result(name, row, settings.profile_name) for name, row in settings.experiments.items()]
    print(f"report: read {len(results)} experiments", flush=True)
    with atomic.replacing_folder(TABLES) as folder:
        write_tables(folder, results, networks.paper_parameter_counts())
    print(f"report: wrote {TABLES}", flush=True)
    made = report_figures.figures_of(results, PROCESSED)
    with atomic.replacing_folder(FIGURES) as folder:
        for name, figure in made.items():
            (folder / f"{name}.png").write_bytes(figures.png_bytes(figure))
    print(f"report: wrote {FIGURES}", flush=True)
    titles = {name: figure.get_suptitle() for name, figure in made.items()}
    notebook = executed_notebook(list(settings.experiments), titles)
    atomic.write_text(EXECUTED, nbformat.writes(notebook) + "\n")
    atomic.write_text(PAGE, html_page(notebook))
    print(f"report: wrote {EXECUTED} and {PAGE}", flush=True)


def write_tables(folder: Path, results: list[tables.Result], counts: dict[int, int]) -> None:
    depth = depth_table.depth_table(results)
    printed = {"table1": paper.TABLE1, "table2": paper.TABLE2, "table5": paper.TABLE5, "table6": paper.TABLE6}
    frames = {name: tables.joint_table(results, table) for name, table in printed.items()}
    frames |= {"depth": depth, "parameters": tables.parameter_table(counts)}
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.2f", lineterminator="\n")
    for name, table in printed.items():
        caption = f"{table.place}, {tables.STATISTICS[table.statistic]} in mm: ours [95 % interval] and the paper's."
        (folder / f"{name}.tex").write_text(table_text.latex_table(*tables.matrix(results, table), caption))
    (folder / "tables.md").write_text(tables.markdown_page(results, depth, counts))


def executed_notebook(experiments: list[str], titles: dict[str, str]) -> nbformat.NotebookNode:
    """notebooks/paper.ipynb run on the reports, stripped of times, paths and random ids: the same bytes each time."""
    parameters = {"tables": str(TABLES), "figures": str(FIGURES), "metrics": str(METRICS)}
    parameters |= {"experiments": experiments, "figures_made": titles}
    with tempfile.TemporaryDirectory() as scratch:
        # sockets in a folder of its own need no free port; a fresh IPython folder holds no start-up files of the user's
        sockets = {"transport": "ipc", "connection_file": f"{scratch}/kernel.json"}
        kernel = {
            "kernel_manager_class": _ThisInterpreter,
            "config": Config(KernelManager=sockets),
            "extra_arguments": [f"--ipython-dir={scratch}"],
            "shutdown_kernel": "immediate",  # the graceful way sends an interrupt, of which the kernel may complain
        }
        try:
            notebook = papermill.execute_notebook(str(NOTEBOOK), None, parameters, progress_bar=False, **kernel)
        except PapermillExecutionError as error:
            raise InputError(f"{NOTEBOOK}: cell {error.cell_index}: {error.ename}: {error.evalue}") from error
    notebook.metadata = nbformat.from_dict({"language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.get("tags", [])})
    return notebook


def html_page(notebook: nbformat.NotebookNode) -> str:
    """One file that needs no network: text and outputs, pictures embedded, no code."""
    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(notebook)
    return PAGE_HTML.format(body=body)


class _ThisInterpreter(AsyncKernelManager):
    """Starts the kernel with the Python that runs the stage, whatever kernels the machine has under that name."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=make_ipkernel_cmd(python_arguments=["-Xfrozen_modules=off"]), language="python")


def _read_result(name: str, experiment: params.Experiment, profile: str) -> tables.Result:
    expected = {key: getattr(experiment, key) for key in ("dataset", "input", "variant", "invariances", "encoder")}
    expected["test_subject"] = experiment.test_subject or ""
    return tables.read_result(
        PREDICTIONS / f"{name}.h5", METRICS / f"{name}.json", {"experiment": name, **expected, "profile": profile}
    )


if __name__ == "__main__":
    run(main)
