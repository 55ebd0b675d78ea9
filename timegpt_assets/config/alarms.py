"""The section about who is told when something is the matter, and from when on it is.

Belongs here: alarms. What each key means stands in configs/alarms.yaml.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from timegpt_assets.config.base import PLACE, Count, Name, Positive, Section, Share, _unique

Place = Annotated[str, Field(min_length=1), PLACE]
Address = Annotated[str, Field(pattern=r"^\S+@\S+$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Webhook(Section):
    """How an address is told."""

    timeout_s: Positive


class Mail(Section):
    """The mail server, and who is written to."""

    host: Name | None
    port: Port
    security: Literal["starttls", "tls", "none"]
    user: Name | None
    sender: Address | None
    recipients: Annotated[tuple[Address, ...], AfterValidator(_unique)]
    timeout_s: Positive


class Alarms(Section):
    """Who is told, and from when on something is an alarm; no stored number depends on it."""

    channels: Annotated[tuple[Literal["file", "webhook", "mail"], ...], AfterValidator(_unique)]
    file: Place
    webhook: Webhook
    mail: Mail
    quota_used: Share
    session_due_min: Count
    tsfm_cycles_missed: Count
