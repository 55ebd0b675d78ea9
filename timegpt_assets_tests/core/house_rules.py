"""The trading rules that examples worked by hand are worked under."""

from datetime import time

from timegpt_assets.core.backtest import rules

RULES = rules.Rules(
    rule_set="enhancement",
    k_sigma=0.5,
    s_stop=1.0,
    s_take=1.0,
    s_trail=None,
    ev_lambda=0.25,
    max_width_sigma=4.0,
    cap_per_trade=1.0,
    daily_trade_cap=3,
    max_open_per_symbol=1,
    cooldown_bars=5,
    time_stop_et=time(15, 55),
    early_close_margin_min=5,
    entry_lag_bars=1,
    exit_at_forecast_ts=True,
    require_positive_ev=True,
    suppress_wide=True,
)
