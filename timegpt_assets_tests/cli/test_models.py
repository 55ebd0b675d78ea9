"""The verb models at the real command line: what it lists, shows, refuses and signs, on any terminal and in a pipe."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets import runtime
from timegpt_assets.adapters.models.registry import ROOT, ModelRegistry
from timegpt_assets.adapters.models.signing import SIGNING_KEY
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.cli import app as cli
from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import load_settings
from timegpt_assets_tests.adapters.models.artifacts import AT, MONTH, OWN, SECRET, made, public, registry, signer
from timegpt_assets_tests.cli.test_status import STYLING
from timegpt_assets_tests.secret_search import leaking

SETTINGS = load_settings(profile=None, config_dir=None, environment={})
UNDER = core_inputs.expected(SETTINGS, core_inputs.event_calendar(SETTINGS))
TREE, BLEND = "liquid_demo_lgbm_baseline_v2", "liquid_demo_blend_v2"


@dataclass(frozen=True)
class House:
    """A registry with each kind's first version, signed, and the tree's second, live and signed by nobody."""

    folder: Path
    models: ModelRegistry

    def run(self, *words: str, key: str | None = None, **environment: str) -> Result:
        shown = {"COLUMNS": "250"} | environment
        return CliRunner().invoke(cli.app, ["models", *words], env={**shown, SIGNING_KEY: key})

    def figures(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def file(self, name: str, digest: str) -> Path:
        return self.folder / "data" / ROOT / TREE / MONTH / digest / name


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "data.yaml").write_text("storage_root: data\n")
    (tmp_path / "configs" / "models.yaml").write_text(f"public_keys: {{ada: {public(SECRET)}}}\n")
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    models = registry(LocalStore(tmp_path / "data"), demand=False)
    for forecaster in OWN:
        models.put(made(forecaster, under=UNDER), signer())
    for seed, hours in ((7, 0), (8, 1)):
        artifact = made(seed=seed, under=UNDER)
        models.put(artifact, signer() if seed == 7 else None)
        models.switch(TREE, MONTH, artifact.digest, clock=lambda at=AT + timedelta(hours=hours): at, seconds=2.5)
    return House(tmp_path, models)


FIRST, SECOND = made(under=UNDER).digest, made(seed=8, under=UNDER).digest


def test_the_list_says_of_each_version_what_it_is_who_signed_it_and_which_is_live(house: House) -> None:
    rows = {(row["name"], row["digest"]): row for row in house.figures("list")["models"]}
    assert {name for name, _ in rows} == {made(word).manifest["name"] for word in OWN}
    first, second = rows[TREE, FIRST], rows[TREE, SECOND]
    assert (first["live"], first["signed_by"], second["live"], second["signed_by"]) == (False, "ada", True, None)
    assert (second["month"], second["sessions"], second["since"]) == (MONTH, 38, "2025-03-03T13:00:00+00:00")
    assert second["validation_ratio"] == pytest.approx(0.3 / 0.31)
    assert not any(row["refused"] for row in rows.values())
    lines = [line.split("\t") for line in house.run().stdout.splitlines()]
    assert [TREE, MONTH, SECOND[:12], "38", "0.968", "nobody", "yes", ""] in lines
    assert len(lines) == 2 + len(rows)


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("words", [("list",), ("show", TREE)])
def test_on_a_terminal_of_any_width_nothing_is_cut(
    house: House, monkeypatch: pytest.MonkeyPatch, width: int, words: tuple[str, ...]
) -> None:
    piped = house.run(*words).stdout.splitlines()
    monkeypatch.setattr("timegpt_assets.cli.terminal.Terminal.is_screen", True)
    lines = STYLING.sub("", house.run(*words, COLUMNS=str(width)).stdout).splitlines()
    whole = {word for text in piped[2:] for word in re.split(r"[\s,]+", text)}
    shown = " ".join(lines)
    assert max(map(len, lines)) <= max(width, 4 + max(map(len, whole)))
    assert [word for word in whole - {"#"} if word not in shown] == []


def test_one_is_shown_with_all_that_its_manifest_says_its_folds_and_what_was_live_before(house: House) -> None:
    found = house.figures("show", TREE)
    assert found["manifest"] == made(seed=8, under=UNDER).manifest
    assert (found["digest"], found["live"], found["previous"], found["training_seconds"]) == (SECOND, True, FIRST, 2.5)
    told = house.run("show", TREE, "--digest", FIRST[:8], "--month", MONTH).stdout
    assert f"digest\t{FIRST}\nlive\tFalse\n" in told
    assert "# folds\nfold\tpinball\trows\n0\t0.31\t100\n" in told
    for field in made().manifest.keys() - {"name", "month", "fold_metrics"}:
        assert f"\n{field.replace('_', ' ')}\t" in told


def test_verify_counts_what_is_whole_and_ends_with_0(house: House) -> None:
    assert house.figures("verify") == {"verified": 4, "refused": []}
    told = house.run("verify", BLEND)
    assert (told.exit_code, told.stdout) == (0, "1 of 1 artifacts are whole; refused: 0\n")


Damage = Callable[[House], object]
REFUSED: dict[str, tuple[Damage, str]] = {
    "a byte": (
        lambda h: h.file("train_report.json", FIRST).write_bytes(b"{}"),
        "train_report.json is not what its mani",
    ),
    "a file that is gone": (lambda h: h.file("manifest.json", FIRST).unlink(), "manifest.json is not there"),
    "a file too many": (lambda h: h.file("x.bin", FIRST).write_bytes(b""), "x.bin is not listed"),
    "other features": (
        lambda h: (h.folder / "configs" / "features.yaml").write_text("groups: [price, volatility]\n"),
        "feature_version is ",
    ),
    "an edited pointer": (lambda h: h.file("../live.json", FIRST).write_bytes(b"{}"), "it is not as it was written"),
    "a live one that is gone": (
        lambda h: h.file("", SECOND).rename(h.folder / "elsewhere"),
        f"{SECOND} is refused: manifest.json is not there",
    ),
    "a note between": (lambda h: h.file("../note.txt", FIRST).write_bytes(b""), "note.txt is none of the registry's"),
}


@pytest.mark.parametrize("damage", REFUSED)
def test_verify_names_what_is_refused_with_what_helps_and_does_not_end_with_0(house: House, damage: str) -> None:
    change, said = REFUSED[damage]
    change(house)
    told = house.run("verify")
    assert told.exit_code == 1
    lines = told.stderr.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert lines[0].endswith(("Take it away.", f"timegpt-assets train --month {MONTH} --profile demo"))
    assert "refused: 1" in told.stdout
    if damage == "an edited pointer":
        assert house.figures("verify")["refused"] == lines
        assert house.run("list").exit_code == 0


def test_in_prod_what_is_live_is_refused_until_it_is_signed_and_the_key_shows_nowhere(house: House) -> None:
    refused = house.run("verify", TREE, "--profile", "prod")
    assert refused.exit_code == 1
    assert f"it is not signed. Look at it, and sign it: timegpt-assets models sign {TREE}" in refused.stderr
    assert house.run("show", TREE, "--profile", "prod").exit_code == 0
    said = [house.run("sign", TREE, "--profile", "prod", key=SECRET), house.run("sign", TREE, "--json", key=SECRET)]
    assert said[0].stdout == f"{TREE} of {MONTH}, {SECOND[:12]}: signed by ada\n"
    assert json.loads(said[1].stdout)["signed_by"] == "ada"
    assert house.run("verify", TREE, "--profile", "prod").exit_code == 0
    assert not any(SECRET[:24] in result.output for result in said)
    assert leaking(house.folder) == []


def test_without_a_key_and_with_a_stranger_s_nothing_is_signed_and_what_helps_is_said(house: House) -> None:
    for key, said in (
        (None, "head -c 32 /dev/urandom"),
        ("hunter2hunter2", "is no key"),
        ("A" * 43 + "=", "YOUR_NAME: "),
    ):
        refused = house.run("sign", TREE, key=key)
        assert refused.exit_code == 1
        assert said in refused.stderr
        assert "hunter2" not in refused.output
    assert house.models.load(TREE, MONTH, SECOND).signed_by is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show",), 2, "models show needs the name"),
        (("sgn", TREE), 2, "'sgn' is not one of"),
        (("show", "liquid_demo_lgbm_baseline"), 1, f"Did you mean {TREE}? Choose from: "),
        (("show", TREE, "--month", "2025-3"), 1, "--month 2025-3 is no month. Write it as 2025-12."),
        (("verify", TREE, "--month", "2025-04"), 1, f"There: {MONTH} "),
        (("show", BLEND, "--digest", "zz"), 1, "none of liquid_demo_blend_v2 is of that month and digest"),
        (("sign", BLEND), 1, "none of these is live: 2025-03 "),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(
    house: House, words: tuple[str, ...], code: int, said: str
) -> None:
    told = house.run(*words)
    assert told.exit_code == code
    assert said in " ".join(told.output.split())


def test_where_no_model_is_the_list_says_how_to_make_one(house: House) -> None:
    elsewhere = ["--set", f"data.storage_root={house.folder / 'other'}"]
    told = house.run("list", *elsewhere)
    assert told.exit_code == 0
    assert told.stdout.endswith("holds no models. Make some: timegpt-assets train --profile demo\n")
    assert house.run("verify", *elsewhere).exit_code == 0
    assert "Make some: timegpt-assets train" in house.run("show", TREE, *elsewhere).stderr


def test_a_shell_is_offered_what_to_do_and_the_names_there_are(house: House) -> None:
    for words, offered in ((["models", "s"], ["show", "sign"]), (["models", "show", "liquid_demo_l"], [TREE])):
        asking = {"COMP_WORDS": " ".join(["root", *words]), "COMP_CWORD": str(len(words))}
        done = CliRunner().invoke(cli.app, [], env={"_ROOT_COMPLETE": "complete_bash", **asking})
        assert done.stdout.split() == offered


def test_it_needs_no_dagster() -> None:
    from timegpt_assets_tests.cli.test_at_once import imported

    words = [["models", "list", "--set", "data.storage_root=/nowhere/at/all"]]
    assert imported(words, code=0) & {"dagster", "sqlalchemy", "optuna", "cryptography"} == set()


def test_in_prod_a_signature_is_demanded_and_elsewhere_none() -> None:
    for profile in ("demo", "dev", "offline", "prod"):
        found = runtime.model_registry(runtime.load_runtime(profile=profile, environ={}))
        assert (found.demand_signature, found.profile) == (profile == "prod", profile)
