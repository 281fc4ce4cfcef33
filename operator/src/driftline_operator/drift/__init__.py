"""What monitors have seen, added up and judged: pure."""
