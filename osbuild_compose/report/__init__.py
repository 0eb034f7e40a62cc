"""What people see: errors with their places, progress, results."""
