"""What people expect of a repository, in step with the files that it names: citation, container, hooks, workflow."""

import importlib.metadata
import json
import re
import shlex
import tomllib

import yaml

from tests.conftest import REPOSITORY

MAKEFILE, README = ((REPOSITORY / name).read_text() for name in ("Makefile", "README.md"))
WORKFLOW = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]


def test_the_citation_is_of_this_version_and_of_the_paper_that_readme_names():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"] and citation["title"].startswith(f"{project['name']}: ")
    assert (REPOSITORY / "LICENSE").read_text().startswith(f"{citation['license']} License")
    fields = dict(re.findall(r"^  (\w+)\s*= \{(.+)\}", README.partition("```bibtex")[2], re.MULTILINE))
    paper, (baseline,) = citation["preferred-citation"], citation["references"]
    authors = " and ".join(f"{author['given-names']} {author['family-names']}" for author in paper["authors"])
    cited = {"author": authors, "title": paper["title"], "booktitle": paper["collection-title"]}
    assert fields == cited | {"year": str(paper["year"])}
    assert paper["title"] in citation["title"] and baseline["title"] in " ".join(README.split())


def test_the_workflow_checks_and_then_runs_the_graph_with_pinned_actions_and_a_cached_environment():
    assert list(WORKFLOW["jobs"]) == ["check", "tiny"] and WORKFLOW["jobs"]["tiny"]["needs"] == "check"
    uses = [step["uses"] for step in STEPS if "uses" in step]
    assert uses and all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in uses)
    caches = [step["with"] for step in STEPS if step.get("uses", "").startswith("actions/cache@")]
    assert [cache["path"] for cache in caches] == [".venv"] * 2 and len({cache["key"] for cache in caches}) == 1
    shell = "\n".join(step.get("run", "") for step in STEPS)
    (profile,) = set(re.findall(r"-S profile=(\w+)", shell))
    assert profile in yaml.safe_load((REPOSITORY / "params.yaml").read_text())["profiles"]
    order = ["make lint", "make test", "dvc metrics diff", "stages.grid", "reports/tables/tables.md", "cml comment"]
    assert sorted(order, key=shell.index) == order


def test_pythons_are_those_of_the_project_everywhere():
    named = [step["with"]["python-version"] for step in STEPS if "setup-python" in step.get("uses", "")]
    image = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())["image"]
    named += [re.search(r"python:([\d.]+)", text)[1] for text in (INSTRUCTIONS[0][1], image)]
    assert len(named) == 4 and all(f"python{version}" in MAKEFILE for version in named)


def test_the_image_copies_what_is_there_installs_by_make_and_ends_as_a_user():
    copied = [words.split()[:-1] for name, words in INSTRUCTIONS if name == "COPY"]
    sources = [word for words in copied for word in words if not word.startswith("--")]
    assert len(sources) > 3 and all((REPOSITORY / source).exists() for source in sources), sources
    user = [words for name, words in INSTRUCTIONS if name == "USER"][-1]
    assert user != "root" and f"useradd --create-home {user}" in DOCKERFILE
    assert ["ARG", "CPU=1"] in INSTRUCTIONS and "make setup CPU=$CPU" in DOCKERFILE
    assert "$(filter 1,$(CPU))" in MAKEFILE  # so that CPU=0 is with CUDA


def test_the_image_takes_along_nothing_that_git_ignores():
    ignored = {line.strip("/") for line in (REPOSITORY / ".gitignore").read_text().splitlines() if line[:1] not in "#!"}
    left_out = {line.removeprefix("**/") for line in (REPOSITORY / ".dockerignore").read_text().splitlines()}
    assert len(ignored) > 15 and ignored <= left_out
    assert "!requirements.txt" in left_out and not left_out & {".git", ".dvc", "reports"}


def test_the_hooks_are_the_commands_of_make_lint_by_the_ruff_of_the_lock():
    repositories = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]  # nothing is fetched
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    entries = [shlex.split(hook["entry"]) for hook in hooks]
    assert all(words[0] == ".venv/bin/ruff" and "--force-exclude" in words for words in entries)
    assert {hook["language"] for hook in hooks} == {"system"}
    of_make = re.findall(r"^\truff (\w+)", MAKEFILE.partition("\nlint:")[2].partition("\n\n")[0], re.MULTILINE)
    assert [words[1] for words in entries] == of_make == ["format", "check"]
    (locked,) = re.findall(r"^ruff==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    assert importlib.metadata.version("ruff") == locked
