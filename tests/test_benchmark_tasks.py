"""Tasks, counters, comparisons and the README's figures: how single calls are timed, judged and told."""

import dataclasses
import functools
import importlib
import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from benchmarks import (
    compare,
    counters,
    flops,
    jax_loops,
    jax_steps,
    judge,
    kernel,
    layer_data,
    measure_tasks,
    plots,
    readme,
    record,
    report,
    runs,
    step_data,
)  # fmt: skip
from benchmarks.__main__ import run
from benchmarks.case import COPY, MATMUL, Bar, Counter, Task
from benchmarks.contender import Contender
from benchmarks.peers import flax_layers, im2col_layers, jnn_layers, jnn_steps
from benchmarks.suites import SUITES
from benchmarks.suites import step as step_suite

pytestmark = pytest.mark.benchmarks

_CONV = {"x": (2, 6, 5, 3), "params": {"kernel": (3, 3, 3, 4)}, "options": {"strides": 2}}
_NORM = {"scale": (4,), "bias": (4,)}
_GRU = {"input_kernel": (3, 6), "recurrent_kernel": (2, 6), "bias": (6,), "recurrent_bias": (6,)}
_LAYERS = {
    "conv": _CONV,
    "dense": {"x": (2, 3), "params": {"kernel": (3, 4), "bias": (4,)}},
    "lstm": {
        "x": (2, 5, 3),
        "params": {"input_kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)},
    },
    "gru": {"x": (2, 5, 3), "params": _GRU},
    "attention": {"x": (3, 2, 5, 2, 4), "options": {"causal": True}},
    "layer_norm": {"x": (2, 3, 4), "params": _NORM},
    "rms_norm": {"x": (2, 3, 4), "params": {"scale": (4,)}},
    "batch_norm": {"x": (2, 3, 2, 4), "params": _NORM},
    "group_norm": {"x": (2, 3, 2, 4), "params": _NORM, "options": {"groups": 2}},
    "max_pool": {"x": (2, 4, 6, 3)},
    "avg_pool": {"x": (2, 4, 6, 3)},
    "embedding": {"x": (2, 3), "params": {"table": (7, 4)}, "vocabulary": 7},
}
_IMAGES, _TEXT = {"x": (2, 32, 32, 3), "classes": 10}, {"x": (2, 8), "vocabulary": 11}
_BLOCKS = {"width": 8, "depth": 1, "heads": 2}
_STEPS = {
    "mlp": {"sizes": (16, 32, 10), "data": {"x": (16, 16), "classes": 10}},
    "lenet": {"data": {"x": (2, 28, 28, 1), "classes": 10}},
    "resnet": {"depth": 8, "data": _IMAGES},
    "lstm": {"vocabulary": 11, "width": 4, "data": _TEXT},
    "gpt": {"vocabulary": 11, "time": 8, **_BLOCKS, "data": _TEXT},
    "vit": {"patch": 16, **_BLOCKS, "data": _IMAGES},
}


def _score(module, function: str, **arguments) -> float:
    return module.prepare(getattr(module, function), **{**_LAYERS[function], **arguments}).play(2)


def _twice(function, *arguments) -> float:
    """XLA's count of a function and its gradient by the first argument."""
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


@pytest.mark.parametrize("backward", [False, True])
def test_all_ways_to_convolve_agree_in_the_score(backward):
    scores = [
        _score(m, "conv", backward=backward) for m in (jnn_layers, flax_layers, im2col_layers)
    ]
    scores += [_score(jnn_layers, "conv", backward=backward, members=2)]
    scores += [_score(flax_layers, "conv", backward=backward, loop=False)]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-5)


def test_the_score_of_a_call_sees_where_a_number_stands():
    out = np.arange(6.0)
    assert layer_data.score(0.0, out) != pytest.approx(layer_data.score(0.0, out[::-1]))
    assert layer_data.score(3.0, np.zeros(1)) == 3.0


@pytest.mark.peers
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("function", _LAYERS)
def test_pytorch_and_flax_compute_the_layers_of_jnn(function, backward):
    torch_layers = importlib.import_module("benchmarks.peers.torch_layers")
    modules = (jnn_layers, flax_layers, torch_layers)
    scores = [_score(module, function, backward=backward) for module in modules]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-4)


@pytest.mark.peers
@pytest.mark.parametrize("network", _STEPS)
@pytest.mark.parametrize("peer", ["torch_steps", "linen_steps", "equinox_steps", "keras_steps"])
def test_every_peer_trains_the_networks_of_the_steps(peer, network, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    module = importlib.import_module(f"benchmarks.peers.{peer}")
    prepared = module.prepare(getattr(module, network), **_STEPS[network])
    first, last = prepared.play(1), prepared.play(61)  # both end with the first batch
    assert last < first


@pytest.mark.peers
@pytest.mark.parametrize("network", ["resnet", "lstm", "gpt", "vit"])
@pytest.mark.parametrize("peer", ["torch", "equinox", "keras"])
def test_a_network_of_a_peer_has_as_many_parameters_as_jnns(peer, network, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    sizes = {k: v for k, v in _STEPS[network].items() if k != "data"}
    theirs = sum(math.prod(p.shape) for p in _parameters(peer, network, sizes))
    theirs -= (
        4 * sizes["width"] if (peer, network) == ("torch", "lstm") else 0
    )  # PyTorch's second bias
    _, start = jnn_steps.make(getattr(jnn_steps, network), **_STEPS[network])
    assert theirs == sum(p.size for p in jax.tree.leaves(jax.eval_shape(start).params))


def _parameters(peer: str, network: str, sizes: dict):
    function = getattr(importlib.import_module(f"benchmarks.peers.{peer}_steps"), network)
    if peer == "equinox":
        import equinox as eqx

        net, _ = eqx.nn.make_with_state(function)(jax.random.key(0), **sizes)
        return jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))
    return (
        function(**sizes).parameters() if peer == "torch" else function(**sizes).trainable_variables
    )


@pytest.mark.parametrize("network", _STEPS)
def test_the_step_of_every_network_lowers_for_a_tpu(network):
    step, start = jnn_steps.make(getattr(jnn_steps, network), **_STEPS[network])
    batches = map(jnp.asarray, step_data.batches(**_STEPS[network]["data"]))
    loop = jax.jit(jax_steps.make_loop(step))
    lowered = loop.trace(jax.eval_shape(start), 3, *batches).lower(lowering_platforms=("tpu",))
    assert "stablehlo.while" in lowered.as_text()


@pytest.mark.parametrize("network", _STEPS)
def test_the_program_of_a_population_lowers_for_a_tpu(network, monkeypatch):
    """With the layers' choices for an accelerator, which ask JAX for its default backend."""
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    step, start = jnn_steps.make(getattr(jnn_steps, network), members=2, **_STEPS[network])
    batches = map(jnp.asarray, step_data.batches(**_STEPS[network]["data"]))
    lowered = jax.jit(jax_steps.make_loop(step)).trace(jax.eval_shape(start), 3, *batches)
    assert "stablehlo.while" in lowered.lower(lowering_platforms=("tpu",)).as_text()


def test_the_loop_of_steps_trains():
    prepared = jnn_steps.prepare(
        jnn_steps.mlp, sizes=(16, 32, 10), data={"x": (32, 16), "classes": 10}, members=2
    )
    first, last = prepared.play(1), prepared.play(300)
    assert first > 1.5 > 1.0 > last  # guessing among ten classes gives 2.3
    assert set(prepared.stages) == {"trace", "lower", "compile"}


def test_flops_on_paper_are_those_that_xla_counts():
    x, kernel = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 9, 9, 3), (1, 1, 3, 8)))
    convolve = functools.partial(
        jax.lax.conv_general_dilated, window_strides=(2, 2), padding="SAME"
    )
    counted = _twice(
        functools.partial(convolve, dimension_numbers=("NHWC", "HWIO", "NHWC")), x, kernel
    )
    assert flops.conv(x.shape, kernel.shape, 2) == pytest.approx(counted, rel=0.01)
    q = jax.ShapeDtypeStruct((2, 16, 2, 64), jnp.float32)
    products = lambda q, k, v: jnp.einsum("bhts,bshd->bthd", jnp.einsum("bthd,bshd->bhts", q, k), v)  # noqa: E731
    assert flops.attention(2, 16, 2, 64) == pytest.approx(_twice(products, q, q, q), rel=0.01)
    assert flops.attention(2, 16, 2, 64, causal=True) == flops.attention(2, 16, 2, 64) / 2


def test_resnet_20_has_the_operations_that_are_published():
    """40.5 million multiplications with additions of convolutions and the last layer, as counting tools report."""
    assert step_suite.resnet_products() / 2 == pytest.approx(40.5e6, rel=0.01)


def test_a_scaling_series_has_its_slope():
    tasks = [Task(f"rows = {n}", "mlp", {}, (), size=float(n)) for n in (1, 10, 100)]
    found = [(t, {"jnn": _sample("jnn", [3 * t.size**0.5])}) for t in tasks]
    from benchmarks.report_tasks import slopes_of

    assert slopes_of(found) == [("rows, jnn", pytest.approx(0.5), 3)]


_BAR = Bar("never slower than the best peer", ("a", "b"), "jnn", at_least=1.0)
_TASK = Task(
    "small", "conv", _CONV, (Contender("jnn", "x"),), (_BAR,), flops=1e6, agree=1e-3, most=2.0
)
_CEILINGS = {"matmul_gflops": 100.0, "copy_gbps": 10.0}


@pytest.mark.parametrize(
    ("peer", "score", "holds"),
    [(12.0, 1.0, True), (9.0, 1.0, False), (12.0, 1.1, False), (12.0, 3.0, False)],
)
def test_a_bar_of_a_task_holds_by_ratio_and_equal_scores(peer, score, holds):
    found = {
        n: _sample(n, [t] * 3, s)
        for n, t, s in (("jnn", 10.0, 1.0), ("a", 50.0, 1.0), ("b", peer, score))
    }
    (judged,) = judge.judge_task(_TASK, found, _CEILINGS)
    assert (judged.fastest, judged.holds) == ("b", holds)


def test_the_fastest_peer_is_the_one_with_the_smallest_ratio():
    """In the rounds where we were slow, b was too: its median is the larger one, its ratio the smaller."""
    found = {
        n: _sample(n, t)
        for n, t in (
            ("jnn", [10.0, 20.0, 21.0]),
            ("a", [19.0, 19.0, 31.0]),
            ("b", [9.0, 20.0, 21.0]),
        )
    }
    (judged,) = judge.judge_task(_TASK, found, _CEILINGS)
    assert judged.fastest == "b" and judged.ratio.median == 1.0


def test_a_difference_is_taken_in_microseconds():
    bar = Bar("over", ("jnn",), "raw", at_most=1.0, of="difference")
    found = {"jnn": _sample("jnn", [12.0, 22.5]), "raw": _sample("raw", [11.5, 22.0])}
    (judged,) = judge.judge_task(dataclasses.replace(_TASK, bars=(bar,)), found, _CEILINGS)
    assert judged.ratio == kernel.Spread(0.5, 0.5, 0.5, 2) and judged.holds


@pytest.mark.parametrize(("ceiling", "share"), [(MATMUL, 0.5), (COPY, 0.25)])
def test_a_share_of_a_ceiling_is_a_bar(ceiling, share):
    task = dataclasses.replace(
        _TASK, bytes=5e4, bars=(Bar("share", (ceiling,), "jnn", at_least=0.4),)
    )
    (judged,) = judge.judge_task(task, {"jnn": _sample("jnn", [20.0, 20.0])}, _CEILINGS)
    assert judged.ratio.median == pytest.approx(share) and judged.holds is (share > 0.4)


def test_a_task_is_measured_and_who_cannot_do_it_is_named(monkeypatch):
    """From processes to the table: two that can, one whose function is missing, one whose library is."""
    monkeypatch.setattr(measure_tasks, "ceilings", lambda device: _CEILINGS)
    able = Contender("im2col", "im2col_layers", 1)
    unable = dataclasses.replace(able, name="unable", arguments={"options": {"stride": 2}})
    ghost = Contender("ghost", "ghost", needs="no_such_library")
    two = Contender("two members", "jnn_layers", 2)
    task = dataclasses.replace(
        _TASK, contenders=(able, two, unable, ghost), rounds=2, seconds=0.001, most=None
    )
    records = record.as_dicts([_RUN, *next(measure_tasks.measure_tasks("r", [task], quick=False))])
    found = record.samples(records, "r", "small")
    assert list(found) == ["im2col", "two members"] and len(found["im2col"].steady) == 2
    assert found["im2col"].score == pytest.approx(found["two members"].score)
    assert found["im2col"].stages.keys() == {"prepare", "trace", "lower", "compile", "first"}
    table = report.report(records, [task])
    assert "unable: TypeError" in table and "ghost: no_such_library is not installed" in table


def test_counts_of_a_program_are_its_instructions():
    text = jax.jit(lambda a, b: jnp.tanh(a @ b))
    counts = counters._counted(text, jnp.ones((8, 8)), jnp.ones((8, 8)))
    assert counts["stablehlo"] == 2 and counts["peak_bytes"] >= 3 * 8 * 8 * 4
    assert 0 < counts["dispatches"] < counts["instructions"]


def test_what_a_fusion_or_a_reduction_holds_is_no_dispatch_and_a_loops_body_is():
    all_of_it, outside = counters._operations(_PROGRAM)
    assert all_of_it == [
        "parameter",
        "exponential",
        "add",
        "fusion",
        "parameter",
        "reduce",
        "while",
    ]
    assert outside == ["fusion", "parameter", "reduce", "while"]


_PROGRAM = """HloModule some

%fused (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  ROOT %e = f32[2]{0} exponential(%p)
}

%sum (a: f32[], b: f32[]) -> f32[] {
  ROOT %s = f32[] add(%a, %b)
}

%body (x: f32[2]) -> f32[2] {
  ROOT %f = f32[2]{0} fusion(%x), kind=kLoop, calls=%fused, metadata={op_name="exp"}
}

ENTRY %main (x: f32[2]) -> f32[] {
  %x = f32[2]{0} parameter(0)
  %r = f32[] reduce(%x, %c), dimensions={0}, to_apply=%sum, metadata={op_name="sum"}
  ROOT %w = f32[2]{0} while(%x), condition=%condition, body=%body
}
"""


@pytest.mark.parametrize(
    "task",
    [t for s in ("step", "gpu") for t in SUITES[s] if isinstance(t, Task)],
    ids=lambda t: t.name,
)
def test_the_bytes_of_a_step_are_those_of_its_parameters(task):
    shape = {"x": (1, *task.arguments["data"]["x"][1:])}
    _, start = jnn_steps.make(
        getattr(jnn_steps, task.function),
        **{**task.arguments, "data": {**task.arguments["data"], **shape}},
    )
    parameters = sum(p.size for p in jax.tree.leaves(jax.eval_shape(start).params))
    assert task.bytes == flops.traffic(parameters), parameters


_CPU = {"model": "some", "cores": 2, "flags": []}
_RUN = {
    "kind": "run", "run": "r", "quick": False, "date": "2026-01-01T00:00:00Z", "commit": "0123456789ab", "dirty": False,
    "precision": "float32", "cpu": _CPU, "versions": {"jax": "0.10", "jaxlib": "0.10"},
}  # fmt: skip


def _counter(**counts: float) -> list[dict]:
    return [_RUN, {"kind": "counter", "run": "r", "case": "step", "counts": counts}]


def _times(*steady: float, run: dict = _RUN) -> list[dict]:
    return record.as_dicts([run, _sample("jnn", list(steady))])


def _sample(name: str, steady: list[float], score: float = 1.0) -> record.Sample:
    return record.Sample("r", "small", name, f"{name}_x", {}, 1, 10, {}, [], steady, score)


def test_a_count_that_grows_fails_and_one_that_falls_is_told():
    grown = compare.compare(
        _counter(stablehlo=100, peak_bytes=100), _counter(stablehlo=101, peak_bytes=101)
    )
    assert grown.failures == ["step: stablehlo 100 -> 101"]  # memory may grow by 2 %
    fallen = compare.compare(_counter(peak_bytes=100), _counter(peak_bytes=90))
    assert not fallen.failures and "peak_bytes 100 -> 90" in fallen.text


def test_a_count_of_the_compiler_is_not_compared_between_machines_and_that_is_told():
    other = [
        {**_RUN, "cpu": {**_CPU, "model": "other"}},
        _counter(peak_bytes=200, compilations=3)[1],
    ]
    found = compare.compare(_counter(peak_bytes=100, compilations=2), other)
    assert found.failures == ["step: compilations 2 -> 3"]
    assert "not compared: 1 counts, as they were taken with another processor" in found.text
    newer = [{**_RUN, "versions": {**_RUN["versions"], "jax": "0.11"}}, _counter(stablehlo=200)[1]]
    assert "with another jax (0.10 -> 0.11)" in compare.compare(_counter(stablehlo=100), newer).text


def test_a_count_beyond_its_own_limit_or_no_longer_taken_fails():
    new = _counter(peak_over_lax=1.6)
    new[1]["most"] = {"peak_over_lax": 1.5}
    found = compare.compare(_counter(peak_over_lax=1.6, stablehlo=9), new)
    assert found.failures == [
        "step: peak_over_lax 1.6, at most 1.5",
        "step: stablehlo is no longer counted",
    ]
    assert "note step: not in the baseline" in compare.compare([_RUN], _counter(stablehlo=9)).text


def test_a_limit_of_times_below_the_one_that_is_told_counts():
    assert (
        len(compare.compare(_times(*range(100, 107)), _times(*range(107, 114)), fail=1.05).failures)
        == 1
    )


def test_a_time_counts_as_changed_only_if_factor_and_ranks_agree():
    before, slower = _times(*range(100, 107)), _times(*range(130, 137))
    assert "x 1.29" in compare.compare(before, slower).text
    assert not compare.compare(before, slower).failures  # times warn
    assert len(compare.compare(before, slower, fail=1.1).failures) == 1
    noisy = _times(50, 60, 90, 140, 150, 200, 300)  # the factor alone
    slightly = _times(*range(107, 114))  # the ranks alone
    elsewhere = _times(*range(130, 137), run={**_RUN, "cpu": {**_CPU, "model": "other"}})
    for after in (noisy, slightly):
        assert compare.compare(before, after, fail=1.1).text == "0 changes, 0 failures"
    skipped = "0 changes, 0 failures\nnot compared: 1 times of another machine or of other work; compared: 0"
    assert compare.compare(before, elsewhere, fail=1.1).text == skipped


def test_of_three_rounds_all_must_be_slower_and_that_fails_nothing():
    told = compare.compare(_times(10, 11, 12), _times(20, 21, 22), fail=1.1)
    assert "x 1.91" in told.text and not told.failures
    assert "0 changes" in compare.compare(_times(10, 11, 30), _times(20, 21, 22), fail=1.1).text


def test_a_peers_time_fails_nothing():
    before, slower = (
        [_RUN, {**_times(*times)[1], "peer": "torch"}]
        for times in (range(100, 107), range(130, 137))
    )
    found = compare.compare(before, slower, fail=1.1)
    assert "x 1.29" in found.text and not found.failures


def test_a_suite_without_its_device_says_what_was_not_run(capsys, monkeypatch):
    monkeypatch.setattr(runs, "has", lambda device: False)
    run("inference", device="tpu")
    assert capsys.readouterr().out.startswith("not run, because JAX finds no tpu here: predict MLP")


def test_contenders_that_nobody_knows_are_told():
    with pytest.raises(ValueError, match=r"wanted contenders of .* but came \['Jnn'\]"):
        run("step", contender=("Jnn",))


def test_what_is_meant_for_a_gpu_is_not_run_on_a_cpu(capsys):
    run("gpu", device="cpu")
    assert capsys.readouterr().out.startswith(
        "not run, because meant for another device than cpu: gpu_digits, gpu_len"
    )


@pytest.mark.peers
def test_both_networks_of_the_gpu_suite_are_resnet_18():
    from benchmarks import torch_models

    params, _ = jnn.as_model(jnn_steps.resnet18()).init(
        jax.random.key(0), jnp.zeros((1, 32, 32, 3))
    )
    theirs = sum(p.numel() for p in torch_models.resnet18().parameters())
    assert sum(a.size for a in jax.tree.leaves(params)) == theirs == 11_173_962


def test_a_device_is_set_for_every_contender():
    task = runs.put_on("gpu", SUITES["step"][0])
    assert isinstance(task, Task)
    assert {c.environment["JAX_PLATFORMS"] for c in task.contenders} == {"cuda"}


def test_every_figure_of_the_readme_is_made_from_the_records():
    text = readme.README.read_text()
    assert readme.filled(text, readme.committed()) == text, (
        "run `python -m benchmarks report --readme`"
    )
    section = text.split("## What is measured")[1].split("\n## ")[0]
    written = re.sub(
        r"<!-- benchmarks: .*?<!-- end -->|`[^`]*`|\]\([^)]*\)", "", section, flags=re.DOTALL
    )
    assert not re.findall(r"\d", written), "a figure outside of the blocks that the script makes"


def test_a_bar_whose_peers_did_not_run_is_no_bar_that_holds():
    for found in ({}, {"jnn": _sample("jnn", [10.0])}, {"a": _sample("a", [10.0])}):
        (judged,) = judge.judge_task(_TASK, found, _CEILINGS)
        assert not judged.holds and not judged.measured


def test_a_block_that_nobody_makes_is_an_error():
    with pytest.raises(ValueError, match=r"wanted one of the blocks .* but got 'ghost'"):
        readme.filled("<!-- benchmarks: ghost -->\n<!-- end -->", {})


def test_plots_are_drawn_of_what_was_measured(tmp_path: Path):
    about = {
        "kind": "task",
        "run": "r",
        "case": SUITES["layers"][0].name,
        "matmul_gflops": 100.0,
        "copy_gbps": 10.0,
    }
    layers = record.as_dicts(
        [_RUN, about, dataclasses.replace(_sample("jnn", [10.0]), case=about["case"])]
    )
    step = record.as_dicts([_RUN, {**about, "case": SUITES["step"][0].name}])
    step += record.as_dicts(
        [dataclasses.replace(_sample(n, [9.0]), case=SUITES["step"][0].name) for n in ("jnn", "a")]
    )
    paths = plots.draw({**dict.fromkeys(SUITES, ()), "layers": layers, "step": step}, tmp_path)
    assert [p.name for p in paths] == ["roofline.png", "peers.png"] and all(
        p.stat().st_size > 5000 for p in paths
    )


def test_a_counter_over_its_limit_is_a_miss():
    counter = Counter("step", "step", most={"peak_over_lax": 1.5})
    assert "| **MISS** |" in report.report(_counter(peak_over_lax=1.6), [counter])
    assert "| pass |" in report.report(_counter(peak_over_lax=1.4), [counter])


def test_stages_are_told_apart():
    _, stages = jax_loops.staged(jax.jit(jnp.sin), jnp.ones(2))
    assert list(stages) == ["trace", "lower", "compile"] and min(stages.values()) > 0


@pytest.mark.peers
def test_pytorchs_cache_of_keys_and_values_changes_no_logit():
    import torch

    from benchmarks import torch_models

    net = torch_models.GPT(vocabulary=11, time=9, width=16, depth=2, heads=2).eval()
    ids = torch.randint(0, 11, (3, 9))
    with torch.inference_mode():
        caches = net.start(3)
        steps = [net.decode(ids[:, i : i + 1], caches, i) for i in range(9)]
        torch.testing.assert_close(torch.cat(steps, 1), net(ids), rtol=1e-4, atol=1e-5)
