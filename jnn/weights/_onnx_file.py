"""A network with its numbers as a program in ONNX, by the exporter jax2onnx."""

import contextlib
import logging
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.model import as_model
from jnn.weights._network import Variables
from jnn.weights._plain import plain
from jnn.weights._refusal import listed

_CLOSE = 1e-3  # largest difference of a checked output, relative to the largest output


def write_onnx(path: pathlib.Path, network: Any, variables: Variables, x: Any) -> None:
    """Write `network(x)` for any number of rows as an ONNX file, and check its outputs.

    Args:
        path: The file to write.
        network: What `jnn.as_model` accepts.
        variables: Its parameters and state.
        x: An example batch, on whose rows the file must compute what the network does.

    Raises:
        ImportError: If jax2onnx is not installed.
        ValueError: If the exporter lacks an operation of the network, or the file would compute
            something else.
    """
    try:
        import jax2onnx
        import onnxruntime
    except ImportError:
        raise ImportError(
            "Writing ONNX needs jax2onnx, which is not installed. "
            "Install it with: pip install 'jnn-jax[onnx]'"
        ) from None

    model = as_model(network)
    leaves, structure = jax.tree.flatten(x)
    leaves = [_example(leaf) for leaf in leaves]

    def function(*parts: Any) -> Any:
        batch = structure.unflatten(parts)
        return model.apply(*variables, batch, key=None, train=False, hyper={})[0]

    (rows,) = jax.export.symbolic_shape("rows")
    like = [jax.ShapeDtypeStruct((rows, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
    with _quietly():
        try:
            program = plain(function, *like)
            content = jax2onnx.to_onnx(lambda *parts: tuple(program(*parts)), like)
        except (NotImplementedError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[:1]
            raise ValueError(
                f"{model.name} must have only operations that jax2onnx knows, but it says: "
                f"{reason}. Export it as StableHLO: result.export(path)."
            ) from error
        serialized = content.SerializeToString()
        expected = jax.tree.leaves(function(*map(jnp.asarray, leaves)))
        outputs = _outputs(onnxruntime, serialized, leaves)
    _check(model.name, outputs, expected)
    path.write_bytes(serialized)


def _example(leaf: Any) -> np.ndarray:
    """Return rows to check a file on; of shapes alone they are zeros."""
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return np.zeros(leaf.shape, leaf.dtype)
    return np.asarray(jnp.asarray(leaf))


def _outputs(onnxruntime: Any, serialized: bytes, leaves: list[np.ndarray]) -> Any:
    """Return what the file computes; None if it cannot run."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(serialized, options)
        names = [one.name for one in session.get_inputs()]
        return session.run(None, dict(zip(names, leaves, strict=True)))
    except (RuntimeError, ValueError, *_errors_of(onnxruntime)):
        return None


def _errors_of(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """Return the errors of the runtime, which have no common class."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    found = [value for value in vars(state).values() if isinstance(value, type)]
    return tuple(kind for kind in found if issubclass(kind, Exception))


def _check(name: str, outputs: Any, expected: list[Any]) -> None:
    """Raise ValueError unless the file computes what the network does."""
    differences = []
    for i, (ours, theirs) in enumerate(zip(expected, outputs or (), strict=outputs is not None)):
        ours = np.asarray(ours, np.float64)
        gap = np.max(np.abs(ours - theirs), initial=0.0)
        if ours.shape != theirs.shape or not gap <= _CLOSE * np.max(np.abs(ours), initial=1e-6):
            differences.append(f"output {i} by {gap:.2g}")
    if outputs is None or differences:
        words = f"differs in {listed(differences)}" if differences else "does not run"
        raise ValueError(
            f"The ONNX file of {name} must compute what the network does, but what jax2onnx wrote "
            f"{words}. Export it as StableHLO: result.export(path)."
        )


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what the exporter says about shapes that it does not know."""
    loggers = [logging.getLogger(name) for name in ("onnx_ir", "onnx_ir.serde", "jax2onnx")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
