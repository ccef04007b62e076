"""The README against the repository: its numbers and pictures are those of a committed run."""

import re

import pandas as pd

from handvae.report import tables_page
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
SHOWN = "results/night"  # the run whose numbers and pictures README shows: reports or a folder of stages.snapshot


def test_the_results_shown_are_those_of_the_committed_tables():
    table1, depth = (pd.read_csv(REPOSITORY / SHOWN / f"tables/{name}.csv") for name in ("table1", "depth"))
    assert len(table1) == 12 and len(depth) >= 4
    assert tables_page.readme_table1(table1) in README
    assert tables_page.readme_depth(depth) in README
    (profile,) = set(pd.concat([table1, depth])["data"].str.extract("; profile ([a-z]+);", expand=False))
    assert f"profile `{profile}`" in README.partition("\n## Results of ")[2].partition("\n## ")[0]
    assert "synthetic" in table1["data"][0] and "**synthetic**" in README


def test_the_pictures_shown_are_those_of_the_same_run():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert len(pictures) >= 3 and all(path.startswith(f"{SHOWN}/figures/") for path in pictures)


def test_the_commands_without_make_install_what_the_makefile_does():
    lock, makefile = ((REPOSITORY / name).read_text() for name in ("requirements.txt", "Makefile"))
    of_torch = " ".join(re.findall(r"^torch\S*", lock, re.MULTILINE))
    (index,) = re.findall(r"TORCH_CPU_INDEX \?= (\S+)", makefile)
    assert f"pip install --no-deps --index-url {index} {of_torch}`" in README
    assert "-r requirements.in -c requirements.txt" in README and "-r requirements.in -c requirements.txt" in makefile
