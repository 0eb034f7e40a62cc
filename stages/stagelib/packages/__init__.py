"""What stages that install packages share, whatever the package manager."""
