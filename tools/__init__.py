"""Programs for developing this project; not part of the wheel."""
