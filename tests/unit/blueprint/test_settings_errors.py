"""Errors in keys that become configuration files, and no secrets in messages."""

from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.document import reader
from osbuild_compose.errors import ComposeError

HEAD = "name: web\ndistro: debian-12\n"
PRIVATE = "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----"


def reported(text: str, directory: Path = Path()) -> list[ComposeError]:
    with pytest.raises(ComposeError) as caught:
        load.check(reader.parse((HEAD + text).encode(), str(directory / "b.yaml")), ["debian-12"])
    return list(caught.value.each())


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("languages: [cs_CZ.UTF-8]\n", "3:12", "`languages` are those in addition to `locale`"),
        ("sysctl: {a b: 1}\n", "3:10", "`a b` is not the name of a kernel parameter"),
        ('sysctl: {"a\\nb": 1}\n', "3:10", "is not the name of a kernel parameter"),
        ('sysctl: {"a\\n": 1}\n', "3:10", "is not the name of a kernel parameter"),
        ('sysctl: {a: "1\\nb = 2"}\n', "3:13", "must be one line"),
        ("sysctl: {a: true}\n", "3:13", "`a` must be text or a whole number, not true or false"),
        ("modprobe: {blacklist: [a b]}\n", "3:24", "is not the name of a kernel module"),
        ("modprobe: {options: {a b: c}}\n", "3:22", "`a b` is not the name of a kernel module"),
        ('modprobe: {options: {a: "b\\nc"}}\n', "3:25", "must be one line"),
        ("udev_rules: [{name: 90-disk, content: a}]\n", "3:21", "is not a name such as 90-disk.rules"),
        ("udev_rules: [{name: a.rules}]\n", "3:14", "exactly one of `content` and `source`"),
        ("udev_rules: [{name: a.rules, source: gone}]\n", "3:38", "No such file"),
        ("udev_rules: [{name: a.rules, content: a}, {name: a.rules, content: b}]\n", "3:50", "a.rules twice"),
        ("tmpfiles: [/run/app]\n", "3:12", "is not a line such as d /run/app"),
        ('tmpfiles: ["d /a\\nf /b"]\n', "3:12", "is not a line such as"),
        ("sshd: {port: [0]}\n", "3:15", "must not be less than 1"),
        ("sshd: {permit_root_login: maybe}\n", "3:27", "it is one of: true, false, prohibit-password"),
        ("sshd: {PermitRootLogin: false}\n", "3:8", "unknown key `PermitRootLogin`"),
        ("sshd: {allow_users: [a*]}\n", "3:22", "is not the name of a user or group"),
        ("cacerts: [gone.pem]\n", "3:11", "No such file"),
        (f'cacerts: ["-----BEGIN CERTIFICATE-----\\nMII\\n{PRIVATE}"]\n', "3:11", "holds a private key"),
        (
            'cacerts: ["-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----"]\n',
            "3:11",
            "not a PEM certificate",
        ),
        ('cacerts: ["-----BEGIN CERTIFICATE-----\\nMII\\n-----END CERTIFICATE-----"]\n', "3:11", "not base64"),
        ("units: [{name: app, content: '[Service]'}]\n", "3:16", "is not the full name of a unit"),
        ("units: [{name: a.service}]\n", "3:9", "has `content`, `source` or `dropins`"),
        ("units: [{name: a.service, content: '[A]', source: b}]\n", "3:9", "at most one of"),
        ("units: [{name: a.service, content: ExecStart=b}]\n", "3:36", "no section"),
        ("units: [{name: a.service, dropins: [{name: b, content: '[A]'}]}]\n", "3:44", "such as memory.conf"),
        ("units: [{name: a.service, dropins: [{name: b.conf, content: c}]}]\n", "3:61", "no section"),
        ("schema: 2\n", "3:9", "`schema` cannot be 2; it is one of: 1"),
        ("cron: [{name: a.b, schedule: '@daily', command: c}]\n", "3:15", "must be letters, digits"),
        ("cron: [{name: a, schedule: 0 3 * *, command: c}]\n", "3:28", "is not a schedule such as"),
        ("cron: [{name: a, schedule: 60 3 * * *, command: c}]\n", "3:28", "60 is not a minute from 0 to 59"),
        ("cron: [{name: a, schedule: 0 3 * * fri-mon, command: c}]\n", "3:28", "fri-mon is not a day of week"),
        ("cron: [{name: a, schedule: 0 3 * jan-foo *, command: c}]\n", "3:28", "jan-foo is not a month"),
        ("cron: [{name: a, schedule: '*/0 3 * * *', command: c}]\n", "3:28", "*/0 is not a minute"),
        ('cron: [{name: a, schedule: "@daily", command: "b\\nc"}]\n', "3:47", "must be one line"),
        ("timers: [{name: a/b, schedule: daily, command: c}]\n", "3:17", "is not a valid name of a unit"),
        ('timers: [{name: a, schedule: "daily\\nx", command: c}]\n', "3:30", "is not a schedule such as"),
        (
            "timers: [{name: a, schedule: daily, command: c}]\nunits: [{name: a.timer, content: '[Timer]'}]\n",
            "3:17",
            "a.timer is already in `units`",
        ),
        ("first_boot: [a, {name: b, content: c}, {name: b, content: d}]\n", "3:47", "b twice"),
        ("first_boot: [{name: b}]\n", "3:14", "exactly one of `content` and `source`"),
        ("scripts: [{source: gone.sh}]\n", "3:20", "No such file"),
        ("scripts: [{source: a, content: b}]\n", "3:11", "exactly one of `content` and `source`"),
        ("initramfs: {drivers: [a b]}\n", "3:23", "is not the name of a kernel module"),
        ("files: [{path: /a, url: http://a}]\n", "3:9", "`url` without `sha256`"),
        (f"files: [{{path: /a, content: b, sha256: {'a' * 64}}}]\n", "3:9", "exactly one of"),
        (f"files: [{{path: /a, url: ftp://a, sha256: {'a' * 64}}}]\n", "3:25", "starts with http://"),
        ("files: [{path: /a, url: http://a, sha256: abc}]\n", "3:43", "must be 64 hexadecimal digits"),
        ("repositories: [{url: http://a, suites: [s], use: never}]\n", "3:50", "it is one of: both, build, image"),
        ("repositories: [{url: http://a, suites: [s], keys: [{url: http://a}]}]\n", "3:52", "lacks the key `fing"),
        (
            "repositories: [{url: http://a, suites: [s], keys: [{url: http://a, fingerprint: abc}]}]\n",
            "3:81",
            "is not a fingerprint",
        ),
        ("containers: [{name: a}]\n", "3:14", "exactly one of `source` and `url`"),
        ("containers: [{name: a, source: gone.tar}]\n", "3:32", "No such file"),
        ("containers: [{name: a, source: .}]\n", "3:32", "is not a file"),
        (
            f"containers: [{{name: a, url: docker://a, sha256: {'a' * 64}}}]\n",
            "3:29",
            "or docker://REGISTRY/NAME@sha256: and 64 digits",
        ),
        (
            f"containers: [{{name: a, url: 'docker://r.io/a@sha256:{'a' * 64}', sha256: {'a' * 64}}}]\n",
            "3:128",
            "has its digest in `url`",
        ),
        (
            "containers: [{name: a, url: 'docker://r.io/a:1', tls_verify: false}]\n",
            "3:29",
            "may be another image tomorrow",
        ),
        (
            "containers: [{name: a, url: 'https://r.io/a'}]\n",
            "3:29",
            "an archive that is downloaded needs its `sha256`",
        ),
        (
            f"containers: [{{name: a, url: 'https://r.io/a', sha256: {'a' * 64}, tls_verify: false}}]\n",
            "3:133",
            "`tls_verify` is for registries only",
        ),
        ("fips: yess\n", "3:7", "`fips`"),
        ("build_environment: {}\n", "3:20", "`from`"),
        ("enabled_modules: [{name: a}]\n", "3:19", "`stream`"),
        ("enabled_modules: [{name: a, stream: 20}]\n", "3:37", "`stream`"),
        ("enabled_modules: [{name: a, stream: '1 2'}]\n", "3:37", "is not the name of a stream"),
        ("enabled_modules: [{name: a, stream: b}, {name: a, stream: c}]\n", "3:48", "`enabled_modules` has a twice"),
        ("tests: {}\n", "3:1", "`tests` is reserved"),
        ("installer: {}\n", "3:1", "the image is the installed system"),
        ("iso: {}\n", "3:1", "`iso` is about installation media"),
        ("fdo: {}\n", "3:1", "use `first_boot`"),
        ("rhsm: {}\n", "3:1", "`rhsm` is about subscriptions"),
        ("openscap: {}\n", "3:1", "run `oscap` with its profile in `scripts`"),
        ("packages: [a]\nexclude: [b, a]\n", "4:14", "a is in both `packages` and `exclude`"),
        ("disk: {size: 4 GiB}\nformats: [tar, oci-archive]\n", "3:14", "`size`: no format in `formats` is a disk"),
        ("disk: {sector_size: 4096}\nformats: [iso]\n", "3:21", "`sector_size`: no format in `formats` is a disk"),
        ("ignition: {}\n", "3:1", "use `cloud_init` or `first_boot`"),
        ("users: [{name: a, sudo: yess}]\n", "3:25", "it is one of: true, false, nopasswd"),
        ("users: [{name: a, expiredate: 2030-02-30}]\n", "3:31", "there is no day 2030-02-30"),
        ("users: [{name: a, expiredate: tomorrow}]\n", "3:31", "is not a date such as 2030-12-31"),
        ("users: [{name: a, expiredate: -2}]\n", "3:31", "must not be less than -1"),
    ],
)
def test_error(text: str, place: str, message: str) -> None:
    found = reported(text)
    mine = [error for error in found if message in error.brief]
    assert mine, [str(error) for error in found]
    assert str(mine[0].location) == f"b.yaml:{place}"


@pytest.mark.parametrize("password", ['"s3cret\\twith a tab"', "$6$s3cret:x$", "[s3cret]", "{a: s3cret}"])
def test_a_message_about_a_password_does_not_repeat_it(password: str) -> None:
    for error in reported(f"users: [{{name: a, password: {password}}}]\n"):
        assert "s3cret" not in error.brief + error.hint


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "x.service").write_bytes(b"[Service]\n\xff")
    (error,) = reported("units: [{name: x.service, source: x.service}]\n", tmp_path)
    assert "is not text: byte 10 is not UTF-8" in error.brief


def test_the_hint_has_the_command_that_prints_the_digest_of_a_tag() -> None:
    error = reported("containers: [{name: a, url: 'docker://r.io/a:1', tls_verify: false}]\n")[0]
    assert "skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://r.io/a:1" in error.hint
