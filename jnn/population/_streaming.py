"""Training on a stream: the host reads batches that would not fit the device, and every member learns from each.

A stream takes the place of the resident rows; all else, chunks and devices, segments, keeping and resuming, is as in
`jnn.training`. A member's batches are those of the stream, whatever its key.
"""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.data import Dataset, Stream
from jnn.engine import Batch, Data, make_program, member_of
from jnn.population._layout import Compiled, Layout, make_layout, signature_of
from jnn.population._plan import Plan, bytes_of
from jnn.study import Study

_SAMPLE = 4096  # rows that preprocessing is fitted on
_STACK = (
    64 << 20
)  # bytes of batches that are sent to the device at once, while it works on those before
_STEPS = 64  # and steps: enough that calling the program costs nothing beside them


def sample_of(stream: Stream, study: Study, test: Dataset | None) -> Dataset:
    """The stream's first rows, on which preprocessing is fitted, checked like any data set.

    Raises:
        ValueError: If study, stream and test set do not fit together.
    """
    if test is None:
        raise ValueError(
            "wanted a test set to score on, but got a stream alone; pass jnn.run(..., test=dataset)"
        )
    if study.batch_size != stream.batch_size:
        raise ValueError(
            f"wanted one batch size, but the study has {study.batch_size} and the stream {stream.batch_size}; "
            "set Study(batch_size=...) to the stream's"
        )
    if study.order != "member":
        raise ValueError(
            f"wanted order='member' with a stream, which has an order of its own, but got {study.order!r}"
        )
    if study.keep == "best" or study.validation:
        raise ValueError(
            "wanted keep='last' and validation=0 with a stream, whose rows cannot be set aside"
        )
    x, y = _first_rows(stream, test)
    return Dataset(
        x, y, test.task, "stream", target_names=test.target_names, feature_names=test.feature_names
    )


def _first_rows(stream: Stream, test: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """x, in the type of the test set's, and y; bytes, as images have, are hardly on the scale of its floats."""
    count = min(stream.steps_per_epoch, -(-_SAMPLE // stream.batch_size))
    x, y = (
        np.concatenate(part) for part in zip(*itertools.islice(iter(stream), count), strict=True)
    )
    if x.dtype in (np.uint8, np.int8) and test.x.dtype.kind == "f":
        raise ValueError(
            f"wanted x of a stream on the scale of the test set, whose x is {test.x.dtype}, but got {x.dtype}; scale "
            "it in the stream's transform, such as lambda x, y: (x.astype(np.float32) / 255, y)"
        )
    return x.astype(test.x.dtype, copy=False), y


def compile_stream(
    stream: Stream,
    classes: int,
    study: Study,
    plan: Plan,
    devices: Sequence[Any],
    columns: Mapping[str, Any],
    data: Data,
) -> Compiled:
    """What `jnn.population.compile_population` does, with `advance` a loop of the host over the stream's batches.

    `classes` bounds the labels; 0 for a regression.
    """
    layout = make_layout(plan, devices)
    sizes = _stack_sizes(study.steps_per_epoch or stream.steps_per_epoch, data, study.batch_size)
    compiled, learn_of, close = _programs(study, layout, frozenset(sizes), columns, data)

    def advance(progress, columns, data, first, stop):
        begun = int(first) * sum(sizes)
        batches = enumerate(stream.start(begun), begun)
        for number in range(int(first), int(stop)):
            state, losses = progress.state, []
            for size in sizes:
                state, loss = learn_of[size](
                    state, layout.share(_stacked(batches, size, data, classes))
                )
                losses.append(loss)
            loss = layout.split(jnp.concatenate(losses, axis=1).mean(axis=1))
            progress = close(
                progress._replace(state=None), state, columns, loss, data, np.int32(number)
            )
        return progress

    return compiled._replace(advance=advance)


def _programs(
    study: Study, layout: Layout, sizes: frozenset[int], columns: Mapping[str, Any], data: Data
) -> tuple[Compiled, dict[int, Any], Any]:
    """All but `advance`; for each number of steps at once the program that learns; the one that closes an epoch.

    Compiled once for each study, layout and shape of the arguments.
    """
    begun, signature = time.perf_counter(), ("stream", sizes, *signature_of(layout, columns, data))
    if signature in study.compiled:
        compiled, learn_of, close = study.compiled[signature]
        return compiled._replace(seconds=0.0), learn_of, close
    program = make_program(study, spread=layout.spread)

    def close_one(batched, data, number):
        progress, columns, state, loss = batched
        return program.close(progress, member_of(columns), data, number, state, loss)

    def close_all(progress, state, columns, loss, data, number):
        return layout.over_members(close_one, 2)((progress, columns, state, loss), data, number)

    begin = layout.jit(
        layout.over_members(lambda columns, data: program.begin(member_of(columns), data), 1)
    )
    learn = layout.jit(layout.over_members(program.learn, 1), donate_argnums=0)
    close = layout.jit(close_all, donate_argnums=(0, 1))
    columns, shared = layout.abstract(columns), layout.abstract(data, shared=True)
    progress = layout.abstract(jax.eval_shape(begin, columns, shared))
    loss = layout.abstract(jax.ShapeDtypeStruct((layout.plan.size,), jnp.float32))
    ending = (progress._replace(state=None), progress.state, columns, loss)
    programs = [
        (begin, (columns, shared)),
        (close, (*ending, shared, jax.ShapeDtypeStruct((), np.int32))),
    ]
    programs += [
        (learn, (progress.state, layout.abstract(_like(data, n, study), shared=True)))
        for n in sizes
    ]
    begin, close, *learns = layout.compile(
        function.lower(*arguments) for function, arguments in programs
    )
    memory, seconds = learns[0].memory_analysis(), time.perf_counter() - begun
    compiled = Compiled(begin, None, layout.split, layout.share, layout.is_host, memory, seconds)
    study.compiled[signature] = (compiled, dict(zip(sizes, learns, strict=True)), close)
    return study.compiled[signature]


def _stack_sizes(steps: int, data: Data, rows: int) -> list[int]:
    """The steps of an epoch, in as few calls as memory allows; all of one size but the last."""
    bytes_of_row = (bytes_of(data.x) + bytes_of(data.y)) / data.x.shape[0]
    most = int(max(1, min(steps, _STEPS, _STACK // max(1, bytes_of_row * rows))))
    return [most] * (steps // most) + [steps % most] * bool(steps % most)


def _like(data: Data, steps: int, study: Study) -> Batch:
    x, y = (
        jax.ShapeDtypeStruct((steps, study.batch_size, *a.shape[1:]), a.dtype)
        for a in (data.x, data.y)
    )
    return Batch(x, y, jax.ShapeDtypeStruct((steps, study.batch_size), jnp.float32))


def _stacked(batches: Iterator[Any], count: int, data: Data, classes: int) -> Batch:
    """The next of the stream's numbered batches, [count, rows, ...], in the types and shapes of the resident rows."""
    numbers, taken = zip(*itertools.islice(batches, count), strict=True)
    if other := sorted({x.shape[1:] for x, _ in taken} - {data.x.shape[1:]}):
        raise ValueError(
            f"wanted rows of shape {data.x.shape[1:]}, as the stream's first ones are, but later got {other[0]}; "
            "let its source and transform give one shape"
        )
    parts = zip(*taken, strict=True)
    x, y = (
        np.stack(part).astype(a.dtype, copy=False)
        for part, a in zip(parts, (data.x, data.y), strict=True)
    )
    _check_batches(numbers, x, y, classes)
    return Batch(x, y.reshape(*y.shape[:2], *data.y.shape[1:]), np.ones(x.shape[:2], np.float32))


def _check_batches(numbers: Sequence[int], x: np.ndarray, y: np.ndarray, classes: int) -> None:
    """What a data set is asked for at once, a stream can be asked for only as it is read."""
    for name, values, most in (("x", x, 0), ("y", y, classes)):
        right = (values >= 0) & (values < most) if most else np.isfinite(values)
        if not right.all():
            wanted = f"labels from 0 to {most - 1}" if most else "finite numbers"
            batch = int(np.argmin(right.reshape(len(right), -1).all(axis=1)))
            raise ValueError(
                f"wanted {wanted} in a stream, but {name} of batch {numbers[batch]} has {values[~right][0]}; "
                "leave such rows out of the source, or mend them in its transform"
            )
