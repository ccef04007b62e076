"""Your experiment beside the grid and the paper: reports/own_experiment.html. Usage: python -m stages.own_experiment

A stage of its own, so that your experiment never reruns the report.
"""

import sys
from pathlib import Path

from handvae.base import atomic, params
from handvae.report import pages
from handvae.report.results import read_results
from stages import run


def main() -> None:
    settings = params.load()
    files = Path("data/experiment.h5"), Path("reports/metrics.json")
    own = read_results(*files, params.OWN, settings.own, settings.profile_name)
    atomic.write_text("reports/own_experiment.html", pages.own_experiment_page(own, settings.experiments))
    print("own_experiment: wrote reports/own_experiment.html")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
