"""Linear layers equal NumPy and Flax, and refuse what does not fit."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jnn import layers


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (2, 0)])
def test_dense_is_flax_linear(batch):
    module = nnx.Linear(5, 3, rngs=nnx.Rngs(0), bias_init=nnx.initializers.normal())
    x = normal(0, *batch, 5)
    np.testing.assert_allclose(layers.dense(x, module.kernel[...], module.bias[...]), module(x), rtol=1e-5, atol=1e-6)


def test_embedding_is_flax_embed_and_its_gradient_adds_up_repeated_ids():
    module = nnx.Embed(4, 3, rngs=nnx.Rngs(0))
    ids = jnp.array([[1, 3], [1, 0]])
    table = module.embedding[...]
    np.testing.assert_array_equal(layers.embedding(ids, table), module(ids))
    gradient = jax.grad(lambda table: layers.embedding(ids, table).sum())(table)
    np.testing.assert_array_equal(gradient, np.array([1, 2, 0, 1])[:, None] * np.ones(3))


def test_embedding_clips_ids_out_of_range():
    table = normal(0, 4, 3)
    np.testing.assert_array_equal(layers.embedding(jnp.array([-1, -9, 4, 99]), table), table[np.array([0, 0, 3, 3])])


def test_lora_is_a_dense_layer_with_the_merged_kernel():
    x, kernel, a, b = normal(0, 2, 5), normal(1, 5, 3), normal(2, 5, 2), normal(3, 2, 3)
    merged = layers.dense(x, kernel + 0.5 * a @ b)
    np.testing.assert_allclose(layers.lora(x, kernel, a, b, scale=0.5), merged, rtol=1e-5, atol=1e-5)


def test_a_kernel_that_does_not_fit_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="wanted 4 features on the last axis of x"):
        inspect.unwrap(layers.dense)(jnp.ones((2, 5)), jnp.ones((4, 3)))
