"""How fast model servers answer: the same model, the same client, one machine, taking turns."""
