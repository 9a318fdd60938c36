"""Evaluation: tasks in, generations, scores with intervals, a report and a leaderboard out."""
