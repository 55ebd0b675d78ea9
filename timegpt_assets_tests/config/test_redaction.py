"""No secret of the environment is in any text that goes through the redaction, in whatever spelling it stands there."""

import ast
import json
import re
from functools import cache
from urllib.parse import quote

import pytest

from timegpt_assets.config.errors import REDACTED
from timegpt_assets.config.redaction import Redaction, secrets
from timegpt_assets_tests.project import PROJECT

SECRET = 'p@ss/word "ö\\1'
PLAIN = {
    "DAGSTER_EVENT_BATCH_SIZE",
    "DAGSTER_HOME",
    "DAGSTER_IS_DEV_CLI",
    "POLARS_MAX_THREADS",
    "TIMEGPT_ASSETS_CONFIG_DIR",
    "TIMEGPT_ASSETS_PROFILE",
    "TIMEGPT_ASSETS_REAL_DATA",
    "TIMEGPT_ASSETS_SET",  # what is set may hold none: test_bad_configurations.py
    "TTY_COMPATIBLE",
    "BACKUPS",
    "CACHE",
    "LEDGER",
}
"""Variables that the package or deploy/ names and that hold no secret."""
NO_VARIABLES = {"ROLLING_QUANTILE", "STEP_FAILURE"}
ADDRESSES = {
    "ALARMS_WEBHOOK_URL": "https://hooks.example.org/services/T0/{}",
    "DAGSTER_CELERY_BACKEND": "redis://:{}@redis:6379/1",
    "DAGSTER_CELERY_BROKER": "redis://worker:{}@redis:6379/0",
    "DAGSTER_POSTGRES_URL": "postgresql+psycopg2://dagster:{}@db/dagster",
    "TIMEGPT_ASSETS_SEARCH_URL": "postgresql://searcher:{}@db:5432/optuna?sslmode=require",
    "HTTPS_PROXY": "http://me:{}@proxy:3128",
    "GIVEN_ELSEWHERE": "https://example.org/v1?api_key={}&page=2",
}
"""Variables that hold addresses, with the place of the secret; the last two are anybody's."""


@cache
def named() -> frozenset[str]:
    """Return every variable that the package, as one text, and the files of deploy/ name."""
    texts = (
        node.value
        for path in (PROJECT / "timegpt_assets").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    own = {text for text in texts if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", text)}
    files = [path.read_text(encoding="utf-8") for path in (PROJECT / "deploy").rglob("*") if path.is_file()]
    return frozenset(own | set(re.findall(r"(?:\$\{?|env: )([A-Z][A-Z0-9_]+)", "\n".join(files))))


def held(name: str, secret: str) -> str:
    """Return the value of a variable that holds the secret; in an address only letters that may stand there do."""
    return ADDRESSES[name].format(secret) if name in ADDRESSES else secret


def test_every_variable_that_is_read_holds_no_secret_or_is_hidden() -> None:
    hidden = {name for name in named() - NO_VARIABLES if secrets({name: held(name, "s3cret-word")})}
    assert named() - NO_VARIABLES - hidden == PLAIN & named()
    assert {"ALARMS_MAIL_PASSWORD", "ALARMS_WEBHOOK_URL", "TIMEGPT_API_KEY", "TIMEGPT_ASSETS_SEARCH_URL"} <= hidden


@pytest.mark.parametrize("name", [*ADDRESSES, *sorted(named() - PLAIN - NO_VARIABLES - set(ADDRESSES)), "PGPASSWORD"])
def test_it_is_in_no_text_however_it_is_spelt(name: str) -> None:
    secret = quote(SECRET, safe="") if name in ADDRESSES else SECRET
    value = held(name, secret)
    hide = Redaction({name: value, "PLACE": "here"})
    shown = (secret, f"to {value}: refused", repr(value), json.dumps({"why": value}), quote(value, safe=""))
    for text in (*shown, SECRET, repr(SECRET), json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False)):
        found = hide(f"before {text} after")
        assert not any(part in found for part in ("p%40ss", "p@ss", "word")), found
        assert found.startswith("before ")
        assert found.endswith(" after")
        assert REDACTED in found
    assert "word" not in repr(hide)


def test_a_password_ends_at_the_last_at_sign_and_its_host_stays_readable() -> None:
    hide = Redaction({"DAGSTER_POSTGRES_URL": "postgresql://u:a@b/c?d@db/dagster"})
    assert hide("login a@b/c?d failed at db") == f"login {REDACTED} failed at db"


def test_of_a_secret_that_begins_like_another_nothing_is_left() -> None:
    hide = Redaction({"A_KEY": "begin", "B_KEY": "begin-and-end"})
    assert hide("with begin-and-end or begin") == f"with {REDACTED} or {REDACTED}"


def test_what_is_no_secret_stays() -> None:
    plain = {
        "PWD": "/srv/here",
        "KEYBOARD": "english",
        "PLACE": "gs://bucket/me:there@home",
        "URL": "https://example.org/a/b?page=22",
        "SHORT_KEY": "abc",
        "DATABASE": "postgresql://me@db/name",
    }
    assert secrets(plain) == frozenset()
    text = " ".join(plain.values())
    assert Redaction(plain)(text) == text


def test_a_record_keeps_its_names_though_a_password_is_one_of_them() -> None:
    record = {"tags": {"dagster/day": "dagster"}, "error": {"message": "dagster is refused", "stack": ["dagster\n"]}}
    found = json.loads(Redaction({"PGPASSWORD": "dagster"}).record(json.dumps(record)))
    assert found == {
        "tags": {"dagster/day": "dagster"},
        "error": {"message": f"{REDACTED} is refused", "stack": [f"{REDACTED}\n"]},
    }
