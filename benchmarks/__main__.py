"""`python -m benchmarks list | run SUITE [--quick] [--case NAME ...] | report [SUITE]`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmarks import core, record
from benchmarks.case import Case
from benchmarks.measure import measure
from benchmarks.report import report

SUITES: dict[str, tuple[Case, ...]] = {"core": core.CASES}

Suite = Annotated[str, tyro.conf.Positional]


def list_suites() -> None:
    """Show suites, cases, contenders and bars."""
    for suite, cases in SUITES.items():
        for case in cases:
            print(f"{suite} {case.name}: {case.title}")
            print(f"    contenders: {', '.join(c.name for c in case.contenders)}")
            print(f"    bars: {'; '.join(f'{_limit(b)} {b.claim}' for b in case.bars)}")


def run(suite: Suite, quick: bool = False, case: tuple[str, ...] = (), output: Path | None = None) -> None:
    """Time a suite and print its tables.

    Args:
        suite: As `list` shows it.
        quick: A budget of seconds, to see that everything runs; nothing is kept unless `output` is given.
        case: Only these cases.
        output: File that the records are appended to; `benchmarks/results/SUITE.jsonl` by default.
    """
    cases = _cases(suite, case)
    output = output or (None if quick else _results(suite))
    records: list[dict[str, Any]] = []
    for part in measure(suite, cases, quick=quick):
        if output:
            record.append(output, part)
        records += record.as_dicts(part)
    print(report(records, cases))


def show(suite: Suite = "core", path: Path | None = None) -> None:
    """Print the tables of the committed records, or of those in `path`."""
    path = path or _results(suite)
    if not path.exists():
        raise ValueError(f"wanted records in {path.name}, but there are none; `run {suite}` makes them")
    print(report(record.load(path), _cases(suite, ())))


def main() -> None:
    """Reads the command line."""
    try:
        tyro.extras.subcommand_cli_from_dict({"list": list_suites, "run": run, "report": show}, prog="benchmarks")
    except ValueError as error:
        sys.exit(str(error))


def _results(suite: str) -> Path:
    return record.RESULTS / f"{suite}.jsonl"


def _cases(suite: str, names: Sequence[str]) -> tuple[Case, ...]:
    if suite not in SUITES:
        raise ValueError(f"wanted one of the suites {sorted(SUITES)}, but came {suite!r}; choose one")
    known = {case.name: case for case in SUITES[suite]}
    if unknown := sorted(set(names) - known.keys()):
        raise ValueError(f"wanted cases of {sorted(known)}, but came {unknown}; choose from them")
    return tuple(known[name] for name in names or known)


def _limit(bar) -> str:
    return f">= {bar.at_least:g}" if bar.at_least is not None else f"<= {bar.at_most:g}"


if __name__ == "__main__":
    main()
