"""The figures of README.md: each block from `<!-- benchmarks: NAME -->` to `<!-- end -->` is made here from records."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots, published, record
from benchmarks.case import Case, Counter, Entry, Task
from benchmarks.judge import Judged, jobs, judge_case, judge_task, not_counting
from benchmarks.kernel import paired_ratio, spread
from benchmarks.record import Timing, latest, run_of, samples, timings
from benchmarks.suites import SUITES
from benchmarks.tables import number, table, with_quartiles

_FIRST_STUDY = Path(__file__).parents[1] / "examples" / "first_study.txt"
README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"(<!-- benchmarks: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

Records = Sequence[dict[str, Any]]


def rewrite() -> None:
    """Rewrites the blocks of README.md and draws the plots from the committed records."""
    records = committed()
    README.write_text(filled(README.read_text(), records))
    plots.draw(records, record.RESULTS)


def committed() -> dict[str, Records]:
    """The records of every suite, the counters' in the baseline; none for a suite that was not run."""
    paths = {
        suite: record.RESULTS / f"{'baseline' if suite == 'counters' else suite}.jsonl"
        for suite in SUITES
    }
    return {suite: record.load(path) if path.exists() else [] for suite, path in paths.items()}


def filled(text: str, records: Mapping[str, Records]) -> str:
    """The text with the blocks made from the records.

    Raises:
        ValueError: For a block that is not made here.
    """

    def fill(match: re.Match[str]) -> str:
        head, name, _, end = match.groups()
        if name not in BLOCKS:
            raise ValueError(
                f"wanted one of the blocks {sorted(BLOCKS)}, but got {name!r}; rename it in README.md"
            )
        return f"{head}{BLOCKS[name](records)}\n{end}"

    return _BLOCK.sub(fill, text)


def judged(suite: str, records: Mapping[str, Records]) -> list[tuple[Entry, Judged]]:
    """Every bar of a suite that its records tell of; quick runs judge nothing."""
    found: list[tuple[Entry, Judged]] = []
    for entry in SUITES[suite]:
        for bar in _bars_of(entry, records[suite]):
            found.append((entry, bar))
    return found


def _bars_of(entry: Entry, records: Records) -> list[Judged]:
    about = latest(records, "case" if isinstance(entry, Case) else "task", entry.name)
    if about is None or isinstance(entry, Counter) or run_of(records, about)["quick"]:
        return []
    if isinstance(entry, Case):
        return judge_case(entry, timings(records, about["run"], entry.name), about)
    return judge_task(entry, samples(records, about["run"], entry.name), about)


def _case(
    suite: str, name: str, records: Mapping[str, Records]
) -> tuple[dict[str, Timing], dict[str, Any]] | None:
    """What the latest run of a case found, if its first contender, which the others are weighed against, ran."""
    about = latest(records[suite], "case", name)
    found = timings(records[suite], about["run"], name) if about else {}
    case = next(entry for entry in SUITES[suite] if entry.name == name)
    return (
        (found, about)
        if about and isinstance(case, Case) and case.contenders[0].name in found
        else None
    )


def machine(records: Mapping[str, Records]) -> str:
    """With what, and where: the machine of most figures, then what was measured on another one."""
    runs = [r for r in records["core"] if r["kind"] == "run"]
    if not runs:
        return _missing("core")
    run = runs[-1]
    versions = ", ".join(
        f"{n} {run['versions'][n]}" for n in ("jax", "torch", "flax", "keras", "equinox")
    )
    places: dict[str, dict[str, list[str]]] = {}
    for suite, entries in SUITES.items():
        for entry in entries:
            about = latest(
                records[suite], "case" if isinstance(entry, Case) else "task", entry.name
            )
            if about:
                place = _processor(run_of(records[suite], about))
                places.setdefault(place, {}).setdefault(suite, []).append(entry.name)
    here, *elsewhere = sorted(places, key=lambda place: -sum(map(len, places[place].values())))
    others = "".join(
        f" On {place}: {', '.join(_measured_at(places, place))}." for place in elsewhere
    )
    return f"On {here}, {run['precision']}; {versions}.{others}"


def _measured_at(places: Mapping[str, Mapping[str, Sequence[str]]], place: str) -> list[str]:
    """The suites measured at a place; of those that others measured too, the entries."""
    split = [
        suite for suite in places[place] if sum(suite in suites for suites in places.values()) > 1
    ]
    return [
        f"{suite} ({', '.join(names)})" if suite in split else suite
        for suite, names in places[place].items()
    ]


def _processor(run: Mapping[str, Any]) -> str:
    cpu = run["cpu"]
    if run.get("accelerator"):
        return f"an {run['accelerator']}"
    return f"{cpu['cores']} cores of an {cpu['model']} ({'AVX-512' if 'avx512f' in cpu['flags'] else 'AVX2'})"


def digits(records: Mapping[str, Records]) -> str:
    """How many times slower every other way to train the digits population is."""
    found = _case("core", "digits", records)
    if found is None:
        return _missing("core")
    (ours, *peers), about = found[0].values(), found[1]
    rows = [
        [peer.contender, with_quartiles(paired_ratio(peer.steady, ours.steady))] for peer in peers
    ]
    whole = {name: jobs(t, about) for name, t in found[0].items()}
    own = whole[ours.contender]
    best = min((p.contender for p in peers), key=lambda name: paired_ratio(whole[name], own).median)
    head = (
        f"MLP 64-32-10 on digits, batch {about['batch_size']}, Adam, {about['members']} members x {about['epochs']} "
        f"epochs; jnn takes {with_quartiles(spread(ours.steady))} us per member and step."
    )
    accuracies = [t.accuracy.mean for t in found[0].values()]
    tail = (
        f"Compiling included the whole job takes {number(spread(own).median)} s, the best peer's "
        f"{number(spread(whole[best]).median)} s ({best}). Mean test accuracies lie between {min(accuracies):.4f} and "
        f"{max(accuracies):.4f}.{_noise([about])}"
    )
    return f"{head}\n\n{table(['against', f'jnn is faster by (n = {len(ours.steady)})'], rows)}\n\n{tail}"


def lenet(records: Mapping[str, Records]) -> str:
    """The same for the LeNet population, in one sentence."""
    found = _case("core", "lenet", records)
    if found is None:
        return _missing("core")
    ours, *peers = found[0].values()
    ratios = ", ".join(
        f"{p.contender} {with_quartiles(paired_ratio(p.steady, ours.steady))}" for p in peers
    )
    time, batch = number(spread(ours.steady).median / 1000), found[1]["batch_size"]
    return (
        f"LeNet on 28x28 images, batch {batch}, {ours.members} members: {time} ms per member and step; "
        f"others take as many times as long (n = {len(ours.steady)}): {ratios}.{_noise([found[1]])}"
    )


def population(records: Mapping[str, Records]) -> str:
    """time(M) / (M time(1)) for every family."""
    rows, sizes, abouts = [], [], []
    for case in SUITES["population"]:
        if isinstance(case, Case) and (found := _case("population", case.name, records)):
            ours = {t.members: t.steady for t in found[0].values() if t.peer == "jnn_population"}
            ratios = {
                m: with_quartiles(paired_ratio(steady, ours[1]))
                for m, steady in ours.items()
                if m > 1
            }
            abouts.append(found[1])
            n = len(ours[1])
            rows.append(
                (f"{case.title.removeprefix('The price of a population: ')} (n = {n})", ratios)
            )
            sizes = sorted({*sizes, *ratios})
    if not rows:
        return _missing("population")
    head = ["time(M) / (M time(1)), quartiles", *(f"M = {m}" for m in sizes)]
    lines = table(head, [[title, *(ratios.get(m, "") for m in sizes)] for title, ratios in rows])
    return f"{lines}\n\n{noise.strip()}" if (noise := _noise(abouts)) else lines


def step(records: Mapping[str, Records]) -> str:
    """One network's step beside every peer's."""
    found = [
        (t, latest(records["step"], "task", t.name)) for t in SUITES["step"] if isinstance(t, Task)
    ]
    timed = [
        (task, samples(records["step"], about["run"], task.name), about)
        for task, about in found
        if about
    ]
    timed = [(task, contenders, about) for task, contenders, about in timed if "jnn" in contenders]
    if not timed:
        return _missing("step")
    peers = list(dict.fromkeys(name for _, s, _ in timed for name in s if name != "jnn"))
    rows = []
    for task, contenders, about in timed:
        ours, wrong = contenders["jnn"].steady, not_counting(task, contenders)
        ratios = [
            with_quartiles(paired_ratio(contenders[p].steady, ours)) + "†" * (p in wrong)
            if p in contenders
            else ""
            for p in peers
        ]
        share = task.flops / spread(ours).median / 1e3 / about["matmul_gflops"]
        rows.append(
            [
                task.name,
                number(spread(ours).median / 1000) + "†" * ("jnn" in wrong),
                f"{share:.0%}",
                *ratios,
            ]
        )
    n = len(next(iter(timed[0][1].values())).steady)
    head = [
        f"training step of one network (n = {n})",
        "jnn, ms",
        "of the matmul ceiling",
        *(f"{p} / jnn" for p in peers),
    ]
    text = table(head, rows)
    return text + ("\n\n† Does not count: its loss is too high." if "†" in text else "")


def study(records: Mapping[str, Records]) -> str:
    """Whole jobs from a cold process."""
    rows = []
    for case in SUITES["study"]:
        if isinstance(case, Case) and (found := _case("study", case.name, records)):
            whole = {name: jobs(t, found[1], cold=True) for name, t in found[0].items()}
            ours = whole.pop("jnn")
            ratios = ", ".join(
                f"{name} {with_quartiles(paired_ratio(each, ours))}" for name, each in whole.items()
            )
            rows.append([f"{case.title} (n = {len(ours)})", with_quartiles(spread(ours)), ratios])
    if not rows:
        return _missing("study")
    return table(["whole study, cold process", "jnn, s", "time / jnn's"], rows)


def inference(records: Mapping[str, Records]) -> str:
    """Predictions, and text in tokens a second."""
    rows = []
    for task in SUITES["inference"]:
        about = latest(records["inference"], "task", task.name)
        found = samples(records["inference"], about["run"], task.name) if about else {}
        if not isinstance(task, Task) or "jnn" not in found:
            continue
        ours = found["jnn"].steady
        tokens = (
            task.arguments["batch"] * task.arguments["time"] if task.function == "generate" else 0
        )
        speed = f", {number(tokens / spread(ours).median * 1e6)} tokens a second" if tokens else ""
        ratios = ", ".join(
            f"{n} {with_quartiles(paired_ratio(s.steady, ours))}"
            for n, s in found.items()
            if n != "jnn"
        )
        rows.append(
            [
                f"{task.name} (n = {len(ours)})",
                f"{number(spread(ours).median / 1000)}{speed}",
                ratios,
            ]
        )
    if not rows:
        return _missing("inference")
    return table(["one call", "jnn, ms", "time / jnn's, per member"], rows)


def first_study(records: Mapping[str, Records]) -> str:
    """What the example above it prints; the example itself writes it."""
    return f"```text\n{_FIRST_STUDY.read_text().strip()}\n```"


def bars(records: Mapping[str, Records]) -> str:
    """How many of the project's bars hold, suite by suite, and which do not."""
    rows = []
    for suite in SUITES:
        found = judged(suite, records)
        misses = [(e, j) for e, j in found if not j.holds]
        if found:
            rows.append(
                [
                    suite,
                    f"{len(found) - len(misses)} of {len(found)}",
                    "; ".join(_told(misses, found)),
                ]
            )
    missing = [suite for suite in SUITES if not records[suite]]
    text = table(["suite", "bars that hold", "misses"], rows) if rows else ""
    return f"{text}\n\nNot measured yet: {', '.join(missing)}." if missing else text


def _told(misses: Sequence[tuple], found: Sequence[tuple]) -> list[str]:
    """Every miss; of a bar that more than `_MOST` cases miss how many do and which is the farthest off."""
    told = []
    for claim in dict.fromkeys(j.bar.claim for _, j in misses):
        these = [(e, j) for e, j in misses if j.bar.claim == claim]
        if len(these) <= _MOST:
            told += [f"{e.name}: {claim} {_value(j)} ({j.bar.limit})" for e, j in these]
            continue
        case, worst = max(
            these,
            key=lambda pair: abs(math.log(pair[1].ratio.median)) if pair[1].measured else math.inf,
        )
        asked = sum(j.bar.claim == claim for _, j in found)
        told.append(f"{claim} ({worst.bar.limit}): {len(these)} of {asked} miss it, {case.name} by most "
                    f"({_value(worst)})")  # fmt: skip
    return told


def _value(judged: Judged) -> str:
    return number(judged.ratio.median) if judged.measured else "not measured"


_MOST = 6  # misses of one bar that the table names one by one


def images(records: Mapping[str, Records]) -> str:
    """The plots that can be drawn."""
    titles = {
        "population": "cost per member against the size of the population",
        "roofline": "layers under the ceilings of the machine",
        "peers": "a training step beside the peers'",
    }
    return "\n".join(
        f"![{titles[name]}](benchmarks/results/{name}.png)" for name in plots.drawable(records)
    )


BLOCKS: dict[str, Callable[[Mapping[str, Records]], str]] = {
    block.__name__: block
    for block in (
        machine,
        first_study,
        digits,
        lenet,
        population,
        step,
        study,
        inference,
        bars,
        images,
    )
} | {"reproductions": lambda records: published.reproductions()}


def _noise(abouts: Sequence[dict[str, Any]]) -> str:
    """Says so where the machine had other work to do."""
    disturbed = [a["case"] for a in abouts if not a["quiet"]]
    return f" The machine was not quiet during {', '.join(disturbed)}." if disturbed else ""


def _missing(suite: str) -> str:
    return f"Not measured yet: `python -m benchmarks run {suite}`."
