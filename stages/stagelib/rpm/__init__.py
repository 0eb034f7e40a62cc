"""Installing RPM packages that are at hand as files, with rpm alone."""
