"""One member's functions made into those of a whole population: shard over devices, map over chunks, vmap inside."""

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jnn.engine import IDLE, Columns, Data, Program, make_program, member_of
from jnn.population._plan import Plan
from jnn.study import Study


class Compiled(NamedTuple):
    """The compiled programs of a study on one layout, and how long compiling took in seconds.

    Attributes:
        begin: `begin(columns, data) -> progress` of all members, [members, ...].
        advance: `advance(progress, columns, data, first, stop) -> progress`; the argument's memory is reused. Chunks
            of members that are all `IDLE` take no time.
        split: `split(tree)` puts arrays [members, ...] where the programs want them.
        share: `share(data)` gives every device the resident arrays.
        is_host: Whether the devices are cores that share the host's memory.
        memory: What the compiler says of the memory that training takes of a device, or None.
        seconds: Tracing and compiling; 0 when everything was there already.
    """

    begin: Callable
    advance: Any
    split: Callable
    share: Callable
    is_host: bool
    memory: Any
    seconds: float


def compile_population(
    study: Study, plan: Plan, devices: Sequence[Any], columns: Columns, data: Data
) -> Compiled:
    """Compiles `study` for the layout, once for each study, plan and shape of the arguments."""
    start, layout, ragged = time.perf_counter(), make_layout(plan, devices), is_ragged(study, data)
    signature = (ragged, *signature_of(layout, columns, data))
    if signature in study.compiled:
        return study.compiled[signature]._replace(seconds=0.0)
    begin, advance = _population(make_program(study, ragged=ragged, spread=layout.spread), layout)
    columns, data = layout.abstract(columns), layout.abstract(data, shared=True)
    progress = layout.abstract(jax.eval_shape(begin, columns, data))
    first = jax.ShapeDtypeStruct((), np.int32)
    programs = (advance, (progress, columns, data, first, first)), (begin, (columns, data))
    advance, begin = layout.compile(function.lower(*arguments) for function, arguments in programs)
    seconds, memory = time.perf_counter() - start, advance.memory_analysis()
    made = Compiled(begin, advance, layout.split, layout.share, layout.is_host, memory, seconds)
    study.compiled[signature] = made
    return made


class Layout(NamedTuple):
    """Where a population's arrays lie and how a function of one member becomes one of all."""

    plan: Plan
    mesh: Mesh

    @property
    def is_host(self) -> bool:
        """Whether the devices are cores that share the host's memory."""
        return self.mesh.devices.flat[0].platform == "cpu"

    def over_members(self, function: Callable, shared: int) -> Callable:
        """`function(member's part, *shared)` for all members [members, ...]; the last `shared` arguments are theirs."""
        return self.over_chunks(self.together(function), shared)

    def over_chunks(self, function: Callable, shared: int) -> Callable:
        """`function(chunk's part [width, ...], *shared)` for all members [members, ...]: shard over devices, map."""
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

    def together(self, function: Callable) -> Callable:
        """`function(member's part, *shared)` as that of a chunk [width, ...]; without `vmap` if it is one member."""
        if self.plan.width > 1:
            return lambda batched, *shared: jax.vmap(function, (0, *[None] * len(shared)))(
                batched, *shared
            )

        def one(batched, *shared):
            done = function(jax.tree.map(lambda a: a[0], batched), *shared)
            return jax.tree.map(lambda a: a[None], done)

        return one

    def jit(self, function: Callable, **options: Any) -> Any:
        """Jits a function that gives arrays of all members."""
        return jax.jit(function, out_shardings=NamedSharding(self.mesh, P("member")), **options)

    def spread(self, batch: Any) -> Any:
        """Inside a function of one member: its batch, the rows shared out over the devices that it has.

        What is computed from them follows; sums over rows become sums over devices. Rows that cannot be shared evenly
        stay together.
        """
        rows = jax.tree.leaves(batch)[0].shape[0]
        is_shared = self.plan.split > 1 and rows % self.plan.split == 0
        return jax.lax.with_sharding_constraint(batch, P("data")) if is_shared else batch

    def split(self, tree: Any) -> Any:
        """Arrays [members, ...], each device its part."""
        return jax.device_put(tree, NamedSharding(self.mesh, P("member")))

    def share(self, tree: Any) -> Any:
        """The same arrays on every device."""
        return jax.device_put(tree, NamedSharding(self.mesh, P()))

    def abstract(self, tree: Any, *, shared: bool = False) -> Any:
        """The shapes of arrays laid out so."""
        sharding = NamedSharding(self.mesh, P() if shared else P("member"))
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), tree
        )

    def compile(self, lowered: Iterable[Any]) -> list[Any]:
        """Compiles programs beside each other, each as soon as it is lowered; on a CPU by LLVM's level 1.

        Level 3, XLA's own choice, is slower to compile and to run.
        """
        options = {"xla_backend_optimization_level": 1} if self.is_host else {}
        with ThreadPoolExecutor() as pool:
            compiling = [pool.submit(program.compile, options) for program in lowered]
        return [program.result() for program in compiling]


def make_layout(plan: Plan, devices: Sequence[Any]) -> Layout:
    """The layout of a plan on the first devices."""
    return Layout(
        plan, Mesh(np.asarray(devices[: plan.devices]).reshape(-1, plan.split), ("member", "data"))
    )


def packed(idle: np.ndarray, plan: Plan) -> np.ndarray | None:
    """An order of members in which those that are not idle share the devices evenly and fill as few chunks as can be.

    Args:
        idle: [members], as they lie now.
        plan: How they are laid out.

    Returns:
        [members], whom to put in each place; None if that would save no chunk.
    """
    chunks = idle.reshape(-1, plan.chunks, plan.width)
    at_work, idlers = np.array_split(np.flatnonzero(~idle), len(chunks)), np.flatnonzero(idle)
    if -(-len(at_work[0]) // plan.width) >= (~chunks.all(axis=2)).sum(axis=1).max():
        return None
    others = np.split(
        idlers, np.cumsum([plan.chunks * plan.width - len(part) for part in at_work])[:-1]
    )
    return np.concatenate([part for both in zip(at_work, others, strict=True) for part in both])


def bytes_needed(compiled: Compiled, plan: Plan) -> int:
    """Bytes that training by this program takes of a device; of the host, where the devices are its cores."""
    found = compiled.memory
    if found is None:
        return 0
    whole = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    sharing = plan.devices if compiled.is_host else 1
    return sharing * (whole - found.alias_size_in_bytes)


def is_ragged(study: Study, data: Data) -> bool:
    """Whether some folds have fewer batches than others, so that their surplus steps must be switched off."""
    steps = -(-np.asarray(data.train.count) // study.batch_size)
    return bool((steps != steps.max()).any())


def signature_of(layout: Layout, columns: Columns, data: Data) -> tuple:
    """What, beside the study, a compiled program depends on: layout, shapes, and JAX's settings."""
    settings = jax.config.jax_default_matmul_precision, jax.config.jax_enable_x64  # type: ignore[attr-defined]
    return layout.plan, tuple(layout.mesh.devices.flat), _shapes((columns, data)), settings


def _population(program: Program, layout: Layout) -> tuple[Any, Any]:
    def begin_one(columns, data):
        return program.begin(member_of(columns), data)

    def advance_one(batched, data, first, stop):
        progress, columns = batched
        return program.advance(progress, member_of(columns), data, first, stop)

    def advance_chunk(batched, data, first, stop):
        stop = jnp.where(jnp.all(batched[1][IDLE]), first, stop)
        return layout.together(advance_one)(batched, data, first, stop)

    def advance_all(progress, columns, data, first, stop):
        return layout.over_chunks(advance_chunk, 3)((progress, columns), data, first, stop)

    return layout.jit(layout.over_members(begin_one, 1)), layout.jit(advance_all, donate_argnums=0)


def _over_chunks(function: Callable, plan: Plan, batched: Any, *shared: Any) -> Any:
    """`function(chunk's part, *shared)` for all members of one device."""
    if plan.chunks == 1:
        return function(batched, *shared)
    chunked = jax.tree.map(lambda a: a.reshape(plan.chunks, plan.width, *a.shape[1:]), batched)
    done = jax.lax.map(lambda part: function(part, *shared), chunked)
    return jax.tree.map(lambda a: a.reshape(plan.chunks * plan.width, *a.shape[2:]), done)


def _shapes(tree: Any) -> tuple:
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((a.shape, np.dtype(a.dtype)) for a in leaves)
