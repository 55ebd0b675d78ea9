"""Settings -> who is told of alarms.

Belongs here: building the channels that alarms.channels lists. How one is told is adapters/alarms.
"""

from typing import TYPE_CHECKING

from timegpt_assets.runtime import Runtime

if TYPE_CHECKING:
    from timegpt_assets.adapters.alarms.channels import Channel


def channels(runtime: Runtime) -> "dict[str, Channel]":
    """Return the channels that settings list, by name; files last, which hear in the same breath that one is dead."""
    listed = sorted(runtime.settings.alarms.channels, key=lambda name: name == "file")
    return {name: _channel(runtime, name) for name in listed}


def _channel(runtime: Runtime, name: str) -> "Channel":
    from timegpt_assets.adapters.alarms.channels import LogFile, Mail, Webhook

    alarms, profile, environment = runtime.settings.alarms, runtime.settings.profile, runtime.environment
    if name == "file":
        return LogFile(path=runtime.path(alarms.file), profile=profile)
    if name == "webhook":
        return Webhook(environment=environment, profile=profile, timeout_s=alarms.webhook.timeout_s)
    given = alarms.mail.model_dump()
    return Mail(environment=environment, profile=profile, **given)
