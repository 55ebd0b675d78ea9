"""The verb due at the real command line: what should be there, what rings, and a mail that goes out by hand."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from timegpt_assets.cli.app import app
from timegpt_assets_tests.roads import SMALL
from timegpt_assets_tests.servers.mail import MailServer


def test_the_verb_shows_what_is_due_and_tells_the_channels_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MailServer() as server:
        places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
        mails = ["alarms.mail.host=127.0.0.1", f"alarms.mail.port={server.port}", "alarms.mail.security=none"]
        mails += ["alarms.mail.sender=a@here.org", "alarms.mail.recipients=[b@here.org]", "alarms.channels=[mail]"]
        settings = [*SMALL, *places, *mails, "data.source=local", f"data.root={tmp_path / 'nowhere'}"]
        monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join(settings))
        shown = CliRunner().invoke(app, ["due", "--tell", "--profile", "demo"])
        plain = CliRunner().invoke(app, ["due", "--json", "--profile", "demo"])
    assert (shown.exit_code, plain.exit_code) == (1, 1), shown.output
    assert "nothing has run by itself yet" in shown.output
    assert "alarm: source bars: cannot be read now: " in shown.output
    (mail,) = server.mails
    assert mail["Subject"] == "timegpt-assets demo: [new] source bars"
    found = json.loads(plain.stdout)
    assert ([alarm["kind"] for alarm in found["alarms"]], found["due"], found["not_told"]) == (["source"], [], {})
