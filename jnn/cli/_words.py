"""Errors of the library in the words of the command line: --batch-size for batch_size."""

import ast
import dataclasses
import functools
import os
import re

_SENTENCES = (
    (r"Dataset\.from_dataframe or Dataset\.from_csv", "a CSV file"),
    (r"Dataset\.from_csv", "jnn run FILE --target COLUMN"),
    (r"Dataset\.from_series", "jnn run FILE --horizon STEPS"),
    (r"jnn\.holdout\([^)]*\)|jnn\.holdout|holdout\([^)]*\)", "--folds 1"),
    (r"jnn\.folds\((\d+)\)", r"--folds \1"),
    (r"jnn\.seeds\((\d+)\)", r"--seeds \1"),
    (r"result\.members\.columns\(\)", "the table of `jnn show FOLDER`"),
    (r"\bheader=False", "--no-header"),
    (r"\bheader=True", "--header"),
    (r"Pass the separator", "Set --separator to the text"),
    (r"header=False", "--no-header"),
    (r"header=True", "--header"),
    (r"with drop\b(?!=)", "with --drop"),
    (r",? or use kind='plain'| or kind='plain'| Use kind='plain' or add data\.", ""),
    (r"Use kind='plain'", "Leave it out"),
    (r"kind='grouped'", "--group"),
    (r"kind='time'", "--time"),
    (r"kind='stratified'", "Stratified folds"),
    (r"^metrics(?= must )", "--metric"),
    (r"^metrics\['(\w+)'\]", r"--metric \1"),
    (r"choose another metric", "choose others by --metric"),
    (r"^groups(?= must name)", "--group"),
    (r"^times(?= must name)", "--time"),
    (r"\btimes='(\w+)'", r"--time \1"),
    (r"\btimes=(?=')", "--time "),
    (r"Write them as jnn\.choice of some values", "Write them as --space name=value,value"),
    (r"^length(?= must be a positive)", "--window"),
    (r"^category and numeric(?= must )", "--category and --numeric"),
    (r"Pass result\.best_members\(\).*$", "Use the same --folds, and as many --seeds or fewer."),
    (r"^decimal and thousands(?= must )", "--decimal and --thousands"),
)
_VALUE = r"(\[[^\]]*\]|\([^)]*\)|'[^']*'|\"[^\"]*\"|[-\w]+(?:\.\w+)*)"


def sentence_of(error: Exception) -> str:
    """Return an error in one line, in the words of the command line.

    >>> sentence_of(FileNotFoundError(2, "No such file or directory", "a.csv"))
    'a.csv: No such file or directory.'
    """
    if isinstance(error, OSError) and error.strerror:
        names = [name for name in (error.filename, error.filename2) if name is not None]
        return ": ".join([*map(_text_of, names), f"{error.strerror}."])
    # The options cannot be listed where a package that the command line needs is missing.
    text = str(error) if isinstance(error, ImportError) else in_words_of_options(str(error))
    return " ".join(text.split("\n"))


def in_words_of_options(text: str) -> str:
    """Return an error with the options of the command line in place of Python's arguments.

    >>> in_words_of_options("Leave it out with drop=['a', 'b']. batch_size must be at least 1.")
    'Leave it out with --drop a,b. --batch-size must be at least 1.'
    """
    for pattern, words in _SENTENCES:
        text = re.sub(pattern, words, text)
    names = "|".join(_names())
    text = re.sub(rf"(?<![\w.-])(?<!series )({names})={_VALUE}", _assignment, text)
    names = "|".join(_first_names())
    # At the beginning of a sentence alone: elsewhere "the model must" means no option.
    return re.sub(rf"(^|\. )({names})(?= must )", lambda m: m[1] + _option(m[2]), text)


@functools.cache
def _names() -> tuple[str, ...]:
    """Return the names of the options of `jnn run` that are arguments in Python too."""
    return _fields("Run")


@functools.cache
def _first_names() -> tuple[str, ...]:
    """Return the names of options with which a sentence may begin, also those of a search."""
    return tuple(dict.fromkeys(_fields("Run") + _fields("Search")))


def _fields(command: str) -> tuple[str, ...]:
    from jnn.cli import _command

    fields = dataclasses.fields(getattr(_command, command))
    return tuple(field.name for field in fields if field.name != "data")


def _text_of(name: str | bytes | int) -> str:
    return os.fsdecode(name) if isinstance(name, bytes) else str(name)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _assignment(match: re.Match[str]) -> str:
    name, value = match.groups()
    try:
        value = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return f"{_option(name)} {value}"
    if isinstance(value, list | tuple):
        value = ",".join(f'"{name}"' if "," in str(name) else str(name) for name in value)
    return f"{_option(name)} {_quoted(str(value))}"


def _quoted(value: str) -> str:
    return f"'{value}'" if re.search(r"\s", value) or not re.search(r"\w", value) else value
