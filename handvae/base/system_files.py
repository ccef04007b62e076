"""What operating systems and file browsers leave in folders and archives by themselves: part of no dataset."""

_NAMES = frozenset(
    {
        # macOS
        *(".ds_store", "__macosx", ".spotlight-v100", ".trashes", ".fseventsd", ".temporaryitems", ".apdisk"),
        *(".documentrevisions-v100", ".appledouble", ".localized"),
        # Windows
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "system volume information"),
        # Linux desktops, network storage
        *(".directory", "lost+found", "@eadir"),
    }
)


def is_system_file(name: str) -> bool:
    """Whether a file or folder of this name (no path) is none of ours. `._name` holds macOS's attributes of `name`."""
    return name.startswith(("._", ".Trash-")) or name.casefold() in _NAMES
