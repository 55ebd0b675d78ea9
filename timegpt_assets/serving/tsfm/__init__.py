"""The service that answers for a prediction market: its price up to now in, bands of its price ahead out.

Belongs here: everything about HTTP, and what one process keeps between requests. Who forecasts, and what answers where
the model does not, is the runner's.
"""
