"""The pictures of the documentation that show what the code does: seeded, and made by it."""
