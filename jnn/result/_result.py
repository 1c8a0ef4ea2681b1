"""The result of a study: scores on named axes, and the trained members."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._settings import check_integer
from jnn.engine import Data, ProgramKey, Trained, Training, programs_of
from jnn.result._concat import concatenate
from jnn.result._digest import digest_of, digest_of_rows, digest_of_shared
from jnn.result._export import make_ensemble, write_program
from jnn.result._files import Content, read_result, write_result
from jnn.result._kept import Kept
from jnn.result._latency import milliseconds
from jnn.result._places import check_place, places_of, places_with
from jnn.result._plots import Plots
from jnn.result._predict import (
    Part,
    Predict,
    Prediction,
    in_batches,
    join_batches,
    join_parts,
    make_answer,
    make_outputs,
    with_target_offset,
)
from jnn.result._repr import describe_result, result_html
from jnn.result._rows import prepare_rows
from jnn.result._samples import samples_of
from jnn.result._schema import Schema
from jnn.result._scores import bare_name, coordinates, scores_dataset
from jnn.result._selection import Choice, choose, compare
from jnn.result._shared_rows import shared_test_rows
from jnn.result._summary import Summary, make_summary
from jnn.result._table import EPOCH_NOTES, Setting
from jnn.stats import Comparison
from jnn.storage import to_host
from jnn.study import Members, Study

if TYPE_CHECKING:
    import xarray


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What `jnn.run` returns: the scores and the trained parameters of every member.

    Attributes:
        scores: `xarray.Dataset` of every score, on the members' axes and `epoch`.
        schema: What the result remembers of its data and its run.
        members: The population.
        parts: The trained members, one part for each study that trained some of them; a single part
            unless results of different studies were joined by `Result.concat`.
        timing: Seconds by name: "compile", "run", "total".
    """

    scores: "xarray.Dataset"
    schema: Schema
    members: Members
    parts: tuple[Part, ...]
    timing: Mapping[str, float]

    @classmethod
    def of(
        cls,
        study: Study,
        data: Any,
        members: Members,
        arrays: Data,
        training: Training,
        timing: Mapping[str, float],
        plan: str,
        *,
        train_rows: float | None = None,
        hyper_history: Mapping[str, np.ndarray] | None = None,
        kept: Kept | None = None,
    ) -> "Result":
        """Assemble the result of a run.

        Args:
            study: What was trained.
            data: The `jnn.Dataset`, or the sample of a stream.
            members: The population.
            arrays: The resident arrays and every fold's rows.
            training: The members at the end of training.
            timing: Seconds by name.
            plan: How the members were laid out.
            train_rows: Number of rows that train, if not those of `arrays`.
            hyper_history: Numbers that changed during training, [members, epochs]; they become the
                coordinates `<name>_by_epoch`.
            kept: The state of the training, if it is to be kept.
        """
        best_epoch = None if training.best is None else training.best.epoch
        scores = scores_dataset(study, members, training.history, best_epoch)
        for name, values in (hyper_history or {}).items():
            scores = scores.assign_coords({f"{name}_by_epoch": (("member", "epoch"), values)})
        higher = programs_of(study).trainer.higher_is_better
        if train_rows is None:
            train_rows = float(np.mean(arrays.train.count))
        test_rows = 0.0 if arrays.test is None else float(np.mean(arrays.test.count))
        schema = Schema.of_data(
            data,
            arrays,
            model=study.model.name,
            split=members.split.describe(data) if members.split else "",
            train_rows=float(train_rows),
            test_rows=test_rows,
            shared_test_rows=shared_test_rows(arrays.test),
            keep=study.keep,
            plan=plan,
            higher_is_better=tuple(name for name in map(str, scores) if bare_name(name) in higher),
            digest=digest_of(arrays),
            rows_digest=digest_of_rows(arrays),
            shared_digest=digest_of_shared(study.shared),
        )
        part = Part(study, training.trained, np.arange(len(members)), kept)
        return cls(scores, schema, members, (part,), dict(timing))

    def owned_by(self, study: Study, trained: Trained, members: Members) -> "Result":
        """Return these scores as those of members of another study.

        Args:
            study: What can predict with the members.
            trained: What they have learned, [members, ...].
            members: The members, in the order of this result.
        """
        part = Part(study, trained, np.arange(len(members)))
        schema = dataclasses.replace(self.schema, shared_digest=digest_of_shared(study.shared))
        return dataclasses.replace(self, schema=schema, members=members, parts=(part,))

    @classmethod
    def concat(cls, results: "Sequence[Result]", **settings: Sequence[float | str]) -> "Result":
        """Join the members of several results on one axis `member`.

            jnn.Result.concat([mlps, cnns], architecture=["mlp", "cnn"])

        A hyper-parameter that only some of the members have is, for the others, the default of
        their study, or NaN if the study has none. If the results have different numbers of epochs,
        the scores of a member are NaN after its last epoch, and `final()` takes each member's own
        last epoch. The coordinates `<name>_by_epoch` of numbers that changed during training are
        kept if all results have them. Arrays, such as masks, are numbered anew in `<name>_index`.

        Args:
            results: Results of the same data, folds and scores.
            **settings: Name -> one number or text for each result, which becomes a setting of its
                members.

        Raises:
            TypeError: If what is joined is no list of results, or a setting is no list of numbers
                or texts.
            ValueError: If the results were scored on different rows or with different scores, if a
                seed, a fold or an array is missing in some of them, if a member of one result comes
                again in another, or if a setting has the name of a score or a column.
        """
        if not isinstance(results, Iterable):
            raise TypeError(
                f"results must be a list of results, got {type(results).__name__}. "
                "Pass them as Result.concat([a, b])."
            )
        results = list(results)
        if not results:
            raise ValueError("Result.concat needs at least one result, got none.")
        for result in results:
            if not isinstance(result, cls):
                raise TypeError(
                    f"Result.concat needs a list of results, got a {type(result).__name__} in it."
                )
        flat = [result.take(np.arange(len(result.members))) for result in results]
        return cls(*concatenate([result._content() for result in flat], settings))

    @property
    def trained(self) -> Trained:
        """The members' arrays, each with a first axis [members], in the order of `members`."""
        return self._only_part().trained

    @property
    def study(self) -> Study | None:
        """What was trained; None when loaded without it, and then nothing can be predicted."""
        return self._only_part().study

    @property
    def kept(self) -> Kept | None:
        """The state of the training, with `jnn.run(..., keep_optimizer=True)`; else None."""
        return self._only_part().kept

    def final(self) -> "xarray.Dataset":
        """Return the scores at the epoch whose parameters each member ended with.

        That is the last epoch, or with `Study.keep="best"` the best one. There NaN stands for a
        member whose monitored score was finite after no epoch: it has its first parameters,
        untrained.
        """
        note = next((name for name in EPOCH_NOTES if name in self.scores), None)
        if note is None:
            return self.scores.isel(epoch=-1)
        epoch = self.scores[note]
        at_epoch = self.scores.sel(epoch=epoch.clip(min=1)).where(epoch > 0)
        return at_epoch.drop_vars([note, "epoch"])

    def summary(self, metric: str | None = None, *, confidence: float = 0.95) -> Summary:
        """Return mean and interval per setting; see `jnn.result.make_summary` for the statistics.

        Args:
            metric: One score; by default every metric on held-out rows.
            confidence: Confidence of the intervals, between 0 and 1.

        Raises:
            TypeError: If `confidence` is not a number.
            ValueError: If there is no such score, or `confidence` is not between 0 and 1.
        """
        return make_summary(self.final(), self.schema, metric, confidence)

    def best(self, metric: str | None = None, *, confidence: float = 0.95) -> Choice:
        """Return the best setting, scored on rows that did not choose it; see `jnn.result.choose`.

        Args:
            metric: Score that chooses; by default the first on held-out rows.
            confidence: Confidence of the interval.
        """
        return choose(self.final(), self.schema, metric, confidence)

    def best_members(self, metric: str | None = None) -> "Result":
        """Return the members of the best setting, of all seeds and folds.

        They are what a study starts from: `jnn.run(study, data, members, start_from=
        result.best_members())`. The setting is that of `best`; where no validation rows choose it,
        the test rows of the folds have.

        Args:
            metric: Score that chooses; by default the first on held-out rows.
        """
        setting = self.best(metric).setting
        return self.select(**setting) if setting else self.take(slice(None))

    def compare(self, a: Setting, b: Setting, metric: str | None = None) -> Comparison:
        """Return the paired difference of two settings; see `jnn.result.compare`.

        Args:
            a: Name -> number or text, as many as single out one setting.
            b: The other setting, likewise.
            metric: Score to compare; by default the first on held-out rows.
        """
        return compare(self.final(), self.schema, a, b, metric)

    @property
    def plot(self) -> Plots:
        """Figures of the result: `plot.curves()`, `plot.forest()`."""
        return Plots(self)

    def higher_is_better(self, metric: str) -> bool:
        """Return whether a higher value of this score is better."""
        return metric in self.schema.higher_is_better

    def member(self, index: int) -> "Result":
        """Return member `index` alone, as the result of a population of one.

        Raises:
            TypeError: If the index is not an integer.
            ValueError: If there is no such member.
        """
        check_place("index", index, len(self.members))
        return self.take(np.asarray([index]))

    def take(self, indices: np.ndarray | Sequence[int] | slice) -> "Result":
        """Return the members at these places, on one axis `member`.

        Args:
            indices: Places of the members, or a mask [members].

        Raises:
            TypeError: If `indices` is neither a list of integers, nor a mask, nor a slice.
            ValueError: If there is no such member, or the mask is not of their number.
        """
        places = places_of(indices, len(self.members))
        members = self.members[places]
        axes = list(self.members.axes)
        flat = self.scores.stack(all_members=axes).transpose("all_members", ...)
        scores = flat.isel(all_members=places)
        scores = scores.drop_vars(["all_members", *axes], errors="ignore")
        scores = scores.rename({"all_members": "member"}).assign_coords(coordinates(members))
        taken = [part.take(places, len(self.members)) for part in self.parts]
        parts = tuple(part for part in taken if part is not None)
        return dataclasses.replace(self, scores=scores, members=members, parts=parts)

    def select(self, **values: float | str) -> "Result":
        """Return the members that have these settings, or this `seed` and `fold`.

            result.select(**result.best().setting)

        Args:
            **values: Name -> number or text. NaN selects the members that a number does not apply
                to.

        Raises:
            TypeError: If a value is not of the kind of its setting.
            ValueError: If there is no such setting, or no such member.
        """
        return self.take(places_with(self.members, values))

    def outputs(self, x: Any, *, batch: int = 1024) -> Any:
        """Return every member's raw outputs in the targets' own units, [members, rows, ...].

        Args:
            x: Rows as in `predict`.
            batch: Rows at a time.
        """
        outputs = join_batches(self._each(make_outputs, x, batch), axis=1)
        return with_target_offset(outputs, self.schema, axes=2)

    def predict(
        self,
        x: Any,
        *,
        batch: int = 1024,
        each: bool = True,
        samples: int | None = None,
        seed: int = 0,
    ) -> Prediction:
        """Return each member's prediction for rows x, and mean and deviation over the members.

        For a classification these are probabilities [rows, classes]; for a regression values in the
        targets' units; and the outputs as they are of a network that gives others than one for each
        class, such as embeddings.

        Args:
            x: [rows, *features], `jnn.data.Windows`, a dict or tuple of arrays if the members were
                trained on several inputs, or a table with the columns that they were trained on. An
                `np.memmap` may be larger than memory.
            batch: Rows at a time.
            each: Whether to keep every member's prediction, [members, rows, ...], beside mean and
                std.
            samples: Number of predictions of each member with dropout switched on, [members,
                samples, rows, ...], whose mean and deviation, over members and samples, estimate
                those of the posterior (Gal and Ghahramani 2016, https://arxiv.org/abs/1506.02142).
                The network draws as in training and normalizes by its running averages; one that
                takes both from one keyword, as an NNX network with `train`, or that is a pair of
                functions, normalizes by the batch.
            seed: Of the samples. Members of other seeds or folds draw other numbers; the same call
                draws the same.

        Raises:
            ValueError: If samples are asked for and the network draws nothing in training.
        """
        pieces = []
        for piece in self.predictions(x, batch=batch, samples=samples, seed=seed):
            pieces.append(piece if each else piece._replace(members=None))
        axis = 1 if samples is None else 2
        return Prediction(
            members=join_batches([p.members for p in pieces], axis=axis) if each else None,
            mean=join_batches([p.mean for p in pieces], axis=0),
            std=join_batches([p.std for p in pieces], axis=0),
        )

    def predictions(
        self, x: Any, *, batch: int = 1024, samples: int | None = None, seed: int = 0
    ) -> Iterator[Prediction]:
        """Yield what `predict` returns, batch by batch: no more than a batch of rows is held.

        Args:
            x: Rows as in `predict`.
            batch: Rows at a time.
            samples: As in `predict`.
            seed: As in `predict`.
        """
        if samples is None:
            axes, pieces = (0,), self._each(make_answer, x, batch)
        else:
            rows = prepare_rows(x, self.schema)
            axes = (0, 1)
            pieces = samples_of(self.parts, self.schema, self.members, rows, batch, samples, seed)
        for values in pieces:
            mean = jax.tree.map(lambda array: np.mean(array, axis=axes), values)
            std = jax.tree.map(lambda array: np.std(array, axis=axes), values)
            # The deviation is taken before, because squares beside an offset lose digits.
            values = with_target_offset(values, self.schema, axes=len(axes) + 1)
            mean = with_target_offset(mean, self.schema, axes=1)
            yield Prediction(values, mean, std)

    def latency(self, x: Any, *, repeats: int = 50) -> float:
        """Return the milliseconds in which one compiled member predicts rows: a median of repeats.

        The rows are on the device already, so that the time is that of the network.

        Args:
            x: Rows as in `predict`, predicted at once.
            repeats: Number of predictions, after one that is not timed.

        Raises:
            TypeError: If `repeats` is not an integer.
            ValueError: If it is less than 1.
        """
        repeats = check_integer("repeats", repeats)
        part = self.parts[0]
        answer = make_answer(programs_of(part.known_study()).study, self.schema)
        one = jax.tree.map(lambda array: jnp.asarray(array[0]), part.trained)
        return milliseconds(answer, one, prepare_rows(x, self.schema), part, repeats)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        member: int | None = None,
        platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    ) -> pathlib.Path:
        """Write the trained network as one StableHLO file that runs without jnn or Flax.

            jax.export.deserialize(pathlib.Path(path).read_bytes()).call(x)

        takes any number of rows x, not preprocessed, in the type of the training rows:
        preprocessing is in the file.

        A target offset of the data (`jnn.Dataset.target_offset`) is not in the file, because
        float32 cannot hold it beside what varies: add it to what the file gives, in float64.

        Args:
            path: The file to write.
            member: Index of the member whose predictions the file gives, as `predict` gives them;
                by default the file gives the pair (mean, std) over all members.
            platforms: Platforms that the file is to run on.

        Raises:
            TypeError: If `member` is not an integer.
            ValueError: If there is no such member.
        """
        if member is not None:
            check_place("member", member, len(self.members))
        parts = self.parts if member is None else self.member(member).parts
        answers = [make_answer(part.known_study(), self.schema) for part in parts]
        if member is None:
            function = make_ensemble(answers, [part.trained for part in parts])
            return write_program(path, function, self.schema, platforms)
        one = jax.tree.map(lambda array: jnp.asarray(array[0]), parts[0].trained)
        function = functools.partial(answers[0], one)
        return write_program(path, function, self.schema, platforms)

    def save(self, directory: str | os.PathLike[str]) -> pathlib.Path:
        """Write scores.nc (netCDF), members.safetensors and result.json to a folder.

        Args:
            directory: The folder; made if it is absent. A leading `~` is the home directory.
        """
        return write_result(directory, self._content())

    @classmethod
    def load(
        cls, directory: str | os.PathLike[str], study: Study | Sequence[Study] | None = None
    ) -> "Result":
        """Read a saved result.

        Args:
            directory: The folder; a leading `~` is the home directory.
            study: The study that the result was made by; for joined results the studies of its
                parts, in their order. Without it the parameters come as nested dicts and `predict`
                refuses.

        Raises:
            TypeError: If `study` is neither a study nor a list of studies.
            ValueError: If there is no result, if a file of it is damaged or was changed, or if the
                study's arrays do not have the shapes of the result's, its network computes
                something else, or its `shared` arrays are others.
        """
        return cls(*read_result(directory, _as_studies(study)))

    def __repr__(self) -> str:
        return describe_result(self)

    def _repr_html_(self) -> str:
        """Return the result as HTML, as notebooks show it."""
        return result_html(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields with parameters as NumPy arrays, for pickling and copying."""
        parts = [dataclasses.replace(part, trained=to_host(part.trained)) for part in self.parts]
        return {**self.__dict__, "parts": tuple(parts)}

    def _content(self) -> Content:
        return Content(self.scores, self.schema, self.members, self.parts, self.timing)

    def _only_part(self) -> Part:
        part, *others = self.parts
        if others:
            raise ValueError(
                f"This result joins members of {len(self.parts)} studies, whose arrays differ in "
                "structure. Select the members of one, or use result.parts."
            )
        return part

    def _each(self, make: Callable[[Study, Schema], Predict], x: Any, batch: int) -> Iterator[Any]:
        """Yield every member's answer batch by batch, [members, rows, ...]."""
        schema = self.schema
        studies = [programs_of(part.known_study()).study for part in self.parts]
        functions = [make(study, schema) for study in studies]
        rows = prepare_rows(x, schema)
        key = ProgramKey(make.__name__, (schema.task, schema.classes, repr(schema.target_shapes)))
        batches = [
            in_batches(part, key, function, rows, batch)
            for part, function in zip(self.parts, functions, strict=True)
        ]
        for pieces in zip(*batches, strict=True):
            yield join_parts(pieces, self.parts)


def _as_studies(study: Any) -> Sequence[Study] | None:
    """Return the studies of a result's parts as a list; None without studies."""
    if study is None:
        return None
    if isinstance(study, Study):
        return [study]
    if not isinstance(study, Sequence) or not all(isinstance(one, Study) for one in study):
        raise TypeError(
            f"study must be a jnn.Study, or a list of them for a joined result, got {study!r}. "
            "Pass the study that the result was made by."
        )
    return study
