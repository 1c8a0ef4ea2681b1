"""What a network does in training besides returning outputs and state.

It may sow losses, and it may write to its own parameters. Both travel in the state that its `apply`
returns, under names that no module can have, and a step takes them out of it.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_LOSS = "/loss"
_PARAMS = "/params"
_OF_LOSSES = re.compile(r"(\w+_)?loss(es)?")


def names_losses(name: str) -> bool:
    """Return whether a collection, or a type of variables, of this name holds losses.

    >>> [names_losses(name) for name in ("losses", "aux_loss", "AuxLoss", "glossary")]
    [True, True, True, False]
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return _OF_LOSSES.fullmatch(words) is not None


class Effects(NamedTuple):
    """What a network did in training besides returning outputs and state.

    Attributes:
        loss: The sum of all that it sowed as losses, or None.
        params: Those of its parameters that it wrote to, as a part of their nested dict, or None.
    """

    loss: jax.Array | None = None
    params: Mapping[str, Any] | None = None


def add_effects(state: Any, *, losses: Any = None, params: Any = None) -> Any:
    """Return the state with the sum of the losses and the written parameters, if there are any."""
    leaves = jax.tree.leaves(losses)
    if leaves:
        total = sum(jnp.sum(jnp.asarray(leaf, jnp.float32)) for leaf in leaves)
        state = {**state, _LOSS: total}
    if params:
        state = {**state, _PARAMS: params}
    return state


def take_effects(state: Any) -> tuple[Any, Effects]:
    """Split what `apply` returned in training into the state of the model and its effects.

    A training loop of one's own adds `effects.loss` to its loss, if it is not None, and goes on
    from the parameters in `effects.params`.
    """
    if not isinstance(state, Mapping) or not {_LOSS, _PARAMS} & state.keys():
        return state, Effects()
    effects = Effects(state.get(_LOSS), state.get(_PARAMS))
    return {k: v for k, v in state.items() if k not in (_LOSS, _PARAMS)}, effects


def with_effects(state: Any, effects: Effects, params: Any, read: Any) -> Any:
    """Return the state with the effects of a network that read its parameters in other dtypes.

    Entries that it wrote as it had read them keep all digits that they have in `params`.

    Args:
        state: The state of the model.
        effects: What `take_effects` took out of it.
        params: The parameters, nested dicts of arrays.
        read: The parameters as the network read them, such as in bfloat16.
    """
    written = None if effects.params is None else _in_own_dtypes(effects.params, params, read)
    return add_effects(state, losses=effects.loss, params=written)


def written_over(params: Any, written: Mapping[str, Any] | None) -> Any:
    """Return nested parameters, those that were written to replaced by their new values."""
    if written is None:
        return params
    if not isinstance(written, Mapping):
        return written
    return {**params, **{name: written_over(params[name], part) for name, part in written.items()}}


def _in_own_dtypes(written: Any, params: Any, read: Any) -> Any:
    if not isinstance(written, Mapping):
        return jnp.where(written == read, params, written.astype(params.dtype))
    return {name: _in_own_dtypes(part, params[name], read[name]) for name, part in written.items()}
