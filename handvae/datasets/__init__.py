"""One module per dataset: its skeleton, camera and on-disk format, read and written in the same place."""
