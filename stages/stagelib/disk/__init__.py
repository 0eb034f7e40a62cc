"""Disk images made in plain files: no loop device, no mount, no privilege. Standard library only."""
