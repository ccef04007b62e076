"""The pages tell the truth: their code runs, their numbers are those of a committed run, what they name exists."""

import re
import subprocess

import numpy as np
import pandas as pd
import pytest

from handvae import doctor
from handvae.base.dataset_params import DATASETS
from handvae.datasets import rhd
from handvae.report import tables_page
from tests.conftest import REAL, REPOSITORY, needs_real

README = (REPOSITORY / "README.md").read_text()
RUN = "results/night"  # the run whose numbers and pictures README shows: reports or a folder of stages.snapshot


@needs_real
def test_the_code_for_ones_own_hands_writes_a_set_that_reads_back(tmp_path):
    """With the real photographs as somebody's own: what the page's function writes is what they were."""
    page = (REPOSITORY / "docs/own_hands.md").read_text()
    names: dict = {}
    exec(page.partition("```python\n")[2].partition("\nwrite(Path(")[0], names)
    for split in rhd.SPLITS.values():
        folder, annotations = REAL / "photos" / split, rhd.read_annotations(REAL / "photos", split)[:5]
        images = np.stack([rhd.png.read_rgb_u8(folder / f"color/{number:05d}.png") for number in range(5)])
        masks = np.stack([rhd.png.read_grey_u8(folder / f"mask/{number:05d}.png") for number in range(5)])
        labels = (np.stack([getattr(sample, key) for sample in annotations]) for key in ("xyz_m", "visible", "K"))
        names["write"](tmp_path / split, images, masks, *labels)
    splits = rhd.inspect(tmp_path)["splits"]
    assert {split: facts["frames"] for split, facts in splits.items()} == {"training": 5, "evaluation": 5}
    written, original = (rhd.frames(root, "dominant")["test"][:5] for root in (tmp_path, REAL / "photos"))
    assert len(written) == 5
    for pair in zip(written, original, strict=True):
        (ours,), (theirs,) = map(rhd.read, pair)
        np.testing.assert_allclose(ours.joints_mm, theirs.joints_mm, atol=1e-3)
        np.testing.assert_array_equal(ours.image_u8, theirs.image_u8)
        assert ours.side == theirs.side
    assert doctor.examine(rhd.labelled_hands(tmp_path)).problems == []


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a git checkout: nothing says what is ignored")
def test_git_ignores_pictures_and_downloads_where_the_pages_put_them():
    names = {"data/raw", "data/doctor/rhd.png", "test_labels.txt", "predictions.txt", "exports/rhd-rgb-v1.onnx"}
    for page in ("own_hands", "data"):
        text = (REPOSITORY / f"docs/{page}.md").read_text()
        layouts = [block for block in text.split("```")[1::2] if block.startswith("\n")]
        names |= {f"{name}/a.png" for name in re.findall(r"^(\w+)/", "".join(layouts), re.MULTILINE)}
        names |= set(re.findall(r"(?<![\w/*-])\w[\w-]+\.(?:zip|tar\.gz)", text))
    assert {"mine/a.png", "STB/a.png", "dataset/a.png", "RHD_v1-1.zip", "Training.tar.gz"} < names
    command = ["git", "check-ignore", "--no-index", *names, "requirements.txt", "reports/metrics.json"]
    ignored = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.split()
    assert set(ignored) == names


def test_the_page_of_the_datasets_names_every_protocol_parameter():
    page = (REPOSITORY / "docs/data.md").read_text()
    for dataset in DATASETS.values():
        for name in dataset.protocol.__dataclass_fields__:
            assert f"`{name}`" in page, name


PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md"))]
OTHERS = ["Dockerfile", ".devcontainer/devcontainer.json", ".github/workflows/ci.yml"]


@pytest.mark.parametrize("name", PAGES + OTHERS)
def test_links_programs_and_targets_of_make_exist(name):
    text = re.sub(r"^\s*#.*$", "", (REPOSITORY / name).read_text(), flags=re.MULTILINE)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (REPOSITORY / name).parent.joinpath(link).exists(), link
    code = "".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)) if name in PAGES else text
    programs = re.findall(r"python -m ((?:stages|benchmarks)[\w.]*)", code)
    for program in programs:
        assert (REPOSITORY / program.replace(".", "/")).with_suffix(".py").is_file(), program
    targets = re.findall(r"\bmake (\w+)", code)
    for target in targets:
        assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE), target
    assert programs or targets or name in PAGES


def test_the_messages_in_the_page_of_troubles_are_those_that_are_printed():
    page, messages = (REPOSITORY / "docs/troubles.md").read_text(), {
        "on the PATH, found none; set PYTHON=": "Makefile",
        "has no package": "stages/__init__.py",
        "no Chromium: set CHROMIUM,": "tests/test_index_page.py",
        "bringing the raw data again": "stages/preprocess.py",
    }  # fmt: skip
    for message, source in messages.items():
        assert message in page and message in (REPOSITORY / source).read_text(), message
    assert all(f"python{version}" in (REPOSITORY / "Makefile").read_text() for version in re.findall(r"3\.1\d", page))


def test_the_results_shown_are_those_of_the_committed_tables():
    table1, depth = (pd.read_csv(REPOSITORY / RUN / f"tables/{name}.csv") for name in ("table1", "depth"))
    assert len(table1) == 12 and len(depth) >= 4
    assert tables_page.readme_table1(table1) in README
    assert tables_page.readme_depth(depth) in README
    (profile,) = set(pd.concat([table1, depth])["data"].str.extract("; profile ([a-z]+);", expand=False))
    assert f"profile `{profile}`" in README.partition("\n## Results of ")[2].partition("\n## ")[0]
    assert "synthetic" in table1["data"][0] and "**synthetic**" in README


def test_the_pictures_shown_are_those_of_the_same_run():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert len(pictures) >= 3 and all(path.startswith(f"{RUN}/figures/") for path in pictures)


def test_the_commands_without_make_install_what_the_makefile_does():
    lock, makefile = ((REPOSITORY / name).read_text() for name in ("requirements.txt", "Makefile"))
    of_torch = " ".join(re.findall(r"^torch\S*", lock, re.MULTILINE))
    (index,) = re.findall(r"TORCH_CPU_INDEX \?= (\S+)", makefile)
    assert f"pip install --no-deps --index-url {index} {of_torch}`" in README
    assert "-r requirements.in -c requirements.txt" in README and "-r requirements.in -c requirements.txt" in makefile
