"""train: the built rows in, a fine-tuned checkpoint out."""
