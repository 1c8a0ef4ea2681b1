"""The command line: `python -m benchmarks list | run | report | compare | write`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from benchmarks import documents, machine, measure, record
from benchmarks.case import Case, Entry
from benchmarks.compare import compare
from benchmarks.report import report
from benchmarks.suites import SUITES

Suite = Annotated[str, tyro.conf.Positional]
File = Annotated[Path, tyro.conf.Positional]
Device = Literal["cpu", "gpu", "tpu"]


def list_suites() -> None:
    """List the suites with their entries, contenders and bars."""
    for suite, entries in SUITES.items():
        for entry in entries:
            title = f": {entry.title}" if isinstance(entry, Case) and entry.title else ""
            print(f"{suite} {entry.name}{title}")
            if isinstance(entry, Case):
                print(f"    contenders: {', '.join(c.name for c in entry.contenders)}")
                print(f"    bars: {'; '.join(f'{b.limit} {b.claim}' for b in entry.bars)}")


def run(
    suite: Suite,
    device: Device = "cpu",
    quick: bool = False,
    case: tuple[str, ...] = (),
    contender: tuple[str, ...] = (),
    output: Path | None = None,
) -> None:
    """Measure a suite and print its tables.

    Args:
        suite: Name of a suite, as `list` shows it.
        device: Device that JAX and PyTorch work on.
        quick: Spend less time on each number, to see that everything runs. The records are kept
            only if `output` is given.
        case: Only these cases or counters.
        contender: Only these contenders. The records are kept only if `output` is given.
        output: File that the records are appended to; by default
            `benchmarks/results/SUITE.jsonl`.
    """
    entries = _available(_select(contender, _entries(suite, case)), device)
    if not entries:
        return
    if output is None and not quick and not contender:
        output = _results(suite, device)
    records: list[dict[str, Any]] = []
    entries = [measure.put_on(device, entry) for entry in entries]
    for part in measure.measure(suite, entries, quick=quick, device=device):
        if output:  # before the next entry, which may fail
            record.append(output, part)
        records += record.as_dicts(part)
    print(report(records, entries))


def show(suite: Suite = "core", device: Device = "cpu", path: Path | None = None) -> None:
    """Print the tables of the committed records, or of those in `path`.

    Args:
        suite: Name of a suite, as `list` shows it.
        device: Device that the records were measured on.
        path: File with other records.
    """
    path = path or _results(suite, device)
    if not path.exists():
        raise ValueError(
            f"The file of records {path.name} does not exist. "
            f"Make it by `python -m benchmarks run {suite} --device {device}`."
        )
    print(report(record.load(path), _entries(suite, ())))


def compare_files(a: File, b: File, fail: float | None = None) -> None:
    """Compare the records in B with those in A: no count may grow; times are told.

    Args:
        a: File with the baseline.
        b: File with the new records.
        fail: Factor above which a time fails, where a rank test agrees. Without it no time fails.
    """
    comparison = compare(record.load(a), record.load(b), fail=fail)
    print(comparison.text)
    if comparison.failures:
        raise ValueError(
            f"Counts and times must not grow, but {len(comparison.failures)} did, listed above."
        )


def main() -> None:
    """Run the command line."""
    commands = {
        "list": list_suites,
        "run": run,
        "report": show,
        "compare": compare_files,
        "write": documents.write,
    }
    try:
        tyro.extras.subcommand_cli_from_dict(commands, prog="benchmarks")
    except (ValueError, OSError) as error:
        sys.exit(str(error))


def _results(suite: str, device: str) -> Path:
    suffix = "" if device in ("cpu", suite) else f"-{device}"
    return record.RESULTS / f"{suite}{suffix}.jsonl"


def _entries(suite: str, names: Sequence[str]) -> list[Entry]:
    if suite not in SUITES:
        raise ValueError(f"suite must be one of {sorted(SUITES)}, got {suite!r}.")
    known = {entry.name: entry for entry in SUITES[suite]}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise ValueError(f"Cases of {suite} must be among {sorted(known)}, got {unknown}.")
    return [known[name] for name in names or known]


def _select(names: Sequence[str], entries: Sequence[Entry]) -> list[Entry]:
    """Return the cases with these contenders alone, without bars; all entries if none is named."""
    if not names:
        return list(entries)
    cases = [entry for entry in entries if isinstance(entry, Case)]
    known = {contender.name for case in cases for contender in case.contenders}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"Contenders must be among {sorted(known)}, got {unknown}.")
    selected: list[Entry] = []
    for case in cases:
        contenders = tuple(c for c in case.contenders if c.name in names)
        if contenders:
            selected.append(replace(case, contenders=contenders, bars=()))
    return selected


def _available(entries: Sequence[Entry], device: str) -> list[Entry]:
    """Return the entries that can be measured on the device; the others are told."""
    others = [entry.name for entry in entries if entry.device not in (None, device)]
    if others:
        reason = f"meant for another device than {device}"
        print(f"not run, because {reason}: {', '.join(others)}")
    selected = [entry for entry in entries if entry.name not in others]
    if selected and not machine.has_device(device):
        names = ", ".join(entry.name for entry in selected)
        print(f"not run, because JAX finds no {device} here: {names}")
        return []
    return selected


if __name__ == "__main__":
    main()
