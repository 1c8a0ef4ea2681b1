"""One call of an NNX module: in its mode, with its random keys, and with what it sows."""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
from flax import nnx
from flax.nnx.variablelib import variable_type_from_name
from jax.interpreters.partial_eval import dce_jaxpr

from jnn.model._call import Call
from jnn.model._effects import names_losses
from jnn.model._errors import DrawsWithoutKey, NetworkError
from jnn.model._fixed_statistics import are_statistics_fixed
from jnn.model._layer_outputs import asked_outputs
from jnn.model._rests import all_same, check_decision, check_moves
from jnn.model._switch import TrainKeyword, Values, known_values


class Answer(NamedTuple):
    """What comes of one call of a module.

    Attributes:
        outputs: What it returned.
        losses: What it sowed as losses.
        streams: The streams of random numbers that it drew from.
    """

    outputs: Any
    losses: list[jax.Array]
    streams: list[nnx.RngStream]


class _Nodes(NamedTuple):
    """What a module holds, found in one pass.

    Attributes:
        parts: All modules in it, itself last.
        streams: Its streams of random numbers.
        variables: Its variables.
    """

    parts: list[Any]
    streams: list[nnx.RngStream]
    variables: list[nnx.Variable]


def called(
    module: Any,
    x: Any,
    *,
    train: bool,
    key: jax.Array | None,
    owner: str,
    train_keyword: TrainKeyword,
) -> Answer:
    """Call a module with x.

    Raises:
        NetworkError: If it trains as it is scored.
    """
    nodes = _nodes_of(module)
    call = _call_of(nodes, owner, train_keyword)
    found = _attributes(nodes.parts) if train_keyword is None else {}
    _set_mode(nodes.parts, train, {**found, **call.attributes})
    if train and key is None:  # without a key nothing is random
        module.set_attributes(deterministic=True, raise_if_not_found=False)
    if are_statistics_fixed():
        module.set_attributes(use_running_average=True, raise_if_not_found=False)
    arguments, keywords = call.arguments(x, train=train, key=key)
    streams = nodes.streams + _streams_of((*arguments, *keywords.values()))
    counts = [stream.count.get_value() for stream in streams]
    own_losses = [variable for variable in nodes.variables if is_loss(type(variable))]
    statistics = [v for v in nodes.variables if isinstance(v, nnx.BatchStat)]
    before = _values(own_losses), _values(statistics)
    try:
        y, losses = _sowing(nodes, arguments, keywords)
    except jax.errors.ConcretizationTypeError as error:
        check_decision(owner, error)
        raise
    pairs = zip(streams, counts, strict=True)
    drawn = [stream for stream, count in pairs if stream.count.get_value() is not count]
    if train:
        rests = key is not None and not drawn and not call.keys
        check_moves(
            owner,
            train_keyword,
            (*call.switches, *found),
            statistics_rest=all_same(before[1], _values(statistics)),
            dropout_rests=rests and _has_dropout(nodes.parts),
        )
    pairs = zip(before[0], _values(own_losses), strict=True)
    return Answer(y, losses + [new for old, new in pairs if new is not old], drawn)


def call_of(module: Any, owner: str, train_keyword: TrainKeyword) -> Call:
    """Return how a module is called."""
    return _call_of(_nodes_of(module), owner, train_keyword)


def set_mode(module: Any, *, train: bool) -> None:
    """Set a module to training or to scoring."""
    _set_mode(_nodes_of(module).parts, train, {})


def _call_of(nodes: _Nodes, owner: str, train_keyword: TrainKeyword) -> Call:
    names = {name for part in nodes.parts for name in vars(part)}
    attributes = dict.fromkeys(names - {"_pytree__state", "_pytree__nodes"})
    call = nodes.parts[-1].__call__
    return Call(call, owner=owner, train_keyword=train_keyword, attributes=attributes)


def _set_mode(parts: list[Any], train: bool, switches: dict[str, Values]) -> None:
    """Set a module to training or to scoring.

    Its own methods `train` and `eval` are called, also those of modules in it, the outermost last.
    """
    own = "train" if train else "eval"
    for part in parts:
        if part is parts[-1]:
            getattr(nnx.Module, own)(part)
        _call_own(part, train)
        for name, values in switches.items():
            if isinstance(vars(part).get(name), type(values.training)):
                setattr(part, name, values.at(train))


def _call_own(part: Any, train: bool) -> None:
    """Call the method `train` or `eval` that a module defines; `train(False)` if only that."""
    has_train = _is_own(part, "train")
    if train and has_train:
        part.train()
    elif not train and _is_own(part, "eval"):
        part.eval()
    elif not train and has_train and [*inspect.signature(part.train).parameters][:1] == ["mode"]:
        part.train(False)


def _is_own(part: Any, name: str) -> bool:
    own = getattr(type(part), name, None)
    return callable(own) and own is not getattr(nnx.Module, name)


def is_loss(kind: type) -> bool:
    """Return whether variables of this type hold losses."""
    return names_losses(kind.__name__)


def _attributes(parts: list[Any]) -> dict[str, Values]:
    """Return the switches among the attributes of all modules, besides those that Flax sets."""
    flax = ("deterministic", "use_running_average")
    found = {}
    for part in parts:
        for name, value in vars(part).items():
            values = known_values(name, certain=True) if isinstance(value, bool) else None
            if values is not None and name not in flax:
                found[name] = values
    return found


def _sowing(
    nodes: _Nodes, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Any, list[jax.Array]]:
    """Call a module; return its outputs and all losses that it sows. Other sown values are lost."""
    module = nodes.parts[-1]
    if asked_outputs() is not None:
        return _telling(module, arguments, keywords), []
    if not any(_sows(type(part)) for part in nodes.parts):
        return module(*arguments, **keywords), []
    variable_type_from_name("losses", allow_register=True)  # of module.sow("losses", ...)
    types = [kind for kind in _kinds(nnx.Variable) if is_loss(kind)]
    y, *sown = nnx.capture(lambda module: module(*arguments, **keywords), *types)(module)
    return y, jax.tree.leaves(sown)


def _telling(module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Call a module that tells what each layer gives; see `layer_outputs`."""
    call = nnx.capture(
        lambda module: module(*arguments, **keywords),
        nnx.Intermediate,
        method_outputs=nnx.Intermediate,
    )
    y, outputs = call(module)
    found = asked_outputs()
    assert found is not None
    found.append(nnx.to_pure_dict(outputs))
    return y


@functools.cache
def _sows(kind: type) -> bool:
    """Return whether the code of a class of modules sows.

    What Flax's bridges to Linen sow becomes variables instead, and they cannot be captured.
    """
    own = (base for base in kind.__mro__ if issubclass(base, nnx.Module) and base is not nnx.Module)
    functions = (value for base in own for value in vars(base).values() if callable(value))
    codes = [getattr(inspect.unwrap(function), "__code__", None) for function in functions]
    while codes:
        code = codes.pop()
        if code is not None and {"sow", "perturb"} & {*code.co_names}:
            return not kind.__module__.startswith(nnx.bridge.__name__)
        codes += [inner for inner in getattr(code, "co_consts", ()) if hasattr(inner, "co_names")]
    return False


def _kinds(kind: type) -> Iterator[type]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _kinds(inner)


def _values(variables: Sequence[nnx.Variable]) -> list[Any]:
    return [variable.get_value() for variable in variables]


def _nodes_of(module: Any) -> _Nodes:
    """Return what a module holds."""
    nodes = [node for _, node in nnx.iter_graph(module)]
    return _Nodes(
        [n for n in nodes if isinstance(n, nnx.Module) and n is not module] + [module],
        [n for n in nodes if isinstance(n, nnx.RngStream)],
        [n for n in nodes if isinstance(n, nnx.Variable)],
    )


def _streams_of(arguments: tuple[Any, ...]) -> list[nnx.RngStream]:
    """Return the streams of random numbers among the arguments of a call."""
    rngs = [argument for argument in arguments if isinstance(argument, nnx.Rngs)]
    nodes = (node for _, node in nnx.iter_graph(rngs))
    return [node for node in nodes if isinstance(node, nnx.RngStream)]


def _has_dropout(parts: list[Any]) -> bool:
    """Return whether a module holds dropout of a rate above 0, which must draw in training."""
    for part in parts:
        rate = getattr(part, "rate", getattr(part, "dropout_rate", None))
        if hasattr(part, "deterministic") and isinstance(rate, int | float) and 0 < rate < 1:
            return True
    return False


def check_scoring(
    module: Any, drawn: list[nnx.RngStream], key: jax.Array | None, owner: str
) -> None:
    """Raise NetworkError for dropout that drops in scoring, and for draws without a key.

    Args:
        module: The module, after a call.
        drawn: The streams that it drew from.
        key: What it was given.
        owner: Name of the network.
    """
    dropping = [part for part in _nodes_of(module).parts if hasattr(part, "deterministic")]
    for part in dropping:
        if any(vars(part).get("rngs") is stream for stream in drawn):
            raise NetworkError(
                f"{owner} must drop values only while it trains, but its {type(part).__name__} "
                "does while it is scored. Leave deterministic to the mode, or name the switch that "
                "the network has: Study(train_keyword='...')."
            )
    if key is None:
        raise DrawsWithoutKey(
            f"{owner} must draw random numbers only while it trains, but it does while it is "
            "scored. Draw only where its __call__ is told that it trains, or pass key=."
        )


def depends_on_key(outputs: Callable[[jax.Array], Any]) -> bool:
    """Return whether `outputs(key)` depends on the key.

    A module under `nnx.jit` returns new counts of its streams also where it draws from none.
    """
    program = jax.make_jaxpr(lambda key: jax.tree.leaves(outputs(key)))(jax.random.key(0)).jaxpr
    _, is_read = dce_jaxpr(program, [True] * len(program.outvars))
    return any(is_read)
