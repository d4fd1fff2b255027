"""Who renders next and how: queue, supervisor, process trees, recovery."""
