"""What is drawn or decoded away from the web process: in a worker, or in a short-lived child with limits of its own."""
