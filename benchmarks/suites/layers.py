"""Suite `layers`: every layer alone, forward and with its backward pass, beside its peers.

The peers are PyTorch, plain lax or Flax, and im2col. jnn's calls stand inside a compiled loop, as
in a training step; PyTorch's in a Python loop, which is how it trains. A population lies over the
cores as `jnn.run` lays it; one layer alone has whatever cores XLA gives it.
"""

import math
import os
from dataclasses import replace
from typing import Any

from benchmarks import work
from benchmarks.case import Bar, Case, Quality
from benchmarks.contender import Contender, threads
from benchmarks.work import Shape

_MOST_INPUTS = 10_000_000  # numbers that a population's input may have
_FUSED = (  # where fusing is what `torch.compile` can add
    "layer_norm",
    "rms_norm",
    "attention",
    "dropout",
)

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
_EVERY_CORE = {"JAX_NUM_CPU_DEVICES": str(_CORES)}
_JNN = (
    Contender("jnn", "layers_jnn.call"),
    Contender("jnn, 4 members", "layers_jnn.call", 4, environment=_EVERY_CORE),
    Contender("jnn, 16 members", "layers_jnn.call", 16, environment=_EVERY_CORE),
)
_EAGER = (
    Contender("PyTorch (1 thread)", "layers_torch.call", environment=threads(1), needs="torch"),
    Contender("PyTorch (2 threads)", "layers_torch.call", environment=threads(2), needs="torch"),
)
_COMPILED = Contender(
    "torch.compile",
    "layers_torch.call",
    environment=threads(2),
    needs="torch",
    arguments={"compiled": True},
)
_FLAX = Contender("lax or Flax", "layers_lax.call")
_OUTSIDE = Contender("lax outside a loop", "layers_lax.call", arguments={"loop": False})
_IM2COL = Contender("im2col", "layers_lax.call", arguments={"layer": "im2col"})

_EAGER_BAR = Bar(
    "never slower than PyTorch eager", tuple(c.name for c in _EAGER), "jnn", at_least=1.0
)
_CONV_BAR = Bar(
    "never slower than lax outside a loop and im2col",
    (_OUTSIDE.name, _IM2COL.name),
    "jnn",
    at_least=1.0,
)


def _cases(
    name: str, layer: str, x: Shape, flops: float, *, outputs: int | None = None, **arguments: Any
) -> tuple[Case, ...]:
    """Return a layer forward, and forward with its backward pass.

    Args:
        name: Name of the forward case.
        layer: Function of the contenders' files.
        x: Shape of the input.
        flops: Operations of a forward call.
        outputs: Number of outputs; by default as many as x has numbers.
        arguments: Further arguments of a call.
    """
    if outputs is None:
        outputs = math.prod(x)
    numbers = math.prod(x) + outputs
    parameters = work.elements(arguments.get("params", {}))
    arguments = {"layer": layer, "x": x, **arguments}
    forward = Case(
        name,
        _contenders(layer, x, backward=False),
        bars=_bars(layer, x),
        arguments={**arguments, "backward": False},
        flops=flops,
        bytes=4.0 * (numbers + parameters),
        quality=Quality(relative=None if layer == "dropout" else 2e-3),
        rounds=5,
        seconds=0.2,
    )
    backward = replace(
        forward,
        name=f"{name}, backward",
        contenders=_contenders(layer, x, backward=True),
        arguments={**arguments, "backward": True},
        flops=3 * flops,
        bytes=4.0 * (2 * numbers + 3 * parameters),
    )
    return forward, backward


def _populations(x: Shape) -> tuple[Contender, ...]:
    return tuple(c for c in _JNN if c.members * math.prod(x) < _MOST_INPUTS)


def _contenders(layer: str, x: Shape, *, backward: bool) -> tuple[Contender, ...]:
    contenders = [*_populations(x), *_EAGER]
    if backward and layer in _FUSED:
        contenders.append(_COMPILED)
    contenders.append(_FLAX)
    if layer == "conv":
        contenders += [_OUTSIDE, _IM2COL]
    return tuple(contenders)


def _bars(layer: str, x: Shape) -> tuple[Bar, ...]:
    bars = [_EAGER_BAR]
    for contender in _populations(x)[1:]:
        claim = f"{contender.name}: each never slower than one"
        bars.append(Bar(claim, (contender.name,), "jnn", at_most=1.05))
    if layer == "conv":
        bars.append(_CONV_BAR)
    return tuple(bars)


def _conv(x: Shape, kernel: Shape, strides: int = 1) -> tuple[Case, ...]:
    window = "x".join(map(str, kernel[:-2]))
    sides = "x".join(map(str, x[1:-1]))
    stride = f" / {strides}" if strides > 1 else ""
    return _cases(
        f"conv {window} {kernel[-2]}->{kernel[-1]} at {sides}{stride}",
        "conv",
        x,
        work.conv(x, kernel, strides),
        outputs=x[0] * math.prod(-(-side // strides) for side in x[1:-1]) * kernel[-1],
        params={"kernel": kernel},
        options={"strides": strides},
    )


def _recurrent(
    layer: str, gates: int, batch: int = 32, time: int = 64, width: int = 128
) -> tuple[Case, ...]:
    columns = gates * width
    params: dict[str, Shape] = {
        "input_kernel": (width, columns),
        "recurrent_kernel": (width, columns),
        "bias": (columns,),
    }
    if layer == "gru":
        params["recurrent_bias"] = (columns,)
    return _cases(
        f"{layer.upper()} {batch}x{time}x{width}",
        layer,
        (batch, time, width),
        2.0 * batch * time * 2 * width * columns,
        params=params,
    )


def _attention(
    time: int, batch: int = 12, heads: int = 4, dim: int = 32, **options: Any
) -> tuple[Case, ...]:
    return _cases(
        f"attention {batch}x{time}, {heads} heads{', causal' if options else ''}",
        "attention",
        (3, batch, time, heads, dim),
        work.attention(batch, time, heads, dim, **options),
        outputs=batch * time * heads * dim,
        options=options,
    )


def _elementwise(
    name: str, layer: str, x: Shape, *names: str, outputs: int | None = None, **options: Any
) -> tuple[Case, ...]:
    """Return a layer whose work is to read and write.

    `names` are those of its parameters, which have one number for each channel.
    """
    arguments: dict[str, Any] = {"params": dict.fromkeys(names, tuple(x[-1:]))}
    if options:
        arguments["options"] = options
    return _cases(f"{name} {'x'.join(map(str, x))}", layer, x, 0.0, outputs=outputs, **arguments)


def _dense(rows: int, inputs: int, outputs: int) -> tuple[Case, ...]:
    params = {"kernel": (inputs, outputs), "bias": (outputs,)}
    return _cases(
        f"dense {inputs}->{outputs}, {rows} rows",
        "dense",
        (rows, inputs),
        work.dense((rows, inputs), params["kernel"]),
        outputs=rows * outputs,
        params=params,
    )


def _embedding(ids: int, width: int) -> tuple[Case, ...]:
    """Return an embedding, without bytes: of its table it reads the rows that are asked for."""
    cases = _cases(
        f"embedding {ids}x{width}",
        "embedding",
        (12, 64),
        0.0,
        params={"table": (ids, width)},
        vocabulary=ids,
    )
    return tuple(replace(case, bytes=0.0) for case in cases)


_DROPOUT_STEP = Case(
    "dropout in a dense step 128x64-256-10",
    contenders=(
        Contender("jnn", "layers_jnn.call", arguments={"options": {"rate": None}}),
        Contender("with dropout", "layers_jnn.call", arguments={"options": {"rate": 0.5}}),
    ),
    bars=(Bar("dropout takes at most a third of the step", ("with dropout",), "jnn", at_most=1.5),),
    arguments={
        "layer": "dropout_step",
        "x": (128, 64),
        "params": {"first": (64, 256), "second": (256, 10)},
        "backward": True,
    },
    flops=3 * 2.0 * 128 * (64 * 256 + 256 * 10),
)

_IMAGES = (32, 32, 32, 16)
_SEQUENCE = (32, 64, 128)
_MAPS = (32, 16, 16, 32)

CASES = (
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
    *_elementwise("layer norm", "layer_norm", _SEQUENCE, "scale", "bias"),
    *_elementwise("RMS norm", "rms_norm", _SEQUENCE, "scale"),
    *_elementwise("batch norm", "batch_norm", _MAPS, "scale", "bias"),
    *_elementwise("group norm", "group_norm", _MAPS, "scale", "bias", groups=8),
    *_elementwise("max pool", "max_pool", _IMAGES, outputs=math.prod(_IMAGES) // 4),
    *_elementwise("avg pool", "avg_pool", _IMAGES, outputs=math.prod(_IMAGES) // 4),
    *_elementwise("dropout", "dropout", _SEQUENCE, rate=0.5),
    *_embedding(5000, 128),
    _DROPOUT_STEP,
)
