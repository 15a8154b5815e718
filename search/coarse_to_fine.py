"""Finds hyperparameters as one does by hand: a wide look, then a close one."""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial

from dropzoo.search.coarse_to_fine_oracle import CoarseToFineOracle
from dropzoo.search.fit_arguments import FitArguments
from dropzoo.search.kept_weights import KeptWeights
from dropzoo.search.search_identity import (
    check_identity,
    identify_search,
    write_identity,
)
from dropzoo.search.search_plan import check_counts
from dropzoo.search.search_progress import SearchProgress
from dropzoo.search.stage_values import derive_seed
from dropzoo.search.trial_job import TrialJob, TrialOutcome, load_weights
from dropzoo.search.trial_process import (
    TrialHere,
    TrialProcess,
    trial_processes,
)
from dropzoo.search.trial_record import TUNER
from dropzoo.search.trial_workers import (
    SIGN_OF_LIFE,
    TrialWorker,
    run_trials,
)


class CoarseToFine(keras_tuner.Tuner):
    """Searches first everywhere and briefly, then around the best for longer.

    It is a `keras_tuner.Tuner`: `search` takes what `fit` of the hypermodel
    takes, but for `epochs`, and `get_best_hyperparameters` and
    `get_best_models` give what was found. Trials run in processes of their
    own, so the program must be importable: a script calls `search` under
    `if __name__ == "__main__":`. Training data are arrays, which the processes
    share, or a function of no arguments that makes them.

    Equal seeds give equal trials and scores on one machine, however many
    workers there are, except for Bayesian and Hyperband stages, whose trials
    depend on results. Called again, an interrupted search goes on, and a trial
    on arrays from its last checkpoint; other data begin anew with each epoch,
    so their trial starts again, unless the hypermodel says by
    `fits_from_any_epoch = True` that its `fit` obeys `initial_epoch`.

    A trial that raises, diverges, runs out of memory or whose process dies is
    recorded as failed, with a sentence, and the search goes on.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function of
            hyperparameters that builds a compiled network.
        objective: Name of a metric that training logs, or a
            `keras_tuner.Objective`.
        max_trials: The most trials, shared equally by the stages.
        stages: The kind of each stage: `"random"`, `"grid"`, `"bayesian"` or
            `"hyperband"`.
        epochs: The number of epochs of a trial in each stage.
        seed: Integer in [0, 2**32) that everything random follows from.
        quasi_random: Whether random stages use a Sobol sequence, which is
            spread more evenly.
        stop_hopeless: Whether a trial ends at an epoch after which it is
            behind the median of the trials of its stage before it.
        workers: Number of trials that run at once, at least 1.
        in_process: Whether trials run in this process, one at a time, which
            suits networks that train in a moment.
        trials_per_process: After how many trials a process is replaced.
        keep_best: Number of trials whose weights are kept, at least 0.
        checkpoint_seconds: How often, at most, a trial keeps what it would go
            on from after an interruption; `None` for never.
        lost_after: Seconds after which a silent worker of a shared search has
            lost its trial.
        directory: Where the project folder is.
        project_name: Name of the project folder.
        overwrite: Whether to delete what is in it.

    Raises:
        ValueError: An argument breaks its rule, or the project folder holds
            another search; in `search`, nothing logs the objective.
        TypeError: In `search`, something cannot go to another process.
        RuntimeError: In `search`, every trial fails.

    Example:

    ```python
    def build(hp):
        rate = hp.Float("rate", 1e-5, 1e-1, sampling="log")
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        return model

    if __name__ == "__main__":
        tuner = CoarseToFine(build, max_trials=20, project_name="digits")
        tuner.search(x, y, validation_data=(val_x, val_y))
        print(tuner.get_best_hyperparameters()[0].values)
    ```

    Reference: Karpathy et al., CS231n course notes, "Hyperparameter
    optimization"; Bergstra and Bengio, 2012.
    """

    def __init__(
        self,
        hypermodel: Any,
        objective: Any = "val_accuracy",
        *,
        max_trials: int = 50,
        stages: Sequence[str] = ("random", "random"),
        epochs: Sequence[int] = (1, 5),
        seed: int = 0,
        quasi_random: bool = False,
        stop_hopeless: bool = True,
        workers: int = 1,
        in_process: bool = False,
        trials_per_process: int = 10,
        keep_best: int = 3,
        checkpoint_seconds: float | None = 30.0,
        lost_after: float = 60.0,
        directory: str | Path = ".",
        project_name: str = "search",
        overwrite: bool = False,
    ):
        check_counts(workers, trials_per_process, keep_best, in_process)
        oracle = CoarseToFineOracle(
            objective,
            max_trials=max_trials,
            stages=stages,
            epochs=epochs,
            seed=seed,
            quasi_random=quasi_random,
            stop_hopeless=stop_hopeless,
            lost_after=lost_after,
        )
        self.seed = seed
        self.workers = workers
        self.in_process = in_process
        self.trials_per_process = trials_per_process
        self.keep_best = keep_best
        self.checkpoint_seconds = checkpoint_seconds
        self.lost_after = lost_after
        project = Path(directory) / project_name
        facts = identify_search(
            hypermodel,
            objective=[oracle.objective.name, oracle.objective.direction],
            max_trials=max_trials,
            stages=list(stages),
            epochs=list(epochs),
            seed=seed,
            quasi_random=quasi_random,
            stop_hopeless=stop_hopeless,
        )
        if not overwrite:
            check_identity(project, facts)
        with _no_output():
            super().__init__(
                oracle,
                hypermodel,
                directory=str(directory),
                project_name=project_name,
                overwrite=overwrite,
            )
            if not self._is_worker() and not self.oracle.trials:
                self._take_over(project)  # of a tuner by another name
        write_identity(project, facts)
        self._kept = KeptWeights(project)
        self._often: float | None = None
        keras.backend.clear_session()

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Searches until all trials have ended.

        Args:
            *fit_args: For `fit` of the hypermodel.
            **fit_kwargs: For `fit` of the hypermodel, but for `epochs`;
                `verbose=0` shows nothing.
        """
        if "epochs" in fit_kwargs:
            raise ValueError(
                "CoarseToFine: `epochs` belongs to the tuner, which has one "
                "number for each stage, and not to `search`. "
                f"Received: epochs={fit_kwargs['epochs']!r}"
            )
        self.save()
        if self._is_chief:
            with _no_output():  # KerasTuner prints conditions as it sends them
                super().search(*fit_args, **fit_kwargs)
            self._kept.adopt()
            self._keep_weights()
        else:
            verbose = bool(fit_kwargs.pop("verbose", 1))
            self._search(FitArguments(fit_args, fit_kwargs), verbose)
        verdict = getattr(self.oracle, "verdict", None)
        if verdict:
            raise RuntimeError(verdict)

    def load_model(self, trial: Trial) -> keras.Model:
        """Builds the network of one of the best trials, with its weights.

        Args:
            trial: From `oracle.get_best_trials`.

        Raises: ValueError where the weights were not kept.
        """
        model = self.hypermodel.build(trial.hyperparameters)
        folder = Path(self.get_trial_dir(trial.trial_id))
        try:
            load_weights(model, folder)
        except FileNotFoundError:
            raise ValueError(
                f"CoarseToFine: trial {trial.trial_id} has no weights any "
                "more; `keep_best` tells how many of the best keep theirs. "
                f"Received: keep_best={self.keep_best}"
            ) from None
        return model

    def save(self) -> None:
        """Marks the folder once; the oracle keeps its own state."""
        if not Path(self._get_tuner_fname()).exists():
            super().save()

    def _take_over(self, project: Path) -> None:
        if (project / "oracle.json").is_file():
            self.oracle.reload()

    @property
    def _is_chief(self) -> bool:
        is_shared = "KERASTUNER_ORACLE_IP" in os.environ
        return is_shared and "chief" in os.environ["KERASTUNER_TUNER_ID"]

    def _search(self, arguments: FitArguments, verbose: bool) -> None:
        progress = SearchProgress(
            self.oracle.objective.name,
            self.oracle.objective.direction,
            self.oracle.max_trials,
            verbose=verbose,
        )

        def end(trial: Trial, outcome: TrialOutcome, epochs: int) -> None:
            self._end(trial, outcome, epochs)
            ended = self.oracle.get_trial(trial.trial_id)
            progress.show(ended, epochs, outcome.seconds)

        can_resume = arguments.are_arrays or getattr(
            self.hypermodel, "fits_from_any_epoch", False
        )
        self._often = self.checkpoint_seconds if can_resume else None
        if not self._is_worker():
            self._kept.adopt()
        quiet = _no_output() if self._is_worker() else contextlib.nullcontext()
        with progress, self._places(arguments) as places, quiet:
            run_trials(
                [
                    TrialWorker(f"{self.tuner_id}-{number}", place)
                    for number, place in enumerate(places)
                ],
                self.oracle,
                self._job,
                end,
                sign_of_life=min(SIGN_OF_LIFE, self.lost_after / 4),
            )
        if not self._is_worker():  # whose chief may be gone by now
            self._keep_weights()

    def _places(
        self, arguments: FitArguments
    ) -> contextlib.AbstractContextManager[Sequence[TrialHere | TrialProcess]]:
        if self.in_process:
            here = TrialHere(self.hypermodel, arguments)
            return contextlib.nullcontext([here])
        return trial_processes(
            self.hypermodel,
            arguments,
            number=self.workers,
            trials_per_process=self.trials_per_process,
        )

    def _job(self, trial: Trial) -> TrialJob:
        self.on_trial_begin(trial)
        parameters = trial.hyperparameters
        values = parameters.values
        former = values.get(f"{TUNER}trial_id")
        objective = self.oracle.objective
        return TrialJob(
            parameters=parameters.get_config(),
            objective=(objective.name, objective.direction),
            folder=Path(self.get_trial_dir(trial.trial_id)),
            seed=derive_seed(self.seed, int(trial.trial_id), 1),
            epochs=values[f"{TUNER}epochs"],
            initial_epoch=values.get(f"{TUNER}initial_epoch", 0),
            start_from=Path(self.get_trial_dir(former)) if former else None,
            keep_weights=self.keep_best > 0 or _is_of_hyperband(trial),
            checkpoint_seconds=self._often,
        )

    def _end(self, trial: Trial, outcome: TrialOutcome, epochs: int) -> None:
        if outcome.fatal:
            raise ValueError(outcome.fatal)
        if outcome.metrics is not None:
            last = trial.hyperparameters.values[f"{TUNER}epochs"] - 1
            self.oracle.update_trial(trial.trial_id, outcome.metrics, step=last)
        if outcome.trace is not None:
            folder = Path(self.get_trial_dir(trial.trial_id))
            (folder / "error.txt").write_text(outcome.trace, encoding="utf-8")
        parameters = trial.hyperparameters.copy()
        if outcome.parameters is not None:
            parameters = parameters.from_config(outcome.parameters)
        parameters.values[f"{TUNER}seconds"] = float(outcome.seconds)
        if outcome.message is not None:
            parameters.values[f"{TUNER}message"] = outcome.message
        status = "COMPLETED" if outcome.message is None else "FAILED"
        self.on_trial_end(Trial(parameters, trial.trial_id, status))
        self._kept.end(trial.trial_id)
        if not _is_of_hyperband(trial):  # which may go on from any of its own
            self._keep_weights()

    def _keep_weights(self) -> None:
        best = self.oracle.get_best_trials(self.keep_best)
        self._kept.keep(x.trial_id for x in best)


@contextlib.contextmanager
def _no_output() -> Iterator[None]:
    """Leaves out what KerasTuner prints beside what is shown here."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _is_of_hyperband(trial: Trial) -> bool:
    return f"{TUNER}bracket" in trial.hyperparameters.values
