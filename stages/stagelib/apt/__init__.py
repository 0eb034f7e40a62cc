"""Installing Debian packages into a tree: the host's apt decides and downloads, the tree's dpkg configures."""
