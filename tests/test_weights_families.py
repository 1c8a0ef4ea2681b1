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
LLAMA = {
    "vocab_size": 19,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
BERT = {
    "model_type": "bert",
    "vocab_size": 19,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 16,
    "intermediate_size": 24,
    "pad_token_id": 0,
}
DISTILBERT = {
    "model_type": "distilbert",
    "vocab_size": 19,
    "max_position_embeddings": 12,
    "n_layers": 2,
    "n_heads": 4,
    "dim": 16,
    "hidden_dim": 24,
}
WORDS = ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "cls.predictions.bias"]
CONFIGS = {  # (config, names of the file that the library writes, how many there are)
    "gpt2": (GPT2, ["transformer.h.1.attn.c_attn.weight", "lm_head.weight"], 4 + 1 + 2 * 12),
    "gpt2, own output": ({**GPT2, "tie_word_embeddings": False}, ["lm_head.weight"], 29),
    "llama": (
        {"model_type": "llama", **LLAMA, "rope_theta": 500.0, "rope_scaling": None},
        ["model.layers.1.self_attn.k_proj.weight", "lm_head.weight", "model.norm.weight"],
        3 + 2 * 9,
    ),
    "mistral": ({"model_type": "mistral", **LLAMA, "sliding_window": None}, [], 21),
    "qwen2": (
        {"model_type": "qwen2", **LLAMA, "tie_word_embeddings": True},
        ["model.layers.0.self_attn.v_proj.bias", "lm_head.weight"],
        3 + 2 * 12,
    ),
    "bert": (BERT, ["embeddings.LayerNorm.weight"], 5 + 2 * 16),
    "bert, words": (
        {**BERT, "architectures": ["BertForMaskedLM"]},
        [*WORDS, "bert.embeddings.token_type_embeddings.weight"],
        5 + 2 * 16 + 7,
    ),
    "bert, classes": (
        {
            **BERT,
            "architectures": ["BertForSequenceClassification"],
            "id2label": dict.fromkeys("abc"),
        },
        ["bert.pooler.dense.weight", "classifier.weight"],
        5 + 2 * 16 + 4,
    ),
    "distilbert": (DISTILBERT, ["embeddings.LayerNorm.weight"], 4 + 2 * 16),
    "distilbert, words": (
        {**DISTILBERT, "architectures": ["DistilBertForMaskedLM"]},
        ["vocab_projector.weight", "distilbert.transformer.layer.1.ffn.lin1.weight"],
        4 + 2 * 16 + 6,
    ),
    "distilbert, classes": (
        {**DISTILBERT, "architectures": ["DistilBertForSequenceClassification"]},
        ["pre_classifier.weight", "classifier.bias"],
        4 + 2 * 16 + 4,
    ),
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


@pytest.mark.parametrize("tied", [False, True])
def test_an_lstm_of_pytorch_comes_back_bit_for_bit(tied, tmp_path):
    network = functools.partial(jnn.models.LanguageModel, 19, 6, layers=2, tied=tied)
    variables = filled(network)
    path = weights.save(variables, tmp_path / "model.pt", family="word_language_model")
    tensors = weights.read(path)
    assert np.array_equal(tensors["encoder.weight"], tensors["decoder.weight"]) == tied
    assert len(tensors) == 3 + 2 * 4 and not tensors["rnn.bias_hh_l1"].any()
    loaded = weights.load(path, network, family="word_language_model")
    jax.tree.map(np.testing.assert_array_equal, tuple(loaded), tuple(variables))


def test_options_take_the_place_of_the_settings_of_a_config(tmp_path):
    folder = folder_of(GPT2, filled(weights.from_config(GPT2)), tmp_path / "model")
    assert weights.from_config(folder).keywords == weights.from_config(GPT2).keywords
    assert weights.from_config(folder / "config.json").keywords["num_heads"] == 4
    _, (_, state) = weights.from_folder(folder, dropout_rate=0.25)
    assert 0.25 in [float(leaf) for leaf in jax.tree.leaves(state) if jnp.ndim(leaf) == 0]


def test_a_head_of_a_checkpoint_is_left_out_or_replaced(tmp_path):
    config, _, _ = CONFIGS["bert, classes"]
    variables = filled(weights.from_config(config))
    folder = folder_of(config, variables, tmp_path / "model")
    trunk, (params, _) = weights.from_folder(folder, head="positions", outputs=None)
    assert trunk.keywords["features"] == 16 and not {"pooler", "output"} & params.keys()
    with pytest.raises(ValueError, match=r"params/output/kernel \(16, 7\) from classifier.weight"):
        weights.from_folder(folder, outputs=7)
    _, (params, _) = weights.from_folder(folder, outputs=7, skip="output/*")
    np.testing.assert_array_equal(params["pooler"]["kernel"], variables[0]["pooler"]["kernel"])
    assert params["output"]["kernel"].shape == (16, 7)


def test_a_folder_is_a_trunk_whose_features_know_of_padding(tmp_path):
    folder = folder_of(BERT, filled(weights.from_config(BERT)), tmp_path / "model")
    ids = np.random.default_rng(0).integers(1, 19, (4, 6)).astype(np.int32)
    mask = np.arange(6) < [[6], [5], [4], [3]]
    trunk = jnn.transfer.trunk(*weights.from_folder(folder))
    features = trunk.features({"ids": ids, "mask": mask})
    padded = trunk.features({"ids": np.where(mask, ids, 7), "mask": mask})
    assert features.shape == (4, 6, 16)
    np.testing.assert_allclose(padded[mask], features[mask], rtol=1e-5, atol=1e-5)
    assert not np.allclose(padded[~mask], features[~mask], atol=1e-2)


def test_files_of_bert_from_older_times_are_read(tmp_path):
    config, _, _ = CONFIGS["bert, words"]
    variables = filled(weights.from_config(config))
    tensors = dict(weights.read(folder_of(config, variables, tmp_path / "model")))
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta"): array
        for name, array in tensors.items()
        if not name.startswith("cls.predictions.decoder")
    }
    assert len(old) == len(tensors) - 2 and not old.keys() >= tensors.keys()
    old["bert.embeddings.position_ids"] = np.arange(12)[None]
    old |= {
        "cls.seq_relationship.weight": np.ones((2, 16)),
        "cls.seq_relationship.bias": np.ones(2),
    }
    old |= {"bert.pooler.dense.weight": np.ones((16, 16)), "bert.pooler.dense.bias": np.ones(16)}
    loaded = weights.load(old, weights.from_config(config), family="bert")
    jax.tree.map(np.testing.assert_array_equal, tuple(loaded), tuple(variables))


def test_a_decoder_that_is_not_the_embedding_is_refused(tmp_path):
    config, _, _ = CONFIGS["bert, words"]
    network = weights.from_config(config)
    tensors = dict(weights.read(folder_of(config, filled(network), tmp_path / "model")))
    tensors["cls.predictions.decoder.weight"] = tensors["cls.predictions.decoder.weight"] + 1
    with pytest.raises(ValueError, match="must be equal, as the network has them once"):
        weights.load(tensors, network, family="bert")


REFUSED = [
    ({"model_type": "xlnet"}, r"model_type of the config must be one of .*'gpt2'.*got 'xlnet'"),
    ({}, "model_type of the config must be one of .*got None"),
    ({**GPT2, "activation_function": "relu"}, "activation_function .*'gpt2' must be 'gelu_new' or"),
    ({**GPT2, "architectures": ["GPT2ForTokenClassification"]}, "architectures .* must be None or"),
    ({**GPT2, "n_layer": "two"}, "n_layer must be a positive integer, got 'two'"),
    (
        {"model_type": "llama", **LLAMA, "rope_scaling": {"type": "yarn", "factor": 2.0}},
        "rope_type of the config of 'llama' must be 'default' or 'linear' or 'llama3', got 'yarn'",
    ),
    ({"model_type": "llama", **LLAMA, "head_dim": 8}, "head_dim .* must be None or 4, got 8"),
    ({"model_type": "llama", **LLAMA, "attention_bias": True}, "attention_bias .* must be False"),
    ({"model_type": "mistral", **LLAMA, "sliding_window": 8}, "sliding_window .* must be None"),
    (
        {**BERT, "hidden_act": "relu"},
        "hidden_act of the config of 'bert' must be 'gelu', got 'relu'",
    ),
    ({**BERT, "position_embedding_type": "relative_key"}, "position_embedding_type .* 'absolute'"),
    ({**BERT, "architectures": ["BertForQuestionAnswering"]}, "architectures .*'BertForMaskedLM'"),
    ({"model_type": "gpt2", "n_layer": 2}, r"must have \['n_embd', 'n_head', 'n_positions', 'voc"),
]


@pytest.mark.parametrize(("config", "words"), REFUSED)
def test_a_config_of_another_network_is_refused_in_one_sentence(config, words):
    with pytest.raises(ValueError, match=words):
        weights.from_config(config)


JUNK = [
    None,
    True,
    -1,
    0,
    1e30,
    10**9,
    "x",
    "",
    [],
    [3],
    {},
    {"factor": "x"},
    {"rope_type": "llama3"},
]


@pytest.mark.parametrize("name", CONFIGS)
def test_junk_in_a_config_raises_nothing_but_value_errors(name):
    config, _, _ = CONFIGS[name]
    optional = {"rope_parameters": None, "rms_norm_eps": 1e-6, "num_labels": 2, "id2label": None}
    for setting in config.keys() | optional.keys() | {"architectures"}:
        for value in JUNK:
            try:
                weights.from_config({**config, setting: value})
            except ValueError as error:
                assert str(error).count("\n") == 0


def test_more_layers_than_a_file_has_weights_for_are_refused_at_once(tmp_path):
    folder = folder_of(GPT2, filled(weights.from_config(GPT2)), tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({**GPT2, "n_layer": 10**9}))
    with pytest.raises(ValueError, match="got 1000000000 layers and 29 tensors"):
        weights.from_folder(folder)


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
