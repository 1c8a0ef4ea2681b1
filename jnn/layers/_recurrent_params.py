"""What the recurrent layers are given, checked once: sequences, and parameters as a mapping of names to arrays."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

Params = Mapping[str, Float[Array, "..."]]


class Kernels(NamedTuple):
    """The parameters after the checks, with zero for a bias that was left out."""

    input_kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array


def read(params: Params, features: int, gates: int) -> Kernels:
    """Check the names and shapes of the parameters."""
    known = {"input_kernel", "recurrent_kernel", "bias", "recurrent_bias"}
    params = {name: jnp.asarray(leaf) for name, leaf in params.items()}
    missing, unknown = {"input_kernel", "recurrent_kernel"} - set(params), set(params) - known
    if missing or unknown:
        raise ValueError(
            f"wanted the parameters {sorted(known)}; missing: {sorted(missing)}, unknown: {sorted(unknown)}"
        )
    hidden = params["recurrent_kernel"].shape[0]
    columns = gates * hidden
    wanted = dict.fromkeys(known, (columns,))
    wanted |= {"input_kernel": (features, columns), "recurrent_kernel": (hidden, columns)}
    wrong = {name: leaf.shape for name, leaf in params.items() if leaf.shape != wanted[name]}
    if wrong:
        raise ValueError(
            f"wanted {', '.join(f'{name} {wanted[name]}' for name in wrong)} for {features} features, {hidden} hidden "
            f"units and {gates} gates, but got {', '.join(f'{name} {shape}' for name, shape in wrong.items())}"
        )
    zero = jnp.zeros(columns, params["recurrent_kernel"].dtype)
    return Kernels(*(params.get(name, zero) for name in Kernels._fields))


def check_sequence(x: Array, lengths: Array | None) -> None:
    """Refuse x without time and features, and lengths that are not one for each row."""
    if x.ndim < 2:
        raise ValueError(
            f"wanted x (*batch, time, in), but got {x.shape}; give a single step to the cell"
        )
    if lengths is not None and jnp.shape(lengths) != x.shape[:-2]:
        raise ValueError(
            f"wanted lengths {x.shape[:-2]}, one for each row of x {x.shape}, but got {jnp.shape(lengths)}; reshape"
        )
