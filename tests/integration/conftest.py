"""What the tests with real tools share."""

from pathlib import Path

import pytest

from tests.integration.assembling import POLICY, copy, label, make_difficult_tree


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with one of everything that a file system can hold, made once: no test changes it."""
    made = tmp_path_factory.mktemp("difficult") / "tree"
    made.mkdir()
    make_difficult_tree(made)
    return made


@pytest.fixture(scope="session")
def labelled(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The difficult tree, to be labelled: no test changes it either."""
    made = tmp_path_factory.mktemp("labelled") / "tree"
    copy(tree, made)
    label(made, POLICY)
    return made
