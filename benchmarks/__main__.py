"""`python -m benchmarks list | run SUITE [--device cpu|gpu|tpu] [--quick] | compare A B [--fail 1.10] | report SUITE`.

`report --readme` rewrites the blocks of README.md and the plots.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from benchmarks import record, runs
from benchmarks.case import Case, Counter, Entry, Task
from benchmarks.compare import compare
from benchmarks.report import report
from benchmarks.suites import SUITES

Suite = Annotated[str, tyro.conf.Positional]
File = Annotated[Path, tyro.conf.Positional]


def list_suites() -> None:
    """Show suites, their entries, contenders and bars."""
    for suite, entries in SUITES.items():
        for entry in entries:
            print(f"{suite} {entry.name}{': ' + entry.title if isinstance(entry, Case) else ''}")
            if not isinstance(entry, Counter):
                print(f"    contenders: {', '.join(c.name for c in entry.contenders)}")
                print(f"    bars: {'; '.join(f'{b.limit} {b.claim}' for b in entry.bars)}")


def run(
    suite: Suite,
    device: Literal["cpu", "gpu", "tpu"] = "cpu",
    quick: bool = False,
    case: tuple[str, ...] = (),
    contender: tuple[str, ...] = (),
    output: Path | None = None,
) -> None:
    """Time a suite and print its tables.

    Args:
        suite: As `list` shows it.
        device: Where JAX and PyTorch work.
        quick: Less time for each number, to see that everything runs; nothing is kept unless `output` is given.
        case: Only these cases or tasks.
        contender: Only these contenders; kept, as a quick run is, only if `output` is given.
        output: File that the records are appended to; `benchmarks/results/SUITE.jsonl` by default.
    """
    entries = _only(contender, _entries(suite, case))
    others = [e for e in entries if runs.device_of(e) not in (None, device)]
    if others:
        print(
            f"not run, because meant for another device than {device}: {', '.join(e.name for e in others)}"
        )
    entries = [e for e in entries if e not in others]
    if entries and not runs.has(device):
        print(f"not run, because JAX finds no {device} here: {', '.join(e.name for e in entries)}")
        entries = []
    if not entries:
        return
    output = output or (None if quick or contender else _results(suite, device))
    records: list[dict[str, Any]] = []
    for part in runs.measure(
        suite, [runs.put_on(device, e) for e in entries], quick=quick, device=device
    ):
        if output:  # before the next entry, which may fail
            record.append(output, part)
        records += record.as_dicts(part)
    print(report(records, entries))


def show(
    suite: Suite = "core",
    device: Literal["cpu", "gpu", "tpu"] = "cpu",
    path: Path | None = None,
    readme: bool = False,
) -> None:
    """Print the tables of the committed records, or of those in `path`.

    Args:
        suite: As `list` shows it.
        device: Where they were measured.
        path: Other records.
        readme: Instead rewrite the blocks of README.md and the plots from all committed records.
    """
    if readme:
        from benchmarks.readme import rewrite

        return rewrite()
    path = path or _results(suite, device)
    if not path.exists():
        raise ValueError(
            f"wanted records in {path.name}, but there are none; `run {suite} --device {device}` makes them"
        )
    return print(report(record.load(path), _entries(suite, ())))


def compare_files(a: File, b: File, fail: float | None = None) -> None:
    """Compare the records of B with those of A: counters must not grow; times are told, and fail beyond a factor.

    Args:
        a: The baseline.
        b: The new records.
        fail: Factor of times above which the comparison fails, where a rank test agrees; without it times only warn.
    """
    found = compare(record.load(a), record.load(b), fail=fail)
    print(found.text)
    if found.failures:
        raise ValueError(
            f"wanted no count or time to grow, but {len(found.failures)} did; see above"
        )


def main() -> None:
    """Reads the command line."""
    commands = {"list": list_suites, "run": run, "compare": compare_files, "report": show}
    try:
        tyro.extras.subcommand_cli_from_dict(commands, prog="benchmarks")
    except (ValueError, OSError) as error:
        sys.exit(str(error))


def _results(suite: str, device: str = "cpu") -> Path:
    return record.RESULTS / f"{suite}{'' if device in ('cpu', suite) else '-' + device}.jsonl"


def _entries(suite: str, names: Sequence[str]) -> tuple[Entry, ...]:
    if suite not in SUITES:
        raise ValueError(
            f"wanted one of the suites {sorted(SUITES)}, but came {suite!r}; choose one"
        )
    known = {entry.name: entry for entry in SUITES[suite]}
    if unknown := sorted(set(names) - known.keys()):
        raise ValueError(f"wanted cases of {sorted(known)}, but came {unknown}; choose from them")
    return tuple(known[name] for name in names or known)


def _only(names: Sequence[str], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries with these contenders alone, which no bar is about; without those that have none of them."""
    if not names:
        return tuple(entries)
    timed = [e for e in entries if isinstance(e, Case | Task)]
    known = {c.name for e in timed for c in e.contenders}
    if unknown := sorted(set(names) - known):
        raise ValueError(
            f"wanted contenders of {sorted(known)}, but came {unknown}; choose from them"
        )
    fewer = [
        replace(e, contenders=tuple(c for c in e.contenders if c.name in names), bars=())
        for e in timed
    ]
    return tuple(e for e in fewer if e.contenders)


if __name__ == "__main__":
    main()
