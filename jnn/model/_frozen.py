"""A network some of whose parameters are arrays that all members share and none trains."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn import paths
from jnn._names import names_of
from jnn.model._effects import add_effects, take_effects
from jnn.model._errors import NetworkError
from jnn.model._low_rank import Drop, Updated, with_updates
from jnn.model._model import Model, as_model
from jnn.model._switch import TrainKeyword
from jnn.model._variables import variables_of

Tree = Any
DROPOUT_RATE = "lora_dropout_rate"  # as members set it; the network may have a rate of its own
_DROP = 0xD09  # folded into a step's key for the updates; large, as networks fold in small ones


class LowRank(NamedTuple):
    """The factors of what is added to a frozen kernel, in the place of the kernel.

    Attributes:
        lora_a: [inputs, rank].
        lora_b: [rank, outputs].
    """

    lora_a: Any
    lora_b: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Frozen:
    """A network of which only a part is trained, and the arrays of the rest.

        frozen = jnn.freeze(network, (params, state), "trunk/**")
        study = jnn.Study(frozen.model, ..., shared=frozen.shared)
        params = frozen.merge(jax.tree.map(lambda array: array[0], result.trained.params))

    Attributes:
        model: The network for `Study(model=...)`. Its parameters have the structure of those of the
            network, with None for what is frozen.
        shared: The arrays for `Study(shared=...)`.
    """

    model: Model
    shared: Mapping[str, Any]

    def merge(self, params: Tree) -> Tree:
        """Return all parameters of the network, the frozen ones and those that a member trained.

        For the members of a result, `jax.vmap(frozen.merge)(result.trained.params)`.

        Args:
            params: The parameters of one member.

        Raises:
            ValueError: If these are the parameters of several members, or of another network.
        """
        self._functions.check_member(params, self.shared["base"])
        return self._functions.merged(params, self.shared["base"])

    def unmerge(self, params: Tree, merged: Tree) -> Tree:
        """Return the parameters of the network without what a member added: inverts `merge`.

        Args:
            params: The parameters of one member.
            merged: All parameters of the network, such as `merge(params)`.

        Raises:
            ValueError: If these are the parameters of several members, or of another network.
        """
        self._functions.check_member(params, self.shared["base"])
        return self._functions.unmerged(params, merged)

    @property
    def _functions(self) -> "Functions":
        return self.model.init.__self__  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model.name!r}, {len(self.shared['base'])} arrays)"


def freeze(
    network: Any,
    base: Any,
    pattern: paths.Patterns,
    *,
    fresh: paths.Patterns = (),
    shared: Any = None,
    train_keyword: TrainKeyword = None,
) -> Frozen:
    """Freeze parameters of a network: all members share them as they are, and train the others.

    Frozen parameters exist once and not once per member, and have neither a gradient nor a state of
    the optimizer. State is not frozen: running averages of batch normalization go on in training.

    Args:
        network: As in `jnn.as_model`.
        base: The parameters of the network, or parameters and state, which become those of every
            member: `(params, state)` as `Model.init` returns them, the variables of a Linen module,
            or an NNX module or state.
        pattern: Patterns of the names of the parameters to freeze; see `jnn.paths.match`. The
            others begin with their values in `base`.
        fresh: Patterns of the names of parameters that each member draws anew, such as those of a
            new head; they need not be in `base`, or have another shape there. State of these names
            is new too.
        shared: Arrays that the network itself declares as `jnn.Shared`.
        train_keyword: As in `jnn.as_model`.

    Raises:
        TypeError: If the network or a pattern is none.
        ValueError: If a pattern fits no name, and when the network is traced, if names or shapes in
            `base` are not those of the network.
    """
    model = as_model(network, train_keyword=train_keyword)
    params, state = variables_of(model, base)
    names = _names(params)
    drawn = paths.pattern_fits(fresh, names, required=False)
    frozen = paths.pattern_fits(pattern, names)
    kept = [name for name in names if name in frozen and name not in drawn]
    functions = Functions(model, tuple(kept), fresh)
    return Frozen(
        Model(functions.init, functions.apply, model.name, functions.choices),
        shared_arrays(params, state, shared),
    )


def shared_arrays(params: Tree, state: Tree, own: Any) -> dict[str, Any]:
    """Return what `Functions` reads from the arrays that all members share."""
    arrays = {"base": dict(zip(_names(params), jax.tree.leaves(params), strict=True))}
    parts = {"state": state, "own": own}
    return arrays | {name: part for name, part in parts.items() if part is not None}


@dataclasses.dataclass(frozen=True, eq=False)
class Functions:
    """`init` and `apply` of a network whose frozen parameters are shared arrays.

    Attributes:
        network: The network itself.
        frozen: Names of the parameters that are frozen.
        fresh: Patterns of the names of parameters that are drawn anew.
        factors: `factors(name, array, key) -> LowRank` for a frozen parameter that is adapted; None
            for one that is not.
        scales: The factor of what is added to an adapted parameter, by its name.
        dropout_rate: Share of the entries of the rows that is dropped before they meet an update in
            training, which members may set as `lora_dropout_rate`; None for no dropout.
    """

    network: Model
    frozen: tuple[str, ...]
    fresh: paths.Patterns
    factors: Callable[..., LowRank | None] | None = None
    scales: Mapping[str, float] = dataclasses.field(default_factory=dict)
    dropout_rate: float | None = None

    def init(self, key: Any, x: Any, *, shared: Any = None) -> tuple[Tree, Tree]:
        """Return what is trained, and the first state."""
        arrays = _checked(shared, self.network.name)
        params, state = self.network.init(key, x, **_own(arrays))
        found = paths.found_in(arrays["base"], params, fresh=self.fresh, what="base")
        trained = paths.join(found, params)
        frozen = {*self.frozen}
        leaves = [
            self._trained(name, leaf, key) if name in frozen else leaf
            for name, leaf in zip(_names(params), jax.tree.leaves(trained), strict=True)
        ]
        return jax.tree.structure(params).unflatten(leaves), self._first_state(arrays, state)

    def apply(
        self,
        params: Tree,
        state: Tree,
        x: Any,
        *,
        key: Any = None,
        train: bool = False,
        hyper: Any = None,
        shared: Any = None,
    ) -> tuple[Any, Tree]:
        """Return the outputs of the network with all its parameters."""
        arrays = _checked(shared, self.network.name)

        def network(kernels: Mapping[str, Any]) -> tuple[Any, Tree]:
            merged = self._with_kernels(params, arrays["base"], kernels)
            options = {"key": key, "train": train, "hyper": hyper, **_own(arrays)}
            return self.network.apply(merged, state, x, **options)

        kernels = self._updated(params, arrays["base"])
        if self.dropout_rate is not None and train and key is not None:
            kernels = self._dropping(kernels, key, {} if hyper is None else hyper)
        y, state = with_updates(network, kernels) if kernels else network({})
        state, effects = take_effects(state)
        written = _written(params, effects.params, self.network.name)
        return y, add_effects(state, losses=effects.loss, params=written)

    def choices(self) -> Mapping[str, range]:
        """Return the numbers that the network allows."""
        return self.network.choices()

    def check_member(self, params: Tree, base: Mapping[str, Any]) -> None:
        """Raise an error if these are not the parameters of one member."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(params, is_leaf=_is_place)
        names, _ = names_of([path for path, _ in leaves])
        fresh = paths.pattern_fits(self.fresh, [*names, *base], required=False)
        missing, left_over = (
            sorted(one - fresh) for one in ({*base} - {*names}, {*names} - {*base})
        )
        if missing or left_over:
            raise ValueError(
                f"params must have the names of {self.network.name}: missing are "
                f"{missing[:8] or 'none'}, left over are {left_over[:8] or 'none'}. Pass the "
                "parameters of a member, result.trained.params without their first axis."
            )
        trained = [(name, leaf) for name, (_, leaf) in zip(names, leaves, strict=True)]
        extra = [
            np.ndim(leaf.lora_a) - 2
            if isinstance(leaf, LowRank)
            else np.ndim(leaf) - np.ndim(base[name])
            for name, leaf in trained
            if leaf is not None and name in base
        ]
        if extra and min(extra) > 0:
            raise ValueError(
                "params must be those of one member, but have an axis of members in front. Take "
                "one by jax.tree.map(lambda array: array[0], params), or all by "
                "jax.vmap(frozen.merge)(params)."
            )

    def merged(self, params: Tree, base: Mapping[str, Any]) -> Tree:
        """Return all parameters of the network."""
        kernels = {name: kernel.whole() for name, kernel in self._updated(params, base).items()}
        return self._with_kernels(params, base, kernels)

    def unmerged(self, params: Tree, merged: Tree) -> Tree:
        """Return all parameters without what is added to the adapted ones."""
        arrays = dict(zip(_names(merged), jax.tree.leaves(merged), strict=True))

        def plain(name: str, leaf: Any) -> Any:
            if isinstance(leaf, LowRank):
                return arrays[name] - self._sum(name, arrays[name], leaf).update()
            return arrays.get(name)

        return _map(plain, params)

    def _updated(self, params: Tree, base: Mapping[str, Any]) -> dict[str, Updated]:
        """Return the adapted kernels by name."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(params, is_leaf=_is_place)
        names, _ = names_of([path for path, _ in leaves])
        return {
            name: self._sum(name, base[name], leaf)
            for name, (_, leaf) in zip(names, leaves, strict=True)
            if isinstance(leaf, LowRank)
        }

    def _sum(self, name: str, kernel: Any, low: LowRank) -> Updated:
        a, b = jnp.asarray(low.lora_a), jnp.asarray(low.lora_b)
        return Updated(jnp.asarray(kernel), a, self.scales[name] * b)

    def _dropping(
        self, kernels: Mapping[str, Updated], key: Any, hyper: Mapping[str, Any]
    ) -> dict[str, Updated]:
        """Return the kernels with what is dropped of the rows that meet each of them."""
        rate = hyper.get(DROPOUT_RATE, self.dropout_rate)
        key = jax.random.fold_in(key, _DROP)
        keys = {name: jax.random.fold_in(key, zlib.crc32(name.encode())) for name in kernels}
        return {
            name: dataclasses.replace(kernel, drop=Drop(rate, keys[name]))
            for name, kernel in kernels.items()
        }

    def _with_kernels(self, params: Tree, base: Mapping[str, Any], kernels: Any) -> Tree:
        """Return all parameters, with these kernels for the adapted ones."""

        def whole(name: str, leaf: Any) -> Any:
            if leaf is None:
                return base.get(name)
            return kernels[name] if isinstance(leaf, LowRank) else leaf

        return _map(whole, params)

    def _trained(self, name: str, array: Any, key: Any) -> Any:
        return None if self.factors is None else self.factors(name, array, key)

    def _first_state(self, arrays: Mapping[str, Any], state: Tree) -> Tree:
        """Return the given state, with the values of a new one for what is drawn anew."""
        if "state" not in arrays:
            return state
        fresh = paths.state_patterns(self.fresh)
        found = paths.found_in(
            arrays["state"], state, fresh=fresh, what="the state of base", required=False
        )
        return paths.join(found, state)


def _checked(shared: Any, name: str) -> Mapping[str, Any]:
    """Return the shared arrays, which must be those of the frozen network."""
    if not isinstance(shared, Mapping) or "base" not in shared:
        raise ValueError(
            f"shared must hold the frozen parameters of {name}. Pass those that jnn.freeze or "
            "jnn.lora.adapt returned with the model: Study(frozen.model, shared=frozen.shared)."
        )
    return shared


def _own(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {"shared": arrays["own"]} if "own" in arrays else {}


def _is_place(node: Any) -> bool:
    return node is None or isinstance(node, LowRank)


def _names(tree: Tree) -> list[str]:
    return paths.names(tree)


def _map(function: Callable[[str, Any], Any], params: Tree) -> Tree:
    """Apply a function to the name of each parameter of the network and what is in its place."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(params, is_leaf=_is_place)
    names, _ = names_of([path for path, _ in leaves])
    places = zip(names, leaves, strict=True)
    return structure.unflatten([function(name, leaf) for name, (_, leaf) in places])


def _written(params: Any, written: Any, name: str) -> Any:
    """Return those of the written parameters that are trained; frozen ones stay as they are."""
    if written is None or params is None:
        return None
    if isinstance(params, LowRank):
        raise NetworkError(
            f"{name} must not write to parameters that are adapted, but it does while it trains. "
            "Name others to adapt."
        )
    if not isinstance(written, Mapping):
        return written
    parts = {key: _written(params[key], part, name) for key, part in written.items()}
    return {key: part for key, part in parts.items() if part is not None} or None
