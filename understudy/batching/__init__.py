"""Message Batches at work: accepted requests are asked of the engines, below what people ask."""
