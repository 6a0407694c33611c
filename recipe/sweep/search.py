"""Search by TPE, and stopping of hopeless rows, both by optuna; imported only where a sweep asks for them.

optuna keeps nothing: its study is rebuilt from the journal each time, so that any process can ask and a killed one
loses nothing.

Source: Bergstra, Bardenet, Bengio, Kégl, "Algorithms for Hyper-Parameter Optimization", 2011, section 4 (TPE); Golovin
et al., "Google Vizier", 2017, section 3.2.2 (the median stopping rule).
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from protocol.errors import UserError
from protocol.language import tr
from recipe.sweep.file import Range, SweepFile
from recipe.sweep.journal import SweepState, TaskState
from recipe.sweep.rows import Row, named, tasks_of

STARTUP = 8  # rows drawn at random before TPE begins


def load_optuna() -> types.ModuleType:
    """optuna, silent but for warnings.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError(
            tr("`search: tpe` and `prune` need optuna: pip install 'optuna>=5,<6'. Grid and random search do not.")
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def ask(sweep: SweepFile, state: SweepState, higher_is_better: bool) -> Row:
    """The next row, given everything that the journal knows; the same journal gives the same row."""
    optuna = load_optuna()
    distributions = {key: distribution(optuna, values) for key, values in sweep.space.items()}
    sampler = optuna.samplers.TPESampler(
        seed=sweep.search_seed + len(state.rows),
        n_startup_trials=min(STARTUP, max(2, sweep.trials // 3)),
        constant_liar=True,
    )
    study = optuna.create_study(direction="maximize" if higher_is_better else "minimize", sampler=sampler)
    for line in state.rows:
        study.add_trial(_trial(optuna, line["settings"], distributions, _score(sweep, line["settings"], state)))
    return named({key: _rounded(value, sweep.space[key]) for key, value in study.ask(distributions).params.items()})


def distribution(optuna: Any, values: list[Any] | Range) -> Any:
    """The values of a setting as optuna names them."""
    if not isinstance(values, Range):
        return optuna.distributions.CategoricalDistribution(values)
    kind = optuna.distributions.IntDistribution if values.whole else optuna.distributions.FloatDistribution
    return kind(values.low, values.high, log=values.log)


def _rounded(value: Any, values: list[Any] | Range) -> Any:
    """Four digits are enough, and readable."""
    if not isinstance(values, Range) or values.whole:
        return value
    return min(values.high, max(values.low, float(f"{value:.4g}")))


def _trial(optuna: Any, settings: dict[str, Any], distributions: dict[str, Any], score: float | str) -> Any:
    states = optuna.trial.TrialState
    if isinstance(score, float):
        return optuna.create_trial(params=settings, distributions=distributions, value=score)
    return optuna.create_trial(params=settings, distributions=distributions, state=getattr(states, score))


def _score(sweep: SweepFile, settings: dict[str, Any], state: SweepState) -> float | str:
    """The mean over seeds; a stopped row counts with its best score so far. Otherwise the state's name in optuna."""
    endings = [state.tasks.get(task.key, TaskState()) for task in tasks_of(named(settings), sweep)]
    if any(task.finished == "failed" for task in endings):
        return "FAIL"
    if all(task.finished for task in endings):
        return float(np.mean([task.ending["score"] for task in endings]))
    return "RUNNING"


def hopeless(sweep: SweepFile, state: SweepState, key: str, epochs: int, higher_is_better: bool) -> bool:
    """Whether a task's best so far is below the median of its seed's finished tasks at the same epoch."""
    if sweep.prune is None:
        return False
    optuna = load_optuna()
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=sweep.prune.after_rows, n_warmup_steps=sweep.prune.after_epochs
    )
    study = optuna.create_study(direction="maximize" if higher_is_better else "minimize")
    this = state.task(key)
    for task in state.tasks.values():
        if task.finished == "done" and task.seed == this.seed:
            study.add_trial(optuna.create_trial(value=task.ending["score"], intermediate_values=steps(task, epochs)))
    trial = optuna.create_trial(state=optuna.trial.TrialState.RUNNING, intermediate_values=steps(this, epochs))
    return bool(pruner.prune(study, trial))


def steps(task: TaskState, epochs: int) -> dict[int, float]:
    """Scores by the number of epochs done, over the folds in order."""
    return {fold * epochs + epoch: line["score"] for (fold, epoch), line in task.epochs.items()}
