"""The LSTM of PyTorch's example word_language_model, for `jnn.models.LanguageModel`.

PyTorch adds two biases to the gates, whose sum the network has; its gates i, f, g, o are those of
`jnn.modules.LSTM`. https://github.com/pytorch/examples/tree/main/word_language_model
"""

from jnn.weights._family import Family, Rule, register

_OURS = "recurrent/cells/{i}"

RULES = (
    Rule("decoder.weight", "output/kernel", "transpose"),
    Rule("decoder.bias", "output/bias"),
    Rule("decoder.bias", "bias"),  # of a tied network
    Rule(("encoder.weight", "decoder.weight"), "embedding/embedding", "tied", needs="bias"),
    Rule("encoder.weight", "embedding/embedding"),
    Rule("rnn.weight_ih_l{i}", f"{_OURS}/dense_i/kernel", "transpose"),
    Rule("rnn.weight_hh_l{i}", f"{_OURS}/dense_h/kernel", "transpose"),
    Rule(("rnn.bias_ih_l{i}", "rnn.bias_hh_l{i}"), f"{_OURS}/dense_h/bias", "sum"),
)

register("word_language_model", Family(RULES))
