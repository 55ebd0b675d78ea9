"""The errors that are told to a person as they are: the message names who is at fault and ends with what helps."""


class Explained(Exception):
    """Base of the errors that somebody can mend; the command line prints the message alone and exits with 1."""
