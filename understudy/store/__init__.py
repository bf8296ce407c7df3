"""What outlives a request: sessions in memory, batches on the disk."""
