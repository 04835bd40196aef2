"""`./run bench`: what a booking costs, compared with a baseline Temporal workflow of the same shape."""
