"""Tables of families fit their networks, whose sizes are those of config.json."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import weights

GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 19,
    "n_positions": 12,
    "n_layer": 2,
    "n_head": 4,
    "n_embd": 16,
}
CONFIGS = {  # (config, names of the file that the library writes, how many there are)
    "gpt2": (GPT2, ["transformer.h.1.attn.c_attn.weight", "lm_head.weight"], 4 + 1 + 2 * 12),
    "gpt2, own output": ({**GPT2, "tie_word_embeddings": False}, ["lm_head.weight"], 29),
}


def filled(network, seed=0):
    """Random variables, so that no two arrays are equal, without a program."""
    shapes = jax.eval_shape(lambda key: jnn.as_model(network).init(key, None), jax.random.key(0))
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda a: random.normal(size=a.shape).astype(a.dtype), shapes)


def folder_of(config, variables, folder):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    family = config["model_type"]
    weights.save(variables, folder / "model.safetensors", family=family, config=config)
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_a_folder_becomes_a_network_and_its_variables_bit_for_bit(name, tmp_path):
    config, names, count = CONFIGS[name]
    network = weights.from_config(config)
    variables = filled(network)
    folder = folder_of(config, variables, tmp_path / "model")
    tensors = weights.read(folder)
    assert {*names} <= tensors.keys() and len(tensors) == count
    again, loaded = weights.from_folder(folder)
    assert again.func is network.func and again.keywords == network.keywords
    assert jax.tree.structure(loaded) == jax.tree.structure(weights.Variables(*variables))
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(variables), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert config["model_type"] in weights.families()


def test_options_take_the_place_of_the_settings_of_a_config(tmp_path):
    folder = folder_of(GPT2, filled(weights.from_config(GPT2)), tmp_path / "model")
    assert weights.from_config(folder).keywords == weights.from_config(GPT2).keywords
    assert weights.from_config(folder / "config.json").keywords["num_heads"] == 4
    _, (_, state) = weights.from_folder(folder, dropout_rate=0.25)
    assert 0.25 in [float(leaf) for leaf in jax.tree.leaves(state) if jnp.ndim(leaf) == 0]


REFUSED = [
    ({"model_type": "xlnet"}, r"model_type of the config must be one of .*'gpt2'.*got 'xlnet'"),
    ({}, "model_type of the config must be one of .*got None"),
    ({**GPT2, "activation_function": "relu"}, "activation_function .*'gpt2' must be 'gelu_new' or"),
    ({**GPT2, "architectures": ["GPT2ForTokenClassification"]}, "architectures .* must be None or"),
    ({**GPT2, "n_layer": "two"}, "n_layer must be a positive integer, got 'two'"),
    ({"model_type": "gpt2", "n_layer": 2}, r"must have \['n_embd', 'n_head', 'n_positions', 'voc"),
]


@pytest.mark.parametrize(("config", "words"), REFUSED)
def test_a_config_of_another_network_is_refused_in_one_sentence(config, words):
    with pytest.raises(ValueError, match=words):
        weights.from_config(config)


def test_a_folder_without_config_is_refused(tmp_path):
    weights.save({"a": np.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"must hold config\.json, which .* does not"):
        weights.from_folder(tmp_path)


def test_a_family_of_ones_own_has_networks_of_configs(tmp_path):
    def network(config):
        return functools.partial(jnn.models.MLP, config["inputs"], (), 3)

    table = [("fc.weight", "output/kernel", "transpose"), ("fc.bias", "output/bias")]
    weights.register("linear", table, network)
    config = {"model_type": "linear", "inputs": 4}
    folder = folder_of(config, filled(weights.from_config(config)), tmp_path / "model")
    assert weights.read(folder)["fc.weight"].shape == (3, 4)
    _, (params, _) = weights.from_folder(folder)
    assert params["output"]["kernel"].shape == (4, 3)
    weights.register("linear", table)
    with pytest.raises(ValueError, match="must be one of"):
        weights.from_config(config)
