"""The program of a study as text, by which an interrupted run is recognized."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from jnn.engine._program import make_program
from jnn.engine._state import Data, Member
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

    shapes = jax.tree.map(_shape_of, (member, data))
    traced = jax.make_jaxpr(train)(*shapes)
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
