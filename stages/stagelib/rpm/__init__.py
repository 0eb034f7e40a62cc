"""Install RPM packages that are the manifest's sources, with rpm alone."""
