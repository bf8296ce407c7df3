"""What outlives a request: sessions."""
