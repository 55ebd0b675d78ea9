"""Channels: a file of JSON lines, a webhook, a mail; each is handed everything that is news to it in one go.

Belongs here: delivering notices, and one error that says why that could not be done. Which notices are news is
core/alarms.py; a channel's secrets are read when it is used, and stand in no error.
"""

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

import httpx
import orjson

from timegpt_assets.adapters.wall_clock import received
from timegpt_assets.core.alarms import ChannelFailed, Notice

URL, TOKEN, PASSWORD = "ALARMS_WEBHOOK_URL", "ALARMS_WEBHOOK_TOKEN", "ALARMS_MAIL_PASSWORD"
MOST_BYTES = 1 << 16


class Channel(Protocol):
    """One who is told."""

    def send(self, notices: Sequence[Notice], at: datetime) -> None:
        """Hand over the notices. Raises ChannelFailed."""
        ...


@dataclass(frozen=True, kw_only=True)
class LogFile:
    """A file that gets a line of JSON for each notice."""

    path: Path
    profile: str

    def send(self, notices: Sequence[Notice], at: datetime) -> None:
        """Add the lines, all of them in one write. Raises ChannelFailed."""
        lines = [orjson.dumps({"at": at, "profile": self.profile} | asdict(notice)) for notice in notices]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            raise ChannelFailed(f"file: {error}. Make room there, or set alarms.file to another place.") from error


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """An address that gets all notices as one JSON object; ``text`` is what chats show."""

    environment: Mapping[str, str] = field(repr=False)
    profile: str
    timeout_s: float

    def send(self, notices: Sequence[Notice], at: datetime) -> None:
        """Post them; anything but a status of 2xx counts as not told. Raises ChannelFailed."""
        url, token = self.environment.get(URL), self.environment.get(TOKEN)
        if not url:
            raise ChannelFailed(f"webhook: {URL} is not set. Put the address into the environment or .env.")
        body = {
            "at": at,
            "profile": self.profile,
            "text": "\n".join([f"timegpt-assets {self.profile}", *(notice.line for notice in notices)]),
            "alarms": [asdict(notice) for notice in notices],
        }
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        # no connection is kept: nothing is asked here for hours, and wall_clock cuts what it opened
        with httpx.Client(timeout=self.timeout_s, limits=httpx.Limits(max_keepalive_connections=0)) as http:
            try:
                request = http.build_request("POST", url, content=orjson.dumps(body), headers=headers)
                answer = received(http, request, seconds=self.timeout_s, most_bytes=MOST_BYTES)
            # words of our own: the address is a secret, and an error of httpx may hold it
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise ChannelFailed(
                    f"webhook: {type(error).__name__}. Look at the address in {URL}, and at who answers there."
                ) from None
        if answer.status // 100 != 2:
            raise ChannelFailed(f"webhook: it answered {answer.status}. Look at the address in {URL} and at {TOKEN}.")


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail server, and who is written to."""

    environment: Mapping[str, str] = field(repr=False)
    profile: str
    host: str
    port: int
    security: str
    user: str | None
    sender: str
    recipients: tuple[str, ...]
    timeout_s: float

    def send(self, notices: Sequence[Notice], at: datetime) -> None:
        """Send one mail to all recipients. Raises ChannelFailed, for a recipient that was refused, too."""
        password = self.environment.get(PASSWORD)
        if self.user and not password:
            raise ChannelFailed(f"mail: {PASSWORD} is not set. Put it into the environment or .env.")
        try:
            with self._connected() as server:
                if self.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self.user and password:
                    server.login(self.user, password)
                refused = server.send_message(self._written(notices, at))
        except smtplib.SMTPResponseException as error:  # its text is the server's, which may repeat what it was sent
            why = f"{type(error).__name__} {error.smtp_code}"
            raise ChannelFailed(f"mail: {why} from {self.host}. Look at alarms.mail and {PASSWORD}.") from None
        except ssl.SSLCertVerificationError as error:
            raise ChannelFailed(
                f"mail: {type(error).__name__} at {self.host}:{self.port}. Let its certificate name {self.host}, "
                "be vouched for, and hold, or name in SSL_CERT_FILE who vouches for it."
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            why = type(error).__name__
            raise ChannelFailed(f"mail: {why} at {self.host}:{self.port}. Look at alarms.mail.") from None
        if refused:
            raise ChannelFailed(f"mail: {self.host} refuses {', '.join(refused)}. Mend alarms.mail.recipients.")

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)

    def _written(self, notices: Sequence[Notice], at: datetime) -> EmailMessage:
        message = EmailMessage()
        more = f" and {len(notices) - 1} more" if len(notices) > 1 else ""
        message["Subject"] = f"timegpt-assets {self.profile}: [{notices[0].change}] {notices[0].subject}{more}"
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        message["Date"] = at
        message.set_content("\n".join(notice.line for notice in notices) + "\n")
        return message
