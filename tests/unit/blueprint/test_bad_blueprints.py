"""The messages for every blueprint in tests/bad-blueprints, word for word."""

import pytest

from tests import bad_blueprints


@pytest.mark.parametrize("name", sorted({*bad_blueprints.names()} - bad_blueprints.NEED_GPG))
def test_messages(name: str) -> None:
    status, reported = bad_blueprints.check(name)
    assert status == 2
    assert "Traceback" not in reported
    different = bad_blueprints.differences(name, reported)
    assert not different, f"review them; to accept them: python3 -m tests.bad_blueprints --accept\n{different}"


def test_there_are_many_and_no_message_is_left_over() -> None:
    names = bad_blueprints.names()
    assert len(names) >= 120
    assert sorted(path.stem for path in bad_blueprints.DIRECTORY.glob("*.txt")) == names


def test_differences_are_found() -> None:
    assert bad_blueprints.differences("key-typo", bad_blueprints.expected("key-typo")) == ""
    assert "+something else" in bad_blueprints.differences("key-typo", "something else\n")
