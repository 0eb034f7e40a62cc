"""The ids of user namespaces: reading /etc/subuid, subuid(5), and choosing the range for root."""

from pathlib import Path

import pytest

from runner.errors import RunnerError
from runner.sandbox.namespace import CALLER, IDS, ROOTS_IDS, IdRange, others, range_to_give, roots_ids, subordinate_ids


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("bob:100000:65536\n", None),
        ("ann:100000:65536\n", IdRange(100000, 65536)),
        ("1000:5:7\n", IdRange(5, 7)),
        ("ann:1:10\nann:100000:65536\n", IdRange(100000, 65536)),
        ("# comment\nann:x:y\nann\n", None),
    ],
)
def test_the_largest_range_of_the_user_is_found(tmp_path: Path, text: str, found: IdRange | None) -> None:
    path = tmp_path / "subuid"
    path.write_text(text)
    assert subordinate_ids(path, "ann", 1000) == found


def test_no_file_is_no_range(tmp_path: Path) -> None:
    assert subordinate_ids(tmp_path / "none", "ann", 1000) is None


EVERYTHING = (IdRange(0, 4294967295),)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", ROOTS_IDS),
        ("ann:100000:65536\n", ROOTS_IDS),
        ("root:300000:65536\n", 300000),
        ("0:300000:131072\n", 300000),
        ("root:300000:1000\n", ROOTS_IDS),
        (f"ann:{ROOTS_IDS + 7}:65536\n", ROOTS_IDS + 7 + IDS),
        (f"ann:{ROOTS_IDS}:65536\nbob:{ROOTS_IDS + IDS}:10\n", ROOTS_IDS + IDS + 10),
        (f"ann:{ROOTS_IDS - 1}:2\n", ROOTS_IDS + 1),
    ],
)
def test_roots_range_is_its_own_or_one_that_is_free(tmp_path: Path, text: str, first: int) -> None:
    path = tmp_path / "subuid"
    path.write_text(text)
    assert roots_ids(path, EVERYTHING) == ((0, first, IDS),)


@pytest.mark.parametrize(
    ("known", "triples"),
    [
        ((IdRange(0, 65536),), ((0, 0, 65536),)),
        ((IdRange(0, 1), IdRange(1, 65536)), ((0, 0, 1), (1, 1, 65535))),
        ((IdRange(0, 200000),), ((0, 200000 - IDS, IDS),)),
        ((IdRange(0, 100000), IdRange(100000, 100000)), ((0, 200000 - IDS, IDS),)),
    ],
)
def test_in_a_small_namespace_root_uses_what_it_has(
    tmp_path: Path, known: tuple[IdRange, ...], triples: tuple[tuple[int, int, int], ...]
) -> None:
    assert roots_ids(tmp_path / "none", known) == triples


@pytest.mark.parametrize("known", [(), (IdRange(0, 1),), (IdRange(0, 65535),), (IdRange(1, 65536),)])
def test_a_namespace_with_few_ids_is_refused(tmp_path: Path, known: tuple[IdRange, ...]) -> None:
    with pytest.raises(RunnerError, match=r"this user namespace has \d+ of the 65536 ids"):
        roots_ids(tmp_path / "none", known)


@pytest.mark.parametrize(
    ("first", "known", "triples"),
    [
        (
            ROOTS_IDS,
            EVERYTHING,
            [(CALLER, 0, ROOTS_IDS), (CALLER + ROOTS_IDS, ROOTS_IDS + IDS, 4294967295 - ROOTS_IDS - IDS)],
        ),
        (0, (IdRange(0, IDS),), []),
        (0, (IdRange(0, 1), IdRange(1, IDS + 9)), [(CALLER, IDS, 10)]),
        (
            100,
            (IdRange(0, 50), IdRange(70, IDS + 100)),
            [(CALLER, 0, 50), (CALLER + 50, 70, 30), (CALLER + 80, 100 + IDS, 70)],
        ),
    ],
)
def test_root_keeps_all_ids_that_are_not_for_trees(
    first: int, known: tuple[IdRange, ...], triples: list[tuple[int, int, int]]
) -> None:
    assert list(others(first, known)) == triples


@pytest.mark.parametrize(
    ("subuid", "subgid", "accounts", "first"),
    [
        ("", "", (), 100000),
        ("ann:100000:65536\n", "", (), 165536),
        ("", "ann:100000:65536\n", (), 165536),
        ("ann:100000:65536\n", "bob:165536:65536\n", (), 231072),
        ("ann:165536:65536\n", "", (), 100000),
        ("ann:150000:1\n", "", (), 150001),
        ("", "", (0, 1000, 65534), 100000),
        ("", "", (120000,), 120001),
        ("ann:100000:65536\n", "", (165536, 200000), 200001),
        (f"ann:100000:{ROOTS_IDS - 100000}\n", "", (), ROOTS_IDS + IDS),
        ("ann:100000:2147383647\n", "", (), None),
    ],
)
def test_the_range_that_a_user_is_told_to_take_is_nobodys(
    tmp_path: Path, subuid: str, subgid: str, accounts: tuple[int, ...], first: int | None
) -> None:
    (tmp_path / "subuid").write_text(subuid)
    (tmp_path / "subgid").write_text(subgid)
    assert range_to_give(tmp_path, accounts) == first
