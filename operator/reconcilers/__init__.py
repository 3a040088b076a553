"""What makes a tenant so: one module (or package) per concern, each desire / observe / plan / apply."""
