"""jnn: the networks of the suites `step` and `inference`."""

from functools import partial

import jax

import jnn

_ON_CPU = {"xla_backend_optimization_level": 1}  # as `jnn.run` compiles its loops on a CPU


def compiler_options():
    """Return the options that `jnn.run` gives to XLA on this device."""
    return _ON_CPU if jax.default_backend() == "cpu" else None


def mlp(*, sizes):
    return partial(jnn.models.MLP, sizes[0], tuple(sizes[1:-1]), sizes[-1])


def lenet():
    return partial(jnn.models.LeNet, (28, 28, 1), 10)


def resnet(*, depth):
    return partial(jnn.models.ResNet, 3, 10, depth)


def resnet18():
    return partial(jnn.models.ResNet, 3, 10, 18, stem="small")


def lstm(*, vocabulary, width):
    return partial(jnn.models.LanguageModel, vocabulary, width)


def gpt(*, vocabulary, time, width, depth, heads):
    sizes = {"layers": depth, "num_heads": heads, "features": width}
    return partial(jnn.models.GPT, vocabulary, time, **sizes)


def vit(*, patch, width, depth, heads):
    sizes = {"patch": patch, "layers": depth, "num_heads": heads, "features": width}
    return partial(jnn.models.ViT, (32, 32, 3), 10, **sizes)
