"""From a folder, an archive or an address to a folder."""
