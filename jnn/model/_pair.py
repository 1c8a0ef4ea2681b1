"""A plain pair of functions as a model."""

import inspect
from collections.abc import Callable, Collection
from typing import Any

import jax

from jnn.model._signatures import Apply, Init, accepts, name_of, positional
from jnn.model._switch import TrainKeyword, Values, switches_of

_KEYWORDS = ("key", "hyper", "shared")


def functions_of_pair(
    init: Callable[..., Any], apply: Callable[..., Any], train_keyword: TrainKeyword = None
) -> tuple[Init, Apply]:
    """Return `init` and `apply` of a `jnn.Model` for a pair that may lack state and keywords.

    Raises:
        TypeError: If `apply` takes neither `(params, x)` nor `(params, state, x)`.
        ValueError: If `apply` lacks the keywords that `train_keyword` names.
    """
    keywords = [name for name in _KEYWORDS if accepts(apply, name)]
    switches = _switches(apply, train_keyword)
    stateful = _is_stateful(apply, switches)
    takes_rows = _takes_rows(init)
    takes_shared = accepts(init, "shared")

    def init_pair(key, x, *, shared=None):
        _check_shared(init, apply, shared)
        arguments = (key, x) if takes_rows else (key,)
        options = {"shared": shared} if takes_shared else {}
        variables = init(*arguments, **options)
        _check_arrays(variables)
        return variables if stateful else (variables, {})

    def apply_pair(params, state, x, *, key=None, train=False, hyper=None, shared=None):
        _check_shared(init, apply, shared)
        values = {"key": key, "hyper": {} if hyper is None else hyper, "shared": shared}
        options = {name: values[name] for name in keywords}
        options |= {name: values.at(train) for name, values in switches.items()}
        if stateful:
            return apply(params, state, x, **options)
        return apply(params, x, **options), state

    return init_pair, apply_pair


def is_stateful(apply: Callable[..., Any], train_keyword: TrainKeyword = None) -> bool:
    """Return whether a pair has state: whether `apply` takes `(params, state, x)`."""
    return _is_stateful(apply, _switches(apply, train_keyword))


def _switches(apply: Callable[..., Any], train_keyword: TrainKeyword) -> dict[str, Values]:
    """Return the keywords of `apply` that tell whether the network trains."""
    owner = name_of(apply)
    try:
        parameters = inspect.signature(apply).parameters
    except (TypeError, ValueError):
        return {}
    switches = switches_of(apply, train_keyword, owner=owner)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    unknown = sorted(switches.keys() - parameters.keys())
    if unknown and not takes_any:
        raise ValueError(
            f"train_keyword must name keywords of {owner}, {[*parameters]}, got {unknown[0]!r}. "
            "Name one of these, or add the keyword."
        )
    return switches


def _is_stateful(apply: Callable[..., Any], switches: Collection[str]) -> bool:
    """Return whether `apply` takes `(params, state, x)` rather than `(params, x)`."""
    arguments = [
        p.name
        for p in positional(apply)
        if p.name not in (*_KEYWORDS, *switches) and p.default is p.empty
    ]
    if len(arguments) not in (2, 3):
        raise TypeError(
            "The function apply of a pair must be apply(params, x) or apply(params, state, x), "
            "with the optional keywords key, train, hyper and shared, got "
            f"{name_of(apply)}({', '.join(arguments)}). Give it two or three positional arguments."
        )
    return len(arguments) == 3


def _takes_rows(init: Callable[..., Any]) -> bool:
    """Return whether `init` has a second positional argument that is required or is called x."""
    arguments = [p for p in positional(init) if p.name != "shared"]
    if len(arguments) < 2:
        return False
    return arguments[1].default is inspect.Parameter.empty or arguments[1].name == "x"


def _check_shared(init: Callable[..., Any], apply: Callable[..., Any], shared: Any) -> None:
    """Raise unless shared arrays are passed exactly where a function of the pair needs them."""
    parameters = [
        inspect.signature(function).parameters["shared"]
        for function in (init, apply)
        if accepts(function, "shared")
    ]
    if shared is None and any(p.default is p.empty for p in parameters):
        raise ValueError(
            f"shared must hold the arrays that {name_of(apply)} reads, got None. Pass "
            "Study(shared=...), or give the keyword shared a default."
        )
    if shared is not None and not parameters:
        raise ValueError(
            f"shared must be None for {name_of(apply)}, as neither it nor {name_of(init)} takes "
            "the keyword shared. Add the keyword, or pass no shared arrays."
        )


def _check_arrays(variables: Any) -> None:
    """Raise unless `init` returned arrays only; a function, for example, cannot be trained."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        if not (hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float)):
            raise TypeError(
                f"The function init of a pair must return arrays only, got {leaf!r} at "
                f"{jax.tree_util.keystr(path)}. Keep it in apply; of an Equinox network return "
                "eqx.partition(network, eqx.is_array)[0]."
            )
