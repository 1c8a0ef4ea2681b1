"""LoRA as an edit of the parameters: low-rank updates of the kernels of any trained network.

    adapted = jnn.lora.adapt(network, (params, state), "**/attention/*/kernel", rank=8)
    study = jnn.Study(adapted.model, ..., shared=adapted.shared)
    result = jnn.run(study, data, jnn.seeds(1000))
    params = adapted.merge(jax.tree.map(lambda array: array[0], result.trained.params))

Only the factors are parameters of a member, so a thousand members hold the network once. Products
of rows and an adapted kernel are computed as x base + (x a) b, so that the kernel of a member is
never formed; convolutions form it.
"""

import dataclasses
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jnn import paths
from jnn._settings import FROM_0_TO_1, check_integer, check_number
from jnn.model import (
    Frozen,
    Functions,
    LowRank,
    Model,
    TrainKeyword,
    as_model,
    shared_arrays,
    variables_of,
)

__all__ = ["LowRank", "adapt"]

_DRAW = 0x10A  # folded into a member's first key for the factors; large, as networks use small ones


def __dir__() -> list[str]:
    return __all__


def adapt(
    network: Any,
    base: Any,
    pattern: paths.Patterns,
    *,
    rank: int | Mapping[Any, int] = 8,
    alpha: float | None = None,
    dropout_rate: float | None = None,
    initial: Literal["kaiming", "gaussian"] = "kaiming",
    outputs: int = 1,
    train: paths.Patterns = (),
    fresh: paths.Patterns = (),
    shared: Any = None,
    train_keyword: TrainKeyword = None,
) -> Frozen:
    """Adapt a trained network by LoRA: freeze it, and train low-rank updates of some kernels.

        kernel = base + alpha / rank * a @ b,  a [inputs, rank], b [rank, outputs]

    (Hu et al. 2021, https://arxiv.org/abs/2106.09685). `b` starts at zero, so that each member
    starts as the base. A kernel of more axes is taken as a matrix [inputs, outputs]; for that of a
    convolution, [*window, in, out], this is the update of `peft`, whose `a` is a convolution to
    `rank` channels and whose `b` is one with a window of 1. The factors of "dense/kernel" are
    the parameters "dense/kernel/lora_a" and "dense/kernel/lora_b", the transposes of those in
    `peft`.

    Args:
        network: As in `jnn.as_model`: a pair of functions, a Linen module or an NNX factory.
        base: Its parameters, or its parameters and state, as in `jnn.freeze`.
        pattern: Patterns of the names of the kernels to adapt; see `jnn.paths.match`.
        rank: Rank of the updates; or one for each pattern of names, of which the first that a
            kernel fits counts: `{"**/query/kernel": 8, "**": 4}`.
        alpha: Strength of the updates before they are divided by the rank; by default the rank,
            which makes the factor 1.
        dropout_rate: Share of the entries of x that is dropped before x meets `a` in training, as
            by `lora_dropout` in `peft`. The product with the base has the whole x. Members may
            set it as `lora_dropout_rate`, and None is for no dropout. A kernel in a loop over time
            sees the same entries dropped at all steps. Kernels of convolutions cannot drop.
        initial: How `a` is drawn: "kaiming", uniform between -1 / sqrt(inputs) and
            1 / sqrt(inputs), as in `peft` by default; or "gaussian", normal with the standard
            deviation 1 / rank, as in `peft` by that name.
        outputs: Number of last axes of a kernel that are outputs; 2 for the query, key and value of
            Flax's attention, [features, heads, features of a head].
        train: Patterns of the names of parameters that are trained whole, from their values in
            `base`, such as "**/bias".
        fresh: Patterns of the names of parameters that are trained whole and drawn anew, such as
            those of a new head.
        shared: Arrays that the network itself declares as `jnn.Shared`.
        train_keyword: As in `jnn.as_model`.

    Returns:
        The network and its arrays for `Study(adapted.model, shared=adapted.shared)`; its `merge`
        gives the parameters of the network with the updates added, and `unmerge` takes them out.

    Raises:
        TypeError: If the network or an argument is of another type.
        ValueError: If a pattern fits no name, a leaf that is adapted is no matrix, or the rank is
            larger than a matrix.
    """
    if dropout_rate is not None:
        check_number("dropout_rate", dropout_rate, FROM_0_TO_1, "It is the share to drop.")
    outputs = check_integer("outputs", outputs)
    if alpha is not None:
        check_number("alpha", alpha, advice="The default is the rank.")
    if initial not in ("kaiming", "gaussian"):
        raise ValueError(f"initial must be 'kaiming' or 'gaussian', got {initial!r}.")
    model = as_model(network, train_keyword=train_keyword)
    params, state = variables_of(model, base)
    names = paths.names(params)
    whole = paths.pattern_fits(train, names) | paths.pattern_fits(fresh, names, required=False)
    adapted = paths.pattern_fits(pattern, names)
    if not adapted:
        raise ValueError("pattern must name at least one kernel, got none. Use e.g. '**/kernel'.")
    _check_apart(adapted & whole)
    ranks = _ranks(rank, sorted(adapted))
    for name, leaf in zip(names, jax.tree.leaves(params), strict=True):
        if name in adapted:
            _check_matrix(name, leaf, ranks[name], outputs)
    scales = {name: 1.0 if alpha is None else alpha / rank for name, rank in ranks.items()}
    low = _Updates(ranks, initial, outputs)
    frozen = tuple(name for name in names if name not in whole)
    functions = Functions(model, frozen, fresh, low.factors, scales, dropout_rate)
    return Frozen(
        Model(functions.init, functions.apply, f"{model.name} with LoRA", functions.choices),
        shared_arrays(params, state, shared),
    )


@dataclasses.dataclass(frozen=True)
class _Updates:
    """The low-rank updates of the adapted parameters, whose ranks are given by name."""

    ranks: Mapping[str, int]
    initial: str
    outputs: int

    def factors(self, name: str, array: Any, key: Any) -> LowRank | None:
        """Return the first factors of a parameter; None for one that is not adapted."""
        if name not in self.ranks:
            return None
        rank = self.ranks[name]
        rows, columns = _matrix(jnp.shape(array), self.outputs)
        key = jax.random.fold_in(jax.random.fold_in(key, _DRAW), zlib.crc32(name.encode()))
        shape, dtype = (rows, rank), array.dtype
        if self.initial == "gaussian":
            a = jax.random.normal(key, shape, dtype) / rank
        else:
            bound = 1 / math.sqrt(rows)
            a = jax.random.uniform(key, shape, dtype, -bound, bound)
        return LowRank(a, jnp.zeros((rank, columns), dtype))


def _ranks(rank: int | Mapping[Any, int], names: Sequence[str]) -> dict[str, int]:
    """Return the rank of each adapted kernel."""
    by_pattern: Mapping[Any, int] = rank if isinstance(rank, Mapping) else {"**": rank}
    for one in by_pattern.values():
        check_integer("rank", one, advice="Set it to e.g. 8.")
    return paths.labels(by_pattern, dict.fromkeys(names, 0))


def _matrix(shape: Sequence[int], outputs: int) -> tuple[int, int]:
    """Return the shape of a kernel as a matrix [inputs, outputs]."""
    return math.prod(shape[:-outputs]), math.prod(shape[-outputs:])


def _check_matrix(name: str, leaf: Any, rank: int, outputs: int) -> None:
    shape = jnp.shape(leaf)
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
        raise ValueError(
            f"pattern must name kernels of floats, but {name!r} is of {jnp.result_type(leaf)}. "
            "Convert the base."
        )
    if len(shape) <= outputs:
        raise ValueError(
            f"pattern must name kernels of {outputs + 1} or more axes, but {name!r} has the shape "
            f"{shape}. Name kernels only, as in '**/kernel', and train others by train={name!r}."
        )
    largest = min(_matrix(shape, outputs))
    if rank > largest:
        raise ValueError(
            f"rank must be at most {largest} for {name!r} of shape {shape}, got {rank}. Use a "
            "smaller rank, or name larger kernels only."
        )


def _check_apart(both: set[str]) -> None:
    if both:
        raise ValueError(
            f"pattern must not name what is trained whole, but {sorted(both)[:5]} also fit train "
            "or fresh. Name them in one of these only."
        )
