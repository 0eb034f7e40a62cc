"""The messages for those blueprints in tests/bad-blueprints whose check needs another program."""

import pytest

from tests import bad_blueprints


@pytest.mark.parametrize("name", sorted(bad_blueprints.NEED_GPG))
def test_messages(name: str) -> None:
    status, reported = bad_blueprints.check(name)
    assert status == 2
    assert "Traceback" not in reported
    different = bad_blueprints.differences(name, reported)
    assert not different, f"review them; to accept them: python3 -m tests.bad_blueprints --accept\n{different}"
