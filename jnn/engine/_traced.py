"""Functions that Python traces once for arguments of the same shapes and dtypes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jnn.engine._hyper import note_names, recording_names


class Traced:
    """A function that is traced once for arguments of the same structure, shapes and dtypes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._traces: dict[Any, tuple[ClosedJaxpr, Any, set[str]]] = {}

    def __call__(self, *arguments: Any) -> Any:
        jaxpr, outputs = self._trace(arguments)
        values = jaxpr_as_fun(jaxpr)(*jax.tree.leaves(arguments))
        return outputs.unflatten(map(_as_array, values))

    def jaxpr(self, *arguments: Any) -> ClosedJaxpr:
        """Return the program of the function for arrays or shapes."""
        return self._trace(arguments)[0]

    def _trace(self, arguments: tuple[Any, ...]) -> tuple[ClosedJaxpr, Any]:
        leaves, structure = jax.tree.flatten(arguments)
        shapes = [jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]
        key = structure, tuple((shape.shape, shape.dtype) for shape in shapes)
        if key not in self._traces:
            # A trace names the mesh that it was made under. Without one it serves under any.
            no_mesh = jax.sharding.AbstractMesh((), ())
            with recording_names() as names, jax.sharding.use_abstract_mesh(no_mesh):
                jaxpr, outputs = jax.make_jaxpr(self._function, return_shape=True)(
                    *structure.unflatten(shapes)
                )
            self._traces[key] = jaxpr, jax.tree.structure(outputs), names
        jaxpr, outputs, names = self._traces[key]
        note_names(names)  # also where nothing is traced anew
        return jaxpr, outputs


def _as_array(value: Any) -> jax.Array:
    """Return a result of a jaxpr as an array: a constant one is a number of the jaxpr."""
    return value if isinstance(value, jax.Array) else jnp.asarray(value)
