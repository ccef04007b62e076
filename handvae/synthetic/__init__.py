"""A synthetic hand: kinematics and poses, mesh and template, raster, render and shading, scenes, generate."""
