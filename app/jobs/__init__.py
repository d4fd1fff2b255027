"""What a job is: states and transitions (pure), the store, the service, the feed."""
