"""A Flax model that exists already gains jnn's convolution by one argument, and trains as a study.

    python examples/flax_model.py [--quick]

The same small network is written with NNX and with Linen; both give the argument `conv_general_dilated` to Flax's own
Conv: same parameters, same numbers, but gradients that stay fast inside the compiled loop. Prints the accuracy of both
on scikit-learn's digits.
"""

import argparse
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import jnn

FAST = {"conv_general_dilated": jnn.layers.conv_general_dilated}


class Nnx(nnx.Module):
    """Two convolutions and a linear layer; `conv` is {} for plain Flax."""

    def __init__(self, conv: dict, *, rngs: nnx.Rngs):
        self.first = nnx.Conv(1, 8, (3, 3), **conv, rngs=rngs)
        self.second = nnx.Conv(8, 16, (3, 3), strides=2, **conv, rngs=rngs)
        self.output = nnx.Linear(4 * 4 * 16, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 8, 8, 1] -> [batch, 10]."""
        x = nnx.relu(self.second(nnx.relu(self.first(x))))
        return self.output(x.reshape(x.shape[0], -1))


class Linen(nn.Module):
    """The same with Linen, whose Conv takes the same argument."""

    conv: tuple = ()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 8, 8, 1] -> [batch, 10]."""
        x = nn.relu(nn.Conv(8, (3, 3), name="first", **dict(self.conv))(x))
        x = nn.relu(nn.Conv(16, (3, 3), strides=2, name="second", **dict(self.conv))(x))
        return nn.Dense(10, name="output")(x.reshape(x.shape[0], -1))


def check_same_numbers(plain, fast, x: np.ndarray) -> None:
    """One set of parameters, two lowerings, equal outputs and gradients."""
    plain, fast = jnn.as_model(plain), jnn.as_model(fast)
    params, state = plain.init(jax.random.key(0), x)
    value = lambda params, model: jnp.square(model.apply(params, state, x)[0]).mean()  # noqa: E731
    results = [
        jax.jit(jax.value_and_grad(functools.partial(value, model=m)))(params)
        for m in (plain, fast)
    ]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), *results)


def main() -> None:
    """Checks the numbers, trains both networks, prints the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 seeds x 2 folds instead of 5 x 5")
    quick = parser.parse_args().quick
    jnn.use_cpu_cores()
    digits = jnn.data.load("digits")
    images = jnn.Dataset.from_arrays(
        digits.x.reshape(-1, 8, 8, 1), digits.y, name="digits as images"
    )
    networks = {
        "NNX": (functools.partial(Nnx, {}), functools.partial(Nnx, FAST)),
        "Linen": (Linen(), Linen(tuple(FAST.items()))),
    }
    for name, (plain, fast) in networks.items():
        check_same_numbers(plain, fast, images.x[:8])
        study = jnn.Study(
            model=fast,
            loss=jnn.losses.softmax_cross_entropy,
            optimizer=optax.adam(3e-3),
            metrics={"accuracy": jnn.metrics.accuracy},
            epochs=15,
            batch_size=32,
        )
        members = jnn.seeds(2) * jnn.folds(2) if quick else jnn.seeds(5) * jnn.folds(5)
        result = jnn.run(study, images, members)
        print(f"{name}\n{result.summary()}\n")
        score = float(result.final()["accuracy"].mean())
        assert score > 0.94, f"wanted an accuracy above 0.94, but got {score:.3f}"


if __name__ == "__main__":
    main()
