"""What the tests with real tools share."""

from pathlib import Path

import pytest

from tests.integration.assembling import make_difficult_tree


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with one of everything that a file system can hold, made once: no test changes it."""
    made = tmp_path_factory.mktemp("difficult") / "tree"
    made.mkdir()
    make_difficult_tree(made)
    return made
