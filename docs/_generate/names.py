"""The source of `docs/names.md`: what a layer is called in PyTorch, Keras, Flax and jnn.

    python docs/_generate/names.py     # writes the page

tests/test_names.py compares the page with the installed libraries.
"""

from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "names.md"


class Row(NamedTuple):
    """One layer in all libraries.

    Names are separated by spaces. Defaults that matter follow a name: `LayerNorm(eps=1e-05)`.
    """

    torch: str  # in torch.nn, or torch.nn.functional
    keras: str  # in keras.layers, keras.activations or keras.ops
    flax: str  # in flax.nnx
    module: str  # in jnn.modules
    layer: str  # in jnn.layers
    note: str = ""


LINEAR = [
    Row(
        "Linear(bias=True)",
        "Dense(use_bias=True,kernel_initializer='glorot_uniform')",
        "Linear(use_bias=True)",
        "Dense(use_bias=True)",
        "dense(bias=None) dot_general",
        "PyTorch keeps the kernel as [out, in], the others as [in, out]",
    ),
    Row(
        "Embedding",
        "Embedding(embeddings_initializer='uniform')",
        "Embed",
        "Embedding",
        "embedding",
        "initial values have variance 1 in PyTorch, are U(-0.05, 0.05) in Keras, and have variance "
        "1 / features in Flax and jnn. An id out of range is an error in PyTorch, NaN in Flax and "
        "`jnn.modules`, and the nearest row in `jnn.layers`",
    ),
    Row(
        "",
        "Dense(lora_rank=None)",
        "LoRA LoRALinear",
        "LoRA(alpha=None)",
        "lora(scale=1.0)",
        "Flax has scale 1",
    ),
    Row(
        "Dropout(p=0.5)",
        "Dropout",
        "Dropout",
        "Dropout",
        "dropout",
        "the rate is the share that is dropped, everywhere",
    ),
    Row(
        "Dropout2d(p=0.5)",
        "SpatialDropout2D",
        "Dropout(broadcast_dims=())",
        "Dropout(broadcast_axes=())",
        "dropout(broadcast_axes=())",
    ),
    Row(
        "",
        "",
        "",
        "DropPath(factor=1.0)",
        "dropout(broadcast_axes=())",
        "`StochasticDepth` of torchvision, `DropPath` of timm",
    ),
]

CONVOLUTION = [
    Row(
        "Conv1d Conv2d(padding=0) Conv3d",
        "Conv1D Conv2D(padding='valid') Conv3D",
        "Conv(padding='SAME')",
        "Conv(padding='SAME')",
        "conv(padding='SAME') conv_general_dilated conv_plan",
        "channels are second in PyTorch, last elsewhere; the kernel is [out, in / groups, *window] "
        "or [*window, in / groups, out]. With strides, SAME pads more at the end, while PyTorch's "
        "numbers pad both sides alike",
    ),
    Row(
        "ConvTranspose1d ConvTranspose2d(padding=0,output_padding=0) ConvTranspose3d",
        "Conv1DTranspose Conv2DTranspose(padding='valid') Conv3DTranspose",
        "ConvTranspose(padding='SAME')",
        "ConvTranspose(padding='SAME')",
        "conv_transpose(padding='SAME')",
        "Flax and jnn do not flip the kernel [*window, in, out]; PyTorch flips its "
        "[in, out, *window], and Keras its [*window, out, in]",
    ),
    Row(
        "MaxPool1d MaxPool2d(stride=None) MaxPool3d",
        "MaxPooling1D MaxPooling2D(strides=None) MaxPooling3D",
        "max_pool(strides=None)",
        "",
        "max_pool(strides=None)",
        "without strides they are the window's size, but 1 in Flax",
    ),
    Row(
        "AvgPool1d AvgPool2d(count_include_pad=True) AvgPool3d",
        "AveragePooling1D AveragePooling2D AveragePooling3D",
        "avg_pool(count_include_pad=True)",
        "",
        "avg_pool(count_padding=False)",
        "whether padding counts as zeros: yes in PyTorch and Flax, no in Keras and jnn",
    ),
    Row("", "GlobalAveragePooling1D GlobalAveragePooling2D", "", "", "global_avg_pool"),
    Row("", "GlobalMaxPooling1D GlobalMaxPooling2D", "", "", "global_max_pool"),
    Row(
        "AdaptiveAvgPool1d AdaptiveAvgPool2d",
        "AdaptiveAveragePooling2D",
        "",
        "",
        "adaptive_avg_pool",
    ),
    Row("AdaptiveMaxPool1d AdaptiveMaxPool2d", "AdaptiveMaxPooling2D", "", "", "adaptive_max_pool"),
]

NORMALIZATION = [
    Row(
        "BatchNorm1d(eps=1e-05,momentum=0.1) BatchNorm2d BatchNorm3d",
        "BatchNormalization(epsilon=0.001,momentum=0.99)",
        "BatchNorm(epsilon=1e-05,momentum=0.99)",
        "BatchNorm(epsilon=1e-05,momentum=0.99)",
        "batch_norm(eps=1e-05) batch_norm_train(eps=1e-05)",
        "momentum is the share of the new value in PyTorch, of the old one elsewhere: 0.1 there is "
        "0.9 here. PyTorch averages the variance divided by n - 1, the others by n",
    ),
    Row(
        "LayerNorm(eps=1e-05)",
        "LayerNormalization(epsilon=0.001)",
        "LayerNorm(epsilon=1e-06)",
        "LayerNorm(epsilon=1e-06)",
        "layer_norm(eps=1e-06)",
    ),
    Row(
        "RMSNorm(eps=None)",
        "RMSNormalization(epsilon=1e-06)",
        "RMSNorm(epsilon=1e-06)",
        "RMSNorm(epsilon=1e-06)",
        "rms_norm(eps=1e-06)",
        "None in PyTorch is the smallest step of the dtype, 1.2e-07",
    ),
    Row(
        "GroupNorm(eps=1e-05)",
        "GroupNormalization(epsilon=0.001,groups=32)",
        "GroupNorm(epsilon=1e-06,num_groups=32)",
        "GroupNorm(epsilon=1e-06,num_groups=32)",
        "group_norm(eps=1e-06)",
    ),
    Row(
        "InstanceNorm1d(eps=1e-05,affine=False) InstanceNorm2d",
        "GroupNormalization(groups=32)",
        "InstanceNorm(epsilon=1e-06)",
        "GroupNorm",
        "instance_norm(eps=1e-06)",
        "Keras and `jnn.modules`: as many groups as channels",
    ),
    Row(
        "",
        "",
        "",
        "MinibatchStd(group=4)",
        "minibatch_std(group=4)",
        "one more channel, by which a discriminator sees whether examples differ",
    ),
]

RECURRENT = [
    Row(
        "RNN RNNCell",
        "SimpleRNN(return_sequences=False)",
        "SimpleCell RNN",
        "RNN(biases='i')",
        "rnn rnn_cell bidirectional",
        "PyTorch has two biases, the others one; `biases='ih'` gives both",
    ),
    Row(
        "GRU GRUCell",
        "GRU(reset_after=True)",
        "GRUCell",
        "GRU(biases='i')",
        "gru(reset_after=True) gru_cell(reset_after=True)",
        "gates are r, z, n; in Keras z, r, n. z keeps the old state everywhere",
    ),
    Row(
        "LSTM LSTMCell",
        "LSTM(unit_forget_bias=True)",
        "OptimizedLSTMCell LSTMCell",
        "LSTM(biases='h') fuse_lstm split_lstm Recurrent(layers=1,bidirectional=False)",
        "lstm lstm_cell",
        "gates are i, f, g, o everywhere (Keras calls g c); the carry is (hidden, cell), in Flax "
        "(cell, hidden). The forget gate's bias starts at 1 in Keras, near or at 0 elsewhere "
        "(`jnn.initializers.forget_bias`)",
    ),
]

ATTENTION = [
    Row(
        "MultiheadAttention(batch_first=False) scaled_dot_product_attention(is_causal=False)",
        "MultiHeadAttention GroupQueryAttention",
        "MultiHeadAttention(broadcast_dropout=True) dot_product_attention",
        "MultiHeadAttention",
        "attention(causal=False) causal_mask empty_cache extend_cache",
        "a mask is True where a position may look; in PyTorch's module, where it may not. Keras "
        "takes the features of one head. In jnn, a position that may look nowhere gets 0",
    ),
    Row(
        "",
        "",
        "",
        "MultiHeadAttention(rotary_base=None)",
        "rotary(base=10000.0) sinusoidal_positions(base=10000.0)",
    ),
    Row(
        "TransformerEncoderLayer(norm_first=False,dim_feedforward=2048,dropout=0.1,"
        "activation=relu)",
        "",
        "",
        "TransformerBlock(norm_first=True,hidden=None,dropout_rate=None,activation=gelu)",
        "",
        "PyTorch's epsilon is 1e-05; `hidden=None` is four times the features",
    ),
]

_SAME = "relu relu6 sigmoid silu selu tanh softplus"  # one name in all four
ACTIVATION = [
    *(Row(name, name, name, "", name) for name in _SAME.split()),
    Row(
        "softmax log_softmax",
        "softmax log_softmax",
        "softmax log_softmax",
        "",
        "softmax log_softmax",
        "over the last axis",
    ),
    Row("logsigmoid", "log_sigmoid", "log_sigmoid", "", "log_sigmoid"),
    Row(
        "gelu(approximate='none')",
        "gelu(approximate=False)",
        "gelu(approximate=True)",
        "",
        "gelu(approximate=True)",
        "exact in PyTorch and Keras, the tanh approximation in JAX",
    ),
    Row(
        "leaky_relu(negative_slope=0.01)",
        "leaky_relu(negative_slope=0.2)",
        "leaky_relu(negative_slope=0.01)",
        "",
        "leaky_relu(negative_slope=0.01)",
        "0.3 in the layer `keras.layers.LeakyReLU`",
    ),
    Row(
        "elu(alpha=1.0) celu(alpha=1.0)",
        "elu(alpha=1.0) celu(alpha=1.0)",
        "elu(alpha=1.0) celu(alpha=1.0)",
        "",
        "elu(alpha=1.0) celu(alpha=1.0)",
    ),
    Row(
        "hardsigmoid",
        "hard_sigmoid",
        "hard_sigmoid",
        "",
        "hard_sigmoid",
        "relu6(x + 3) / 6 everywhere",
    ),
    Row("hardswish", "hard_swish hard_silu", "hard_swish hard_silu", "", "hard_swish hard_silu"),
    Row("hardtanh", "hard_tanh", "hard_tanh", "", "hard_tanh"),
    Row("silu", "swish", "swish", "", "swish", "another name of silu"),
    Row("mish softsign glu", "mish softsign glu", "soft_sign glu", "", "mish soft_sign glu"),
    Row(
        "PReLU(init=0.25)",
        "PReLU(alpha_initializer='Zeros')",
        "PReLU(negative_slope_init=0.01)",
        "",
        "prelu",
    ),
    Row(
        "",
        "sparse_plus sparse_sigmoid sparsemax squareplus",
        "",
        "",
        "sparse_plus sparse_sigmoid sparsemax squareplus",
    ),
    Row("Identity", "Identity", "identity", "", "identity"),
    Row("", "", "", "", "maxout", "Goodfellow et al. (2013)"),
]

PENALTY = [
    Row(
        "",
        "",
        "",
        "",
        "l1 l2 elastic_net",
        "PyTorch: the optimizer's weight_decay; Keras: kernel_regularizer",
    )
]

SECTIONS = {
    "Linear maps and dropout": LINEAR,
    "Convolution and pooling": CONVOLUTION,
    "Normalization": NORMALIZATION,
    "Recurrence": RECURRENT,
    "Attention": ATTENTION,
    "Activations": ACTIVATION,
    "Penalties on weights": PENALTY,
}

HEAD = """# Names: PyTorch, Keras, Flax, jnn

`docs/_generate/names.py` writes this page, and the tests compare it with the installed libraries.
Brackets show defaults that differ or that are worth knowing.

Kernels of linear and convolutional layers start as U(-1, 1) / sqrt(fan in) in PyTorch, as Glorot
uniform in Keras, and as LeCun normal in Flax and jnn. Biases start as U(-1, 1) / sqrt(fan in) in
PyTorch and as 0 in the others. [From PyTorch](from_pytorch.md#what-differs-by-default) and
[From Keras](from_keras.md#what-differs-by-default) measure which numbers the defaults change.
"""
COLUMNS = ("torch.nn", "keras.layers", "flax.nnx", "jnn.modules", "jnn.layers")


def cells(text: str) -> list[tuple[str, dict[str, str]]]:
    """Parse a cell: `LayerNorm(eps=1e-05)` becomes `[("LayerNorm", {"eps": "1e-05"})]`."""
    entries = []
    for word in text.split():
        name, _, inside = word.partition("(")
        defaults = {}
        for pair in inside.removesuffix(")").split(",") if inside else []:
            key, _, value = pair.partition("=")
            defaults[key] = value
        entries.append((name, defaults))
    return entries


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [HEAD]
    for title, rows in SECTIONS.items():
        lines = ["| " + " | ".join((*COLUMNS, "differences")) + " |", "| --- " * 6 + "|"]
        for row in rows:
            written = [" ".join(f"`{word}`" for word in column.split()) for column in row[:5]]
            lines.append("| " + " | ".join((*written, row.note)) + " |")
        parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
