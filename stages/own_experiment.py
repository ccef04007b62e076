"""own_experiment: your experiment's predictions and metrics -> reports/own_experiment.html, beside the grid's and the
paper's numbers. A stage of its own, so that your experiment never reruns the report."""

from pathlib import Path

from handvae.base import atomic, params
from handvae.report import pages, tables
from stages import run


def main() -> None:
    settings = params.load()
    files = Path("data/experiment.h5"), Path("reports/metrics.json")
    own = tables.read_result(*files, tables.expected_of(params.OWN, settings.own, settings.profile_name))
    atomic.write_text("reports/own_experiment.html", pages.own_experiment_page(own, settings.experiments))
    print("own_experiment: wrote reports/own_experiment.html")


if __name__ == "__main__":
    run(main)
