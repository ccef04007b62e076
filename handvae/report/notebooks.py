"""Notebooks run by papermill, each in a kernel of its own, without the user's settings, and stripped of times, paths
and random ids, so that the same reports give the same bytes."""

import importlib.metadata
import tempfile
from pathlib import Path

import nbformat
import papermill
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from matplotlib import font_manager
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from handvae.base.errors import InputError


def executed(path: Path, parameters: dict[str, object]) -> NotebookNode:
    """The notebook run with these parameters; the same bytes each time. InputError names the cell that fails."""
    with tempfile.TemporaryDirectory() as scratch:
        # the kernel looks for matplotlib's list of fonts here, and where it must search for them it may complain
        fonts = f"{scratch}/fontlist-v{font_manager.FontManager.__version__}.json"
        font_manager.json_dump(font_manager.fontManager, fonts)
        # sockets in a folder of its own need no free port; a fresh IPython folder holds no start-up files of the user's
        sockets = {"transport": "ipc", "connection_file": f"{scratch}/kernel.json"}
        kernel = {
            "kernel_manager_class": _ThisInterpreter,
            "config": Config(KernelManager=sockets),
            "extra_arguments": [f"--ipython-dir={scratch}"],
            "shutdown_kernel": "immediate",  # the graceful way sends an interrupt, of which the kernel may complain
        }
        try:
            notebook = papermill.execute_notebook(str(path), None, parameters, progress_bar=False, **kernel)
        except PapermillExecutionError as error:
            raise InputError(f"{path}: cell {error.cell_index}: {error.ename}: {error.evalue}") from error
    notebook.metadata = nbformat.from_dict({"language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.get("tags", [])})
    return notebook


def as_html(notebook: NotebookNode) -> str:
    """Text and outputs, no code."""
    without = ("exclude_input", "exclude_input_prompt", "exclude_output_prompt", "exclude_anchor_links")
    exporter = _DeliveredTemplates(template_name="basic", **dict.fromkeys(without, True))
    return exporter.from_notebook_node(notebook)[0]


class _ThisInterpreter(AsyncKernelManager):
    """Starts the kernel with the Python that runs the stage, whatever kernels the machine has under that name, and
    without what the user has set for his own work."""

    @property
    def kernel_spec(self) -> KernelSpec:
        scratch = str(Path(self.connection_file).parent)
        own = {"MPLCONFIGDIR": scratch, "MATPLOTLIBRC": "", "MPLBACKEND": "agg"}
        own |= {"PYTHONSTARTUP": "", "PYTHONWARNINGS": "", "PYTHONUTF8": "1"}
        return KernelSpec(argv=make_ipkernel_cmd(python_arguments=["-Xfrozen_modules=off"]), language="python", env=own)


class _DeliveredTemplates(HTMLExporter):
    """Takes nbconvert's own templates, whatever the user has put under their names."""

    def get_prefix_root_dirs(self) -> list[str]:
        name = "share/jupyter/nbconvert/templates/basic/index.html.j2"
        delivered = next(file for file in importlib.metadata.files("nbconvert") if file.as_posix().endswith(name))
        return [str(Path(delivered.locate()).resolve().parents[3])]
