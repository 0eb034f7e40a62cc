"""What the stand-in repository lacks and blueprints' keys need, as RPMs beside it: made once per machine.

cloud-init, growpart, p11-kit and bubblewrap are Debian's. update-ca-trust is a script like Fedora's around Debian's
`trust`, with Fedora's directories. Nobody's archive here has crypto-policies or hmaccalc: these two are small programs
of the tests' own that are called as the real ones are. dracut-live and dracut-network are Debian's, the former with
what dracut 060 put right: https://github.com/dracutdevs/dracut/issues/2645.
"""

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from tests.integration.rpm.repository import ARCH, MACROS, Package, RpmRepository, modules, run, stream
from tests.standin import SCRIPT, made_once, served

SUITE = "bookworm"  # the stand-in's
CLOUD_INIT = """
cloud-init python3-certifi python3-chardet python3-charset-normalizer python3-configobj python3-idna python3-jinja2
python3-json-pointer python3-jsonpatch python3-markupsafe python3-netifaces python3-oauthlib python3-requests
python3-serial python3-six python3-urllib3 python3-yaml
"""
UNWANTED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bash-completion")
EXTRACTED = "/etc/pki/ca-trust/extracted"
UPDATE_CA_TRUST = f"""#!/bin/sh -e
case "$*" in ""|extract) ;; *) echo "usage: update-ca-trust [extract]" >&2; exit 1 ;; esac
mkdir -p {EXTRACTED}/pem {EXTRACTED}/openssl
trust extract --comment --overwrite --format=openssl-bundle --filter=certificates \\
  {EXTRACTED}/openssl/ca-bundle.trust.crt
trust extract --comment --overwrite --format=pem-bundle --filter=ca-anchors --purpose=server-auth \\
  {EXTRACTED}/pem/tls-ca-bundle.pem
"""
UPDATE_CRYPTO_POLICIES = """#!/bin/sh -e
share=/usr/share/crypto-policies etc=/etc/crypto-policies
while test $# -gt 0; do
  case $1 in
  --no-reload) ;;
  --show) cat $etc/state/current ;;
  --set)
    shift
    test -f "$share/policies/$1.pol" || { echo "Unknown policy \\`$1'" >&2; exit 1; }
    mkdir -p $etc/state $etc/back-ends
    echo "$1" >$etc/config
    echo "$1" >$etc/state/current
    ln -sf "$share/$1/opensslcnf.txt" $etc/back-ends/opensslcnf.config ;;
  *) echo "usage: update-crypto-policies [--no-reload] --set POLICY | --show" >&2; exit 2 ;;
  esac
  shift
done
"""
# The key is the one of libkcapi.
SHA512HMAC = """#!/bin/sh
openssl dgst -sha512 -hmac FIPS-FTW-RHT2009 -r "$@"
"""


@dataclass(frozen=True)
class Rpm:
    """A package to build: what it has is the directory of its name; see rpm's documentation for tags and scripts."""

    name: str
    tags: str = ""
    debs: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    sections: str = ""
    version: str = "1"


RPMS = (
    Rpm("cloud-init", "Requires: python3", CLOUD_INIT),
    Rpm("cloud-utils-growpart", "Requires: util-linux gawk", "cloud-guest-utils"),
    Rpm("bubblewrap", "Requires: glibc", "bubblewrap"),
    Rpm("dracut-live", "Requires: dracut dracut-network curl device-mapper gzip tar", "dracut-live"),
    Rpm("dracut-network", "Requires: dracut iproute iputils NetworkManager", "dracut-network"),
    Rpm("p11-kit-trust", "Requires: glibc", "p11-kit p11-kit-modules"),
    Rpm(
        "ca-certificates",
        "Requires: p11-kit-trust\nRequires(post): p11-kit-trust bash coreutils",
        files={"/usr/bin/update-ca-trust": UPDATE_CA_TRUST, "/etc/pki/ca-trust/source/anchors/README": "\n"},
        links={
            "/etc/pki/tls/certs/ca-bundle.crt": f"{EXTRACTED}/pem/tls-ca-bundle.pem",
            "/etc/ssl/certs/ca-certificates.crt": f"{EXTRACTED}/pem/tls-ca-bundle.pem",
            "/etc/pki/tls/cert.pem": "certs/ca-bundle.crt",
        },
        sections="%post\nupdate-ca-trust\n",
        version="99999999",  # than that of the stand-in, which is a date
    ),
    Rpm(
        "crypto-policies-scripts",
        "Requires: bash coreutils",
        files={
            "/usr/bin/update-crypto-policies": UPDATE_CRYPTO_POLICIES,
            **{f"/usr/share/crypto-policies/policies/{name}.pol": "\n" for name in ("DEFAULT", "FIPS")},
            **{f"/usr/share/crypto-policies/{name}/opensslcnf.txt": f"# {name}\n" for name in ("DEFAULT", "FIPS")},
        },
    ),
    Rpm("libkcapi-hmaccalc", "Requires: openssl bash", files={"/usr/bin/sha512hmac": SHA512HMAC}),
    *(
        Rpm("runtime", f"ModularityLabel: runtime:{one}:1:0", files={"/usr/share/runtime": one}, version=one)
        for one in ("9", "10")
    ),
)


def made() -> Path:
    """The directory of the repository. SCRIPT, which makes the stand-in, knows where Debian's packages come from."""
    return made_once("extra", SCRIPT.read_bytes() + Path(__file__).read_bytes(), _make)


@contextmanager
def extra(name: str = "") -> Iterator[str]:
    """The repository, served inside the block; gives its address, the same every time for a name."""
    with served(made(), name) as url:
        yield f"{url}/repo"


def _make(new: Path) -> None:
    repository = RpmRepository(new / "repo", ())
    debs = new / "work/debs"
    debs.mkdir(parents=True)
    maker = _maker()
    apt = maker.Apt(new / "work/apt", SUITE, maker.host_mirror())
    apt.update()
    wanted = sorted({name for rpm in RPMS for name in rpm.debs.split()} | {"ca-certificates"})
    subprocess.run(["apt-get", "-qq", "download", *wanted], cwd=debs, env=apt.env, check=True)
    for number, rpm in enumerate(RPMS):
        file = _build(rpm, debs, new / f"work/{number}")
        file.rename(repository.root / file.name)
    streams = [stream("runtime", one, [Package("runtime", version=one)]) for one in ("9", "10")]
    repository.publish([modules("runtime", default="10"), *streams])
    shutil.rmtree(new / "work")


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_rpm_standin", SCRIPT)
    assert spec
    assert spec.loader
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    return maker


def _build(rpm: Rpm, debs: Path, work: Path) -> Path:
    """The RPM of the files in Debian's packages and of its own."""
    tree = work / "tree"
    tree.mkdir(parents=True)
    for name in rpm.debs.split():
        (deb,) = debs.glob(f"{name}_*.deb")
        run(["dpkg-deb", "-x", deb, tree])
    _as_fedora(rpm, debs, tree)
    for path, text in rpm.files.items():
        file = tree / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if text.startswith("#!") else 0o644)
    for path, target in rpm.links.items():
        link = tree / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    return _rpmbuild(rpm, tree, work)


def _as_fedora(rpm: Rpm, debs: Path, tree: Path) -> None:
    """Leave out what is of no use, and move what Fedora has elsewhere."""
    for path in UNWANTED:
        shutil.rmtree(tree / path, ignore_errors=True)
    if (tree / "lib").is_dir():
        shutil.copytree(tree / "lib", tree / "usr/lib", dirs_exist_ok=True, symlinks=True)
        shutil.rmtree(tree / "lib")
    if rpm.name == "ca-certificates":
        (deb,) = debs.glob("ca-certificates_*.deb")
        run(["dpkg-deb", "-x", deb, tree / "debian"])
        anchors = tree / "usr/share/pki/ca-trust-source/anchors"
        anchors.mkdir(parents=True)
        for file in (tree / "debian/usr/share/ca-certificates/mozilla").iterdir():
            file.rename(anchors / file.name)
        shutil.rmtree(tree / "debian")
    live = tree / "usr/lib/dracut/modules.d/90dmsquash-live/dmsquash-live-root.sh"
    if live.exists():
        before = "        mount -r $FSIMG /run/rootfsbase\n"
        assert before in live.read_text()
        made = "        mkdir -m 0755 -p /run/overlayfs /run/ovlwork\n"
        live.write_text(live.read_text().replace(before, made + before))
    module = tree / "usr/share/p11-kit/modules/p11-kit-trust.module"
    if module.exists():
        paths = "x-init-reserved: paths='/etc/pki/ca-trust/source:/usr/share/pki/ca-trust-source'"
        module.write_text(module.read_text().replace("x-init-reserved:", paths))


def _rpmbuild(rpm: Rpm, tree: Path, work: Path) -> Path:
    paths = [f"/{path.relative_to(tree)}" for path in sorted(tree.rglob("*")) if path.is_symlink() or path.is_file()]
    # Characters that are patterns in a list of files.
    listed = "\n".join('"' + "".join("?" if c in "[]{}*?%" else c for c in path) + '"' for path in paths)
    spec = f"""Name: {rpm.name}
Version: {rpm.version}
Release: 1
Summary: Of the tests
License: various
AutoReqProv: no
{rpm.tags}
%description
Of the tests.
%install
cp -a {tree}/. %{{buildroot}}
%files
%defattr(-,root,root)
{listed}
{rpm.sections}
"""
    (work / "package.spec").write_text(spec)
    macros = {**MACROS, "_topdir": work, "_rpmdir": work, "_builddir": work, "_dbpath": work / "db"}
    defines: Sequence[str] = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    argv = ["rpmbuild", "-bb", "--quiet", "--target", f"{ARCH}-linux", "--buildroot", work / "root", *defines]
    run([*argv, work / "package.spec"], HOME=str(work))
    return work / f"{rpm.name}-{rpm.version}-1.{ARCH}.rpm"
