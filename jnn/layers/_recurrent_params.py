"""Input checks for recurrent layers: sequences, and parameters as a mapping of names to arrays."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

Params = Mapping[str, Float[Array, "..."]]


class Kernels(NamedTuple):
    """The parameters after the checks, with zeros for a missing bias."""

    input_kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array


def read(params: Params, features: int, gates: int) -> Kernels:
    """Return the parameters, and raise an error if names or shapes are wrong."""
    known = {"input_kernel", "recurrent_kernel", "bias", "recurrent_bias"}
    params = {name: jnp.asarray(leaf) for name, leaf in params.items()}
    missing = {"input_kernel", "recurrent_kernel"} - set(params)
    unknown = set(params) - known
    if missing or unknown:
        raise ValueError(
            f"params must have the names {sorted(known)}, of which the biases are optional; "
            f"missing: {sorted(missing)}, unknown: {sorted(unknown)}."
        )
    hidden = params["recurrent_kernel"].shape[0]
    columns = gates * hidden
    expected = dict.fromkeys(known, (columns,))
    expected |= {"input_kernel": (features, columns), "recurrent_kernel": (hidden, columns)}
    wrong = {name: leaf.shape for name, leaf in params.items() if leaf.shape != expected[name]}
    if wrong:
        raise ValueError(
            f"params must have {', '.join(f'{name} {expected[name]}' for name in wrong)} for "
            f"{features} features, {hidden} hidden units and {gates} gates, "
            f"got {', '.join(f'{name} {shape}' for name, shape in wrong.items())}."
        )
    zero = jnp.zeros(columns, params["recurrent_kernel"].dtype)
    return Kernels(*(params.get(name, zero) for name in Kernels._fields))


def check_sequence(x: Array, lengths: Array | None) -> None:
    """Raise an error if x lacks time or features, or lengths does not match its rows."""
    if x.ndim < 2:
        raise ValueError(
            f"x must be (*batch, time, in), got {x.shape}. Pass a single step to the cell."
        )
    if lengths is not None and jnp.shape(lengths) != x.shape[:-2]:
        raise ValueError(
            f"lengths must have the shape {x.shape[:-2]}, one length for each row of x {x.shape}, "
            f"got {jnp.shape(lengths)}."
        )
