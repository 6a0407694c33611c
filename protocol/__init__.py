"""What training and platform must read alike, written once: tables, labels, names of metrics. Imports neither of them."""
