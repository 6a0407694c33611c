"""How a trained run answers: `predict.Ensemble(folder).stream(paths)`; no torch until torch answers."""
