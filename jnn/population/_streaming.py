"""Training on a stream: the host reads batches that would not fit the device.

A stream takes the place of the resident rows, and every member learns from each of its batches.
All else, chunks and devices, saving and resuming, is as for a data set.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.data import (
    Dataset,
    Stream,
    count_rows,
    has_parts,
    map_parts,
    parts_of,
    same_parts,
    shapes_of_rows,
)
from jnn.engine import (
    Batch,
    Columns,
    Data,
    ProgramKey,
    Programs,
    State,
    Training,
    example_batch,
    member_of,
    programs_of,
)
from jnn.population._batch import batch_text
from jnn.population._compile import Compiled, program_for, signature_of
from jnn.population._layout import Layout, make_layout
from jnn.population._plan import Plan, bytes_of
from jnn.study import Study

_SAMPLE = 4096  # rows that preprocessing is fitted on
_STACK = 64 << 20  # bytes of batches that are sent to the device at once
_STEPS = 64  # and steps: enough that calling the program costs nothing beside them


class _StreamPrograms(NamedTuple):
    """The compiled programs of a study on a stream.

    Attributes:
        begin: As in `Compiled`.
        learn: The program that learns from a stack of batches, by its number of steps.
        close: The program that ends an epoch.
        memory: As in `Compiled`.
    """

    begin: Any
    learn: dict[int, Any]
    close: Any
    memory: Any


def sample_of(stream: Stream, study: Study, test: Dataset | None) -> Dataset:
    """Return the first rows of a stream, on which preprocessing is fitted, as a data set.

    Raises:
        ValueError: If study, stream and test set do not fit together.
    """
    if test is None:
        raise ValueError("A stream needs a test set to score on. Pass jnn.run(..., test=dataset).")
    if study.batch_size != stream.batch_size:
        batch = batch_text(study)
        raise ValueError(
            f"{batch.name} of the study must be the batch_size of the stream, {stream.batch_size}, "
            f"got {batch.value}."
        )
    if study.order != "member":
        raise ValueError(
            f"order must be 'member' for a stream, which has an order of its own, got "
            f"{study.order!r}."
        )
    if study.keep == "best" or study.validation:
        raise ValueError(
            "keep must be 'last' and validation 0 for a stream, whose rows cannot be set aside."
        )
    x, y = _first_rows(stream, test)
    return Dataset(
        x,
        y,
        test.task,
        "stream",
        target_names=test.target_names,
        feature_names=test.feature_names,
        ignore_index=test.ignore_index,
    )


def compile_stream(
    stream: Stream,
    classes: int,
    study: Study,
    plan: Plan,
    devices: Sequence[Any],
    columns: Columns,
    data: Data,
) -> Compiled:
    """Compile a study whose `advance` is a loop of the host over the batches of a stream.

    Args:
        stream: The batches.
        classes: Number of classes, which bounds the labels; 0 for a regression.
        study: What is trained.
        plan: The layout.
        devices: Devices to use.
        columns: The numbers of the members of one call, [plan.size, ...].
        data: The first rows of the stream, and the test rows.
    """
    start = time.perf_counter()
    layout = make_layout(plan, devices)
    programs = programs_of(study)
    sizes = _stack_sizes(study.steps_per_epoch or stream.steps_per_epoch, data, study.batch_size)
    key = ProgramKey("stream", (frozenset(sizes), *signature_of(layout, columns, data)))
    is_new = key not in programs
    compiled = programs.get(
        key, lambda: _compiled(programs, layout, frozenset(sizes), columns, data)
    )

    def advance(training: Training, idle: Any, data: Data, first: Any, stop: Any) -> Training:
        del idle  # with a stream no member ends early
        number = int(first) * sum(sizes)
        batches = enumerate(stream.start(number), number)
        for epoch in range(int(first), int(stop)):
            state = training.state
            logs = []
            for size in sizes:
                stack = layout.share(_stacked(batches, size, data, classes))
                state, stack_logs = compiled.learn[size](state, stack, data.shared)
                logs.append(stack_logs)
            mean = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1).mean(axis=1), *logs)
            rest = training._replace(state=None)  # type: ignore[arg-type]
            training = compiled.close(rest, state, layout.split(mean), data, np.int32(epoch))
        return training

    seconds = time.perf_counter() - start if is_new else 0.0
    return Compiled(compiled.begin, advance, layout, compiled.memory, seconds)


def _compiled(
    programs: Programs, layout: Layout, sizes: frozenset[int], columns: Columns, data: Data
) -> _StreamPrograms:
    program = program_for(programs, layout)

    def begin_one(columns: Columns, data: Data) -> Training:
        return program.begin(member_of(columns), data)

    def close_one(member: Any, data: Data, number: Any) -> Training:
        training, state, logs = member
        return program.close(training, data, number, state, logs)

    def close_all(training: Any, state: Any, logs: Any, data: Data, number: Any) -> Training:
        return layout.over_members(close_one, 2)((training, state, logs), data, number)

    begin = layout.jit(layout.over_members(begin_one, 1))
    learn = layout.jit(layout.over_members(program.learn, 2), donate_argnums=0)
    close = layout.jit(close_all, donate_argnums=(0, 1))
    columns = layout.abstract(columns)
    shared = layout.abstract(data, shared=True)
    training = layout.abstract(jax.eval_shape(begin, columns, shared))
    _check_index(programs, jax.eval_shape(lambda state: _one(state), training.state), data)
    stacks = {n: layout.abstract(_stack_shape(data, n, programs.study), shared=True) for n in sizes}
    one_stack = next(iter(stacks.values()))
    _, logs = jax.eval_shape(learn, training.state, one_stack, shared.shared)
    mean_logs = layout.abstract(
        jax.tree.map(lambda a: jax.ShapeDtypeStruct((a.shape[0], *a.shape[2:]), a.dtype), logs)
    )
    number = jax.ShapeDtypeStruct((), np.int32)
    rest = training._replace(state=None)
    calls = [
        (begin, (columns, shared)),
        (close, (rest, training.state, mean_logs, shared, number)),
    ]
    calls += [(learn, (training.state, stack, shared.shared)) for stack in stacks.values()]
    begin, close, *learns = layout.compile(
        function.lower(*arguments) for function, arguments in calls
    )
    by_size = dict(zip(stacks, learns, strict=True))
    return _StreamPrograms(begin, by_size, close, learns[0].memory_analysis())


def _one(members: State) -> State:
    """Return the first of several members."""
    return jax.tree.map(lambda array: array[0], members)


def _check_index(programs: Programs, state: State, data: Data) -> None:
    """Raise ValueError if a step reads the numbers of its rows, which a stream does not have."""
    batch = example_batch(programs.study, data)
    without = batch._replace(index=None)
    step = programs.trainer.step
    traced = jax.make_jaxpr(lambda state, rest, index: step(state, rest._replace(index=index)))(
        state, without, batch.index
    )
    index = traced.jaxpr.invars[-1]
    read = (v for equation in traced.jaxpr.eqns for v in equation.invars)
    if any(variable is index for variable in read):
        raise ValueError(
            "Batch.index must not be read on a stream, whose rows have no numbers. Give the rows "
            "numbers in x, or use a data set."
        )


def _first_rows(stream: Stream, test: Dataset) -> tuple[Any, Any]:
    """Return the first x, in the type of the test set's, and y."""
    count = min(stream.steps_per_epoch, -(-_SAMPLE // stream.batch_size))
    batches = list(itertools.islice(iter(stream), count))
    x, y = map_parts(lambda *parts: np.concatenate(parts), batches[0], *batches[1:])
    if not same_parts(x, test.x) or not same_parts(y, test.y):
        raise ValueError(
            "The rows of a stream must have the parts of the test set, "
            f"{shapes_of_rows((test.x, test.y))}, got {shapes_of_rows((x, y))}."
        )
    if test.ignore_index is not None and not has_parts(y):
        y = np.maximum(y, -1)  # any negative label is one to ignore
    return map_parts(_on_scale, x, test.x), y


def _on_scale(x: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return x in the type of the test set's."""
    if x.dtype in (np.uint8, np.int8) and test.dtype.kind == "f":
        raise ValueError(
            f"The x of a stream must be on the scale of the test set, whose x is {test.dtype}, got "
            f"{x.dtype}. Scale it in the transform of the stream, such as "
            "lambda x, y: (x.astype(np.float32) / 255, y)."
        )
    return x.astype(test.dtype, copy=False)


def _stack_sizes(steps: int, data: Data, rows: int) -> list[int]:
    """Divide the steps of an epoch into few calls that memory allows, equal except the last."""
    bytes_of_row = (bytes_of(data.x) + bytes_of(data.y)) / count_rows(data.x)
    most = int(max(1, min(steps, _STEPS, _STACK // max(1, bytes_of_row * rows))))
    rest = steps % most
    return [most] * (steps // most) + ([rest] if rest else [])


def _stack_shape(data: Data, steps: int, study: Study) -> Batch:
    def stacked(array: Any) -> Any:
        return jax.ShapeDtypeStruct((steps, study.batch_size, *array.shape[1:]), array.dtype)

    weights = jax.ShapeDtypeStruct((steps, study.batch_size), jnp.float32)
    x, y = map_parts(stacked, (data.x, data.y))
    return Batch(x, y, weights, ignoring=data.ignoring)


def _stacked(batches: Iterator[Any], count: int, data: Data, classes: int) -> Batch:
    """Return the next numbered batches of a stream, [count, rows, ...], like the first rows."""
    numbers, arrays = zip(*itertools.islice(batches, count), strict=True)
    x, y = map_parts(_stacked_part, (data.x, data.y), *arrays)
    least = 0 if data.ignoring is None else -(2**31)
    for name, part in parts_of(x, "x").items():
        _check_batches(name, numbers, part, np.isfinite(part), "finite numbers")
    for name, part in parts_of(y, "y").items():
        if classes:
            right = (part >= least) & (part < classes)
            _check_batches(name, numbers, part, right, f"labels from 0 to {classes - 1}")
        else:
            _check_batches(name, numbers, part, np.isfinite(part), "finite numbers")
    weights = np.ones((count, count_rows(arrays[0][0])), np.float32)
    return Batch(x, y, weights, ignoring=data.ignoring)


def _stacked_part(first: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
    """Return one part of batches as [count, rows, ...], in the form of the first rows."""
    row = first.shape[1:]
    shapes = {array.shape[1:] for array in arrays}
    others = sorted(shape for shape in shapes if shape not in (row, (*row, 1)))
    if others:
        raise ValueError(
            f"The rows of a stream must have one shape, that of its first ones, {row}, but later "
            f"ones have {others[0]}. Change its source or transform."
        )
    part = np.stack(arrays).astype(first.dtype, copy=False)
    return part.reshape(*part.shape[:2], *row)


def _check_batches(
    name: str, numbers: Sequence[int], values: np.ndarray, right: np.ndarray, expected: str
) -> None:
    """Validate batches as they arrive; a `Dataset` is validated once, up front."""
    if right.all():
        return
    batch = int(np.argmin(right.reshape(len(right), -1).all(axis=1)))
    raise ValueError(
        f"{name} of a stream must hold {expected}, but batch {numbers[batch]} has "
        f"{values[~right][0]}. Leave such rows out of the source, or change them in its transform."
    )
