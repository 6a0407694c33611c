"""One optimizer step, from a batch to moved weights: `update.Update.step(batch, step, seed)`."""
