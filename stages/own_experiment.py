"""Your experiment beside the grid and the paper: reports/own_experiment.html

It follows `stages.evaluate` in DVC's stage `evaluate`. The rows of the grid beside it are those whose results stand in
the workspace; none of them is trained for it.
"""

import sys
from pathlib import Path

from handvae.base import atomic, params
from handvae.report import pages
from handvae.report.predictions import read_results
from stages import command_line, run


def main(*words: str) -> None:
    command_line("stages.own_experiment", __doc__).parse_args(words)
    settings = params.load()
    files = Path("data/experiment.h5"), Path("reports/metrics.json")
    own = read_results(*files, params.OWN, settings.own, settings.profile_name)
    atomic.write_text("reports/own_experiment.html", pages.own_experiment_page(own, settings.experiments))
    print("own_experiment: wrote reports/own_experiment.html")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
