"""The parameters and the state of a network in whatever form they come."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
from flax import nnx

from jnn.model._model import Model, module_of
from jnn.model._nnx import values_of
from jnn.model._pair import is_stateful
from jnn.model._shared import Shared


def variables_of(model: Model, tree: Any) -> tuple[Any, Any]:
    """Return the parameters of a network, and its state or None, from one of their forms.

    Args:
        model: The network.
        tree: Parameters; the pair `(params, state)` that `Model.init` or `jnn.weights.load`
            returns; the variables of a Linen module, `{"params": ..., "batch_stats": ...}`; an NNX
            module, or its `nnx.State`.

    Raises:
        TypeError: If a leaf is no array of numbers.
    """
    params, state = _parts_of(model, tree)
    for leaf in jax.tree.leaves((params, state)):
        if not hasattr(leaf, "dtype") and not isinstance(leaf, bool | int | float):
            text = repr(leaf).splitlines()[0][:60]
            raise TypeError(
                f"The variables of {model.name} must be arrays, got the leaf {text}. Load "
                "a file by jnn.weights.load(path, network), a result by jnn.Result.load(folder)."
            )
    return params, state


def _parts_of(model: Model, tree: Any) -> tuple[Any, Any]:
    if isinstance(tree, nnx.Module):
        tree = nnx.state(tree)
    if isinstance(tree, nnx.State):
        return _of_nnx(tree)
    module = module_of(model.source)
    if module is not None and isinstance(tree, Mapping) and "params" in tree:
        others = {name: part for name, part in tree.items() if name not in ("params", "shared")}
        return tree["params"], others or None
    if _is_pair(model, module, tree):
        params, state = tree
        return params, state or None
    return tree, None


def _of_nnx(state: nnx.State) -> tuple[Any, Any]:
    params, _, _, rest = nnx.split_state(state, nnx.Param, nnx.RngState, Shared, ...)
    return values_of(params), values_of(rest) or None


def _is_pair(model: Model, module: nn.Module | None, tree: Any) -> bool:
    """Return whether a tree is the pair of parameters and state."""
    if not isinstance(tree, tuple) or len(tree) != 2:
        return False
    fields = getattr(tree, "_fields", None)
    if fields is not None:
        return fields[0] == "params"
    is_of_functions = isinstance(model.source, tuple) and module is None
    if is_of_functions and not is_stateful(model.source[1], model.train_keyword):
        return isinstance(tree[1], Mapping) and not tree[1]
    return True
