"""What is stored is looked at every few seconds at most, and again at once after a look that failed."""

import pytest

from timegpt_assets.adapters.storage.paced import Paced


def test_a_look_holds_for_a_while_and_one_that_fails_for_no_time() -> None:
    now, looks = 0.0, iter([1, 2, OSError("gone"), 3])

    def look() -> int:
        found = next(looks)
        if isinstance(found, OSError):
            raise found
        return found

    paced = Paced(look, 10.0, lambda: now)
    assert [paced(), paced()] == [1, 1]
    now = 9.9
    assert paced() == 1
    now = 10.0
    assert paced() == 2
    now = 20.0
    with pytest.raises(OSError, match="gone"):
        paced()
    assert [paced(), paced()] == [3, 3], "looked at again at once, and nothing old is told for new"
