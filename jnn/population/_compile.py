"""The compiled programs of a study on one layout."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine import (
    Columns,
    Data,
    Program,
    ProgramKey,
    Programs,
    Training,
    debugging,
    make_program,
    make_trainer,
    member_of,
    programs_of,
)
from jnn.population._layout import Layout, make_layout
from jnn.population._plan import Plan
from jnn.study import Study


class Compiled(NamedTuple):
    """The programs that train the members of one call.

    Attributes:
        begin: `begin(columns, data) -> training` of all members, [members, ...].
        advance: `advance(training, idle, data, first, stop) -> training` trains the epochs
            first, ..., stop - 1. The memory of the argument is reused. Chunks whose members are
            all idle take no time.
        layout: Where the programs want their arrays.
        memory: The compiler's account of the memory that training takes on a device, or None.
        seconds: Seconds of tracing and compiling; 0 if the programs existed already.
    """

    begin: Callable[[Any, Data], Training]
    advance: Callable[..., Training]
    layout: Layout
    memory: Any
    seconds: float


def compile_population(
    study: Study, plan: Plan, devices: Sequence[Any], columns: Columns, data: Data
) -> Compiled:
    """Compile a study for a plan, once for each plan and shape of the arguments.

    Args:
        study: What is trained.
        plan: The layout.
        devices: Devices to use, at least as many as the plan has.
        columns: The numbers of the members of one call, [plan.size, ...].
        data: The arrays that all members share.
    """
    start = time.perf_counter()
    layout = make_layout(plan, devices)
    programs = programs_of(study)
    ragged = is_ragged(study, data)
    key = ProgramKey("population", (ragged, *signature_of(layout, columns, data)))
    is_new = key not in programs
    compiled = programs.get(key, lambda: _compiled(programs, layout, ragged, columns, data))
    return compiled._replace(seconds=time.perf_counter() - start if is_new else 0.0)


def program_for(programs: Programs, layout: Layout, *, ragged: bool = False) -> Program:
    """Return the functions that train one member on a layout."""
    trainer = programs.trainer
    if layout.plan.split > 1:  # scoring depends on how the devices share a batch
        trainer = make_trainer(programs.study, spread=layout.spread)
    return make_program(programs.study, trainer, ragged=ragged, spread=layout.spread)


def signature_of(layout: Layout, columns: Columns, data: Data) -> tuple[Any, ...]:
    """Return what a compiled program depends on besides its study."""
    settings = jax.config.jax_default_matmul_precision, jax.config.jax_enable_x64  # type: ignore[attr-defined]
    leaves, structure = jax.tree.flatten((columns, data))
    shapes = tuple((leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves)
    return layout.plan, tuple(layout.mesh.devices.flat), structure, shapes, settings, debugging()


def bytes_needed(compiled: Compiled) -> int:
    """Return the bytes that training takes of a device.

    Where the devices are cores of the host these are the bytes of the host.
    """
    memory = compiled.memory
    if memory is None:
        return 0
    total = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    sharing = compiled.layout.plan.devices if compiled.layout.is_host else 1
    return sharing * (total - memory.alias_size_in_bytes)


def is_ragged(study: Study, data: Data) -> bool:
    """Return whether some folds have fewer batches than others, so that they skip steps."""
    steps = -(-np.asarray(data.train.count) // study.batch_size)
    return bool((steps != steps.max()).any())


def _compiled(
    programs: Programs, layout: Layout, ragged: bool, columns: Columns, data: Data
) -> Compiled:
    program = program_for(programs, layout, ragged=ragged)
    begin, advance = _over_population(program, layout)
    columns = layout.abstract(columns)
    data = layout.abstract(data, shared=True)
    training = layout.abstract(jax.eval_shape(begin, columns, data))
    idle = layout.abstract(jax.ShapeDtypeStruct((layout.plan.size,), np.bool_))
    epoch = jax.ShapeDtypeStruct((), np.int32)
    calls = (advance, (training, idle, data, epoch, epoch)), (begin, (columns, data))
    advance, begin = layout.compile(function.lower(*arguments) for function, arguments in calls)
    return Compiled(begin, advance, layout, advance.memory_analysis(), 0.0)


def _over_population(program: Program, layout: Layout) -> tuple[Any, Any]:
    """Return `begin` and `advance` of all members, not yet compiled."""

    def begin_one(columns: Columns, data: Data) -> Training:
        return program.begin(member_of(columns), data)

    def advance_chunk(chunk: tuple[Training, Any], data: Data, first: Any, stop: Any) -> Training:
        training, idle = chunk
        stop = jnp.where(jnp.all(idle), first, stop)
        return layout.together(program.advance)(training, data, first, stop)

    def advance_all(training: Training, idle: Any, data: Data, first: Any, stop: Any) -> Training:
        return layout.over_chunks(advance_chunk, 3)((training, idle), data, first, stop)

    begin = layout.jit(layout.over_members(begin_one, 1))
    return begin, layout.jit(advance_all, donate_argnums=0)
