"""The report stage on fabricated predictions, metrics and images: all its outputs, and what it refuses."""

import dataclasses
import html
import json
import re
import shutil
from types import SimpleNamespace

import bs4
import h5py
import numpy as np
import pandas as pd
import pytest
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from handvae.base import atomic, params
from handvae.base.errors import InputError
from handvae.evaluation import statistics
from handvae.model.settings import settings_of
from handvae.report.results import expected_of
from stages import report
from tests import fabricated
from tests.fabricated import FRAMES, hands_mm, names, write_predictions

REPOSITORY = report.Path(__file__).resolve().parents[1]
HISTORY = "step,{pair}_reconstruction,{pair}_kl,loss\n8,2.0,1.0,2.01\n16,1.0,2.0,1.02\n"
SOURCE = "synthetic hands, 48 training and 21 test images"


def write_processed(folder, source=SOURCE):
    fabricated.write_processed(folder / "data/processed", "rhd", source=source)


def write_experiment(folder, name, row, error_mm, **changes):
    """Predictions and metrics of one experiment whose joints are off by about `error_mm`; hidden joints by a mile."""
    generator, true_mm = fabricated.seeded(name), hands_mm("rhd")
    visible = np.random.default_rng(0).random((FRAMES, 21)) < 0.8  # a fact of the images
    pred_mm = (
        true_mm + generator.normal(size=true_mm.shape) * error_mm / 1.6 * np.linspace(0.4, 1.6, FRAMES)[:, None, None]
    )
    pred_mm[~visible] = 9999
    mean_pose_mm = np.broadcast_to(true_mm.mean(axis=0), true_mm.shape)
    attributes = expected_of(name, row, "small", row.dataset) | {"settings": settings_text(name, row)}
    attributes |= {"source": SOURCE, "synthetic": True, "published": False}
    latent = {"posterior_row": np.arange(4), "posterior_spread_mm": np.ones((FRAMES, 21))}
    latent["posterior_joints_mm"] = pred_mm[:4, None] + generator.normal(size=(4, 5, 21, 3))
    path = folder / f"data/predictions/{name}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    joints_mm = ([pred_mm.astype(np.float32)], true_mm.astype(np.float32))
    write_predictions(path, *joints_mm, attributes | changes, [latent], visible=visible, name=names())
    pair = f"{row.input}->joints_3d"
    atomic.write_text(folder / f"reports/training/{name}.csv", HISTORY.format(pair=pair))
    numbers = statistics.summarise([pred_mm], true_mm, visible, mean_pose_mm, np.arange(FRAMES), 0)
    atomic.write_text(folder / f"reports/metrics/{name}.json", json.dumps(numbers))


def experiment(input, variant):
    return params.Experiment("rhd", input, variant, "T+S+H", "resnet18", 0, None, 1.0, 0.0, "ours", "proportional")


LOADED = params.load(REPOSITORY / "params.yaml")


def settings_text(name, row):
    """What evaluate writes of a row's settings."""
    loaded = dataclasses.replace(LOADED, experiments={name: row})
    return json.dumps(settings_of(loaded, name).as_dict(), sort_keys=True)


GRID = {f"rhd-rgb-v{v}": experiment("rgb", v) for v in (1, 2)} | {"rhd-2d-v3": experiment("joints_2d", 3)}
ERRORS_MM = {"rhd-rgb-v1": 30, "rhd-rgb-v2": 20, "rhd-2d-v3": 10}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the stage's inputs, in which the stage runs."""
    monkeypatch.chdir(tmp_path)
    data = {"rhd": SimpleNamespace(source="synthetic", references={})}
    settings = SimpleNamespace(**vars(LOADED), pairs=LOADED.pairs, training=LOADED.training)
    settings.experiments, settings.data = dict(GRID), data
    settings.experiment = lambda name: settings.experiments[name]
    settings.models_of = lambda name: params.Params.models_of(settings, name)
    monkeypatch.setattr(report.params, "load", lambda: settings)
    shutil.copytree(REPOSITORY / "notebooks", tmp_path / "notebooks")
    write_processed(tmp_path)
    for name, row in GRID.items():
        write_experiment(tmp_path, name, row, ERRORS_MM[name])
    return SimpleNamespace(folder=tmp_path, settings=settings)


@pytest.fixture
def without_notebook(monkeypatch):
    """For tests of what comes before the notebook, which takes seconds to run."""
    monkeypatch.setattr(report.pages, "executed_notebooks", lambda experiments, titles: {})


def outputs(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("tables", "figures", "notebooks", "index.html")
        for path in sorted([folder / "reports" / part, *(folder / "reports" / part).rglob("*")])
        if path.is_file()
    }


def test_the_stage_writes_every_declared_file_and_the_same_bytes_twice(project, capfd):
    report.main()
    first = outputs(project.folder)
    assert list(first) == [
        *("reports/tables/claims.csv", "reports/tables/claims.md"),
        *("reports/tables/depth.csv", "reports/tables/depth.tex", "reports/tables/paired.csv"),
        *("reports/tables/parameters.csv", "reports/tables/parameters.tex", "reports/tables/parameters_layers.csv"),
        *("reports/tables/semi_supervised.csv", "reports/tables/semi_supervised.tex"),
        *(f"reports/tables/table{number}.{kind}" for number in (1, 2, 5, 6) for kind in ("csv", "tex")),
        "reports/tables/tables.md",
        *(f"reports/figures/{name}.png" for name in ("fig04a", "fig10b", "fig11")),
        *(f"reports/notebooks/{name}.ipynb" for name in ("curves", "latent_space", "predictions", "tables")),
        "reports/index.html",
    ]
    printed = capfd.readouterr()
    assert [line.split(":")[0] for line in printed.out.splitlines()] == ["report"] * 3 and printed.err == ""
    page = first["reports/index.html"].decode()
    for part in ("Table 1", "Table 5", "12,398,387", "paper 19.73 (ours", "not comparable (synthetic)", "rhd-2d-v3"):
        assert part in page
    for name, content in first.items():
        assert name.endswith(".png") or str(project.folder) not in content.decode()

    report.main()
    assert outputs(project.folder) == first


def test_a_removed_experiment_leaves_no_row_though_its_files_remain(project, without_notebook):
    report.main()
    assert "rhd-rgb-v2" in pd.read_csv("reports/tables/table1.csv")["experiment"].tolist()
    del project.settings.experiments["rhd-rgb-v2"]
    (project.folder / "reports/figures/fig99.png").write_bytes(b"left by an older version")
    report.main()
    assert pd.read_csv("reports/tables/table1.csv")["experiment"].tolist() == ["rhd-2d-v3", "rhd-rgb-v1"]
    for path in sorted(project.folder.glob("reports/tables/*")):
        assert "rhd-rgb-v2" not in path.read_text(), path.name
    assert not (project.folder / "reports/figures/fig99.png").exists()
    left = [path for part in ("data/predictions", "reports") for path in (project.folder / part).rglob("*rhd-rgb-v2*")]
    assert left == []


HOSTILE = r"a <b>x</b> & | *y* $\frac{$ 5 % `c` \[z\] [l](u) #^{"


def test_names_that_users_chose_are_shown_as_they_are_wherever_they_stand(project, without_notebook):
    source, names = f"{HOSTILE}\nb (RHD's layout)", [f"_{HOSTILE}".replace("/", " "), "rhd-rgb-v1"]
    project.settings.experiments = {name: GRID["rhd-rgb-v1"] for name in names}  # of one cell, which then names both
    write_processed(project.folder, source=source)
    for name, error_mm in zip(names, (30, 60), strict=True):
        write_experiment(project.folder, name, GRID["rhd-rgb-v1"], error_mm, source=source)
    report.main()
    for file, shown in (("tables.md", [source, *names]), ("claims.md", [source, names[0]])):
        written = markdown2html_mistune((project.folder / "reports/tables" / file).read_text())
        page = bs4.BeautifulSoup(written, "html.parser")
        text = " ".join(page.get_text(" ").split())
        for one in shown:
            assert " ".join(one.split()) in text, (file, one)
        assert not {tag.name for tag in page.find_all()} & {"b", "em"} and not page.find_all("a", href="u")
        assert {tag.get_text() for tag in page.find_all("code")} <= {"evaluation.block_frames"}  # of our own words
    name = (
        r"\_a \textless{}b\textgreater{}x\textless{} b\textgreater{} \& \textbar{} *y* \$\textbackslash{}frac\{\$ 5 \%"
    )
    assert name in (project.folder / "reports/tables/table1.tex").read_text()
    assert names[0] in pd.read_csv("reports/tables/table1.csv")["experiment"].tolist()


def test_the_page_and_the_tables_say_where_the_profile_departs_from_the_paper(project, without_notebook):
    report.main()
    said = "Profile small augments otherwise than the paper. RGB: flip two_sided (the paper: always); 2D joints: "
    assert said in (project.folder / "reports/index.html").read_text()
    assert said in html.unescape((project.folder / "reports/tables/tables.md").read_text()).replace("\\", "")


def remove(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("path", "harm"),
    [
        ("data/processed/rhd.h5", remove),
        *((path, truncate) for path in ("data/predictions/rhd-rgb-v2.h5", "reports/metrics/rhd-rgb-v2.json")),
        ("data/processed/rhd.h5", truncate),
    ],
)
def test_a_broken_or_missing_input_is_named_and_earlier_tables_stay_whole(project, without_notebook, path, harm):
    report.main()
    before = outputs(project.folder)
    harm(project.folder / path)
    with pytest.raises(InputError, match=re.escape(path)):
        report.main()
    assert outputs(project.folder) == before
    assert not list(project.folder.rglob("*.partial"))


PAPERS_GRID = params.load(REPOSITORY / "params.yaml").experiments
LEFT_OUT = re.compile(r"report: (\d+) of (\d+) rows left out: (.*); `python -m stages.grid <row>` makes one")


def write_depth(folder, name, row):
    """Predictions, metrics and the preprocessed set of a depth row."""
    fabricated.write_processed(folder / "data/processed", row.dataset)
    settings = expected_of(name, row, "small", row.dataset) | {"settings": settings_text(name, row)}
    result = fabricated.predicted(folder, row.dataset, "depth", 12, encoder=row.encoder)
    with h5py.File(result.predictions, "r+") as file:
        file.attrs.update(settings | {"source": "synthetic", "synthetic": True, "published": False})
        predicted, *others = [file[key][:] for key in ("joints_pred_mm", "joints_true_mm", "mean_pose_mm")]
    (folder / "data/predictions").mkdir(exist_ok=True)
    result.predictions.rename(folder / f"data/predictions/{name}.h5")
    numbers = statistics.summarise_depth([predicted], *others, np.arange(len(predicted)), seed=0)
    atomic.write_text(folder / f"reports/metrics/{name}.json", json.dumps(numbers))
    atomic.write_text(folder / f"reports/training/{name}.csv", HISTORY.format(pair="depth->joints_3d"))


@pytest.mark.parametrize("shown", [["rhd-2d-v3", "rhd-rgb-v1", "rhd-rgb-v2"], ["icvl-resnet18"], ["rhd-rgb-v1-t"]])
def test_rows_without_results_are_left_out_and_named(project, capfd, shown):
    for folder in ("data/processed", "data/predictions", "reports"):
        shutil.rmtree(folder)
    project.settings.experiments = PAPERS_GRID
    project.settings.data |= {name: project.settings.data["rhd"] for name in ("stb", "icvl", "nyu", "msra")}
    for name in shown:
        if PAPERS_GRID[name].dataset == "rhd":
            write_processed(project.folder)
            write_experiment(project.folder, name, PAPERS_GRID[name], 20)
        else:
            write_depth(project.folder, name, PAPERS_GRID[name])
    report.main()
    (found,) = LEFT_OUT.findall(capfd.readouterr().out)
    lacking = [name for name in PAPERS_GRID if name not in shown]
    assert found[:2] == (str(len(lacking)), str(len(PAPERS_GRID))) and "STB, no results: stb-rgb-v1, " in found[2]
    page = bs4.BeautifulSoup((project.folder / "reports/index.html").read_text(), "html.parser").get_text()
    counted = f"{len(lacking)} of the grid's {len(PAPERS_GRID)} rows are left out"
    for text in (found[2], page, (project.folder / "reports/tables/tables.md").read_text()):
        assert all(re.search(rf"\b{name}(?![\w-])", text) for name in lacking)
        assert counted in text or text == found[2]
    numbers = {path.name: path.read_text() for path in (project.folder / "reports").rglob("*") if path.suffix == ".csv"}
    assert set(numbers) >= {"table1.csv", "depth.csv", "claims.csv", *(f"{name}.csv" for name in shown)}
    assert all(name in page.split("All metrics")[2] for name in shown)


def test_no_results_at_all_are_one_clear_error(project, without_notebook):
    shutil.rmtree("data/predictions")
    shutil.rmtree("reports")
    with pytest.raises(
        InputError, match=r"^data/predictions: expected .* found none \(no results\); run `python -m stages\.grid"
    ):
        report.main()
    assert not (project.folder / "reports").exists()


def test_results_of_other_settings_and_other_data_are_left_out(project, without_notebook, capfd):
    write_experiment(project.folder, "rhd-rgb-v1", GRID["rhd-rgb-v1"], 30, profile="paper")
    write_experiment(project.folder, "rhd-rgb-v2", GRID["rhd-rgb-v2"], 30, source="RHD_v1 <b>")
    report.main()
    first = (
        "2 of 3 rows left out: RHD, results of profile 'paper' where params.yaml has 'small': rhd-rgb-v1; "
        f"RHD, results of RHD_v1 <b> where data/processed/rhd.h5 has {SOURCE}: rhd-rgb-v2; "
    )
    assert first in capfd.readouterr().out
    assert pd.read_csv("reports/tables/table1.csv")["experiment"].tolist() == ["rhd-2d-v3"]
    assert "results of RHD_v1 &lt;b&gt; where" in (project.folder / "reports/index.html").read_text()
    assert "results of RHD_v1 &#60;b> where" in (project.folder / "reports/tables/tables.md").read_text()
    project.settings.data["rhd"].source = "/somewhere/RHD_v1"
    with pytest.raises(InputError, match=r"found none \(.*; results of synthetic hands, .* has another source\); "):
        report.main()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"settings": "{}"}, "results of another training, loss or augmentation than params.yaml has"),
        ({"recipe": "original"}, "results of recipe 'original' where params.yaml has 'ours'"),
    ],
)
def test_results_of_another_training_are_left_out(project, without_notebook, capfd, changes, why):
    write_experiment(project.folder, "rhd-rgb-v1", GRID["rhd-rgb-v1"], 30, **changes)
    report.main()
    assert f"1 of 3 rows left out: RHD, {why}: rhd-rgb-v1; " in capfd.readouterr().out


def test_rows_of_another_recipe_seeds_or_a_held_out_part_do_not_stand_among_the_others(
    project, without_notebook, capfd
):
    original = dataclasses.replace(GRID["rhd-rgb-v1"], recipe="original")
    held_out = dataclasses.replace(GRID["rhd-rgb-v1"], validation=0.2)
    project.settings.experiments |= {"rhd-rgb-o": original, "rhd-rgb-h": held_out}
    for name, row in (("rhd-rgb-o", original), ("rhd-rgb-h", held_out)):
        write_experiment(project.folder, name, row, 5)
    project.settings.repeated = {"rhd-rgb-v1"}  # at a profile that has one model of these rows too
    report.main()
    said = capfd.readouterr().out
    assert "2 of 5 rows left out: " in said and "than most rows, ours: original: rhd-rgb-o" in said
    assert "not on the test split (validation): rhd-rgb-h" in said
    assert pd.read_csv("reports/tables/table1.csv")["experiment"].tolist() == ["rhd-2d-v3", "rhd-rgb-v1", "rhd-rgb-v2"]
    project.settings.profile = dataclasses.replace(project.settings.profile, repeated_seeds=3)
    report.main()
    assert "RHD, results of 1 seed(s) where params.yaml has 3: rhd-rgb-v1" in capfd.readouterr().out
    assert pd.read_csv("reports/tables/table1.csv")["experiment"].tolist() == ["rhd-2d-v3", "rhd-rgb-v2"]
    project.settings.seeds = 3
    with pytest.raises(InputError, match=r"found none \(.*results of 1 seed\(s\) where params.yaml has 3"):
        report.main()


def test_predictions_of_other_images_are_refused(project, without_notebook):
    def roll_rows(name):
        with h5py.File(f"data/predictions/{name}.h5", "r+") as file:
            file["row"][:] = np.roll(np.arange(FRAMES), 1)

    roll_rows("rhd-rgb-v2")
    with pytest.raises(
        InputError,
        match=r"rhd-rgb-v2\.h5: expected the 21 test frames of .*rhd-rgb-v1\.h5, found others in the column row",
    ):
        report.main()
    roll_rows("rhd-rgb-v1")
    with pytest.raises(InputError, match=r"rhd-rgb-v2\.h5: expected row .* of data/processed/rhd\.h5 to be test/"):
        report.main()


def test_a_failing_notebook_is_named_with_its_cell_and_writes_nothing(project):
    path = project.folder / "notebooks/tables.ipynb"
    path.write_text(path.read_text().replace("tables.md", "tables.txt"))
    with pytest.raises(InputError, match=r"notebooks/tables\.ipynb: cell \d+: FileNotFoundError: .*tables\.txt"):
        report.main()
    assert not (project.folder / "reports/index.html").exists() and not (project.folder / "reports/notebooks").exists()


def test_tables_have_two_decimals_and_the_metrics_numbers(project, without_notebook):
    report.main()
    rows = (project.folder / "reports/tables/table1.csv").read_text().splitlines()
    metrics = json.loads((project.folder / "reports/metrics/rhd-2d-v3.json").read_text())
    ours = ",".join(f"{metrics[key]:.2f}" for key in ("epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high"))
    assert rows[1].startswith(f"2D->3D RHD,3,T+S+H,rhd,rhd-2d-v3,{ours},1,17.14,{metrics['epe_mean_mm'] - 17.14:.2f},")
    assert "not comparable (synthetic)" in rows[1]
    assert len(rows) == 1 + len(GRID)


def test_a_grid_without_rows_is_refused(project, without_notebook):
    project.settings.experiments = {}
    with pytest.raises(
        InputError, match=r"expected the results of one row .* of params\.yaml's experiments, found none"
    ):
        report.main()
