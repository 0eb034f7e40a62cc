"""Making file systems from directories, each type in a module or a package of its own."""
