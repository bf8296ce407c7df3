"""Which target answers, and why: pure decisions over snapshots."""
