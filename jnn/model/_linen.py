"""A Linen module as a model."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import InvalidRngError
from flax.traverse_util import flatten_dict, unflatten_dict

from jnn._errors import reason_of
from jnn.model._shared import Path, fill_shared
from jnn.model._signatures import Apply, Init, mode_of


def functions_of_linen(module: nn.Module) -> tuple[Init, Apply]:
    """Return `init` and `apply` of a `jnn.Model`.

    Every collection except `params` and `shared` is state. The collections `hyper` and `shared` are
    read-only: they hold the member's numbers and the arrays that all members read.
    """
    mode = mode_of(module.__call__)
    name = type(module).__name__
    declared: list[dict[Path, Any]] = []  # the shapes of the shared arrays, once they are known

    def all_variables(key, x):
        key_params, key_dropout = jax.random.split(key)
        return module.init({"params": key_params, "dropout": key_dropout}, x, **mode(False))

    def init(key, x, *, shared=None):
        variables = all_variables(key, x)
        fill_shared(flatten_dict(variables.get("shared", {})), shared, name)  # checks the names
        state = {k: v for k, v in variables.items() if k not in ("params", "shared")}
        return variables.get("params", {}), state

    def shared_collection(shared, x):
        if not declared:
            shapes = jax.eval_shape(all_variables, jax.random.key(0), x).get("shared", {})
            declared.append(flatten_dict(shapes))
        return unflatten_dict(fill_shared(declared[0], shared, name))

    def apply(params, state, x, *, key=None, train=False, hyper=None, shared=None):
        variables = {"params": params, **state}
        if "hyper" in state:
            variables["hyper"] = _fill_hyper(state["hyper"], hyper)
        if shared is not None:
            variables["shared"] = shared_collection(shared, x)
        rngs = _rngs(key)
        mutable = [collection for collection in state if collection != "hyper"] if train else []
        if not mutable:
            with _explain_missing_key(name):
                return module.apply(variables, x, rngs=rngs, **mode(train)), state
        y, updates = module.apply(variables, x, rngs=rngs, mutable=mutable, **mode(train))
        return y, {**state, **updates}

    return init, apply


def _rngs(key: jax.Array | None) -> dict[str, jax.Array]:
    """Return the keys of the streams `params` and `dropout`."""
    if key is None:
        return {}
    return {"params": jax.random.fold_in(key, 0), "dropout": jax.random.fold_in(key, 1)}


def _fill_hyper(declared: Any, hyper: Mapping[str, Any] | None) -> Any:
    """Return the declared numbers, those whose name is in `hyper` replaced by the member's."""
    numbers = {} if hyper is None else hyper

    def fill(path, default):
        name = str(getattr(path[-1], "key", path[-1]))
        if name not in numbers:
            return default
        return jnp.asarray(numbers[name], jnp.result_type(default))

    return jax.tree_util.tree_map_with_path(fill, declared)


@contextlib.contextmanager
def _explain_missing_key(name: str) -> Iterator[None]:
    try:
        yield
    except InvalidRngError as error:
        raise ValueError(
            f"{name} must draw random numbers only while it trains, got: {reason_of(error)}. Give "
            "its __call__ the keyword train, and draw only where that is True."
        ) from error
