"""What programs ask: participants' by personal tokens, workers' by worker tokens. JSON in, JSON out."""
