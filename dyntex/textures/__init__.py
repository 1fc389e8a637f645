"""Closed-form texture models and measurements: nothing here is trained."""
