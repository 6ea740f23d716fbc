"""One turn: what the model is told, what it answers, which tools it calls. Knows no channel."""
