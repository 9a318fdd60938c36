"""launch: everything that starts a job or talks to a model; it knows nothing of languages, rows or tasks."""
