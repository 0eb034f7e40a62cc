"""The signing keys in templates are those that the distributions publish."""

import shutil
import subprocess
from pathlib import Path

import pytest

from osbuild_compose.distro import catalog

CATALOG = catalog.find()
RELEASES = sorted(name for name in CATALOG.releases if not name.startswith("debian-"))
FINGERPRINTS = {
    "fedora-43": "C6E7F081CF80E13146676E88829B606631645531",
    "fedora-44": "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6",
    "fedora-45": "4F50A6114CD5C6976A7F1179655A4B02F577861E",
    "centos-9": "99DB70FAE1D7CE227FB6488205B555B38483C65D",
    "centos-10": "99DB70FAE1D7CE227FB6488205B555B38483C65D",
    "rocky-9": "21CB256AE16FC54C6E652949702D426D350D275D",
    "rocky-10": "FC226859C0860BF0DDB95B085B106C736FEDFC85",
    "almalinux-9": "BF18AC2876178908D6E71267D36CB86CB86B3716",
    "almalinux-10": "EE6DB7B98F5BF5EDD9DA0DE5DEE5C11CC2A1E572",
}


@pytest.mark.skipif(shutil.which("gpg") is None, reason="no gpg on this machine")
@pytest.mark.parametrize("name", RELEASES)
def test_keys_are_those_that_the_distributions_publish(name: str, tmp_path: Path) -> None:
    """Fingerprints by the package distribution-gpg-keys 1.123, which collects what distributions publish."""
    argv = ["gpg", "--homedir", tmp_path, "--batch", "--show-keys", "--with-colons"]
    (key,) = CATALOG.release(name).repositories[0].keys
    listing = subprocess.run(argv, input=key, capture_output=True, text=True, check=True).stdout
    fingerprints = [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")]
    assert fingerprints[0] == FINGERPRINTS[name]
