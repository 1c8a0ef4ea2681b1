"""The benchmarks: how a job is timed, recorded and judged, and a round of every contender."""

import ast
import dataclasses
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jnn
from benchmarks import jobs, machine, measure, record, report, rounds, work, workloads
from benchmarks.case import COPY, MATMUL, Bar, Case, Job, Quality
from benchmarks.contender import Contender, environment, threads
from benchmarks.process import ROOT, Process
from benchmarks.record import Score
from benchmarks.rounds import Round, Spread
from benchmarks.suites import SUITES, core, population
from benchmarks.work import Product

pytestmark = pytest.mark.benchmarks

_PEERS = ROOT / "benchmarks" / "peers"
_SKLEARN = Contender("scikit-learn", "population_loops.scikit_learn", 2, environment=threads(1))


def _round(seconds: float) -> Round:
    return Round(seconds, member_steps=1000)


def test_spread_gives_median_and_quartiles():
    values = [7.0, 1.0, 5.0, 3.0, 9.0]
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    assert rounds.spread(values) == Spread(median, lower, upper, 5)


def test_the_interval_of_scores_is_scipys_t_interval():
    values = np.random.default_rng(0).normal(size=9)
    lower, upper = scipy.stats.t.interval(0.95, 8, values.mean(), scipy.stats.sem(values))
    score = record.mean_score(values.tolist())
    np.testing.assert_allclose(
        (score.mean, score.lower, score.upper), (values.mean(), lower, upper), rtol=1e-12
    )
    assert record.mean_score([0.5]).agrees(score, within=0.0)


def test_a_round_is_counted_per_member_step():
    assert _round(0.05).microseconds == pytest.approx(50)


def test_rounds_are_interleaved_and_each_follows_a_rest():
    log = []

    def play(name):
        return lambda: log.append(name) or _round(1.0)

    results = rounds.interleave(
        {"a": play("a"), "b": play("b")}, 2, rest=lambda: log.append("rest")
    )
    assert log == ["rest", "a", "rest", "b"] * 2
    assert [len(rounds) for rounds in results.values()] == [2, 2]


@pytest.mark.parametrize(
    ("seconds", "played"), [((1.0, 1.05, 9.0), 2), ((9.0, 2.0, 1.9, 9.0), 3), ((1.0, 2.0) * 3, 4)]
)
def test_warm_up_ends_when_two_rounds_agree_or_patience_does(seconds, played):
    waiting = iter(map(_round, seconds))
    assert len(rounds.warm_up(lambda: next(waiting), at_most=4)) == played


def test_a_contender_that_fails_in_a_round_is_left_out_and_its_reason_is_kept():
    seconds = {"good": iter([1.0] * 9), "bad": iter([1.0, 1.0, 1.0])}

    def play(name):
        def one():
            played = next(seconds[name], None)
            if played is None:
                raise RuntimeError("Traceback\nout of memory")
            return _round(played)

        return one

    plays = {name: play(name) for name in seconds}
    failures = {}
    warm = rounds.warm_ups(plays, dict.fromkeys(plays, 2), failures)
    assert list(warm) == ["good", "bad"] and not failures
    steady = rounds.interleave(plays, 3, failures=failures)
    assert list(steady) == ["good"] and len(steady["good"]) == 3
    assert failures == {"bad": "out of memory"}


def test_paired_ratio_removes_a_drift_that_both_sides_met():
    drift = np.array([1.0, 2.0, 4.0])
    assert rounds.paired_ratio(3 * drift, drift) == Spread(3, 3, 3, 3)


@pytest.mark.parametrize("batch_size", [32, 128])
def test_step_flops_are_those_that_xla_counts(batch_size):
    layers = (Product(1, 784, 256, data=784), Product(1, 256, 256))
    kernels = [jax.ShapeDtypeStruct((layer.inputs, layer.outputs), jnp.float32) for layer in layers]
    x = jax.ShapeDtypeStruct((batch_size, 784), jnp.float32)
    gradient = jax.grad(lambda kernels, x: jnp.sum((x @ kernels[0] @ kernels[1]) ** 2))
    counted = jax.jit(gradient).lower(kernels, x).cost_analysis()["flops"]
    assert work.step_flops(layers, batch_size) == pytest.approx(counted, rel=0.01)


def test_the_split_of_a_workload_is_fixed_and_loses_no_row():
    first, second = workloads.digits(), workloads.digits()
    np.testing.assert_array_equal(first.test_x, second.test_x)
    assert (len(first.train_x), len(first.test_x)) == (1438, 359)
    assert first.sizes == (64, 32, 10)
    assert first.steps_per_epoch(32) == 45


@pytest.mark.parametrize("name", ["wide", "lenet"])
def test_images_without_mnist_are_enlarged_digits(name, monkeypatch, tmp_path):
    monkeypatch.setenv("JNN_DATA", str(tmp_path))
    images = workloads.WORKLOADS[name]()
    assert images.train_x.reshape(len(images.train_x), -1).shape[1] == 784
    assert 0 <= images.train_x.min() < images.train_x.max() <= 1
    assert "digits" in images.source


_CASES = {s: [e for e in entries if isinstance(e, Case)] for s, entries in SUITES.items()}


@pytest.mark.parametrize("suite", SUITES)
def test_every_contender_has_its_function_and_every_bar_its_contenders(suite):
    for case in _CASES[suite]:
        names = [contender.name for contender in case.contenders]
        assert len(set(names)) == len(names), case.name
        assert {bar.under for bar in case.bars} <= set(names), case.name
        assert all(set(bar.over) & {*names, COPY, MATMUL} for bar in case.bars), case.name
        for contender in case.contenders:
            file, function = contender.peer.split(".")
            arguments = {**case.arguments, **contender.arguments}
            assert function in _names_in(file), contender
            if "layer" in arguments:
                assert arguments["layer"] in _names_in(file), contender
            if "network" in arguments:
                assert arguments["network"] in _names_in(f"nets_{function}"), contender
            assert case.job is None or case.job.workload in workloads.WORKLOADS


def test_no_two_entries_share_a_name():
    names = [entry.name for entries in SUITES.values() for entry in entries]
    assert len(set(names)) == len(names)


def test_no_contender_inherits_flags_or_threads(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "4")
    alone = environment(Contender("any", "any"))
    assert alone["XLA_FLAGS"] == ""
    assert not {"OMP_NUM_THREADS", "JAX_NUM_CPU_DEVICES"} & alone.keys()
    assert environment(_SKLEARN)["OMP_NUM_THREADS"] == "1"


def test_a_job_is_its_first_call_and_the_rest_at_the_steady_pace():
    timing = _timing(
        "peer", steady=[10.0], members=2, first=3.0
    )  # 2 members of 100 steps: 2 ms at 10 us
    assert timing.job_seconds(1000, steady=10.0) == pytest.approx([3.0 + 0.008])
    assert timing.compile_seconds(steady=10.0) == pytest.approx([3.0 - 0.002])


def test_records_come_back_as_they_were_written(tmp_path):
    path, timing = tmp_path / "results" / "some.jsonl", _timing("peer", steady=[10.0, 11.0])
    record.append(path, [_RUN])
    record.append(path, [_ABOUT, timing])
    assert record.load(path)[:2] == [_RUN, _ABOUT]
    assert record.timings(record.load(path), "r", "small") == {"peer": timing}


def test_records_of_the_first_version_are_read_in_the_present_form(tmp_path):
    """A job's, as it was written, and a single call's."""
    shared = {"run": "r", "contender": "jnn", "peer": "x", "environment": {}, "calls": 1}
    job = {"kind": "timing", "case": "small", **shared, "members": 10, "member_steps": 1000}
    job |= {"prepare_seconds": [0.5], "first_seconds": [1.0], "warm_up": [9.0], "steady": [10.0]}
    job |= {"accuracy": {"mean": 0.9, "lower": 0.8, "upper": 1.0, "n": 10}}
    call = {"kind": "sample", "case": "call", **shared, "members": 4, "warm_up": [], "score": 2.0}
    call |= {"steady": [3.0], "stages": {"prepare": 2.0, "trace": 0.1, "first": 0.2}}
    costs = {"step_flops": 7, "step_bytes": 8.0}
    about = {"kind": "case", "run": "r", "case": "small", "epochs": 1, **costs}
    task = {"kind": "task", "run": "r", "case": "call", "flops": 1.0}
    record.append(tmp_path / "old.jsonl", [about, job, task, call])
    records = record.load(tmp_path / "old.jsonl")
    assert {"flops": 7, "bytes": 8.0}.items() <= record.latest(records, "case", "small").items()
    assert record.latest(records, "case", "call")["flops"] == 1.0
    timing = record.timings(records, "r", "small")["jnn"]
    assert timing == dataclasses.replace(_timing("jnn", [10.0]), stages={})
    exact = record.timings(records, "r", "call")["jnn"]
    assert exact.score == Score(2.0, 2.0, 2.0, 1) and exact.member_steps == 4
    assert (exact.prepare_seconds, exact.first_seconds) == ([2.0], [0.2])
    assert exact.stages == {"trace": 0.1}


def test_the_committed_records_are_readable():
    for path in record.RESULTS.glob("*.jsonl"):
        records = record.load(path)
        assert {r["kind"] for r in records} <= {"run", "case", "timing", "counter"}
        for about in (r for r in records if r["kind"] == "case"):
            assert record.timings(records, about["run"], about["case"]), about["case"]


@pytest.mark.parametrize(
    ("peer_time", "accuracy", "verdict"),
    [
        (35.0, 0.9, "pass"),
        (25.0, 0.9, "**MISS**"),
        (35.0, 0.2, "does not count"),
        (35.0, 0.6, "does not count"),
    ],
)
def test_a_bar_passes_misses_or_does_not_count(peer_time, accuracy, verdict):
    slow = dataclasses.replace(
        _timing("slow", steady=[90.0, 95.0]), score=record.mean_score([accuracy, accuracy])
    )
    peer = dataclasses.replace(slow, contender="peer", steady=[peer_time, peer_time])
    records = record.as_dicts([_RUN, _ABOUT, _timing("jnn", steady=[10.0, 10.0]), slow, peer])
    line = next(line for line in report.report(records, [_CASE]).splitlines() if "faster" in line)
    ratio = str(peer_time / 10)
    assert line == f"| x faster: peer | >= 3 | {ratio} ({ratio}-{ratio}; 2) | {verdict} |"


def test_accuracies_apart_are_a_miss():
    peer = dataclasses.replace(
        _timing("peer", steady=[9.0]), score=record.mean_score([0.6, 0.61, 0.62])
    )
    records = record.as_dicts([_RUN, _ABOUT, _timing("jnn", steady=[10.0]), peer])
    assert (
        "| accuracy as jnn's; not: peer | intervals within .005 |  | **MISS** |"
        in report.report(records, [_CASE])
    )


def test_a_report_shows_the_latest_run_of_a_case():
    older = [
        {**_RUN, "run": "old"},
        {**_ABOUT, "run": "old"},
        dataclasses.replace(_timing("jnn", [5.0]), run="old"),
    ]
    records = record.as_dicts([*older, _RUN, _ABOUT, _timing("jnn", [10.0])])
    assert "| 10 (10-10; 1) |" in report.report(records, [_CASE])


def test_a_quick_run_judges_nothing():
    records = record.as_dicts([{**_RUN, "quick": True}, _ABOUT, _timing("jnn", [10.0])])
    table = report.report(records, [_CASE])
    assert "QUICK RUN" in table and "bar" not in table


def test_large_numbers_are_printed_without_exponent():
    records = record.as_dicts([_RUN, _ABOUT, _timing("jnn", [12345.6])])
    assert "| 12346 (12346-12346; 1) |" in report.report(records, [_CASE])


def test_a_job_is_measured_in_two_processes(monkeypatch):
    """From fresh processes to the table, with the cheapest contender."""
    ceilings = {"matmul_gflops": 100.0, "copy_gbps": 10.0}
    monkeypatch.setattr(machine, "ceilings", lambda device: ceilings)
    twin = dataclasses.replace(_SKLEARN, name="twin", calls=2)
    ghost = Contender("ghost", "ghost.ghost", needs="no_such_library")
    dying = dataclasses.replace(_SKLEARN, name="dying", peer="no_such_peer.function")
    case = dataclasses.replace(
        _CASE,
        contenders=(_SKLEARN, twin, ghost, dying),
        job=dataclasses.replace(_CASE.job, most_warm_ups=2),
        rounds=2,
        quality=Quality(),
    )
    records = record.as_dicts([_RUN, *next(measure.measure_cases("r", [case]))])
    about = records[1]
    timings = record.timings(records, "r", "small")
    assert about["steps"] == 45 and about["flops"] == 323_584
    assert [len(t.first_seconds) for t in timings.values()] == [1, 1]
    assert [t.score.n for t in timings.values()] == [10, 18]  # no member twice
    assert timings["twin"].member_steps == 2 * 45 and min(timings["twin"].steady) > 0
    table = report.report(records, [case])
    assert "| twin | 2 x 45 steps |" in table
    assert "Not run: ghost: no_such_library is not inst" in table
    assert "; dying: ModuleNotFoundError: No module named 'benchmarks.peers.no_such_peer'" in table
    assert "| x faster: nobody | >= 3 | nan (nan-nan; 0) | not measured |" in table


def test_the_death_of_a_process_is_told_with_its_last_words():
    with (
        Process("ghost", "benchmarks.ghost", environment(_SKLEARN)) as process,
        pytest.raises(
            RuntimeError, match=r"'ghost' ended: [\s\S]*No module named benchmarks.ghost"
        ),
    ):
        process.ask({"do": "play"})


def test_jnn_trains_members_that_no_round_has_seen(monkeypatch):
    monkeypatch.setattr(jnn, "use_cpu_cores", lambda: None)  # the tests have started JAX
    call = jobs.make_job_call(
        "population.jnn_run", 3, processes=1, workload="digits", epochs=1, batch_size=32
    )
    first = call.play(1)
    second = call.play(1)
    assert len(first) == len(second) == 3 and first != second


def test_processes_share_the_members_of_a_job():
    job = {"workload": "digits", "epochs": 1, "batch_size": 32}
    peer = "population_loops.scikit_learn"
    shared = jobs.make_job_call(peer, 4, processes=2, **job)
    alone = jobs.make_job_call(peer, 4, processes=1, **job)
    assert shared.play(1) == alone.play(1)


_JOBS = {  # each job of each function once
    (case.job.workload, c.peer, c.processes): pytest.param(
        case, c, id=f"{case.job.workload}-{c.name}"
    )
    for case in (core.DIGITS, core.LENET, *population.CASES)
    for c in measure.shorten(case).contenders
}


@pytest.mark.peers
@pytest.mark.parametrize(("case", "contender"), _JOBS.values())
def test_every_contender_plays_a_round(case, contender):
    if not contender.is_installed():
        pytest.skip(f"needs {contender.needs}, of the extra 'peers'")
    job = {"workload": case.job.workload, "epochs": 2, "batch_size": case.job.batch_size}
    request = {"key": "", "peer": contender.peer, "members": 2, "job": job}
    request |= {"processes": contender.processes}
    with Process(contender.name, "benchmarks.worker", environment(contender)) as process:
        process.ask({"do": "prepare", **request})
        played = process.ask({"do": "play", "key": "", "calls": 1})
    assert played["seconds"] > 0 and len(played["scores"]) == 2
    assert 0.12 < np.mean(played["scores"]) <= 1  # better than chance after two epochs


_CASE = Case(
    "small",
    title="A case for tests",
    job=Job("digits", members=10, epochs=1, batch_size=32, cold_starts=1),
    contenders=(Contender("jnn", "x.x"), Contender("slow", "x.x"), Contender("peer", "x.x")),
    bars=(Bar("x faster", ("slow", "peer"), "jnn", at_least=3),),
    quality=Quality(least=0.5, absolute=0.005),
)
_RUN = {
    "kind": "run",
    "run": "r",
    "quick": False,
    "date": "2026-01-01T00:00:00Z",
    "commit": "0123456789ab",
    "dirty": False,
    "precision": "float32",
    "cpu": {"model": "some", "cores": 2, "flags": []},
    "versions": {"jax": "0.10"},
}
_ABOUT = {
    "kind": "case",
    "run": "r",
    "case": "small",
    "source": "rows",
    "members": 10,
    "epochs": 1,
    "steps": 100,
    "flops": 1000,
    "bytes": 1000,
    "matmul_gflops": 100.0,
    "copy_gbps": 10.0,
    "load": [0.1],
    "busy": 0.0,
    "quiet": True,
    "not_run": [],
}


def _timing(name: str, steady: list[float], members: int = 10, first: float = 1.0) -> record.Timing:
    return record.Timing(
        run="r",
        case="small",
        contender=name,
        peer="x",
        environment={},
        members=members,
        calls=1,
        member_steps=members * 100,
        prepare_seconds=[0.5],
        first_seconds=[first],
        stages={},
        warm_up=[9.0],
        steady=steady,
        score=Score(0.9, 0.8, 1.0, 10),
    )


def _names_in(file: str) -> set[str]:
    """Names that a peer's file defines; read, not imported, because its library may be absent."""
    names = set()
    for node in ast.parse((_PEERS / f"{file}.py").read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {name.id for name in node.targets if isinstance(name, ast.Name)}
    return names
