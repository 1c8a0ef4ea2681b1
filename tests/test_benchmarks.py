"""The benchmark kernel, its records and tables, and one short round of every contender."""

import ast
import dataclasses
import statistics
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from benchmarks import kernel, measure, record, report, workloads
from benchmarks.case import COPY, MATMUL, Bar, Case, Task
from benchmarks.contender import Contender, Worker, environment, threads
from benchmarks.kernel import Round
from benchmarks.suites import SUITES, core, population
from benchmarks.workloads import Budget, Product

pytestmark = pytest.mark.benchmarks

_PEERS = Path(measure.__file__).parent / "peers"
_SKLEARN = Contender("scikit-learn", "sklearn_mlp", members=2, environment=threads(1))


def _round(seconds: float) -> Round:
    return Round(seconds, member_steps=1000)


def test_spread_gives_median_and_quartiles():
    values = [7.0, 1.0, 5.0, 3.0, 9.0]
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    assert kernel.spread(values) == kernel.Spread(median, lower, upper, 5)


def test_interval_is_scipys_t_interval():
    values = np.random.default_rng(0).normal(size=9)
    lower, upper = scipy.stats.t.interval(0.95, 8, values.mean(), scipy.stats.sem(values))
    found = kernel.interval(values)
    np.testing.assert_allclose(
        (found.mean, found.lower, found.upper), (values.mean(), lower, upper), rtol=1e-12
    )
    assert kernel.interval([0.5]).agrees(found)


def test_a_round_is_counted_per_member_step():
    assert _round(0.05).microseconds == pytest.approx(50)


def test_rounds_are_interleaved_and_each_follows_a_rest():
    log = []

    def play(name):
        return lambda: log.append(name) or _round(1.0)

    results = kernel.interleave(
        {"a": play("a"), "b": play("b")}, 2, rest=lambda: log.append("rest")
    )
    assert log == ["rest", "a", "rest", "b"] * 2
    assert [len(rounds) for rounds in results.values()] == [2, 2]


@pytest.mark.parametrize(
    ("seconds", "played"), [((1.0, 1.05, 9.0), 2), ((9.0, 2.0, 1.9, 9.0), 3), ((1.0, 2.0) * 3, 4)]
)
def test_warm_up_ends_when_two_rounds_agree_or_patience_does(seconds, played):
    rounds = iter(map(_round, seconds))
    assert len(kernel.warm_up(lambda: next(rounds), at_most=4)) == played


def test_who_fails_in_a_round_is_left_out_and_told_of():
    seconds = {"good": iter([1.0] * 9), "bad": iter([1.0, 1.0, 1.0])}

    def play(name):
        def one():
            if (found := next(seconds[name], None)) is None:
                raise RuntimeError("Traceback\nout of memory")
            return _round(found)

        return one

    plays, failures = {name: play(name) for name in seconds}, {}
    assert (
        list(kernel.warm_ups(plays, dict.fromkeys(plays, 2), failures)) == ["good", "bad"]
        and not failures
    )
    found = kernel.interleave(plays, 3, failures=failures)
    assert (
        list(found) == ["good"] and len(found["good"]) == 3 and failures == {"bad": "out of memory"}
    )


def test_paired_ratio_removes_a_drift_that_both_sides_met():
    drift = np.array([1.0, 2.0, 4.0])
    assert kernel.paired_ratio(3 * drift, drift) == kernel.Spread(3, 3, 3, 3)


@pytest.mark.parametrize("batch_size", [32, 128])
def test_step_flops_are_those_that_xla_counts(batch_size):
    layers = (Product(1, 784, 256, data=784), Product(1, 256, 256))
    kernels = [jax.ShapeDtypeStruct((layer.inputs, layer.outputs), jnp.float32) for layer in layers]
    x = jax.ShapeDtypeStruct((batch_size, 784), jnp.float32)
    gradient = jax.grad(lambda kernels, x: jnp.sum((x @ kernels[0] @ kernels[1]) ** 2))
    counted = jax.jit(gradient).lower(kernels, x).cost_analysis()["flops"]
    assert workloads.step_flops(layers, batch_size) == pytest.approx(counted, rel=0.01)


def test_the_split_of_a_workload_is_fixed_and_loses_no_row():
    first, second = workloads.digits(), workloads.digits()
    np.testing.assert_array_equal(first.test_x, second.test_x)
    assert (len(first.train_x), len(first.test_x)) == (1438, 359)
    assert first.sizes == (64, 32, 10)
    assert workloads.steps_per_epoch(first, 32) == 45


@pytest.mark.parametrize("name", ["wide", "lenet"])
def test_images_without_mnist_are_enlarged_digits(name, monkeypatch):
    monkeypatch.delenv("JNN_DATA", raising=False)
    work = workloads.WORKLOADS[name]()
    assert work.train_x.reshape(len(work.train_x), -1).shape[1] == 784
    assert 0 <= work.train_x.min() < work.train_x.max() <= 1
    assert "digits" in work.source


_TIMED = [
    (suite, e) for suite, entries in SUITES.items() for e in entries if isinstance(e, Case | Task)
]


@pytest.mark.parametrize("suite", SUITES)
def test_every_contender_has_its_function_and_every_bar_its_contenders(suite):
    for case in (e for s, e in _TIMED if s == suite):
        names = [contender.name for contender in case.contenders]
        assert len(set(names)) == len(names), case.name
        assert {bar.under for bar in case.bars} <= set(names), case.name
        assert all(set(bar.over) & {*names, COPY, MATMUL} for bar in case.bars), case.name
        function = case.workload if isinstance(case, Case) else case.function
        for contender in case.contenders:
            assert function in _defined(contender.peer), contender


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
        _timing("slow", steady=[90.0, 95.0]), accuracy=kernel.interval([accuracy, accuracy])
    )
    peer = dataclasses.replace(slow, contender="peer", steady=[peer_time, peer_time])
    records = record.as_dicts([_RUN, _ABOUT, _timing("jnn", steady=[10.0, 10.0]), slow, peer])
    line = next(line for line in report.report(records, [_CASE]).splitlines() if "faster" in line)
    ratio = str(peer_time / 10)
    assert line == f"| x faster: peer | >= 3 | {ratio} ({ratio}-{ratio}; 2) | {verdict} |"


def test_accuracies_apart_are_a_miss():
    peer = dataclasses.replace(
        _timing("peer", steady=[9.0]), accuracy=kernel.interval([0.6, 0.61, 0.62])
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


def test_a_case_is_measured_in_two_processes(monkeypatch):
    """From fresh processes to the table, with the cheapest contender."""
    monkeypatch.setattr(
        measure, "ceilings", lambda device: {"matmul_gflops": 100.0, "copy_gbps": 10.0}
    )
    twin = dataclasses.replace(_SKLEARN, name="twin", calls=2)
    ghost = Contender("ghost", "ghost", needs="no_such_library")
    dying = dataclasses.replace(_SKLEARN, name="dying", peer="no_such_peer")
    contenders = (_SKLEARN, twin, ghost, dying)
    case = dataclasses.replace(
        _CASE, contenders=contenders, epochs=1, rounds=2, most_warm_ups=2, least_accuracy=0.0
    )
    records = record.as_dicts([_RUN, *measure.measure_case("r", case)])
    about, found = records[1], record.timings(records, "r", "small")
    assert about["steps"] == 45 and about["step_flops"] == 323_584
    assert [len(t.first_seconds) for t in found.values()] == [1, 1]
    assert [t.accuracy.n for t in found.values()] == [10, 18]  # no member twice
    assert found["twin"].member_steps == 2 * 45 and min(found["twin"].steady) > 0
    table = report.report(records, [case])
    assert (
        "| twin | 2 x 45 steps |" in table
        and "Not run: ghost: no_such_library is not inst" in table
    )
    assert "; dying: ModuleNotFoundError: No module named 'benchmarks.peers.no_such_peer'" in table
    assert "| x faster: nobody | >= 3 | nan (nan-nan; 0) | not measured |" in table


def test_the_death_of_a_process_is_told_with_its_last_words():
    with pytest.raises(
        RuntimeError, match=r"'ghost' ended: [\s\S]*No module named 'benchmarks.peers.ghost'"
    ):
        Worker(Contender("ghost", "ghost"), "digits", Budget(1, 1, 32), steps=45)


def test_jnn_plays_a_round_on_members_that_no_round_has_seen():
    with Worker(core.DIGITS.contenders[0], "digits", Budget(32, 1, 32), steps=45) as worker:
        first, second = worker.play(), worker.play()
    assert first.member_steps == 32 * 45 and len(first.scores) == 32
    assert first.scores != second.scores
    assert second.seconds < first.seconds / 2  # the second call compiles nothing


_JOBS = {  # each job of each peer once
    (case.workload, c.peer): pytest.param(case, c, id=f"{case.workload}-{c.name}")
    for case in (core.DIGITS, core.LENET, *population.CASES)
    for c in measure.shortened(case).contenders
}


@pytest.mark.peers
@pytest.mark.parametrize(("case", "contender"), _JOBS.values())
def test_every_contender_plays_a_round(case, contender):
    if not contender.is_installed():
        pytest.skip(f"needs {contender.needs}, of the extra 'peers'")
    with Worker(contender, case.workload, Budget(2, 2, case.batch_size), steps=1) as worker:
        played = worker.play()
    assert played.seconds > 0 and len(played.scores) == 2
    assert 0.12 < np.mean(played.scores) <= 1  # better than chance after two epochs


_CASE = Case(
    "small", "A case for tests", workload="digits", members=10, epochs=1, batch_size=32,
    contenders=(Contender("jnn", "jnn_population"), Contender("slow", "x"), Contender("peer", "x")),
    bars=(Bar("x faster", ("slow", "peer"), "jnn", at_least=3),),
    least_accuracy=0.5, colds=1,
)  # fmt: skip
_RUN = {
    "kind": "run", "run": "r", "quick": False, "date": "2026-01-01T00:00:00Z", "commit": "0123456789ab", "dirty": False,
    "precision": "float32", "cpu": {"model": "some", "cores": 2, "flags": []}, "versions": {"jax": "0.10"},
}  # fmt: skip
_ABOUT = {
    "kind": "case", "run": "r", "case": "small", "source": "rows", "members": 10, "epochs": 1, "steps": 100,
    "step_flops": 1000, "step_bytes": 1000, "matmul_gflops": 100.0, "copy_gbps": 10.0, "load": [0.1], "busy": 0.0,
    "quiet": True, "not_run": [],
}  # fmt: skip


def _timing(name: str, steady: list[float], members: int = 10, first: float = 1.0) -> record.Timing:
    return record.Timing(
        "r", "small", name, "x", {}, members, 1, members * 100, [0.5], [first], [9.0], steady,
        kernel.Interval(0.9, 0.8, 1.0, 10),
    )  # fmt: skip


def _defined(peer: str) -> set[str]:
    """Names that a peer's file defines; read, not imported, because its library may be absent."""
    found = set()
    for node in ast.parse((_PEERS / f"{peer}.py").read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            found |= _defined(str(node.module).rsplit(".", 1)[1])
        elif isinstance(node, ast.Assign):
            found |= {name.id for name in node.targets if isinstance(name, ast.Name)}
    return found
