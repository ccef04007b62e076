"""report: predictions and metrics of the grid's experiments -> tables, figures, and the notebook that shows them.

Experiments come from params.yaml, never from what lies in the folders, so that a removed one leaves no row behind.
"""

import tempfile
from pathlib import Path

import h5py
import nbformat
import numpy as np
import papermill
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from matplotlib.figure import Figure
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from handvae import atomic, figures, metrics, networks, paper, params, store, tables
from handvae.errors import InputError
from stages import run

PREDICTIONS, PROCESSED, METRICS = Path("data/predictions"), Path("data/processed"), Path("reports/metrics")
TABLES, FIGURES = Path("reports/tables"), Path("reports/figures")
NOTEBOOK, EXECUTED, PAGE = (
    Path("notebooks/paper.ipynb"),
    Path("reports/notebooks/paper.ipynb"),
    Path("reports/paper.html"),
)

THRESHOLDS_MM = np.linspace(0, 80, 161)
HANDS_SHOWN = 6
RGB, JOINTS_2D = ("rhd", "rgb"), ("rhd", "joints_2d")

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
    with atomic.replacing_folder(FIGURES) as folder:
        (folder / "fig04a.png").write_bytes(figures.png_bytes(figure_4a(results)))
        (folder / "fig10b.png").write_bytes(figures.png_bytes(figure_10b(results)))
    print(f"report: wrote {FIGURES}", flush=True)
    notebook = executed_notebook(list(settings.experiments))
    atomic.write_text(EXECUTED, nbformat.writes(notebook) + "\n")
    atomic.write_text(PAGE, html_page(notebook))
    print(f"report: wrote {EXECUTED} and {PAGE}", flush=True)


def write_tables(folder: Path, results: list[tables.Result], counts: dict[int, int]) -> None:
    frames = {
        "table1": tables.variant_table(results, paper.TABLE1),
        "table5": tables.variant_table(results, paper.TABLE5),
        "parameters": tables.parameter_table(counts),
    }
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.2f", lineterminator="\n")
    (folder / "tables.md").write_text(tables.markdown_page(results, counts))


def figure_4a(results: list[tables.Result]) -> Figure:
    """PCK of the best model of each task, of the mean pose, and of the paper where the data is the paper's."""
    shown = [result for result in (tables.best(results, task) for task in (RGB, JOINTS_2D)) if result]
    _require(shown)
    curves = []
    for result in shown:
        arrays = _read_arrays(result)
        area = f"AUC 20–50 mm {result.metrics['auc_20_50']:.3f}"
        label = f"{paper.DIRECTIONS[result.input]}, {result.experiment}: {area}"
        colour = figures.RED if result.task == RGB else figures.BLUE
        curves.append(_curve(label, arrays["joints_pred_mm"], arrays, colour))
    curves.append(_curve("mean pose of the training set", arrays["mean_pose_mm"], arrays, figures.GREY, ":"))
    if shown[0].published and shown[0].task == RGB:
        thresholds_mm, printed = np.array(paper.FIGURE_4A).T
        label = "RGB->3D, the paper's curve, digitised"
        curves.append(figures.PckCurve(label, thresholds_mm, printed, figures.BLACK, "--"))
    caption = "\n".join(dict.fromkeys(f"Data: {result.data}." for result in shown))
    return figures.pck_figure(curves, "Figure 4a: PCK, best variant of each task", caption)


def figure_10b(results: list[tables.Result]) -> Figure:
    """Predictions of the best RGB->3D model (of the best 2D->3D model in a grid without RGB)."""
    shown = tables.best(results, RGB) or tables.best(results, JOINTS_2D)
    _require(shown)
    arrays = _read_arrays(shown)
    seen = np.flatnonzero(arrays["visible"].any(axis=1))
    errors_mm = metrics.joint_errors_mm(arrays["joints_pred_mm"], arrays["joints_true_mm"])
    means_mm = np.average(errors_mm[seen], axis=1, weights=arrays["visible"][seen])
    picked = figures.evenly_ranked(means_mm, HANDS_SHOWN)
    images = _read_images(shown, seen[picked])
    true_mm, pred_mm = arrays["joints_true_mm"][seen[picked]], arrays["joints_pred_mm"][seen[picked]]
    hands = [figures.PredictedHand(*one) for one in zip(*images, true_mm, pred_mm, means_mm[picked], strict=True)]
    caption = (
        f"Data: {shown.data}.\nHands at evenly spaced ranks of error, 10th to 90th percentile, not chosen by eye; "
        "in mm the hand's mean error over visible joints."
    )
    return figures.predictions_figure(
        hands, f"Figure 10b: predictions, {paper.DIRECTIONS[shown.input]}, {shown.experiment}", caption
    )


def executed_notebook(experiments: list[str]) -> nbformat.NotebookNode:
    """notebooks/paper.ipynb run on the reports, stripped of times, paths and random ids: the same bytes each time."""
    parameters = {"tables": str(TABLES), "figures": str(FIGURES), "metrics": str(METRICS), "experiments": experiments}
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


def _read_arrays(result: tables.Result) -> dict[str, np.ndarray]:
    names = ("joints_pred_mm", "joints_true_mm", "mean_pose_mm", "visible")
    with h5py.File(result.predictions) as file:
        missing = [name for name in names if name not in file]
        if missing:
            raise InputError(f"{result.predictions}: expected the datasets {', '.join(names)}; missing: {missing}")
        return {name: file[name][:] for name in names}


def _read_images(result: tables.Result, frames: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """image_u8 and uv_px of some of a result's frames; refuses images that are not those predicted from."""
    processed = PROCESSED / f"{result.dataset}.h5"
    count = store.attributes(processed)["test_rows"]
    with h5py.File(result.predictions) as predicted, h5py.File(processed) as file:
        rows, names, test = predicted["row"][:], predicted["name"].asstr()[:], file["test"]
        for frame in frames:
            row, name = rows[frame], names[frame]
            found = test["name"].asstr()[row] if row < count else "no such row"
            if found != name:
                raise InputError(f"{result.predictions}: expected row {row} of {processed} to be {name}, found {found}")
        images, uvs_px = ([test[key][rows[frame]] for frame in frames] for key in ("image_u8", "uv_px"))
    return images, uvs_px


def _curve(label: str, joints_mm: np.ndarray, arrays: dict, colour: str, line: str = "-") -> figures.PckCurve:
    errors_mm = metrics.joint_errors_mm(joints_mm, arrays["joints_true_mm"])
    return figures.PckCurve(
        label, THRESHOLDS_MM, metrics.pck(errors_mm, arrays["visible"], THRESHOLDS_MM), colour, line
    )


def _require(found: object) -> None:
    if not found:
        raise InputError("params.yaml: experiments: figures 4a and 10b expected an experiment on rhd, found none")


if __name__ == "__main__":
    run(main)
