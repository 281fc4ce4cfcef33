"""Pure planning and the loop that carries plans out."""
