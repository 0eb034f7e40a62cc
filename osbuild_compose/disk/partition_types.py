"""What a partition is for, as partition tables say it.

Type GUIDs: UEFI specification 5.3.3, https://uapi-group.org/specifications/specs/discoverable_partitions_specification
"""

GUIDS = {
    "bios-boot": "21686148-6449-6e6f-744e-656564454649",
    "esp": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "xbootldr": "bc13c2ff-59e6-4262-a352-b275fd6f7172",
    "root-x86-64": "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "usr-x86-64": "8484680c-9521-48c6-9c11-b0720656f69e",
    "root-x86-64-verity": "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
    "usr-x86-64-verity": "77ff5f63-e7b6-4633-acf4-1565b864c0e6",
    "home": "933ac7e1-2eb4-4f13-b844-0e14e2aef915",
    "srv": "3b8f8425-20e0-4f3b-907f-1a25a76f98e8",
    "var": "4d21b016-b534-45c2-a9fb-5c16e091fd2d",
    "tmp": "7ec6f557-3bc5-4aca-b293-16ef5df639d1",
    "swap": "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
    "lvm": "e6d6d379-f507-44c2-a23c-238f2a3df928",
    "linux": "0fc63daf-8483-4772-8e79-3d69d8477de4",
}
DOS = {"esp": "ef", "swap": "82", "lvm": "8e"}  # a DOS table calls everything else Linux's
DOS_LINUX = "83"
ESP_MOUNTS = ("/boot/efi", "/efi")  # where an EFI system partition is mounted

_NAMES = {code: name for codes in (GUIDS, DOS) for name, code in codes.items()}


def named(kind: str) -> str:
    """The type by its name, if it has one: a GUID and the two digits of a DOS table say the same."""
    return _NAMES.get(kind.lower(), kind)
