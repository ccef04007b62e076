"""Tables, figures, claims and pages; no torch."""
