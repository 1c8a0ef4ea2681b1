"""A network that ends before one of its layers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
from flax import nnx

from jnn.model import Model, as_model, module_of


class _Reached(Exception):
    """Carries what goes into a layer out of a network that is not to compute further."""

    def __init__(self, value: Any) -> None:
        super().__init__("the layer was reached")
        self.value = value


def cut_at(model: Model, name: str) -> Model:
    """Return the network whose outputs are what goes into one of its layers.

    Args:
        model: A Flax network.
        name: Name of the layer, such as "output", with slashes between names.

    Raises:
        TypeError: If the network is a pair of functions.
        ValueError: When the network is traced, if it has no such layer or does not call it.
    """
    if model.source is None or isinstance(model.source, tuple):
        raise TypeError(
            f"cut names a layer of a Flax network, but {model.name} is made of functions. Give the "
            "functions that end there."
        )
    if module_of(model.source) is not None:
        return _with_apply(model, model.apply, lambda: nn.intercept_methods(_stops_at(name)), name)
    inner = as_model(_factory(model.source, name), train_keyword=model.train_keyword)
    return _with_apply(model, inner.apply, None, name)


def _with_apply(model: Model, inner: Callable, context: Callable | None, name: str) -> Model:
    def apply(params: Any, state: Any, x: Any, **options: Any) -> tuple[Any, Any]:
        try:
            if context is None:
                inner(params, state, x, **options)
            else:
                with context():
                    inner(params, state, x, **options)
        except _Reached as reached:
            return reached.value, state
        raise ValueError(f"{model.name} does not call the layer {name!r}. Name one that it calls.")

    return dataclasses.replace(model, apply=apply, name=f"{model.name} before {name}")


def _stops_at(name: str) -> Callable[..., Any]:
    path = tuple(name.split("/"))

    def stop(next_function: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.module.path == path and context.method_name == "__call__":
            raise _Reached(args[0])
        return next_function(*args, **kwargs)

    return stop


class _Stop(nnx.Module):
    """In place of a layer: keeps its variables, and stops the network."""

    def __init__(self, layer: nnx.Module) -> None:
        for key, value in vars(layer).items():
            if isinstance(value, nnx.Variable | nnx.Module):
                setattr(self, key, value)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        raise _Reached(x)


def _factory(network: Callable[..., nnx.Module], name: str) -> Callable[..., nnx.Module]:
    *parents, last = name.split("/")

    def cut(*, rngs: nnx.Rngs) -> nnx.Module:
        module = network(rngs=rngs)
        owner: Any = module
        try:
            for part in parents:
                owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
            layer = owner[int(last)] if last.isdigit() else getattr(owner, last)
        except (AttributeError, IndexError, TypeError):
            layers = [key for key, value in vars(module).items() if isinstance(value, nnx.Module)]
            raise ValueError(
                f"{type(module).__name__} has no layer {name!r}. Its layers are {layers}."
            ) from None
        if last.isdigit():
            owner[int(last)] = _Stop(layer)
        else:
            setattr(owner, last, _Stop(layer))
        return module

    return cut
