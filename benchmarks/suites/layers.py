"""Suite `layers`: every layer alone, forward and forward with backward, beside PyTorch, plain lax or Flax and im2col.

jnn's calls stand inside a compiled loop, as in a training step; PyTorch's in a Python loop, which is how it trains.
A population lies over the cores as `jnn.run` lays it; one layer alone has whatever cores XLA gives it.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks import flops
from benchmarks.case import Bar, Task
from benchmarks.contender import Contender, threads

_CORES = {
    "JAX_NUM_CPU_DEVICES": str(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    )
}
_JNN = (
    Contender("jnn", "jnn_layers", members=1),
    *(Contender(f"jnn, {m} members", "jnn_layers", members=m, environment=_CORES) for m in (4, 16)),
)
_EAGER = tuple(
    Contender(
        f"PyTorch ({n} thread{'s' * (n > 1)})",
        "torch_layers",
        1,
        environment=threads(n),
        needs="torch",
    )
    for n in (1, 2)
)
_COMPILED = Contender(
    "torch.compile", "torch_layers_compiled", 1, environment=threads(2), needs="torch"
)
_FLAX = Contender("lax or Flax", "flax_layers", 1)
_OUTSIDE = Contender("lax outside a loop", "flax_layers", 1, arguments={"loop": False})
_IM2COL = Contender("im2col", "im2col_layers", 1)

_EAGER_BAR = Bar(
    "never slower than PyTorch eager", tuple(c.name for c in _EAGER), "jnn", at_least=1.0
)
_CONV_BAR = Bar(
    "never slower than lax outside a loop and im2col",
    (_OUTSIDE.name, "im2col"),
    "jnn",
    at_least=1.0,
)


def _tasks(
    name: str,
    function: str,
    x: tuple[int, ...],
    work: float,
    *,
    outputs: int | None = None,
    **arguments: Any,
) -> tuple[Task, ...]:
    """A layer forward, and forward with backward; it has as many `outputs` as x has numbers where none are given."""
    both = []
    for backward in (False, True):
        peers = (*_EAGER, *([_COMPILED] if backward and function in _FUSED else []), _FLAX)
        peers += (_OUTSIDE, _IM2COL) if function == "conv" else ()
        ours = tuple(c for c in _JNN if c.members * math.prod(x) < _MOST)
        taxes = (
            Bar(f"{c.name}: each never slower than one", (c.name,), "jnn", at_most=1.05)
            for c in ours[1:]
        )
        shapes = arguments.get("params", {})
        numbers = math.prod(x) + (math.prod(x) if outputs is None else outputs)
        moved = numbers * (1 if not backward else 2) + flops.elements(shapes) * (
            1 if not backward else 3
        )
        both.append(
            Task(
                f"{name}{', backward' if backward else ''}", function, {"x": x, "backward": backward, **arguments},
                contenders=(*ours, *peers),
                bars=(_EAGER_BAR, *taxes, *([_CONV_BAR] if function == "conv" else [])),
                flops=work * (3 if backward else 1), bytes=4.0 * moved,
                agree=None if function == "dropout" else 2e-3, rounds=5, seconds=0.2,
            )
        )  # fmt: skip
    return tuple(both)


_MOST = 10_000_000  # numbers that a population's input may have
_FUSED = (
    "layer_norm",
    "rms_norm",
    "attention",
    "dropout",
)  # where fusing is what `torch.compile` can add


def _conv(x: tuple[int, ...], kernel: tuple[int, ...], strides: int = 1) -> tuple[Task, ...]:
    window = "x".join(map(str, kernel[:-2]))
    name = f"conv {window} {kernel[-2]}->{kernel[-1]} at {'x'.join(map(str, x[1:-1]))}{f' / {strides}' * (strides > 1)}"
    work = flops.conv(x, kernel, strides)
    outputs = x[0] * math.prod(-(-side // strides) for side in x[1:-1]) * kernel[-1]
    return _tasks(
        name,
        "conv",
        x,
        work,
        outputs=outputs,
        params={"kernel": kernel},
        options={"strides": strides},
    )


def _recurrent(
    function: str, gates: int, batch: int = 32, time: int = 64, width: int = 128
) -> tuple[Task, ...]:
    columns = gates * width
    params = {
        "input_kernel": (width, columns),
        "recurrent_kernel": (width, columns),
        "bias": (columns,),
    }
    params |= {"recurrent_bias": (columns,)} if function == "gru" else {}
    work = 2.0 * batch * time * 2 * width * columns
    return _tasks(
        f"{function.upper()} {batch}x{time}x{width}",
        function,
        (batch, time, width),
        work,
        params=params,
    )


def _attention(
    time: int, batch: int = 12, heads: int = 4, dim: int = 32, **options: Any
) -> tuple[Task, ...]:
    name = f"attention {batch}x{time}, {heads} heads{', causal' if options else ''}"
    work = flops.attention(batch, time, heads, dim, **options)
    outputs = batch * time * heads * dim
    return _tasks(
        name, "attention", (3, batch, time, heads, dim), work, outputs=outputs, options=options
    )


def _plain(
    name: str,
    function: str,
    x: tuple[int, ...],
    *names: str,
    outputs: int | None = None,
    **options: Any,
) -> tuple[Task, ...]:
    """A layer whose work is to read and write; `names` are its parameters of one number a channel."""
    params = dict.fromkeys(names, x[-1:])
    arguments: Mapping[str, Any] = {"params": params} | ({"options": options} if options else {})
    return _tasks(f"{name} {'x'.join(map(str, x))}", function, x, 0.0, outputs=outputs, **arguments)


def _dense(rows: int, inputs: int, outputs: int) -> tuple[Task, ...]:
    params = {"kernel": (inputs, outputs), "bias": (outputs,)}
    work = flops.dense((rows, inputs), params["kernel"])
    name = f"dense {inputs}->{outputs}, {rows} rows"
    return _tasks(name, "dense", (rows, inputs), work, outputs=rows * outputs, params=params)


def _embedding(ids: int, width: int) -> tuple[Task, ...]:
    """Without a count of bytes: of the table it reads the rows that are asked for."""
    tasks = _tasks(
        f"embedding {ids}x{width}",
        "embedding",
        (12, 64),
        0.0,
        params={"table": (ids, width)},
        vocabulary=ids,
    )
    return tuple(replace(task, bytes=0.0) for task in tasks)


_DROPOUT_STEP = Task(
    "dropout in a dense step 128x64-256-10", "dropout_step",
    {"x": (128, 64), "params": {"first": (64, 256), "second": (256, 10)}, "backward": True},
    contenders=(
        Contender("jnn", "jnn_layers", 1, arguments={"options": {"rate": None}}),
        Contender("with dropout", "jnn_layers", 1, arguments={"options": {"rate": 0.5}}),
    ),
    bars=(Bar("dropout takes at most a third of the step", ("with dropout",), "jnn", at_most=1.5),),
    flops=3 * 2.0 * 128 * (64 * 256 + 256 * 10),
)  # fmt: skip

_IMAGES, _SEQUENCE, _MAPS = (32, 32, 32, 16), (32, 64, 128), (32, 16, 16, 32)

TASKS = (
    *_conv((32, 32, 32, 3), (3, 3, 3, 16)),  # the CIFAR ResNet-20, batch 32
    *_conv(_IMAGES, (3, 3, 16, 16)),
    *_conv(_IMAGES, (3, 3, 16, 32), 2),
    *_conv(_IMAGES, (1, 1, 16, 32), 2),
    *_conv(_MAPS, (3, 3, 32, 32)),
    *_conv(_MAPS, (3, 3, 32, 64), 2),
    *_conv(_MAPS, (1, 1, 32, 64), 2),
    *_conv((32, 8, 8, 64), (3, 3, 64, 64)),
    *_conv((100, 40, 1), (5, 1, 25), 2),  # the CNN of MNIST-1D, batch 100
    *_conv((100, 20, 25), (3, 25, 25), 2),
    *_dense(128, 784, 256),
    *_recurrent("lstm", 4),
    *_recurrent("gru", 3),
    *_attention(64),
    *_attention(512),
    *_attention(512, causal=True),
    *_plain("layer norm", "layer_norm", _SEQUENCE, "scale", "bias"),
    *_plain("RMS norm", "rms_norm", _SEQUENCE, "scale"),
    *_plain("batch norm", "batch_norm", _MAPS, "scale", "bias"),
    *_plain("group norm", "group_norm", _MAPS, "scale", "bias", groups=8),
    *_plain("max pool", "max_pool", _IMAGES, outputs=math.prod(_IMAGES) // 4),
    *_plain("avg pool", "avg_pool", _IMAGES, outputs=math.prod(_IMAGES) // 4),
    *_plain("dropout", "dropout", (32, 64, 128), rate=0.5),
    *_embedding(5000, 128),
    _DROPOUT_STEP,
)  # fmt: skip
