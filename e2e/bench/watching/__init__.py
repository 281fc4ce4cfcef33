"""What watching the data of a thousand Models costs the operator."""
