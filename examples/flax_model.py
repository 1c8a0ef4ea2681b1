"""Train a Flax model as it is, as a study, with jnn's convolution as one further argument.

    python examples/flax_model.py [--quick]

The same small network is written with NNX and with Linen. Both pass `conv_general_dilated` to
Flax's own Conv: parameters and numbers stay the same, but gradients stay fast inside a compiled
loop. The script prints the accuracy of both on scikit-learn's digits.
"""

import argparse
import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import jnn

FAST = {"conv_general_dilated": jnn.layers.conv_general_dilated}


class NnxNetwork(nnx.Module):
    """Two convolutions and a linear layer.

    Args:
        conv: Further arguments of nnx.Conv; {} for plain Flax.
        rngs: Random streams for the initial parameters.
    """

    def __init__(self, conv: dict, *, rngs: nnx.Rngs):
        self.first = nnx.Conv(1, 8, (3, 3), **conv, rngs=rngs)
        self.second = nnx.Conv(8, 16, (3, 3), strides=2, **conv, rngs=rngs)
        self.output = nnx.Linear(4 * 4 * 16, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map images [batch, 8, 8, 1] to logits [batch, 10]."""
        x = nnx.relu(self.first(x))
        x = nnx.relu(self.second(x))
        return self.output(x.reshape(x.shape[0], -1))


class LinenNetwork(nn.Module):
    """The same network with Linen, whose Conv takes the same argument.

    Attributes:
        conv: Further arguments of nn.Conv as (name, value) pairs.
    """

    conv: tuple = ()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map images [batch, 8, 8, 1] to logits [batch, 10]."""
        options = dict(self.conv)
        x = nn.relu(nn.Conv(8, (3, 3), name="first", **options)(x))
        x = nn.relu(nn.Conv(16, (3, 3), strides=2, name="second", **options)(x))
        return nn.Dense(10, name="output")(x.reshape(x.shape[0], -1))


def assert_same_numbers(plain, fast, x: np.ndarray) -> None:
    """Assert that both convolutions give equal outputs and gradients for equal parameters."""
    params, state = jnn.as_model(plain).init(jax.random.key(0), x)

    def mean_square(params, model):
        outputs, _ = model.apply(params, state, x)
        return jnp.square(outputs).mean()

    results = []
    for network in (plain, fast):
        function = functools.partial(mean_square, model=jnn.as_model(network))
        results.append(jax.jit(jax.value_and_grad(function))(params))
    chex.assert_trees_all_close(*results, rtol=1e-3, atol=1e-5)


def main() -> None:
    """Check the numbers, train both networks, and print their scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="train 2 seeds x 2 folds, not 5 x 5")
    is_quick = parser.parse_args().quick
    jnn.use_cpu_cores()
    digits = jnn.data.load("digits")
    x = digits.x.reshape(-1, 8, 8, 1)
    images = jnn.Dataset.from_arrays(x, digits.y, name="digits as images")
    networks = {
        "NNX": (functools.partial(NnxNetwork, {}), functools.partial(NnxNetwork, FAST)),
        "Linen": (LinenNetwork(), LinenNetwork(tuple(FAST.items()))),
    }
    members = jnn.seeds(2) * jnn.folds(2) if is_quick else jnn.seeds(5) * jnn.folds(5)
    for name, (plain, fast) in networks.items():
        assert_same_numbers(plain, fast, images.x[:8])
        study = jnn.Study(
            model=fast,
            loss=jnn.losses.softmax_cross_entropy,
            optimizer=optax.adam(3e-3),
            metrics={"accuracy": jnn.metrics.accuracy},
            epochs=15,
            batch_size=32,
        )
        result = jnn.run(study, images, members)
        print(f"{name}\n{result.summary()}\n")
        accuracy = float(result.final()["accuracy"].mean())
        assert accuracy > 0.94, f"accuracy of {name} must be above 0.94, got {accuracy:.3f}"


if __name__ == "__main__":
    main()
