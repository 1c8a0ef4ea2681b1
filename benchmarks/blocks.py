"""The generated blocks of the documents: each function makes the text of the block of its name."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks import plots
from benchmarks.case import Case
from benchmarks.examples import FIRST_STUDY, REPRODUCTION_RECORDS
from benchmarks.judge import Judged, disagreeing, job_seconds, judge, out_of_range
from benchmarks.measured import cases, describe_noise, job, not_measured, single_calls
from benchmarks.record import Records, Timing, latest, run_of
from benchmarks.report import latest_runs
from benchmarks.rounds import paired_ratio, spread
from benchmarks.suites import SUITES
from benchmarks.tables import number, table, with_quartiles

AllRecords = Mapping[str, Records]

_MOST_MISSES = 6  # misses of one bar that the table names one by one
_REPRODUCTIONS = {
    "dehb": "DEHB's regression table, Hartmann 3 and 6 and counting ones (Awad et al. 2021)",
    "etth1": "ETTh1 forecasts, NLinear and DLinear at 4 horizons (Zeng et al. 2023)",
    "gan_losses": "Losses of GANs on Fashion-MNIST, paired differences (Lucic et al. 2018)",
    "gan_ring": "PacGAN's ring of 8 Gaussians, smaller networks and fewer steps (Lin et al. 2018)",
    "gan_stacked_mnist": "Stacked MNIST with tiny discriminators, fewer steps (Lin et al. 2018)",
    "mnist1d": "MNIST-1D, logistic, MLP, CNN and GRU (Greydanus and Kobak 2020)",
    "mnist_cnn": "MNIST, the CNN of Flax's example",
    "mr_textcnn": "Sentences of film critics, CNN-rand (Kim 2014)",
    "nasbench201": "NAS-Bench-201, 500 searches on 3 sets (Dong and Yang 2020)",
    "darts": "Differentiable search, its skip connections on NAS-Bench-201 (Zela et al. 2020)",
    "pbt_toy": "Population-based training, figure 2 (Jaderberg et al. 2017)",
    "search_budget": "Halving, Hyperband and racing beside random search with more steps",
    "search_noise": "Searches on noise: the interval of the new score covers chance",
    "shakespeare": "tinyshakespeare by characters, nanoGPT's CPU configuration",
    "uci_dropout": "UCI regression, MC dropout on 4 sets (Gal and Ghahramani 2016)",
    "uci_ensembles": "UCI regression, deep ensembles on 4 sets (Lakshminarayanan et al. 2017)",
    "zero_cost": "Zero-cost scores, ranks on NAS-Bench-201 (Abdelfattah et al. 2021)",
}


def machine(records: AllRecords) -> str:
    """Return the versions and the machine of most figures, then what was measured elsewhere."""
    runs = [r for r in records["core"] if r["kind"] == "run"]
    if not runs:
        return not_measured("core")
    run = runs[-1]
    packages = ("jax", "torch", "flax", "keras", "equinox")
    versions = ", ".join(f"{name} {run['versions'][name]}" for name in packages)
    places: dict[str, dict[str, list[str]]] = {}  # processor, suite, entries
    for suite, entries in SUITES.items():
        for entry in entries:
            about = latest(records[suite], "case", entry.name)
            if about:
                place = _describe_processor(run_of(records[suite], about))
                places.setdefault(place, {}).setdefault(suite, []).append(entry.name)
    here, *elsewhere = sorted(places, key=lambda place: -sum(map(len, places[place].values())))
    others = "".join(f" On {place}: {', '.join(_suites_at(places, place))}." for place in elsewhere)
    return f"On {here}, {run['precision']}; {versions}.{others}"


def _suites_at(places: Mapping[str, Mapping[str, Sequence[str]]], place: str) -> Iterator[str]:
    """Yield the suites measured at a place; of those measured elsewhere too, with the entries."""
    for suite, names in places[place].items():
        is_split = sum(suite in suites for suites in places.values()) > 1
        yield f"{suite} ({', '.join(names)})" if is_split else suite


def _describe_processor(run: Mapping[str, Any]) -> str:
    if run.get("accelerator"):
        return f"an {run['accelerator']}"
    cpu = run["cpu"]
    vectors = "AVX-512" if "avx512f" in cpu["flags"] else "AVX2"
    return f"{cpu['cores']} cores of an {cpu['model']} ({vectors})"


def digits(records: AllRecords) -> str:
    """Return how many times slower every other way to train the digits population is."""
    measured = job("core", "digits", records)
    if measured is None:
        return not_measured("core")
    _, about, contenders = measured
    jnn, *others = contenders.values()
    rows = [[t.contender, with_quartiles(paired_ratio(t.steady, jnn.steady))] for t in others]
    whole = {name: job_seconds(t, about) for name, t in contenders.items()}
    own = whole.pop(jnn.contender)
    best = min(whole, key=lambda name: paired_ratio(whole[name], own).median)
    accuracies = [t.score.mean for t in contenders.values()]
    head = (
        f"MLP 64-32-10 on digits, batch {about['batch_size']}, Adam, "
        f"{about['members']} members x {about['epochs']} epochs; "
        f"jnn takes {with_quartiles(spread(jnn.steady))} us per member and step."
    )
    tail = (
        f"Compiling included the whole job takes {number(spread(own).median)} s, the best peer's "
        f"{number(spread(whole[best]).median)} s ({best}). Mean test accuracies lie between "
        f"{min(accuracies):.4f} and {max(accuracies):.4f}.{describe_noise([about])}"
    )
    ratios = table(["against", f"jnn is faster by (n = {len(jnn.steady)})"], rows)
    return f"{head}\n\n{ratios}\n\n{tail}"


def lenet(records: AllRecords) -> str:
    """Return the same for the LeNet population, in one sentence."""
    measured = job("core", "lenet", records)
    if measured is None:
        return not_measured("core")
    _, about, contenders = measured
    jnn, *others = contenders.values()
    ratios = ", ".join(
        f"{t.contender} {with_quartiles(paired_ratio(t.steady, jnn.steady))}" for t in others
    )
    milliseconds = number(spread(jnn.steady).median / 1000)
    return (
        f"LeNet on 28x28 images, batch {about['batch_size']}, {jnn.members} members: "
        f"{milliseconds} ms per member and step; "
        f"others take as many times as long (n = {len(jnn.steady)}): {ratios}."
        f"{describe_noise([about])}"
    )


def population(records: AllRecords) -> str:
    """Return time(M) / (M time(1)) for every family."""
    rows = []
    sizes: list[int] = []
    abouts = []
    for case in SUITES["population"]:
        measured = job("population", case.name, records)
        if measured is None:
            continue
        _, about, contenders = measured
        steady = {
            t.members: t.steady for t in contenders.values() if t.contender == f"M = {t.members}"
        }
        single = steady.pop(1)
        ratios = {m: with_quartiles(paired_ratio(times, single)) for m, times in steady.items()}
        title = case.title.removeprefix("The price of a population: ")
        rows.append((f"{title} (n = {len(single)})", ratios))
        sizes = sorted({*sizes, *ratios})
        abouts.append(about)
    if not rows:
        return not_measured("population")
    head = ["time(M) / (M time(1)), quartiles", *(f"M = {m}" for m in sizes)]
    lines = table(head, [[title, *(ratios.get(m, "") for m in sizes)] for title, ratios in rows])
    noise = describe_noise(abouts).strip()
    return f"{lines}\n\n{noise}" if noise else lines


def gan(records: AllRecords) -> str:
    """Return the step of a pair of networks in a population, beside PyTorch's."""
    rows = []
    abouts = []
    for case in SUITES["gan"]:
        measured = job("gan", case.name, records)
        if measured is None:
            continue
        _, about, contenders = measured
        ours = {t.members: t.steady for t in contenders.values() if t.peer == "gan.jnn"}
        single = ours.pop(1)
        best = ours[max(ours)]
        floor = about["flops"] / about["matmul_gflops"] / 1e3  # microseconds
        taxes = (f"{m}: {with_quartiles(paired_ratio(t, single))}" for m, t in ours.items())
        peers = (
            f"{t.contender} {with_quartiles(paired_ratio(t.steady, best))}"
            for t in contenders.values()
            if t.peer == "gan.torch"
        )
        milliseconds = spread(best).median / 1000
        rows.append(
            [
                f"{case.title}, M = {max(ours)} (n = {len(best)})",
                number(milliseconds),
                f"{floor / milliseconds / 1000:.0%}",
                ", ".join(peers),
                ", ".join(taxes),
            ]
        )
        abouts.append(about)
    if not rows:
        return not_measured("gan")
    head = ["step of both players", "jnn, ms per member", "of the matmul ceiling"]
    text = table([*head, "time / jnn's", "time(M) / (M time(1))"], rows)
    noise = describe_noise(abouts).strip()
    return f"{text}\n\n{noise}" if noise else text


def step(records: AllRecords) -> str:
    """Return one network's step beside every peer's."""
    measured = single_calls("step", records)
    if not measured:
        return not_measured("step")
    names = (name for _, _, contenders in measured for name in contenders)
    peers = [name for name in dict.fromkeys(names) if name != "jnn"]
    rows = [_step_row(peers, *one) for one in measured]
    n = len(next(iter(measured[0][2].values())).steady)
    head = [
        f"training step of one network (n = {n})",
        "jnn, ms",
        "of the matmul ceiling",
        *(f"{peer} / jnn" for peer in peers),
    ]
    text = table(head, rows)
    return text + ("\n\n† Does not count: its loss is too high." if "†" in text else "")


def _step_row(
    peers: Sequence[str], case: Case, about: dict[str, Any], contenders: dict[str, Timing]
) -> list[str]:
    jnn = contenders["jnn"].steady
    wrong = [*out_of_range(case, contenders), *disagreeing(case, contenders)]
    cells = []
    for peer in peers:
        cell = ""
        if peer in contenders:
            ratio = paired_ratio(contenders[peer].steady, jnn)
            cell = with_quartiles(ratio) + "†" * (peer in wrong)
        cells.append(cell)
    milliseconds = number(spread(jnn).median / 1000) + "†" * ("jnn" in wrong)
    share = case.flops / spread(jnn).median / 1e3 / about["matmul_gflops"]
    return [case.name, milliseconds, f"{share:.0%}", *cells]


def study(records: AllRecords) -> str:
    """Return the time of whole jobs from a cold process."""
    rows = []
    for case in SUITES["study"]:
        measured = job("study", case.name, records)
        if measured is None:
            continue
        _, about, contenders = measured
        whole = {name: job_seconds(t, about, cold=True) for name, t in contenders.items()}
        jnn = whole.pop("jnn")
        ratios = ", ".join(
            f"{name} {with_quartiles(paired_ratio(seconds, jnn))}"
            for name, seconds in whole.items()
        )
        rows.append([f"{case.title} (n = {len(jnn)})", with_quartiles(spread(jnn)), ratios])
    if not rows:
        return not_measured("study")
    return table(["whole study, cold process", "jnn, s", "time / jnn's"], rows)


def search(records: AllRecords) -> str:
    """Return how long a whole search takes by each library."""
    measured = job("search", SUITES["search"][0].name, records)
    if measured is None:
        return not_measured("search")
    case, about, contenders = measured
    wrong = [*out_of_range(case, contenders), *disagreeing(case, contenders)]
    jnn = contenders["jnn"]
    compiling = job_seconds(jnn, about)
    rows = []
    for name, timing in contenders.items():
        score = timing.score
        seconds = spread(timing.steady).median * about["members"] * about["steps"] / 1e6
        cells = [
            name + "†" * (name in wrong),
            number(seconds),
            with_quartiles(paired_ratio(timing.steady, jnn.steady)),
            with_quartiles(paired_ratio(job_seconds(timing, about), compiling)),
            f"{score.mean:.4f} ({score.lower:.4f}-{score.upper:.4f})",
        ]
        rows.append(cells)
    title = f"{case.title} (n = {len(jnn.steady)}, {len(compiling)} with compilation)"
    head = [title, "s", "time / jnn's", "with compilation", "accuracy (95 %)"]
    text = table(head, rows)
    return text + ("\n\n† Does not count: another accuracy." if "†" in text else "")


def inference(records: AllRecords) -> str:
    """Return the time of predictions, and the speed of text in tokens a second."""
    rows = []
    for case, _, contenders in single_calls("inference", records):
        jnn = contenders["jnn"].steady
        ratios = ", ".join(
            f"{name} {with_quartiles(paired_ratio(t.steady, jnn))}"
            for name, t in contenders.items()
            if name != "jnn"
        )
        time = number(spread(jnn).median / 1000)
        if "batch" in case.arguments:  # a call makes batch x time tokens
            tokens = case.arguments["batch"] * case.arguments["time"]
            speed = number(tokens / spread(jnn).median * 1e6)
            time = f"{time}, {speed} tokens a second"
        rows.append([f"{case.name} (n = {len(jnn)})", time, ratios])
    if not rows:
        return not_measured("inference")
    return table(["one call", "jnn, ms", "time / jnn's, per member"], rows)


def first_study(records: AllRecords) -> str:
    """Return what the example above the block prints, as the example itself wrote it."""
    return f"```text\n{FIRST_STUDY.read_text().strip()}\n```"


def reproductions(records: AllRecords) -> str:
    """Return how many published figures lie within chance of ours, and both where they do not."""
    rows = []
    for name, title in _REPRODUCTIONS.items():
        path = REPRODUCTION_RECORDS / f"{name}.json"
        if path.exists():
            link = f"[{title}](examples/reproductions/{name}.py)"
            rows.append([link, *_reproduction_cells(json.loads(path.read_text())["rows"])])
    return table(["published", "n", "inside", "outside: ours, published"], rows)


def _reproduction_cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    judged = [
        row for row in rows if row["verdict"] != "-" and not row["name"].endswith("all windows")
    ]
    outside = [row for row in judged if row["verdict"] == "outside"]
    counts = sorted({row["ours"]["n"] for row in judged or rows})
    figures = (f"{r['name']} {r['ours']['mean']:.4g}, {r['paper']:g}" for r in outside)
    return [
        ", ".join(map(str, counts)),
        f"{len(judged) - len(outside)} of {len(judged)}" if judged else "not judged",
        "; ".join(figures),
    ]


def bars(records: AllRecords) -> str:
    """Return how many of the project's bars hold, suite by suite, and which do not."""
    rows = []
    for suite in SUITES:
        judged = judge_suite(suite, records)
        misses = [(entry, j) for entry, j in judged if not j.holds]
        if judged:
            count = f"{len(judged) - len(misses)} of {len(judged)}"
            rows.append([suite, count, "; ".join(_describe_misses(misses, judged))])
    missing = [suite for suite in SUITES if not records[suite]]
    text = table(["suite", "bars that hold", "misses"], rows) if rows else ""
    return f"{text}\n\nNot measured yet: {', '.join(missing)}." if missing else text


def judge_suite(suite: str, records: AllRecords) -> list[tuple[Case, Judged]]:
    """Judge every bar of a suite by its records; quick runs judge nothing."""
    judged = []
    for case, about, contenders in latest_runs(records[suite], cases(suite)):
        if not run_of(records[suite], about)["quick"]:
            judged += [(case, one) for one in judge(case, contenders, about)]
    return judged


def _describe_misses(
    misses: Sequence[tuple[Case, Judged]], judged: Sequence[tuple[Case, Judged]]
) -> Iterator[str]:
    """Yield every miss; of a bar that many miss, their number and the one that is farthest off."""
    for claim in dict.fromkeys(j.bar.claim for _, j in misses):
        same = [(case, j) for case, j in misses if j.bar.claim == claim]
        if len(same) <= _MOST_MISSES:
            for case, j in same:
                yield f"{case.name}: {claim} {_describe_ratio(j)} ({j.bar.limit})"
            continue
        case, worst = max(same, key=lambda pair: _distance(pair[1]))
        n = sum(j.bar.claim == claim for _, j in judged)
        yield (
            f"{claim} ({worst.bar.limit}): {len(same)} of {n} miss it, "
            f"{case.name} by most ({_describe_ratio(worst)})"
        )


def _distance(judged: Judged) -> float:
    return abs(math.log(judged.ratio.median)) if judged.is_measured else math.inf


def _describe_ratio(judged: Judged) -> str:
    return number(judged.ratio.median) if judged.is_measured else "not measured"


def images(records: AllRecords) -> str:
    """Return the plots that can be drawn."""
    titles = {
        "population": "cost per member against the size of the population",
        "roofline": "layers under the ceilings of the machine",
        "peers": "a training step beside the peers'",
    }
    return "\n".join(
        f"![{titles[name]}](benchmarks/results/{name}.png)" for name in plots.drawable(records)
    )


_MAKERS = (
    machine,
    first_study,
    digits,
    lenet,
    population,
    gan,
    step,
    study,
    search,
    inference,
    reproductions,
    bars,
    images,
)
BLOCKS: dict[str, Callable[[AllRecords], str]] = {maker.__name__: maker for maker in _MAKERS}
