"""A synthetic hand: kinematics (poses, limits), mesh (template, skinning), render (raster, shading), scenes, generate."""
