"""What training and platform must read alike, written once: tables, labels, metrics. Imports neither of them."""
