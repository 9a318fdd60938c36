"""From English reasoning rows to checked multilingual ones: segments, translation, gates, Parquet and card."""
