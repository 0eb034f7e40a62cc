"""The stage that has a machine make its own keys at its first boot."""

from pathlib import Path

from stagelib.packages.secrets import SECRETS

from tests.integration.stages.stage_programs import RunStage, lead_outside, write

NAME = "org.osbuild-compose.first-boot-secrets"
SYSTEMD = "usr/lib/systemd/systemd"
UNITS = "usr/lib/systemd/system"


def files(tree: Path) -> set[str]:
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_symlink() or not path.is_dir()}


def test_a_package_gets_a_unit_before_the_services_that_need_its_key(tree: Path, run_stage: RunStage) -> None:
    write(tree, "usr/sbin/munged")
    write(tree, SYSTEMD)
    assert run_stage(NAME, {}).status == 0
    unit = f"{UNITS}/compose-secret-munge.service"
    link = "etc/systemd/system/sysinit.target.wants/compose-secret-munge.service"
    assert files(tree) == {SYSTEMD, "usr/sbin/munged", "usr/libexec/compose-secrets/munge", unit, link}
    text = (tree / unit).read_text()
    for line in (
        "Before=munge.service shutdown.target",
        "ConditionPathExists=!/etc/munge/munge.key",
        "RequiresMountsFor=/etc/munge",
        "ExecStart=/usr/libexec/compose-secrets/munge",
    ):
        assert line in text.splitlines()
    assert (tree / "usr/libexec/compose-secrets/munge").stat().st_mode & 0o7777 == 0o755
    assert str((tree / link).readlink()) == f"/{unit}"


def test_units_of_a_template_are_ordered_by_a_drop_in(tree: Path, run_stage: RunStage) -> None:
    write(tree, "usr/bin/pg_createcluster")
    write(tree, SYSTEMD)
    assert run_stage(NAME, {}).status == 0
    drop_in = tree / UNITS / "postgresql@.service.d/50-compose-secret-postgresql.conf"
    assert drop_in.read_text() == "[Unit]\nAfter=compose-secret-postgresql.service\n"
    text = (tree / UNITS / "compose-secret-postgresql.service").read_text()
    assert "\nBefore=shutdown.target\n" in text
    assert "\nRequiresMountsFor=/var/lib/postgresql\n" in text


def test_without_systemd_there_are_only_scripts(tree: Path, run_stage: RunStage) -> None:
    for secret in SECRETS:
        write(tree, secret.owner[1:])
    write(tree, f"{UNITS}/munge.service")  # packages have units, whether there is a systemd or not
    before = files(tree)
    assert run_stage(NAME, {}).status == 0
    assert files(tree) - before == {f"usr/libexec/compose-secrets/{secret.name}" for secret in SECRETS if secret.script}


def test_a_tree_that_needs_none_is_not_changed(tree: Path, run_stage: RunStage) -> None:
    write(tree, "usr/bin/true")
    write(tree, SYSTEMD)
    assert run_stage(NAME, {}).status == 0
    assert files(tree) == {SYSTEMD, "usr/bin/true"}


def test_links_lead_nowhere(tree: Path, tmp_path: Path, run_stage: RunStage) -> None:
    write(tree, "usr/sbin/munged")
    write(tree, SYSTEMD)
    outside = lead_outside(tree, UNITS, tmp_path / "outside")
    assert run_stage(NAME, {}).status == 0
    assert list(outside.iterdir()) == []
