"""Installing RPM packages into a tree: the build root's dnf decides, downloads and installs."""
