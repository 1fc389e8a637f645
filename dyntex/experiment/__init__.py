"""A run's folder: settings, metrics, checkpoints, cost estimates and the report."""
