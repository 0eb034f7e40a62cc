"""What this machine has and lacks for building, as the runner finds it, and for booting."""
