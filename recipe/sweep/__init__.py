"""Settings tried against each other, `engine.run_sweep(sweep)`; the learning-rate range test, `lr_find.find`."""
