"""What a booking costs, beside a bare Temporal workflow of the same shape: `./run bench`."""
