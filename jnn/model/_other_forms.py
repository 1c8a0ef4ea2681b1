"""Networks in forms that are not accepted: refused in a sentence that says what to pass."""

from typing import Any

import flax.linen as nn


def refuse_other_forms(network: Any) -> None:
    """Raise TypeError for a network whose accepted form is known."""
    made_of = getattr(network, "func", network)  # of a functools.partial
    if isinstance(made_of, type) and issubclass(made_of, nn.Module):
        call = f"{made_of.__name__}(...)" if made_of is network else "partial(...)()"
        raise TypeError(
            f"A Linen network must be an instance, got the class {made_of.__name__}"
            f"{'' if made_of is network else ' in a functools.partial'}. Call it: {call}."
        )
    if isinstance(network, tuple) and len(network) == 2 and isinstance(network[0], nn.Module):
        raise TypeError(
            f"A Linen network must be the module alone, got {type(network[0]).__name__} in a tuple "
            "with its parameters. Every member draws its own; pass the module."
        )
    houses = {base.__module__.split(".")[0] for base in type(network).__mro__}
    if isinstance(network, type):
        houses |= {base.__module__.split(".")[0] for base in network.__mro__}
    name = network.__name__ if isinstance(network, type) else type(network).__name__
    if "equinox" in houses:
        raise TypeError(
            f"An Equinox network must be given as a pair of functions, got {name}. Pass init that "
            "returns eqx.partition(network, eqx.is_array)[0] of a network made from its key, and "
            "apply that calls eqx.combine(params, static)."
        )
    if "torch" in houses or "keras" in houses:
        raise TypeError(
            f"A network must be written in JAX, got {name}. Write it as a Flax module, or as a "
            "pair of functions; see jnn.as_model."
        )
