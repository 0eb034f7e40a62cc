"""What is said of those blueprints in tests/bad-blueprints that are checked with another program's help."""

import pytest

from tests import bad_blueprints


@pytest.mark.parametrize("name", sorted(bad_blueprints.NEED_GPG))
def test_what_is_told(name: str) -> None:
    status, told = bad_blueprints.told(name)
    assert status == 2
    assert "Traceback" not in told
    different = bad_blueprints.differences(name, told)
    assert not different, f"look at it; to accept it: python3 -m tests.bad_blueprints --accept\n{different}"
