"""The report's tables -> reports/reproduction.md, the reproduction report

Scope, results against the paper, what became of its claims, and what it leaves open, of the run whose tables lie in
reports/tables. Nothing is measured here: every number is one of theirs.
"""

import sys
from pathlib import Path

from handvae.base import atomic
from handvae.reproduction import artifacts, document
from stages import command_line, run

TABLES, PAGE = Path("reports/tables"), Path("reports/reproduction.md")


def main(*words: str) -> None:
    command_line("stages.reproduction", __doc__).parse_args(words)
    atomic.write_text(PAGE, document.text(artifacts.read(TABLES)))
    print(f"reproduction: wrote {PAGE}")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
