"""Install RPM packages into a tree with the build root's dnf."""
