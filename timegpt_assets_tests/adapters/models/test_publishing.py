"""Publishing a month's model: wherever a process dies, nothing half made is believed, and a second go ends well."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.models.publishing import NoTeacher, Publisher
from timegpt_assets.adapters.models.registry import ModelRegistry
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core.models import stated
from timegpt_assets.core.models.blend import Chosen, Policy
from timegpt_assets.core.models.learnt import Learnt
from timegpt_assets.core.models.manifests import Expected
from timegpt_assets.core.models.stated import Taught
from timegpt_assets.core.schema import TIME

MONTH, NOW = "2025-03", datetime(2025, 3, 1, tzinfo=UTC)
MADE_UNDER = Expected(
    feature_version="1", features_hash="f", feature_payload_schema_version="1", label_definition="log return"
)
SPAN: dict[str, Any] = {"first_day": date(2025, 1, 2), "last_day": date(2025, 2, 27), "sessions": 38, "rows": 900}


class Dies(Exception):
    """The process is gone."""


@dataclass(frozen=True)
class Mortal:
    """A store whose process dies at its ``left``-th write, before or after the bytes are there."""

    real: LocalStore
    left: list[int]
    after: bool = False

    def update(self, name: str, change: Any) -> Any:
        self.left[0] -= 1
        if self.left[0] < 0 and not self.after:
            raise Dies
        found = self.real.update(name, change)
        if self.left[0] < 0:
            raise Dies
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@dataclass(frozen=True, kw_only=True)
class Said:
    """A model whose file says one word."""

    word: str = "tree"
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)

    def predicted(self, rows: pl.DataFrame, levels: Any) -> pl.DataFrame:
        raise NotImplementedError

    def saved(self) -> dict[str, bytes]:
        return {".json": self.word.encode()}


def publisher(store: Any) -> Publisher:
    registry = ModelRegistry(store, {}, demand_signature=False, profile="demo")
    return Publisher(registry=registry, signer=None, clock=lambda: NOW, universe="demo", made_under=MADE_UNDER, seed=7)


def learnt(word: str = "tree") -> Taught:
    taught = pl.DataFrame(
        {
            "day": [date(2025, 2, 3)],
            "symbol": ["AAA"],
            "snapshot_ts": [datetime(2025, 2, 3, 15, tzinfo=UTC)],
            "mean": [0.5],
        },
        schema={"day": pl.Date, "symbol": pl.String, "snapshot_ts": TIME, "mean": pl.Float64},
    )
    report = {"library_versions": {}, "fold_metrics": [], "validation": {}, "control_arm": {}}
    return Taught.of("lightgbm", Learnt(model=Said(word=word), report=report, out_of_fold=taught, **SPAN))


@pytest.mark.parametrize("after", [False, True])
def test_wherever_the_process_dies_the_month_done_again_has_one_live_model_and_the_same_digest(
    tmp_path: Path, after: bool
) -> None:
    whole = LocalStore(tmp_path / "whole")
    digest = publisher(whole).published("lightgbm", MONTH, learnt(), seconds=1.0)
    name, died = publisher(whole).name("lightgbm"), 0
    for writes in range(20):
        real = LocalStore(tmp_path / f"{after}{writes}")
        try:
            publisher(Mortal(real, [writes], after)).published("lightgbm", MONTH, learnt(), seconds=1.0)
        except Dies:
            died += 1
        else:
            break
        if live := publisher(real).registry.live(name, MONTH):
            assert publisher(real).registry.load(name, MONTH, live.digest, MADE_UNDER), "what is live is whole"
        assert publisher(real).published("lightgbm", MONTH, learnt(), seconds=2.0) == digest
        live = publisher(real).registry.live(name, MONTH)
        assert live is not None
        assert (live.digest, live.previous) == (digest, None)
        assert len(publisher(real).registry.contents().versions) == 1
    assert died >= 5, "guard: model, teacher, report, manifest and pointer are written one after the other"


def test_two_that_learnt_one_month_alike_leave_one_model_and_one_pointer(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    digests = {publisher(store).published("lightgbm", MONTH, learnt(), seconds=s) for s in (1.0, 9.0)}
    assert len(digests) == 1
    assert publisher(store).took("lightgbm", MONTH) == 1.0, "whoever was first made it live"
    other = publisher(store).published("lightgbm", MONTH, learnt("another"), seconds=3.0)
    live = publisher(store).registry.live(publisher(store).name("lightgbm"), MONTH)
    assert live is not None
    assert (live.digest, live.previous) == (other, digests.pop())


def test_a_net_is_taught_by_the_verified_tree_of_its_month_and_by_nobody_else(tmp_path: Path) -> None:
    own, taught = publisher(LocalStore(tmp_path)), learnt()
    digest = own.published("lightgbm", MONTH, taught, seconds=1.0)
    row = stated.row(MONTH, "lightgbm", taught, name=own.name("lightgbm"), digest=digest, control_settings="d")
    assert isinstance(taught.found, Learnt)
    assert own.teacher(row, MONTH).equals(taught.found.out_of_fold)
    with pytest.raises(NoTeacher, match="no tree"):
        own.teacher(row, "2025-04")
    gone = row.with_columns(digest=pl.lit(None, pl.String), reason=pl.lit("insufficient_history: 3 sessions"))
    with pytest.raises(NoTeacher, match="insufficient_history: 3 sessions"):
        own.teacher(gone, MONTH)
    (file,) = tmp_path.rglob("*.teacher.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(NoTeacher, match=r"refused: .*teacher\.parquet is not what its manifest says"):
        own.teacher(row, MONTH)


def test_a_rung_that_learnt_nothing_is_not_published(tmp_path: Path) -> None:
    own = publisher(LocalStore(tmp_path))
    nothing = Taught(found=stated.nothing_learnt("library_absent"), losses=stated.NOTHING_LOST, own={})
    assert own.published("tsmixer", MONTH, nothing, seconds=0.1) is None
    chosen = Chosen(policy=Policy(alpha=0.3), reason="", losses={}, pinball=0.1, control_pinball=None, **SPAN)
    blended = Taught(found=chosen, losses=stated.NOTHING_LOST, own={"policy": "blend_alpha_0.3", "parts": {}})
    assert own.published("blend", MONTH, blended, seconds=0.1)
    assert [version.name for version in own.registry.contents().versions] == ["liquid_demo_blend_v2"]
