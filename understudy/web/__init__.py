"""HTTP: middleware, the chat endpoints, and the few small ones."""
