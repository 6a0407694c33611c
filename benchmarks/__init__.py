"""What is measured, one command per table: `python -m benchmarks` lists them."""
