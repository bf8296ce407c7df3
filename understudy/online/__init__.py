"""The web, for models that have no servers of their own: pages are looked for and read where the settings allow it."""
