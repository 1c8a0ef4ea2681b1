"""ResNet as torchvision (and timm) and Hugging Face name it, for `jnn.models.ResNet`.

Running statistics are those of Flax, whose variance is divided by n; PyTorch's goes on with a
variance that is divided by n - 1.
"""

import functools
from collections.abc import Callable
from typing import Any

from jnn.models import ResNet
from jnn.weights._config import check_settings, classes, size_of_each, sizes
from jnn.weights._family import Config, register
from jnn.weights.tables._layers import batch_norm, convolution, head, of_two_libraries

_OURS = "stages/{s}/{i}"
_LAYER = "layer{s+1}.{i}"
_BLOCK = "encoder.stages.{s}.layers.{i}"

TORCHVISION = (
    *convolution("conv1", "stem"),
    *batch_norm("bn1", "stem_norm"),
    *convolution(f"{_LAYER}.conv{{k}}", f"{_OURS}/conv{{k}}"),
    *batch_norm(f"{_LAYER}.bn{{k}}", f"{_OURS}/norm{{k}}"),
    *convolution(f"{_LAYER}.downsample.0", f"{_OURS}/shortcut/conv"),
    *batch_norm(f"{_LAYER}.downsample.1", f"{_OURS}/shortcut/norm"),
    *head("fc"),
)
HUGGINGFACE = (
    *convolution("embedder.embedder.convolution", "stem"),
    *batch_norm("embedder.embedder.normalization", "stem_norm"),
    *convolution(f"{_BLOCK}.layer.{{k}}.convolution", f"{_OURS}/conv{{k+1}}"),
    *batch_norm(f"{_BLOCK}.layer.{{k}}.normalization", f"{_OURS}/norm{{k+1}}"),
    *convolution(f"{_BLOCK}.shortcut.convolution", f"{_OURS}/shortcut/conv"),
    *batch_norm(f"{_BLOCK}.shortcut.normalization", f"{_OURS}/shortcut/norm"),
    *head("classifier.1"),
)
_DEPTHS: dict[tuple[str, tuple[int, ...]], int] = {
    ("basic", (2, 2, 2, 2)): 18,
    ("basic", (3, 4, 6, 3)): 34,
    ("bottleneck", (3, 4, 6, 3)): 50,
    ("bottleneck", (3, 4, 23, 3)): 101,
    ("bottleneck", (3, 8, 36, 3)): 152,
}


def network(config: Config) -> Callable[..., Any]:
    """Return the ResNet of a config."""
    numbers = sizes(config, channels="num_channels", width="embedding_size")
    kind, depths = config.get("layer_type", "bottleneck"), size_of_each(config, "depths")
    if not isinstance(kind, str) or (kind, depths) not in _DEPTHS:
        raise ValueError(
            f"layer_type and depths of the config of 'resnet' must be one of {[*_DEPTHS]}, got "
            f"{(kind, depths)!r:.80}. jnn's ResNet has no other sizes."
        )
    factor = 4 if kind == "bottleneck" else 1
    check_settings(
        config,
        hidden_act="relu",
        hidden_sizes=[factor * numbers["width"] << stage for stage in range(4)],
        downsample_in_first_stage=False,
        downsample_in_bottleneck=False,
        architectures=(None, ["ResNetForImageClassification"], ["ResNetModel"]),
    )
    depth = _DEPTHS[kind, depths]
    return functools.partial(ResNet, outputs=classes(config), depth=depth, **numbers)


register("resnet", of_two_libraries(TORCHVISION, HUGGINGFACE, "resnet."), network)
