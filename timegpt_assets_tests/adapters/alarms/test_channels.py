"""Channels against local servers: what arrives, and what is said when nothing can."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from timegpt_assets.adapters.alarms.channels import PASSWORD, TOKEN, URL, LogFile, Mail, Webhook
from timegpt_assets.core.alarms import ChannelFailed, Notice
from timegpt_assets_tests.secret_search import KEY, MARK, WRONG
from timegpt_assets_tests.servers.mail import MailServer, certificate
from timegpt_assets_tests.servers.webhook import WebhookServer

AT = datetime(2025, 1, 16, 23, tzinfo=UTC)
NEWS = [
    Notice(change="new", subject="run daily_refresh", said="bars/raw_bars: nowhere, ünd more"),
    Notice(change="over", subject="quota per_day of 2025-01-16", said="at least 90% of 10 calls are used."),
]


def mail(port: int, **changed: object) -> Mail:
    given = {
        "environment": {PASSWORD: KEY},
        "profile": "dev",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "user": None,
        "sender": "alarms@example.org",
        "recipients": ("ops@example.org", "night@example.org"),
        "timeout_s": 5.0,
    }
    return Mail(**{**given, **changed})  # type: ignore[arg-type]  # a test's own choice


def failed(channel: LogFile | Webhook | Mail) -> str:
    with pytest.raises(ChannelFailed) as raised:
        channel.send(NEWS, AT)
    assert MARK not in str(raised.value)
    assert MARK not in repr(channel)
    return str(raised.value)


def test_a_file_gets_a_line_for_each_and_keeps_what_is_there(tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "logs" / "alarms.jsonl", profile="dev")
    file.send(NEWS, AT)
    file.send(NEWS[:1], AT)
    lines = [json.loads(line) for line in file.path.read_text().splitlines()]
    assert [(line["change"], line["subject"]) for line in lines] == [
        ("new", "run daily_refresh"), ("over", "quota per_day of 2025-01-16"), ("new", "run daily_refresh"),
    ]  # fmt: skip
    assert (lines[0]["at"], lines[0]["profile"]) == ("2025-01-16T23:00:00+00:00", "dev")
    (tmp_path / "file").write_text("")
    assert failed(LogFile(path=tmp_path / "file" / "x", profile="dev")).endswith("set alarms.file to another place.")


def test_a_webhook_gets_all_of_them_in_one_body_with_its_token() -> None:
    with WebhookServer(token=KEY) as server:
        Webhook(environment={URL: server.url, TOKEN: KEY}, profile="dev", timeout_s=5.0).send(NEWS, AT)
        (body,) = server.bodies
        refused = failed(Webhook(environment={URL: server.url, TOKEN: WRONG}, profile="dev", timeout_s=5.0))
    assert [alarm["subject"] for alarm in body["alarms"]] == [notice.subject for notice in NEWS]
    assert body["text"].splitlines()[0] == "timegpt-assets dev"
    assert NEWS[0].line in body["text"]
    assert refused.startswith("webhook: it answered 401.")


def test_a_webhook_without_an_address_or_that_nobody_serves_or_that_dawdles_is_said() -> None:
    assert f"{URL} is not set" in failed(Webhook(environment={}, profile="dev", timeout_s=5.0))
    with WebhookServer(seconds=3.0) as server:
        url = f"{server.url}/{KEY}"
        assert "ReadTimeout" in failed(Webhook(environment={URL: url}, profile="dev", timeout_s=0.2))
    assert "ConnectError" in failed(Webhook(environment={URL: url}, profile="dev", timeout_s=5.0))
    assert failed(Webhook(environment={URL: f"::{KEY}"}, profile="dev", timeout_s=5.0)).startswith("webhook: ")


def test_a_mail_reaches_its_recipients_in_one_piece() -> None:
    with MailServer(password=KEY) as server:
        mail(server.port, user="me").send(NEWS, AT)
        (sent,) = server.mails
    assert sent["Subject"] == "timegpt-assets dev: [new] run daily_refresh and 1 more"
    assert (sent["From"], sent["To"]) == ("alarms@example.org", "ops@example.org, night@example.org")
    body = sent.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().splitlines() == [notice.line for notice in NEWS]


def test_a_mail_that_does_not_go_out_is_said_without_the_password() -> None:
    with MailServer(password=KEY) as server:
        assert f"{PASSWORD} is not set" in failed(mail(server.port, user="me", environment={}))
        assert "SMTPAuthenticationError 535" in failed(mail(server.port, user="me", environment={PASSWORD: WRONG}))
        assert "SMTPNotSupportedError" in failed(mail(server.port, security="starttls")), "no TLS, no mail"
        assert server.mails == []
        server.refused = {"night@example.org"}
        assert "refuses night@example.org" in failed(mail(server.port, user="me"))
        assert len(server.mails) == 1, "the other one has it"
    assert "ConnectionRefusedError" in failed(mail(server.port))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_out_hidden_and_so_does_the_password(
    security: Literal["starttls", "tls"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    believed = certificate(tmp_path / "mail.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(believed))
    with MailServer(password=KEY, certificate=believed, security=security) as server:
        mail(server.port, user="me", security=security).send(NEWS, AT)
        (sent,) = server.mails
    assert sent["Subject"] == "timegpt-assets dev: [new] run daily_refresh and 1 more"
    assert server.in_the_clear == (["EHLO", "STARTTLS"] if security == "starttls" else [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_who_cannot_be_believed_gets_neither_mail_nor_password(
    security: Literal["starttls", "tls"], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody vouches for the first certificate, the second is another's."""
    own = certificate(tmp_path / "mail.pem", address=address)
    if address != "127.0.0.1":
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
    with MailServer(password=KEY, certificate=own, security=security) as server:
        said = failed(mail(server.port, user="me", security=security))
        assert server.mails == []
    assert said == (
        f"mail: SSLCertVerificationError at 127.0.0.1:{server.port}. Let its certificate name 127.0.0.1, "
        "be vouched for, and hold, or name in SSL_CERT_FILE who vouches for it."
    )
    assert not {"AUTH", "MAIL"} & {*server.in_the_clear}
