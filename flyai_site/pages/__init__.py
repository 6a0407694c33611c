"""What people see: one module per kind of page."""
