"""Programs as text: of a study, to recognize an interrupted run, and of its network."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from jnn.engine._program import make_program
from jnn.engine._programs import programs_of
from jnn.engine._scoring_network import scoring_network
from jnn.engine._state import Data, Member, Trained
from jnn.engine._trainer import Trainer
from jnn.storage import to_host
from jnn.study import Study


def program_text(
    study: Study, trainer: Trainer, member: Member, data: Data, *, ragged: bool = False
) -> str:
    """Return the training of one member as text that is the same in every process.

    The text is the program's jaxpr and the digests of the constants in it; a changed loss, model or
    optimizer is another program.

    Args:
        study: What is trained.
        trainer: Its trainer.
        member: The shapes of a member.
        data: Arrays or shapes.
        ragged: As in `make_program`.
    """
    program = make_program(study, trainer, ragged=ragged)

    def train(member: Member, data: Data) -> Any:
        return program.advance(program.begin(member, data), data, 0, study.epochs)

    return _text_of(train, member, data)


def network_digest(study: Study, trained: Trained, x: Any, other: str = "") -> str:
    """Return a digest of the network of a study as it predicts, the same in every process.

    Networks whose arrays have the same shapes differ in it if they compute differently. It is that
    of the jaxpr, so that other versions of JAX and Flax may give another one. It begins with the
    number of rows that the network was traced for, and is empty for a network that cannot be traced
    by itself.

    Args:
        study: What is trained.
        trained: Arrays or shapes of one member.
        x: Arrays or shapes of one row.
        other: A digest to compare with, for whose number of rows the network is traced. By default
            it is that of the first batch that the network scored, for which it has been traced.
    """
    study = programs_of(study).study
    network = scoring_network(study)
    rows = _rows_of(other) if other else (network.rows or [2])[0]
    x = jax.tree.map(lambda row: jax.ShapeDtypeStruct((rows, *row.shape), row.dtype), x)
    try:
        trained, x, shared = jax.tree.map(_shape_of, (trained, x, study.shared))
        x = jax.eval_shape(study.inputs.forward, trained.input_stats, x)
        jaxpr = network.traced.jaxpr(
            trained.params, trained.model_state, x, dict(trained.hyper), shared
        )
    except Exception:  # a network of a study's own trainer may be called in another way
        return ""
    text = re.sub(r"name=\S+", "", _as_text(jaxpr))  # functions inside may be renamed
    return f"{rows}:{hashlib.sha256(text.encode()).hexdigest()}"


def _rows_of(digest: str) -> int:
    """Return the number of rows that a digest of a network begins with."""
    rows = digest.partition(":")[0]
    return int(rows) if rows.isdecimal() and len(rows) < 10 and ":" in digest else 2


def _text_of(function: Callable[..., Any], *arguments: Any) -> str:
    """Return the jaxpr of a function, without addresses, and the digests of its constants."""
    return _as_text(jax.make_jaxpr(function)(*jax.tree.map(_shape_of, arguments)))


def _as_text(traced: ClosedJaxpr) -> str:
    constants = to_host([*_constants(traced)])
    digests = [hashlib.sha256(np.asarray(constant).tobytes()).hexdigest() for constant in constants]
    return re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr)) + "".join(digests)


def _shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True)  # keys too
    return jax.ShapeDtypeStruct(leaf.shape, dtype)


def _constants(closed: ClosedJaxpr) -> Iterator[Any]:
    """Yield the arrays that a program closes over, including those of programs inside it."""
    yield from closed.consts
    for equation in closed.jaxpr.eqns:
        for inner in jax.tree.leaves(equation.params, is_leaf=_is_program):
            if isinstance(inner, ClosedJaxpr):
                yield from _constants(inner)
            elif isinstance(inner, Jaxpr):
                yield from _constants(ClosedJaxpr(inner, ()))


def _is_program(leaf: Any) -> bool:
    return isinstance(leaf, ClosedJaxpr | Jaxpr)
