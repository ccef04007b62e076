"""What stages.grid needs to train several rows at once: guarded processes, clones of the workspace, Ray, a record."""
