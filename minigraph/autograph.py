"""AutoGraph (being written)."""


def convert(function):
    return function
