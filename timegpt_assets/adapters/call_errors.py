"""What can go wrong with a paid call, one class per thing the reader has to do next.

Belongs here: exception classes only. Every message names the offender and ends with the remedy; none holds a key.
"""

from timegpt_assets.core.explained import Explained


class CallError(Explained):
    """Raised when a forecast cannot be had from the provider or its cache; the message ends with the remedy."""


class MissingKey(CallError):
    """Raised when something must be sent and no API key is set."""


class UntrustedHost(CallError):
    """Raised when the prod profile is pointed at a host that is not the provider's."""


class UnusableInput(CallError):
    """Raised when a frame holds values that must not be sent: null, NaN, infinite, or no rows at all."""


class BudgetExceeded(CallError):
    """Raised before anything is sent when the calls needed exceed what a limit leaves."""

    def __init__(self, *, limit: str, needed: int, left: int, remedy: str) -> None:
        """Keep the figures beside the message: which limit, calls needed, calls it leaves."""
        self.limit, self.needed, self.left = limit, needed, left
        super().__init__(f"{needed} TimeGPT calls needed, {left} left under {limit}; nothing was sent. {remedy}")


class LedgerUnusable(CallError):
    """Raised when the call ledger cannot be read or written: without it nothing is sent."""


class CallHeld(CallError):
    """Raised when another process has held a call for longer than any call lasts, and can be seen to live."""


class NoFurtherAttempt(CallError):
    """Raised when a failed call might be mended by another attempt that no limit leaves room for; tells the failure."""


class Frozen(CallError):
    """Raised when sending has been stopped by hand."""


class OfflineMiss(CallError):
    """Raised offline when snapshots have no stored answer; lists them."""


class CacheDamaged(CallError):
    """Raised when a paid answer's stored bytes are damaged or gone; it is never fetched again by itself."""


class CacheFull(CallError):
    """Raised when an answer cannot be stored: before anything is sent, or after, and then it is spent."""


class RequestTooLarge(CallError):
    """Raised before anything is sent for a request of more bytes than one may have."""


class CircuitOpen(CallError):
    """Raised when so many calls of a day failed that the rest of it is not paid for."""


class InvalidAnswer(CallError):
    """Raised when the provider answered 200 with nonsense: spent, kept, not asked again by itself."""


class KeyRefused(CallError):
    """Raised on 401 and 403."""


class QuotaExhausted(CallError):
    """Raised when the provider's own quota or payment is exhausted (402, code A21)."""


class RequestRefused(CallError):
    """Raised when the provider refuses the request itself (400, 404, 413, 422, ...)."""


class ServiceUnavailable(CallError):
    """Raised on 500, which is not retried: an incident on the provider's side, charged as ambiguous."""


class RetryableFailure(CallError):
    """Raised for failures another attempt may mend; ``wait_sec`` is what the provider asked for, if anything."""

    wait_sec: float = 0.0


class NotSent(RetryableFailure):
    """Raised when the request never left (refused, DNS, TLS): refunded."""


class CannotConnect(CallError):
    """Raised when this machine's own settings (proxy, certificates) let no connection be made: nothing was sent."""


class AnswerLost(RetryableFailure):
    """Raised when the request may have been done and billed (timeout, cut answer, 408, 409, 5xx): charged."""


class TooManyRequests(RetryableFailure):
    """Raised on 429 without an exhausted quota: rejected, charged."""
