"""The benchmarks: how single calls are timed, judged, counted, compared and shown in documents."""

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
    calls,
    compare,
    counters,
    documents,
    jax_calls,
    judge,
    machine,
    measure,
    plots,
    record,
    report,
    work,
)
from benchmarks.__main__ import run
from benchmarks.case import COPY, MATMUL, Bar, Case, Counter, Quality
from benchmarks.contender import Contender
from benchmarks.peers import layers_jnn, layers_lax, nets_jnn, steps
from benchmarks.record import Score
from benchmarks.rounds import Spread
from benchmarks.suites import SUITES

pytestmark = pytest.mark.benchmarks

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
_IMAGES = {"x": (2, 32, 32, 3), "classes": 10}
_TEXT = {"x": (2, 8), "vocabulary": 11}
_BLOCKS = {"width": 8, "depth": 1, "heads": 2}
_STEPS = {
    "mlp": {"sizes": (16, 32, 10), "data": {"x": (16, 16), "classes": 10}},
    "lenet": {"data": {"x": (2, 28, 28, 1), "classes": 10}},
    "resnet": {"depth": 8, "data": _IMAGES},
    "lstm": {"vocabulary": 11, "width": 4, "data": _TEXT},
    "gpt": {"vocabulary": 11, "time": 8, **_BLOCKS, "data": _TEXT},
    "vit": {"patch": 16, **_BLOCKS, "data": _IMAGES},
}


def _score(module, layer: str, **arguments) -> float:
    (score,) = module.call(**{"layer": layer, **_LAYERS[layer], **arguments}).play(2)
    return score


def _xla_flops(function, *arguments) -> float:
    """XLA's count of a function and its gradient by the first argument."""
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


@pytest.mark.parametrize("backward", [False, True])
def test_all_ways_to_convolve_agree_in_the_score(backward):
    conv = {**_LAYERS["conv"], "backward": backward}
    calls_of_conv = [
        layers_jnn.call(layer="conv", **conv),
        layers_jnn.call(layer="conv", members=2, **conv),
        layers_lax.call(layer="conv", **conv),
        layers_lax.call(layer="conv", loop=False, **conv),
        layers_lax.call(layer="im2col", **conv),
    ]
    scores = [call.play(2) for call in calls_of_conv]
    np.testing.assert_allclose(scores, [scores[0]] * 5, rtol=1e-5)


def test_the_score_of_a_call_sees_where_a_number_stands():
    out = np.arange(6.0)
    assert calls.score(0.0, out) != pytest.approx(calls.score(0.0, out[::-1]))
    assert calls.score(3.0, np.zeros(1)) == 3.0


@pytest.mark.peers
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("layer", _LAYERS)
def test_pytorch_and_flax_compute_the_layers_of_jnn(layer, backward):
    layers_torch = importlib.import_module("benchmarks.peers.layers_torch")
    modules = (layers_jnn, layers_lax, layers_torch)
    scores = [_score(module, layer, backward=backward) for module in modules]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-4)


@pytest.mark.peers
@pytest.mark.parametrize("network", _STEPS)
@pytest.mark.parametrize("peer", [steps.torch, steps.linen, steps.equinox, steps.keras])
def test_every_peer_trains_the_networks_of_the_steps(peer, network, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    call = peer(network=network, **_STEPS[network])
    first = call.play(1)
    last = call.play(61)  # both end with the first batch
    assert last < first


@pytest.mark.peers
@pytest.mark.parametrize("network", ["resnet", "lstm", "gpt", "vit"])
@pytest.mark.parametrize("peer", ["torch", "equinox", "keras"])
def test_a_network_of_a_peer_has_as_many_parameters_as_jnns(peer, network, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    sizes = {k: v for k, v in _STEPS[network].items() if k != "data"}
    theirs = sum(math.prod(p.shape) for p in _parameters(peer, network, sizes))
    if (peer, network) == ("torch", "lstm"):  # PyTorch's second bias
        theirs -= 4 * sizes["width"]
    assert theirs == _count_parameters(network, **_STEPS[network])


def _parameters(peer: str, network: str, sizes: dict):
    make = getattr(importlib.import_module(f"benchmarks.peers.nets_{peer}"), network)
    if peer == "equinox":
        import equinox as eqx

        net, _ = eqx.nn.make_with_state(make)(jax.random.key(0), **sizes)
        return jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))
    return make(**sizes).parameters() if peer == "torch" else make(**sizes).trainable_variables


def _count_parameters(network: str, **arguments) -> int:
    _, start = steps.make_jnn_step(network=network, **arguments)
    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(start).trained.params))


@pytest.mark.parametrize("network", _STEPS)
def test_the_program_of_a_population_lowers_for_a_tpu(network, monkeypatch):
    """With the layers' choices for an accelerator, which ask JAX for its default backend."""
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    step, start = steps.make_jnn_step(network=network, members=2, **_STEPS[network])
    batches = map(jnp.asarray, calls.batches(**_STEPS[network]["data"]))
    traced = jax.jit(jax_calls.make_loop(step)).trace(jax.eval_shape(start), 3, *batches)
    assert "stablehlo.while" in traced.lower(lowering_platforms=("tpu",)).as_text()


def test_the_loop_of_steps_trains():
    data = {"x": (32, 16), "classes": 10}
    call = steps.jnn(network="mlp", sizes=(16, 32, 10), data=data, members=2)
    (first,) = call.play(1)
    (last,) = call.play(300)
    assert first > 1.5 > 1.0 > last  # guessing among ten classes gives 2.3
    assert set(call.stages) == {"trace", "lower", "compile"}


def test_flops_on_paper_are_those_that_xla_counts():
    x, kernel = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 9, 9, 3), (1, 1, 3, 8)))
    convolve = functools.partial(
        jax.lax.conv_general_dilated, window_strides=(2, 2), padding="SAME"
    )
    counted = _xla_flops(
        functools.partial(convolve, dimension_numbers=("NHWC", "HWIO", "NHWC")), x, kernel
    )
    assert work.conv(x.shape, kernel.shape, 2) == pytest.approx(counted, rel=0.01)
    q = jax.ShapeDtypeStruct((2, 16, 2, 64), jnp.float32)
    products = lambda q, k, v: jnp.einsum("bhts,bshd->bthd", jnp.einsum("bthd,bshd->bhts", q, k), v)  # noqa: E731
    assert work.attention(2, 16, 2, 64) == pytest.approx(_xla_flops(products, q, q, q), rel=0.01)
    assert work.attention(2, 16, 2, 64, causal=True) == work.attention(2, 16, 2, 64) / 2


def test_resnet_20_has_the_operations_that_are_published():
    """Counting tools report 40.5 million multiplications with additions."""
    assert work.resnet20() / 2 == pytest.approx(40.5e6, rel=0.01)


def test_a_scaling_series_has_its_slope():
    cases = [Case(f"rows = {n}", (), size=float(n)) for n in (1, 10, 100)]
    measured = [(case, {}, {"jnn": _timing("jnn", [3 * case.size**0.5])}) for case in cases]
    assert report.slopes(measured) == [("rows, jnn", pytest.approx(0.5), 3)]


_BAR = Bar("never slower than the best peer", ("a", "b"), "jnn", at_least=1.0)
_CASE = Case(
    "small",
    (Contender("jnn", "x.x"),),
    (_BAR,),
    arguments=_CONV,
    flops=1e6,
    quality=Quality(relative=1e-3, most=2.0),
)
_CEILINGS = {"matmul_gflops": 100.0, "copy_gbps": 10.0}


@pytest.mark.parametrize(
    ("peer", "score", "holds"),
    [(12.0, 1.0, True), (9.0, 1.0, False), (12.0, 1.1, False), (12.0, 3.0, False)],
)
def test_a_bar_of_single_calls_holds_by_ratio_and_equal_scores(peer, score, holds):
    timings = {
        "jnn": _timing("jnn", [10.0] * 3),
        "a": _timing("a", [50.0] * 3),
        "b": _timing("b", [peer] * 3, score),
    }
    (judged,) = judge.judge(_CASE, timings, _CEILINGS)
    assert (judged.fastest, judged.holds) == ("b", holds)


def test_the_fastest_peer_is_the_one_with_the_smallest_ratio():
    """b is slow in the rounds where jnn is: its median is larger than a's, its ratio smaller."""
    timings = {
        "jnn": _timing("jnn", [10.0, 20.0, 21.0]),
        "a": _timing("a", [19.0, 19.0, 31.0]),
        "b": _timing("b", [9.0, 20.0, 21.0]),
    }
    (judged,) = judge.judge(_CASE, timings, _CEILINGS)
    assert judged.fastest == "b" and judged.ratio.median == 1.0


def test_a_difference_is_taken_in_microseconds():
    bar = Bar("over", ("jnn",), "raw", at_most=1.0, of="difference")
    timings = {"jnn": _timing("jnn", [12.0, 22.5]), "raw": _timing("raw", [11.5, 22.0])}
    (judged,) = judge.judge(dataclasses.replace(_CASE, bars=(bar,)), timings, _CEILINGS)
    assert judged.ratio == Spread(0.5, 0.5, 0.5, 2) and judged.holds


@pytest.mark.parametrize(("ceiling", "share"), [(MATMUL, 0.5), (COPY, 0.25)])
def test_a_share_of_a_ceiling_is_a_bar(ceiling, share):
    bar = Bar("share", (ceiling,), "jnn", at_least=0.4)
    case = dataclasses.replace(_CASE, bytes=5e4, bars=(bar,))
    (judged,) = judge.judge(case, {"jnn": _timing("jnn", [20.0, 20.0])}, _CEILINGS)
    assert judged.ratio.median == pytest.approx(share) and judged.holds is (share > 0.4)


def test_single_calls_are_measured_and_who_cannot_make_them_is_named(monkeypatch):
    """Two that can, one whose arguments are wrong, and one that is not installed."""
    monkeypatch.setattr(machine, "ceilings", lambda device: _CEILINGS)
    able = Contender("im2col", "layers_lax.call", arguments={"layer": "im2col"})
    unable = Contender("unable", "layers_lax.call", arguments={"options": {"stride": 2}})
    ghost = Contender("ghost", "ghost.ghost", needs="no_such_library")
    two = Contender("two members", "layers_jnn.call", 2)
    case = dataclasses.replace(
        _CASE,
        contenders=(able, two, unable, ghost),
        arguments={"layer": "conv", **_CONV},
        quality=Quality(relative=1e-3),
        together=True,
        rounds=2,
        seconds=0.001,
    )
    records = record.as_dicts([_RUN, *next(measure.measure_cases("r", [case]))])
    timings = record.timings(records, "r", "small")
    assert list(timings) == ["im2col", "two members"] and len(timings["im2col"].steady) == 2
    scores = [timing.score.mean for timing in timings.values()]
    assert scores[0] == pytest.approx(scores[1])
    assert timings["im2col"].stages.keys() == {"trace", "lower", "compile"}
    assert len(timings["im2col"].prepare_seconds) == len(timings["im2col"].first_seconds) == 1
    table = report.report(records, [case])
    assert "unable: TypeError" in table and "ghost: no_such_library is not installed" in table


def test_counts_of_a_program_are_its_instructions():
    text = jax.jit(lambda a, b: jnp.tanh(a @ b))
    counts = counters._count_program(text, jnp.ones((8, 8)), jnp.ones((8, 8)))
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
    "case",
    [case for suite in ("step", "gpu") for case in SUITES[suite] if case.arguments],
    ids=lambda case: case.name,
)
def test_the_bytes_of_a_step_are_those_of_its_parameters(case):
    data = case.arguments["data"]
    one_row = {**data, "x": (1, *data["x"][1:])}
    parameters = _count_parameters(**{**case.arguments, "data": one_row})
    assert case.bytes == work.traffic(parameters), parameters


_CPU = {"model": "some", "cores": 2, "flags": []}
_RUN = {
    "kind": "run",
    "run": "r",
    "quick": False,
    "date": "2026-01-01T00:00:00Z",
    "commit": "0123456789ab",
    "dirty": False,
    "precision": "float32",
    "cpu": _CPU,
    "versions": {"jax": "0.10", "jaxlib": "0.10"},
}


def _counter(**counts: float) -> list[dict]:
    return [_RUN, {"kind": "counter", "run": "r", "case": "step", "counts": counts}]


def _times(*steady: float, run: dict = _RUN) -> list[dict]:
    return record.as_dicts([run, _timing("jnn", list(steady))])


def _timing(name: str, steady: list[float], score: float = 1.0) -> record.Timing:
    return record.Timing(
        run="r",
        case="small",
        contender=name,
        peer=f"{name}_x",
        environment={},
        members=1,
        calls=10,
        member_steps=1,
        prepare_seconds=[],
        first_seconds=[],
        stages={},
        warm_up=[],
        steady=steady,
        score=Score(score, score, score, 1),
    )


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
    assert compare.compare(before, elsewhere, fail=1.1).text == (
        "0 changes, 0 failures\n"
        "not compared: 1 times of another machine or of other work; compared: 0"
    )


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
    monkeypatch.setattr(machine, "has_device", lambda device: False)
    run("inference", device="tpu")
    assert capsys.readouterr().out.startswith("not run, because JAX finds no tpu here: predict MLP")


def test_contenders_that_nobody_knows_are_told():
    with pytest.raises(ValueError, match=r"Contenders must be among .*, got \['Jnn'\]"):
        run("step", contender=("Jnn",))


def test_what_is_meant_for_a_gpu_is_not_run_on_a_cpu(capsys):
    run("gpu", device="cpu")
    assert capsys.readouterr().out.startswith(
        "not run, because meant for another device than cpu: gpu_digits, gpu_len"
    )


@pytest.mark.peers
def test_both_networks_of_the_gpu_suite_are_resnet_18():
    from benchmarks.peers import nets_torch

    images = jnp.zeros((1, 32, 32, 3))
    params, _ = jnn.as_model(nets_jnn.resnet18()).init(jax.random.key(0), images)
    theirs = sum(p.numel() for p in nets_torch.resnet18().parameters())
    assert sum(a.size for a in jax.tree.leaves(params)) == theirs == 11_173_962


def test_a_device_is_set_for_every_contender():
    case = measure.put_on("gpu", SUITES["step"][0])
    assert {c.environment["JAX_PLATFORMS"] for c in case.contenders} == {"cuda"}


def test_every_figure_in_the_documents_is_made_from_the_records():
    records = documents.committed_records()
    for path in documents.documents():
        text = path.read_text()
        filled = documents.fill(text, records, prefix=documents.link_prefix(path))
        assert filled == text, "run `python -m benchmarks write`"


def test_no_figure_stands_outside_of_the_blocks():
    """In the section that has the block of the bars, code and links aside."""
    texts = [path.read_text() for path in documents.documents()]
    sections = [part for text in texts for part in re.split(r"^#{1,2} ", text, flags=re.MULTILINE)]
    (section,) = (part for part in sections if "<!-- benchmarks: bars -->" in part)
    block = r"<!-- benchmarks: .*?<!-- end -->|`[^`]*`|\]\([^)]*\)"
    assert not re.findall(r"\d", re.sub(block, "", section, flags=re.DOTALL))


def test_a_bar_whose_peers_did_not_run_is_no_bar_that_holds():
    for timings in ({}, {"jnn": _timing("jnn", [10.0])}, {"a": _timing("a", [10.0])}):
        (judged,) = judge.judge(_CASE, timings, _CEILINGS)
        assert not judged.holds and not judged.is_measured


def test_a_block_that_nobody_makes_is_an_error():
    with pytest.raises(ValueError, match=r"Blocks must be one of .*, got 'ghost'"):
        documents.fill("<!-- benchmarks: ghost -->\n<!-- end -->", {})


def test_plots_are_drawn_of_what_was_measured(tmp_path: Path):
    about = {
        "kind": "case",
        "run": "r",
        "case": SUITES["layers"][0].name,
        "matmul_gflops": 100.0,
        "copy_gbps": 10.0,
    }
    layer = dataclasses.replace(_timing("jnn", [10.0]), case=about["case"])
    layers = record.as_dicts([_RUN, about, layer])
    network = SUITES["step"][0].name
    times = [dataclasses.replace(_timing(n, [9.0]), case=network) for n in ("jnn", "a")]
    step = record.as_dicts([_RUN, {**about, "case": network}, *times])
    paths = plots.draw({**dict.fromkeys(SUITES, ()), "layers": layers, "step": step}, tmp_path)
    assert [p.name for p in paths] == ["roofline.png", "peers.png"]
    assert all(p.stat().st_size > 5000 for p in paths)


def test_a_counter_over_its_limit_is_a_miss():
    counter = Counter("step", "step", most={"peak_over_lax": 1.5})
    assert "| **MISS** |" in report.report(_counter(peak_over_lax=1.6), [counter])
    assert "| pass |" in report.report(_counter(peak_over_lax=1.4), [counter])


def test_stages_are_told_apart():
    _, stages = jax_calls.compile_in_stages(jax.jit(jnp.sin), jnp.ones(2))
    assert list(stages) == ["trace", "lower", "compile"] and min(stages.values()) > 0


@pytest.mark.peers
def test_pytorchs_cache_of_keys_and_values_changes_no_logit():
    import torch

    from benchmarks.peers import nets_torch

    net = nets_torch.GPT(vocabulary=11, time=9, width=16, depth=2, heads=2).eval()
    ids = torch.randint(0, 11, (3, 9))
    with torch.inference_mode():
        caches = net.start(3)
        steps = [net.decode(ids[:, i : i + 1], caches, i) for i in range(9)]
        torch.testing.assert_close(torch.cat(steps, 1), net(ids), rtol=1e-4, atol=1e-5)
