"""How a function of one member becomes one of all: shard over devices, map over chunks, vmap."""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jnn.population._plan import Plan

Tree = Any  # a pytree of arrays
_LEVEL = "xla_backend_optimization_level"


class Layout(NamedTuple):
    """Where the arrays of a population lie.

    Attributes:
        plan: Devices, chunks and width.
        mesh: The devices, with the axes "member" and "data".
    """

    plan: Plan
    mesh: Mesh

    @property
    def is_host(self) -> bool:
        """Whether the devices are cores that share the memory of the host."""
        return self.mesh.devices.flat[0].platform == "cpu"

    def over_members(self, function: Callable[..., Tree], shared: int) -> Callable[..., Tree]:
        """Map `function(one member's part, *shared)` over all members [members, ...].

        Args:
            function: A function of one member.
            shared: Number of its last arguments that all members share.
        """
        return self.over_chunks(self.together(function), shared)

    def over_chunks(self, function: Callable[..., Tree], shared: int) -> Callable[..., Tree]:
        """Map `function(a chunk [width, ...], *shared)` over all members [members, ...]."""
        specs = (P("member"), *[P()] * shared)
        local = functools.partial(_over_chunks, function, self.plan)
        return jax.shard_map(
            local,
            mesh=self.mesh,
            in_specs=specs,
            out_specs=P("member"),
            axis_names={"member"},
            check_vma=False,
        )

    def together(self, function: Callable[..., Tree]) -> Callable[..., Tree]:
        """Turn a function of one member into one of a chunk [width, ...].

        A chunk of one member needs no `vmap`.
        """
        if self.plan.width > 1:
            return lambda batched, *shared: jax.vmap(function, (0, *[None] * len(shared)))(
                batched, *shared
            )

        def of_one(batched: Tree, *shared: Tree) -> Tree:
            result = function(jax.tree.map(lambda a: a[0], batched), *shared)
            return jax.tree.map(lambda a: a[None], result)

        return of_one

    def jit(self, function: Callable[..., Tree], **options: Any) -> Any:
        """Jit a function that returns arrays of all members."""
        return jax.jit(function, out_shardings=NamedSharding(self.mesh, P("member")), **options)

    def spread(self, batch: Tree) -> Tree:
        """Share the rows of one member's batch out over the devices that the member has.

        What is computed from them follows; sums over rows become sums over devices. Rows that
        cannot be shared evenly stay together. For use inside a function of one member.
        """
        rows = jax.tree.leaves(batch)[0].shape[0]
        if self.plan.split == 1 or rows % self.plan.split:
            return batch
        return jax.lax.with_sharding_constraint(batch, P("data"))

    def split(self, tree: Tree) -> Tree:
        """Put arrays [members, ...] on the devices, each its part."""
        return jax.device_put(tree, NamedSharding(self.mesh, P("member")))

    def share(self, tree: Tree) -> Tree:
        """Put the same arrays on every device."""
        return jax.device_put(tree, NamedSharding(self.mesh, P()))

    def abstract(self, tree: Tree, *, shared: bool = False) -> Tree:
        """Return the shapes of arrays that are split, or shared, by this layout."""
        sharding = NamedSharding(self.mesh, P() if shared else P("member"))
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), tree
        )

    def compile(self, lowered: Iterable[Any]) -> list[Any]:
        """Compile programs side by side, each as soon as it is lowered.

        On a CPU this uses LLVM's optimization level 1, unless the environment variable XLA_FLAGS
        names a level: level 3, XLA's default, is slower to compile and its programs are slower too.
        """
        options: dict[str, Any] = {}
        if self.is_host and _LEVEL not in os.environ.get("XLA_FLAGS", ""):
            options[_LEVEL] = 1
        if self.is_host and self.plan.compiler == "quick":
            options["xla_cpu_use_fusion_emitters"] = False
        with ThreadPoolExecutor() as pool:
            compiling = [pool.submit(program.compile, options) for program in lowered]
        return [program.result() for program in compiling]


def make_layout(plan: Plan, devices: Sequence[Any]) -> Layout:
    """Return the layout of a plan on the first devices."""
    mesh = np.asarray(devices[: plan.devices]).reshape(-1, plan.split)
    return Layout(plan, Mesh(mesh, ("member", "data")))


def packed(idle: np.ndarray, plan: Plan) -> np.ndarray | None:
    """Return an order in which the members at work fill as few chunks as possible.

    They are shared evenly by the devices.

    Args:
        idle: Whether the member in each place needs no training, [members].
        plan: How the places are laid out.

    Returns:
        The present place of the member for each place, [members]; None if that saves no chunk.
    """
    chunks = idle.reshape(-1, plan.chunks, plan.width)
    at_work = np.array_split(np.flatnonzero(~idle), len(chunks))
    resting = np.flatnonzero(idle)
    if -(-len(at_work[0]) // plan.width) >= (~chunks.all(axis=2)).sum(axis=1).max():
        return None
    places = plan.chunks * plan.width
    fillers = np.split(resting, np.cumsum([places - len(part) for part in at_work])[:-1])
    pairs = zip(at_work, fillers, strict=True)
    return np.concatenate([part for pair in pairs for part in pair])


def _over_chunks(function: Callable[..., Tree], plan: Plan, batched: Tree, *shared: Tree) -> Tree:
    """Map a function of a chunk over all members of one device."""
    if plan.chunks == 1:
        return function(batched, *shared)
    chunked = jax.tree.map(lambda a: a.reshape(plan.chunks, plan.width, *a.shape[1:]), batched)
    results = jax.lax.map(lambda part: function(part, *shared), chunked)
    return jax.tree.map(lambda a: a.reshape(plan.chunks * plan.width, *a.shape[2:]), results)
