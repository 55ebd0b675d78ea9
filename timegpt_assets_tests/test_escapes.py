"""No name leads out of its root: of a file, a run, a symbol, a day, a partition, a profile, a model, a market, a field.

Every file of a house is written through one store, whose names are asked at random; above it each door that takes a
name is handed hostile ones, and what lies around the house must be as it was.
"""

import io
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import dagster as dg
import httpx
import pytest
from dagster_shared.check import CheckError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStoreError
from timegpt_assets.cli.app import app
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.settings import load_settings
from timegpt_assets.engine.engine import RANGE_END, RANGE_START
from timegpt_assets.serving.tsfm import desk
from timegpt_assets.serving.tsfm.service import application
from timegpt_assets_tests.live_house import SMALL
from timegpt_assets_tests.roads import TINY, load_runtime, road
from timegpt_assets_tests.servers.uvicorned import Uvicorned
from timegpt_assets_tests.serving.tsfm.made import GOOD

HOSTILE = (
    "../outside/kept",
    "/OUTSIDE/kept",
    "a/../../outside/kept",
    "..",
    "~/kept",
    "kept\0",
    "..\\outside",
    "a\nb",
    "%2e%2e/kept",
)
"""What a name may say; OUTSIDE is the folder beside the house."""
PARTS = st.sampled_from(
    ["OUTSIDE", "..", ".", "", "a", "b.parquet", "~", "\0", "outside", "kept", "...", "..a", "\\", "é"]
)
NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join) | st.text(max_size=30)


def bytes_of(file: BinaryIO | None) -> bytes:
    """Return what a file holds, and close it."""
    if file is None:
        return b""
    with file:
        return file.read()


DOORS: Mapping[str, Callable[[LocalStore, str], object]] = {
    "read": lambda store, name: store.read(name),
    "opened": lambda store, name: bytes_of(store.opened(name)),
    "generation": lambda store, name: store.generation(name),
    "write_new": lambda store, name: store.write_new(name, b"theirs"),
    "update": lambda store, name: store.update(name, lambda _: b"theirs"),
    "delete": lambda store, name: store.delete(name),
    "names": lambda store, name: list(store.names(name)),
    "move there": lambda store, name: store.move("mine", name),
    "move away": lambda store, name: store.move(name, "elsewhere"),
}
VERBS: Mapping[str, tuple[str, ...]] = {
    "a run to write": ("report", "--run-id", "NAME"),
    "a run to compare": ("compare", "NAME", "NAME"),
    "symbols": ("backfill", "--start", "2025-01-30", "--end", "2025-01-30", "--symbols", "NAME"),
    "assets": ("backfill", "--start", "2025-01-30", "--end", "2025-01-30", "--assets", "NAME"),
    "a day": ("run-day", "NAME"),
    "a profile": ("status", "--profile", "NAME"),
    "a grid": ("sweep", "--grid", "NAME"),
    "a month of a search": ("search", "--month", "NAME"),
    "a row": ("explain", "NAME"),
    "a model": ("models", "show", "NAME"),
    "a model's month": ("train", "--month", "NAME"),
    "a market": ("tsfm", "alerts", "--market", "NAME"),
}
"""Verbs that take a name of something; places, as of --config-dir or a file to write, are the user's to choose."""


def around(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder with its bytes."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """Return a folder with a house in it, and what must be left alone."""
    for place in ("outside", "house/root"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "outside" / "kept").write_bytes(b"kept")
    return tmp_path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(name=NAMES, door=st.sampled_from(sorted(DOORS)))
@example(name="../../outside/kept", door="delete")
@example(name="../../outside/", door="names")
@example(name="OUTSIDE/kept", door="delete")
@example(name="OUTSIDE/new", door="write_new")
@example(name="../../outside/new", door="move there")
def test_no_name_of_a_file_leads_out_of_the_store(sandbox: Path, name: str, door: str) -> None:
    before, store = around(sandbox / "outside"), LocalStore(sandbox / "house" / "root", lock_timeout_s=1.0)
    name = name.replace("OUTSIDE", str(sandbox / "outside"))
    (store.root / "mine").write_bytes(b"mine")
    said: object = None
    with suppress(ObjectStoreError):  # it is refused, or a folder lies there, or no disk takes such a name
        said = DOORS[door](store, name)
    assert around(sandbox / "outside") == before
    assert {path.name for path in sandbox.iterdir()} == {"outside", "house"}
    assert {path.name for path in (sandbox / "house").iterdir()} == {"root"}
    assert b"kept" not in str(said).encode() or door == "names", "nothing outside is read"
    if door == "names":
        assert all(".." not in found.split("/") for found, _ in said or ())  # type: ignore[attr-defined]


# in a test run one name for each verb
ASKED = [
    pytest.param(verb, name, marks=() if number == place % 3 else pytest.mark.whole, id=f"{verb}-{number}")
    for (place, verb), (number, name) in itertools.product(enumerate(VERBS), enumerate(HOSTILE))
]


@pytest.mark.parametrize(("verb", "name"), ASKED)
def test_no_verb_takes_a_name_that_leads_out_of_its_house(
    verb: str, name: str, sandbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = sandbox / "house"
    places = [f"data.{place}={house / place}" for place in ("storage_root", "artifacts_root", "dagster_home")]
    monkeypatch.chdir(house)
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *places]))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    said = name.replace("/OUTSIDE", str(sandbox / "outside"))
    found = CliRunner().invoke(app, [word.replace("NAME", said) for word in VERBS[verb]])
    assert found.exit_code in (1, 2), found.output
    assert isinstance(found.exception, SystemExit), repr(found.exception)
    assert around(sandbox / "outside") == {str(sandbox / "outside" / "kept"): b"kept"}
    assert {path.name for path in sandbox.iterdir()} == {"outside", "house"}


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", "A\0", "A\n", "~"])
@pytest.mark.parametrize("key", ["universe.tickers=[{}]", "universe.context=[{}]", "research.search.study={}"])
def test_no_setting_that_becomes_part_of_a_path_takes_one(key: str, name: str) -> None:
    said = key.format(repr(name) if "[" in key else name)
    with pytest.raises(ConfigError):
        load_settings(profile="demo", config_dir=None, overrides=[said], environment={})


FIELDS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "market": lambda name: {"market_id": name},
    "category": lambda name: {"category": name},
    "step": lambda name: {"freq": name},
    "covariate": lambda name: {"x_past": {name: [0.1, 0.2, 0.3]}},
    "provider": lambda name: {"model": {"provider": name}},
    "model": lambda name: {"model": {"model_name": name}},
    "version": lambda name: {"model": {"model_version": name}},
    "parameter": lambda name: {"model": {"params": {name: name}}},
}
"""Fields of a request to the service that hold a name."""


def test_no_field_of_a_request_and_no_address_leads_out_of_the_house(sandbox: Path) -> None:
    runtime = load_runtime(sandbox / "house", *SMALL, base=TINY)
    said = [name.replace("/OUTSIDE", str(sandbox / "outside")) for name in HOSTILE]
    status = Counter[int]()
    with Uvicorned(application(desk.desk(runtime, io.StringIO()))) as served, httpx.Client(base_url=served.url) as ask:
        for name, field in itertools.product(said, FIELDS):
            marked = {"X-Request-Id": name} if name.isprintable() else {}
            found = ask.post("/tsfm/forecast", json=GOOD | FIELDS[field](name), headers=marked)
            status[found.status_code] += 1
            assert found.status_code in (200, 422), (field, name, found.text)
        for name in said:
            address = f"/{quote(name, safe='/.%')}"
            found = ask.send(ask.build_request("GET", f"{served.url}{address}"))
            assert found.status_code == 404, (name, found.text)
    assert status[200] > 0 < status[422], "names that may be, and names that may not"
    assert around(sandbox / "outside") == {str(sandbox / "outside" / "kept"): b"kept"}
    assert {path.name for path in sandbox.iterdir()} == {"outside", "house"}


def test_no_partition_key_leads_out_of_the_house(sandbox: Path) -> None:
    """As the UI, a backfill and whoever may launch a run hand them to it: a key, and both ends of a range."""
    raw_bars, snapshots = dg.AssetKey(["bars", "raw_bars"]), dg.AssetKey(["forecasts", "snapshots"])
    house = sandbox / "house"
    with road(house, base=TINY, pictures=False) as built:
        job = built.engine.repository.get_implicit_global_asset_job_def()
        for number, one in enumerate(HOSTILE):
            name = one.replace("/OUTSIDE", str(sandbox / "outside"))
            asset, key = ((snapshots, name), (raw_bars, f"2025-01-30|{name}"), (raw_bars, f"{name}|AAPL"))[number % 3]
            for tags in ({"dagster/partition": key}, {RANGE_START: key, RANGE_END: key}):
                with pytest.raises((dg.DagsterError, CheckError, ValueError)):
                    job.execute_in_process(instance=built.engine.instance, asset_selection=[asset], tags=tags)
        assert list(house.rglob("*.parquet")) == []
        made = job.execute_in_process(
            instance=built.engine.instance, asset_selection=[snapshots], tags={"dagster/partition": "2025-01-30"}
        )
        assert made.success
    assert around(sandbox / "outside") == {str(sandbox / "outside" / "kept"): b"kept"}
    assert {path.name for path in sandbox.iterdir()} == {"outside", "house"}
