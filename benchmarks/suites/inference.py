"""Suite `inference`: predictions of networks and ensembles, and text from a language model."""

from dataclasses import replace
from typing import Any

from benchmarks import work
from benchmarks.case import Bar, Case, Quality
from benchmarks.contender import Contender, threads
from benchmarks.workloads import LENET_LAYERS, WIDE_LAYERS

_JNN = Contender("jnn", "inference.jnn")
_ENSEMBLE = Contender("jnn, 16 members", "inference.jnn", 16)
_TORCH = (
    Contender("PyTorch (1 thread)", "inference.torch", environment=threads(1), needs="torch"),
    Contender("PyTorch (2 threads)", "inference.torch", environment=threads(2), needs="torch"),
)
_LINEN = Contender("Flax Linen", "inference.linen")
_TORCH_NAMES = tuple(c.name for c in _TORCH)
_GPT = {"vocabulary": 65, "width": 128, "depth": 4, "heads": 4}


def _predict(name: str, flops: float, parameters: int, **arguments: Any) -> Case:
    """Return a prediction; its bytes are those of the parameters, which are read once."""
    return Case(
        name,
        (_JNN, _ENSEMBLE, *_TORCH, _LINEN),
        bars=(
            Bar(
                "never slower than the best peer", (*_TORCH_NAMES, _LINEN.name), "jnn", at_least=1.0
            ),
            Bar(
                "a member of an ensemble never slower than one network",
                (_ENSEMBLE.name,),
                "jnn",
                at_most=1.05,
            ),
        ),
        arguments=arguments,
        flops=flops,
        bytes=4.0 * parameters,
        quality=Quality(relative=1e-6),
    )


def _generate(batch: int, time: int = 64) -> Case:
    """Return a call that makes `batch * time` ids, each from a cache of keys and values."""
    return Case(
        f"GPT 4 layers of 128: {batch} x {time} ids",
        (
            replace(_JNN, peer="inference.jnn_text"),
            *(replace(contender, peer="inference.torch_text") for contender in _TORCH),
        ),
        bars=(Bar("never slower than PyTorch", _TORCH_NAMES, "jnn", at_least=1.0),),
        arguments={"batch": batch, "time": time, **_GPT},
        size=float(batch),
        seconds=0.2,
    )


def _mlp(rows: int) -> Case:
    return _predict(
        f"predict MLP 784-256-256-10, {rows} rows",
        work.forward_flops(WIDE_LAYERS, rows),
        269_322,
        network="mlp",
        data={"x": (rows, 784), "classes": 10},
        sizes=(784, 256, 256, 10),
    )


CASES = (
    _mlp(1),
    _mlp(512),
    _predict(
        "predict LeNet 28x28, 64 images",
        work.forward_flops(LENET_LAYERS, 64),
        105_866,
        network="lenet",
        data={"x": (64, 28, 28, 1), "classes": 10},
    ),
    _predict(
        "predict GPT 4 layers of 128, 12 x 64 ids",
        work.transformer(12, 64, 128, 4, 4, causal=True, outputs=65),
        809_856,
        network="gpt",
        data={"x": (12, 64), "vocabulary": 65},
        time=64,
        **_GPT,
    ),
    _generate(1),
    _generate(12),
)
