"""ConvNeXt as torchvision and Hugging Face name it, for `jnn.models.ConvNeXt`."""

import functools
from collections.abc import Callable
from typing import Any

from jnn.models import ConvNeXt
from jnn.weights._config import check_settings, classes, number, size_of_each, sizes
from jnn.weights._family import Config, Rule, register
from jnn.weights.tables._layers import (
    Rules,
    convolution,
    head,
    linear,
    norm,
    of_two_libraries,
)

_OURS = "stages/{s}/{i}"
_BLOCK = "encoder.stages.{s}.layers.{i}"
_STAGES = 4  # of torchvision's, which counts stages and what is between them together

HUGGINGFACE = (
    *convolution("embeddings.patch_embeddings", "stem"),
    *norm("embeddings.layernorm", "stem_norm"),
    *norm("encoder.stages.{s+1}.downsampling_layer.0", "downsamples/{s}/norm"),
    *convolution("encoder.stages.{s+1}.downsampling_layer.1", "downsamples/{s}/conv"),
    Rule(f"{_BLOCK}.layer_scale_parameter", f"{_OURS}/scale"),
    *convolution(f"{_BLOCK}.dwconv", f"{_OURS}/conv"),
    *norm(f"{_BLOCK}.layernorm", f"{_OURS}/norm"),
    *linear(f"{_BLOCK}.pwconv1", f"{_OURS}/linear1"),
    *linear(f"{_BLOCK}.pwconv2", f"{_OURS}/linear2"),
    *norm("layernorm", "norm"),
    *head("classifier"),
)


def _stage(number: int) -> Rules:
    """Return the rules of a stage of torchvision, and of what is before it."""
    theirs, ours = f"features.{2 * number + 1}.{{i}}", f"stages/{number}/{{i}}"
    between = f"features.{2 * number}", f"downsamples/{number - 1}"
    before = (
        *norm(f"{between[0]}.0", f"{between[1]}/norm"),
        *convolution(f"{between[0]}.1", f"{between[1]}/conv"),
    )
    return (
        *(before if number else ()),
        Rule(f"{theirs}.layer_scale", f"{ours}/scale", "CHW->(CHW) H=1 W=1"),
        *convolution(f"{theirs}.block.0", f"{ours}/conv"),
        *norm(f"{theirs}.block.2", f"{ours}/norm"),
        *linear(f"{theirs}.block.3", f"{ours}/linear1"),
        *linear(f"{theirs}.block.5", f"{ours}/linear2"),
    )


TORCHVISION = (
    *convolution("features.0.0", "stem"),
    *norm("features.0.1", "stem_norm"),
    *(rule for number in range(_STAGES) for rule in _stage(number)),
    *norm("classifier.0", "norm"),
    *head("classifier.2"),
)


def network(config: Config) -> Callable[..., Any]:
    """Return the ConvNeXt of a config."""
    numbers = sizes(config, channels="num_channels", patch="patch_size")
    check_settings(
        config,
        hidden_act="gelu",
        architectures=(None, ["ConvNextForImageClassification"], ["ConvNextModel"]),
    )
    scale = None
    if config.get("layer_scale_init_value") != 0:
        scale = number(config, "layer_scale_init_value", 1e-6)
    return functools.partial(
        ConvNeXt,
        outputs=classes(config),
        depths=size_of_each(config, "depths"),
        widths=size_of_each(config, "hidden_sizes"),
        layer_scale=scale,
        epsilon=number(config, "layer_norm_eps", 1e-12),
        **numbers,
    )


register("convnext", of_two_libraries(TORCHVISION, HUGGINGFACE, "convnext."), network)
