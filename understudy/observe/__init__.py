"""What we tell of ourselves: metrics and the log."""
