"""Install Debian packages into a tree: the host's apt resolves and downloads, the tree's dpkg configures."""
