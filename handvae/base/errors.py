"""The one error that users are meant to see: their input is not what it should be."""


class InputError(Exception):
    """Bad input. The message is one line: the file or parameter, what was expected, what was found."""
