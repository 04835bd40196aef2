"""`./run bench`: what a booking costs, compared with a bare Temporal workflow of the same shape."""
