"""How much each outer rule mattered in a study, as Optuna tells it.

Belongs here: asking Optuna. PED-ANOVA (Watanabe et al., 2023) compares where the best trials lie with where all do.
"""

from collections.abc import Mapping, Sequence

import optuna

from timegpt_assets.adapters.search.study import distribution, params
from timegpt_assets.core.research.search import Choice, Value

LEAST = 4
"""Fewer trials than these say nothing of any rule."""


def shares(trials: Sequence[tuple[Choice, float]], values: Mapping[str, Sequence[Value]]) -> dict[str, float]:
    """Return outer rule -> its share of the importance of all, largest first; nothing where too little was tried.

    ``trials``: what was chosen and what it was worth. Rules with one value decide nothing and are left out.
    """
    moved = {name: own for name, own in values.items() if len(own) > 1}
    if len(trials) < LEAST or len({value for _, value in trials}) < 2 or not moved:
        return {}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    distributions = {name: distribution(own) for name, own in moved.items()}
    for outer, value in trials:
        chosen = params({name: outer[name] for name in moved}, moved)
        study.add_trial(optuna.trial.create_trial(params=chosen, distributions=distributions, value=value))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
