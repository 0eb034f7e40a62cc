"""Package families: how a distribution's packages are published, signed and installed, behind one protocol."""
