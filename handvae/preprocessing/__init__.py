"""Raw files to crops in HDF5."""
