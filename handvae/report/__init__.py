"""Tables, figures, claims and pages; no torch."""

import os

os.environ["MPLBACKEND"] = "agg"  # files are all that is drawn; the user's own backend may need a screen, or be gone
