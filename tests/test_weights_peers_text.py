"""Families of texts against transformers: the same folder, ids and logits, and the way back."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import weights

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")

IDS = np.random.default_rng(0).integers(1, 19, (3, 8))
LENGTHS = np.array([8, 5, 2])
AT_END = np.arange(8) < LENGTHS[:, None]  # padding after a text
AT_START = AT_END[:, ::-1]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def saved(model, folder):
    """Give a network of transformers random weights, all of them, and save it in a folder."""
    torch.manual_seed(0)
    for name, parameter in model.eval().named_parameters():
        mean = float("norm" in name.lower() and name.endswith("weight"))
        torch.nn.init.normal_(parameter, mean, 0.2)
    model.save_pretrained(folder)
    return model


def theirs_of(model, **arguments):
    arguments = {name: torch.tensor(np.array(value)) for name, value in arguments.items()}
    with torch.no_grad():
        return model(**arguments)[0].numpy()


def ours_of(network, variables, x):
    x = jax.tree.map(jnp.asarray, x)
    with jax.default_matmul_precision("highest"):
        return jax.jit(jnn.as_model(network).apply)(*variables, x)[0]


def check_way_back(model, folder, back, arguments, **options):
    """Save the variables of jnn beside the config, and let transformers load them."""
    _, variables = weights.from_folder(folder, **options)
    config = json.loads((folder / "config.json").read_text())
    back.mkdir()
    (back / "config.json").write_text(json.dumps(config))
    weights.save(variables, back / "model.safetensors", family=config["model_type"])
    again, info = type(model).from_pretrained(back, output_loading_info=True)
    assert not any(info.values()), info
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    np.testing.assert_array_equal(theirs_of(again, **arguments), theirs_of(model, **arguments))
    _, loaded = weights.from_folder(back, **options)
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(variables), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


SIZES = {
    "vocab_size": 19,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "bos_token_id": None,
    "eos_token_id": None,
}
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}
SLOWED = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SLOWED |= {"original_max_position_embeddings": 24, "rope_theta": 5.0}
LINEAR = {"rope_type": "linear", "factor": 3.0, "rope_theta": 100.0}
LLAMAS = {
    "Llama": ("Llama", ROPE),
    "Llama tied": ("Llama", {"tie_word_embeddings": True, "rms_norm_eps": 1e-5}),
    "Llama 3.2": ("Llama", {"rope_parameters": SLOWED, "num_attention_heads": 2}),
    "Llama of long texts": ("Llama", {"rope_parameters": LINEAR}),
    "Mistral": ("Mistral", {"sliding_window": None}),
    "Qwen2": ("Qwen2", {**ROPE, "tie_word_embeddings": True}),
}


@pytest.mark.parametrize("name", LLAMAS)
def test_llama_of_hugging_face_has_the_logits_of_jnn_llama(name, tmp_path, transformers):
    kind, options = LLAMAS[name]
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **options})
    folder = tmp_path / "model"
    theirs = saved(getattr(transformers, f"{kind}ForCausalLM")(config), folder)

    network, variables = weights.from_folder(folder)
    got = ours_of(network, variables, IDS)
    np.testing.assert_allclose(got, theirs_of(theirs, input_ids=IDS), **CLOSE)
    got = ours_of(network, variables, {"ids": IDS, "mask": AT_START})
    expected = theirs_of(theirs, input_ids=IDS, attention_mask=AT_START.astype(int))
    np.testing.assert_allclose(got[AT_START], expected[AT_START], **CLOSE)

    module = jnn.as_module(network, *variables)
    text = jnn.generate(module, jnp.asarray(IDS[:, :3]), 5)
    prompt = {"inputs": torch.tensor(IDS[:, :3]), "attention_mask": torch.ones(3, 3)}
    expected = theirs.generate(**prompt, max_new_tokens=5, do_sample=False)
    np.testing.assert_array_equal(text, expected[:, 3:])
    check_way_back(theirs, folder, tmp_path / "back", {"input_ids": IDS})


KINDS = np.random.default_rng(1).integers(0, 2, (3, 8))
BERT = {
    "vocab_size": 19,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 10,
    "num_labels": 5,
}
DISTILBERT = {
    "vocab_size": 19,
    "dim": 16,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 24,
    "max_position_embeddings": 10,
    "num_labels": 5,
}
HEADS = ["ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "Model"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", ["Bert", "DistilBert"])
def test_bert_of_hugging_face_has_the_outputs_of_jnn_text_encoder(
    kind, head, tmp_path, transformers
):
    sizes = BERT if kind == "Bert" else DISTILBERT
    config = getattr(transformers, f"{kind}Config")(**sizes)
    folder = tmp_path / "model"
    theirs = saved(getattr(transformers, f"{kind}{head}")(config), folder)
    ours, same = {"ids": IDS}, {"input_ids": IDS}
    if kind == "Bert":
        ours["segments"] = same["token_type_ids"] = KINDS

    network, variables = weights.from_folder(folder)
    ours["mask"], same["attention_mask"] = AT_END, AT_END.astype(int)
    got, expected = ours_of(network, variables, ours), theirs_of(theirs, **same)
    assert got.shape == expected.shape
    if got.ndim == 3:  # what stands at padding does not matter
        got, expected = got[AT_END], expected[AT_END]
    np.testing.assert_allclose(got, expected, **CLOSE)
    np.testing.assert_allclose(
        ours_of(network, variables, IDS), theirs_of(theirs, input_ids=IDS), **CLOSE
    )
    # The pooler of BertModel belongs to another head of jnn.
    options = {"head": "pooled"} if (kind, head) == ("Bert", "Model") else {}
    check_way_back(theirs, folder, tmp_path / "back", same, **options)


def test_a_trunk_and_a_new_head_come_from_any_checkpoint_of_bert(tmp_path, transformers):
    theirs = saved(transformers.BertForPreTraining(transformers.BertConfig(**BERT)), tmp_path)
    expected = theirs.bert(torch.tensor(IDS))
    for options, wanted in [
        ({"head": "positions"}, expected.last_hidden_state),
        ({"head": "pooled"}, expected.pooler_output),
        ({}, theirs(torch.tensor(IDS)).prediction_logits),
    ]:
        network, variables = weights.from_folder(tmp_path, **options)
        np.testing.assert_allclose(ours_of(network, variables, IDS), wanted.detach(), **CLOSE)
    network, variables = weights.from_folder(
        tmp_path, head="pooled", outputs=3, skip="output/*", key=jax.random.key(1)
    )
    assert ours_of(network, variables, IDS).shape == (3, 3)


class WordLanguageModel(torch.nn.Module):
    """The names of the RNNModel of PyTorch's example word_language_model, and what it computes."""

    def __init__(self, tied):
        super().__init__()
        self.encoder = torch.nn.Embedding(19, 6)
        self.rnn = torch.nn.LSTM(6, 6, 2, batch_first=True)
        self.decoder = torch.nn.Linear(6, 19)
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, ids):
        return self.decoder(self.rnn(self.encoder(ids))[0])


@pytest.mark.parametrize("tied", [False, True])
def test_the_lstm_of_pytorchs_word_language_model_has_the_logits_of_jnn(tied, tmp_path):
    torch.manual_seed(0)
    theirs = WordLanguageModel(tied)
    torch.save(theirs.state_dict(), tmp_path / "model.pt")
    expected = theirs(torch.tensor(IDS)).detach()
    network = functools.partial(jnn.models.LanguageModel, 19, 6, layers=2, tied=tied)
    variables = weights.load(tmp_path / "model.pt", network, family="word_language_model")
    np.testing.assert_allclose(ours_of(network, variables, IDS), expected, **CLOSE)

    weights.save(variables, tmp_path / "back.pt", family="word_language_model")
    again = WordLanguageModel(tied)
    again.load_state_dict(torch.load(tmp_path / "back.pt", weights_only=True))
    np.testing.assert_allclose(again(torch.tensor(IDS)).detach(), expected, **CLOSE)
    loaded = weights.load(tmp_path / "back.pt", network, family="word_language_model")
    jax.tree.map(np.testing.assert_array_equal, tuple(loaded), tuple(variables))
