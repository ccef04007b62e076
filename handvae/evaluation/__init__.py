"""Predictions in millimetres and their numbers, by the reference protocols."""
