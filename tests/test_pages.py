"""The notebooks, run on fabricated reports, and the pages made of them."""

import html
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import bs4
import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure

from handvae.base import params
from handvae.report import curves, pages, style
from tests.conftest import REPOSITORY
from tests.fabricated import result

REPORT = ("claims", "tables", "curves", "latent_space", "predictions", "lists")
HOSTILE = r"_a <b>x</b> & | *y* $\frac{$ 5 % `c` \[z\] </script> [l](u)"
NAME = HOSTILE.replace("/", " ")  # it names files
CAPTIONS = {
    "fig04a": {"title": HOSTILE, "caption": HOSTILE, "alt": HOSTILE},
    "fig10b": {"title": "Figure 10b: predictions on RHD", "caption": "Six hands.", "alt": "hands in rows"},
}
FIGURES = list(CAPTIONS)
ROWS = params.load(REPOSITORY / "params.yaml").experiments
GRID = {"rhd-rgb-v1": ROWS["rhd-rgb-v1"], "rhd-2d-v3": ROWS["rhd-2d-v3"], NAME: ROWS["rhd-rgb-v1"]}
METRICS = {"epe_mean_mm": 48.5027, "epe_mean_mm_low": 47.4, "epe_mean_mm_high": 49.6, "epe_median_mm": 47.0683}
METRICS |= {"auc_20_50": 0.347, "auc_21_50": 0.355, "mean_pose_epe_mm": 76.4, "frames": 300}
TERMS = "rgb->joints_3d_reconstruction,rgb->joints_3d_kl"
OF_ROW = {
    "metrics/{}.json": json.dumps(METRICS),
    "metrics/{}_pck.csv": "threshold_mm,pck\n0.0,0.0\n50.0,0.6\n",
    "training/{}.csv": f"step,loss,{TERMS}\n8,60.0,50.0,30.0\n16,50.0,40.0,25.0\n",
}


def write_reports(folder):
    """What the other stages leave in reports/, in small."""
    for part in ("tables", "figures", "metrics", "training"):
        (folder / part).mkdir(parents=True)
    table = "# Tables\n\nErrors in mm.\n\n## Table 1\n\n| | RHD |\n| --- | --- |\n| Var. 1 | 48.50 |\n"
    (folder / "tables/tables.md").write_text(table)
    (folder / "tables/paired.md").write_text("# Paired comparison\n\n| a | b |\n| --- | --- |\n| v1 | v2 |\n")
    (folder / "tables/parameters_layers.csv").write_text("network,layer,parameters\nRGB encoder,conv1,9408\n")
    (folder / "tables/claims.md").write_text("### Variants differ little\n\n- **holds**: 5 %\n")
    (folder / "tables/captions.json").write_text(json.dumps(CAPTIONS))
    for name in (*FIGURES, "fig12"):  # the last left by an older version
        (folder / f"figures/{name}.png").write_bytes(style.png_bytes(Figure(figsize=(2, 1))))
    for name, text in OF_ROW.items():
        for row in GRID:
            (folder / name.format(row)).write_text(text)
        (folder / name.replace("/{}", "")).write_text(text)  # of your own experiment


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The folder with reports and notebooks in which all runs."""
    folder = tmp_path_factory.mktemp("project")
    write_reports(folder / "reports")
    shutil.copytree(REPOSITORY / "notebooks", folder / "notebooks")
    # a kernel of the same name that does not start: the notebooks must not use it
    kernel = folder / "elsewhere/kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["/none"], "display_name": "x", "language": "python"}))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("JUPYTER_PATH", str(folder / "elsewhere"))
        yield folder


@pytest.fixture(scope="module")
def notebooks(project):
    return pages.executed_notebooks(GRID, FIGURES)


def text_of(page):
    """What a page says, and the tags in its body, but for the script that holds data."""
    soup = bs4.BeautifulSoup(page, "html.parser")
    for script in soup.find_all(["script", "style"]):
        script.decompose()
    return " ".join(soup.get_text(" ").split()), {tag.name for tag in soup.find_all()}


def pictures(notebook):
    return pages.section("x", notebook).count("data:image/png;base64")


@pytest.mark.parametrize("name", [*REPORT, "own_experiment"])
def test_the_committed_notebooks_have_no_outputs_and_one_cell_of_parameters(name):
    notebook = json.loads((REPOSITORY / f"notebooks/{name}.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert [cell["metadata"].get("tags") for cell in code].count(["parameters"]) == 1
    assert notebook["cells"][0]["source"][0].startswith("# ")
    assert "handvae" not in str(code)  # it reads files and shows them


def test_the_notebooks_show_the_reports_and_name_the_figures_that_the_grid_does_not_make(project, notebooks):
    drawn = {"curves": 2, "predictions": 1}
    assert {name: pictures(notebook) for name, notebook in notebooks.items()} == dict.fromkeys(REPORT, 0) | drawn
    texts = {name: text_of(pages.section(name, notebook))[0] for name, notebook in notebooks.items()}
    assert "Var. 1 48.50" in texts["tables"] and "rhd-rgb-v1 RGB->3D RHD 48.503" in texts["lists"]
    assert "v1 v2" in texts["lists"] and "RGB->3D RHD" in str(notebooks["curves"].cells)
    assert "Variants differ little" in texts["claims"] and "Six hands." in texts["predictions"]
    assert HOSTILE in html.unescape(pages.section("x", notebooks["curves"]))
    assert "Figure 10b" in texts["predictions"] and "Figure 12" not in texts["predictions"]
    assert "no model for them: figure 10a, figure 12" in texts["predictions"]
    for notebook in map(nbformat.writes, notebooks.values()):
        assert str(project) not in notebook and not re.search(r" at 0x|\d{4}-\d\d-\d\dT", notebook)


def test_rows_whose_losses_cannot_be_compared_have_panels_of_their_own():
    rows = {name: ROWS[name] for name in ("rhd-rgb-v1", "rhd-rgb-v2", "rhd-rgb-v5", "rhd-rgb-zb17")}
    told = curves.with_losses(dict.fromkeys(rows, "RGB->3D RHD"), rows)
    assert list(told.values()) == [*2 * ["RGB->3D RHD"], "RGB->3D RHD, recipe laplace", "RGB->3D RHD, [38]"]


def test_notebooks_have_the_same_bytes_twice_whatever_the_users_settings(project, notebooks, tmp_path, monkeypatch):
    sections = {name: pages.section(name, notebook) for name, notebook in notebooks.items()}
    settings = {
        "matplotlibrc": "font.size: 30\nsavefig.dpi: 10\nfigure.facecolor: black\n",
        "ipython/profile_default/startup/00.py": "get_ipython().ast_node_interactivity = 'all'",
        "ipython/profile_default/ipython_config.py": "c.InlineBackend.figure_formats = {'svg'}",
        "jupyter/nbconvert/templates/basic/index.html.j2": "mine",
        "jupyter/nbconvert/templates/basic/conf.json": "{}",
    }
    for name, text in settings.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    variables = {"MATPLOTLIBRC": "", "IPYTHONDIR": "ipython", "JUPYTER_PATH": "jupyter"}
    for name, folder in variables.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("MPLBACKEND", "Qt4Agg")
    shutil.copy(tmp_path / "matplotlibrc", project)  # in the working folder it is read before all others
    again = pages.executed_notebooks(GRID, FIGURES)
    (project / "matplotlibrc").unlink()
    assert {name: pages.section(name, notebook) for name, notebook in again.items()} == sections
    assert [*map(nbformat.writes, again.values())] == [*map(nbformat.writes, notebooks.values())]


def test_every_notebook_runs_by_hand_in_its_own_folder_as_it_is(project, monkeypatch):
    monkeypatch.chdir(project / "notebooks")  # where Jupyter starts a kernel; the stage starts it at the root
    paths = [project / f"notebooks/{name}.ipynb" for name in (*REPORT, "own_experiment")]
    with ThreadPoolExecutor(pages.KERNELS) as pool:
        run = pool.map(lambda path: pages.executed(path, {}), paths)
        assert [pictures(notebook) for notebook in run] == [0, 0, 2, 0, 1, 0, 1]


def notebook(*markdown):
    cells = [*(nbformat.v4.new_markdown_cell(text) for text in markdown), nbformat.v4.new_code_cell("secret = 1")]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    return nbformat.v4.new_notebook(cells=cells)


def test_a_section_has_its_headings_one_level_down_with_ids_of_their_own_and_no_code():
    text = pages.section("curves", notebook("# Curves", "## RHD & STB: a", "## RHD & STB: a", "### Deeper"))
    assert re.findall(r'<h(\d) id="(.*?)">(.*?)</h\d>', text) == [
        ("2", "curves-curves", "Curves"),
        ("3", "curves-rhd-stb-a", "RHD &amp; STB: a"),
        ("3", "curves-rhd-stb-a-2", "RHD &amp; STB: a"),
        ("4", "curves-deeper", "Deeper"),
    ]
    assert "secret" not in text and text.startswith('<section id="curves">')


def test_the_page_needs_nothing_else_and_its_contents_lead_somewhere():
    data = {"predictions": [], "walks": None, "x": "</script>"}
    notebooks = {name: notebook(f"# {name}", "## One", "## Two") for name in REPORT}
    answer = [("Data", "a <b>"), ("Claims", "one holds")]
    page = pages.index_page(notebooks, data, [], answer, style.Captioned(Figure(), "t", "<c>", '"a"'))
    assert "<dt>Data</dt><dd>a &lt;b&gt;</dd>" in page and 'alt="&quot;a&quot;"><figcaption>&lt;c&gt;<' in page
    assert not re.search(r"<(link|iframe)|(src|href)=[\"']?(https?:)?//|@import|url\(", page)
    ids, links = re.findall(r'\bid="(.*?)"', page), re.findall(r'href="#(.*?)"', page)
    assert len(ids) == len(set(ids)) and len(links) == 3 + 3 * len(REPORT) and set(links) <= set(ids)
    assert re.findall(r'href="([^#].*?)"', page) == ["own_experiment.html"]
    assert page.count("<h1") == page.count("</html>") == 1 and page.count("</script>") == 3
    assert "$" not in re.sub(r"(?s)<script>.*?</script>", "", page)  # nothing of the template is left


@pytest.fixture(scope="module")
def own_page(project):
    """The page of an experiment like two rows of the grid, whose source and profile have hostile names."""
    own = result("own", metrics=METRICS, source=f"{HOSTILE}\nb", profile=HOSTILE)
    return pages.own_experiment_page([own], GRID)


def test_your_own_experiments_page_compares_it_with_the_grid_and_the_paper(own_page):
    text, _ = text_of(own_page)
    assert "epe_mean_mm 48.503 48.503 48.503 19.730" in text and "rhd-2d-v3" not in text
    assert "Synthetic hands in the formats of RHD. They are not the paper's images" in text
    assert own_page.count("data:image/png;base64") == 1 and 'id="viewer-data"' not in own_page and "0x" not in text


def test_names_that_users_chose_are_shown_as_they_are(notebooks, own_page):
    text, tags = text_of(own_page)
    assert f"Data: RHD: {HOSTILE} b; profile {HOSTILE}; " in text and f"profile {HOSTILE} Data" in text
    assert f"yours, synthetic rhd-rgb-v1 {NAME} the paper" in text and not tags & {"b", "em"}
    to_view, answer = {"predictions": [], "walks": None, "x": HOSTILE}, [("Claims", HOSTILE)]
    text, tags = text_of(pages.index_page(notebooks, to_view, [], answer, None))
    assert f" {NAME} RGB->3D RHD 48.503" in text and f"Claims {HOSTILE}" in text and "b" not in tags
    assert f'alt="{html.escape(HOSTILE)}"' in pages.section("curves", notebooks["curves"])


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_your_own_page_says_nothing_of_test_images_where_the_data_is_published(project, monkeypatch, validation):
    monkeypatch.setattr(pages, "executed", lambda *_: notebook("# Yours"))
    own = result("own", metrics=METRICS, validation=validation, source="RHD", synthetic=False, published=True)
    text, _ = text_of(pages.own_experiment_page([own], GRID))
    assert "test images" not in text and "All results" in text


@pytest.fixture
def given(project, monkeypatch):
    """A function that returns what the page of an experiment gives its notebook to show."""

    def parameters_of(own, grid=GRID):
        asked = []
        monkeypatch.setattr(pages, "executed", lambda _, parameters: asked.append(parameters) or notebook("# Yours"))
        pages.own_experiment_page([own], grid)
        return asked[0]

    return parameters_of


@pytest.mark.parametrize(
    ("changes", "measured", "grid_rows", "paper"),
    [
        ({}, {}, ["rhd-rgb-v1", NAME], True),
        ({"synthetic": False}, {"mean_pose_epe_mm": 38.0}, [], False),
        # the mean pose is of the labelled samples, and of scaled hands where there is S
        ({"label_fraction": 0.1}, {"mean_pose_epe_mm": 80.0}, ["rhd-rgb-v1", NAME], False),
        ({"invariances": "T+H"}, {"mean_pose_epe_mm": 80.0}, ["rhd-rgb-v1", NAME], True),
        ({"invariances": "T+H"}, {"mean_pose_epe_mm": 80.0, "frames": 57}, [], True),
        ({"validation": 0.2}, {}, [], False),  # of as many rows as the test split
    ],
)
def test_numbers_of_other_data_do_not_stand_beside_yours(given, changes, measured, grid_rows, paper):
    parameters = given(result("own", metrics=METRICS | measured, **changes))
    assert parameters["grid"] == grid_rows and bool(parameters["paper_mm"]) == paper


def test_rows_of_the_grid_without_results_do_not_stand_beside_yours(project, given):
    rows = [f"without {number}" for number in range(len(OF_ROW))]
    for row, lacking in zip(rows, OF_ROW, strict=True):
        for name in OF_ROW.keys() - {lacking}:
            (project / "reports" / name.format(row)).write_text(OF_ROW[name])
    parameters = given(result("own", metrics=METRICS), GRID | dict.fromkeys(rows, GRID[NAME]))
    assert parameters["grid"] == ["rhd-rgb-v1", NAME]


def test_an_experiment_on_two_sets_has_a_part_for_each(project, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(project, tmp_path / "copy"))
    of_sets = {"rhd": METRICS, "stb": METRICS | {"epe_mean_mm": 31.25}}
    pages.REPORTS.joinpath("metrics.json").write_text(json.dumps(of_sets))
    curves = pd.DataFrame({"threshold_mm": [0, 50], "pck_rhd": [0.0, 0.5], "pck_stb": [0.0, 0.7]})
    curves.to_csv(pages.REPORTS / "metrics_pck.csv", index=False)
    shared = {"trained_on": "rhd+stb", "invariances": "T"}
    both = [result("own", dataset=name, group=name, metrics=metrics, **shared) for name, metrics in of_sets.items()]
    page = pages.own_experiment_page(both, GRID)
    assert 'id="own-rhd"' in page and 'id="own-stb"' in page and "48.503" in page and "31.250" in page
    assert "trained on <code>rhd+stb</code>" in page and page.count("data:image/png;base64") == 2
