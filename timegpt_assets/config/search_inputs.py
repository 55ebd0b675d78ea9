"""Settings as the small frozen values a search takes.

Belongs here: one function per thing it asks for, as in strategy_inputs.py. Nothing is decided here.
"""

from datetime import date

from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.research.confirmation import Terms
from timegpt_assets.core.research.objective import Penalties
from timegpt_assets.core.research.search import Space
from timegpt_assets.core.research.search_windows import COARSE, Window
from timegpt_assets.core.research.trading_grid import GridError
from timegpt_assets.core.research.trials import Plan


def space(settings: Settings) -> Space:
    """Return what is searched, and what it is worth."""
    asked = settings.search
    return Space(
        outer=strategy_inputs.named_grid(settings, asked.outer),
        inner=strategy_inputs.named_grid(settings, asked.inner),
        penalties=penalties(settings),
        smooth=asked.value == "plateau",
    )


def penalties(settings: Settings) -> Penalties:
    """Return what the objective takes off."""
    asked = settings.search.penalties
    return Penalties(max_drawdown=asked.max_drawdown, reject_rate=asked.reject_rate, turnover=asked.turnover)


def windows(settings: Settings) -> tuple[Window, Window]:
    """Return the sessions of coarse and refine."""
    stages = settings.search.stages
    coarse, refine = stages.coarse, stages.refine
    return (
        Window(sessions=coarse.sessions, until=coarse.until),
        Window(sessions=refine.sessions, until=refine.until),
    )


def symbols(settings: Settings, stage: str) -> tuple[str, ...]:
    """Return the symbols of a stage: coarse sees the first few."""
    tickers = settings.universe.tickers
    return tickers[: settings.search.stages.coarse.symbols] if stage == COARSE else tickers


def forecaster(settings: Settings) -> str:
    """Return whose forecasts are traded."""
    return settings.search.forecaster or settings.forecast.champion


def lookback(settings: Settings) -> int:
    """Return how many sessions lie between the first one that any stage sees and the last."""
    stages = settings.search.stages
    return stages.coarse.sessions + stages.refine.sessions + stages.confirm.sessions


def oos_start(settings: Settings) -> date:
    """Return the day after which sessions are out of sample. Raises GridError where none is set."""
    if settings.gates.oos_start is None:
        raise GridError(
            "gates.oos_start is null: no session would be left that the search has not seen. Set it before the search, "
            "for example --set gates.oos_start=2025-06-30."
        )
    return settings.gates.oos_start


def plan(settings: Settings, trials: int) -> Plan:
    """Return how a study of so many trials is gone about."""
    asked = settings.search
    return Plan(
        trials=trials,
        batch=asked.batch,
        startup_trials=asked.sampler.startup_trials,
        steps=asked.pruner.steps,
        prune_after=asked.pruner.startup_trials,
        warmup_steps=asked.pruner.warmup_steps,
    )


def terms(settings: Settings) -> Terms:
    """Return what a finalist is judged by."""
    return Terms(
        risk=strategy_inputs.risk(settings),
        account=strategy_inputs.account(settings),
        sampling=strategy_inputs.sampling(settings),
        penalties=penalties(settings),
    )
