"""The reproduction report from a run's artifacts. Its prose lies in report.md and words.yaml, its numbers in tables."""

from pathlib import Path
from string import Template

from handvae.base import yaml_text
from handvae.report.text import markdown_text
from handvae.reproduction import results, verdicts
from handvae.reproduction.artifacts import Artifacts

PAPERS_PROFILE = "paper"
WORDS: dict = yaml_text.load(Path(__file__).with_name("words.yaml").read_text("utf-8"))


def text(run: Artifacts) -> str:
    """The report in Markdown."""
    claims, images = run.tables["claims"], run.images()
    figures = [f"- [{markdown_text(title)}](figures/{name}.png)" for name, title in run.figures.items()]
    return Template(Path(__file__).with_name("report.md").read_text("utf-8")).substitute(
        standing=standing(run),
        in_short=run.summary["In short"],
        verdicts=run.summary["Claims"],
        scope=verdicts.scope(claims),
        what_ran=run.summary["What ran"],
        data="\n".join(f"- {markdown_text(data)}" for data in images["data"]) or "- none: no such experiment",
        notices=run.notices or WORDS["no_notices"],
        counted=results.counted(run) or WORDS["nothing_counted"],
        results=results.sections(run),
        figures="\n".join(figures) or "None.",
        claims=verdicts.sections(claims),
    )


def standing(run: Artifacts) -> str:
    """Whether this run can say anything of the paper's numbers: first what it is not."""
    published = run.images()["kind"].eq(results.PUBLISHED)
    full_size = run.profiles() == [PAPERS_PROFILE]
    some = "all" if len(published) and published.all() else "some" if published.any() else "none"
    profiles = " and ".join(f"`{name}`" for name in run.profiles()) or "without a name"
    size = WORDS["size"]["full" if full_size else "other"].format(profiles=profiles)
    lead = WORDS["lead"]["all" if some == "all" and full_size else "size" if some == "all" else some]
    return " ".join([lead, run.summary["Data"], size])
