"""What every part stands on: parameters, joints, geometry, errors, files written whole."""
