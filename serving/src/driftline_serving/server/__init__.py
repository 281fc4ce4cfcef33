"""The model server: engine, codec and transport are three separate things."""
