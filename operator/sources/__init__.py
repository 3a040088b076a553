"""Where declarations come from, and what they add up to."""
