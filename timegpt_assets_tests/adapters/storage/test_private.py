"""What was paid for is its owner's alone, also where an earlier version or a copy left it open to others."""

from pathlib import Path

import pytest

from timegpt_assets.adapters.storage.private import close_to_others

MODES = {0o644: 0o600, 0o640: 0o600, 0o600: 0o600, 0o400: 0o400, 0o666: 0o660, 0o664: 0o660, 0o660: 0o660}


@pytest.mark.parametrize("before", MODES)
def test_a_file_is_closed_to_others_and_to_a_group_that_may_not_write(
    before: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger"
    path.touch()
    path.chmod(before)
    close_to_others(path)
    assert path.stat().st_mode & 0o7777 == MODES[before]
    said = f"{path} was open to others of this machine, by mode {before:03o}; it has mode {MODES[before]:03o} now."
    assert caplog.messages == ([] if before == MODES[before] else [said])


def test_a_folder_that_is_closed_closes_all_that_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir(mode=0o755)
    close_to_others(tmp_path / "answers")
    assert (tmp_path / "answers").stat().st_mode & 0o7777 == 0o700


def test_what_is_absent_is_not_made(tmp_path: Path) -> None:
    close_to_others(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_somebody_else_s_file_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "theirs"
    path.touch(mode=0o644)
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)
    close_to_others(path)
    assert path.stat().st_mode & 0o777 == 0o644
