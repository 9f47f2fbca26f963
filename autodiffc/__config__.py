"""torch.__config__."""


def show() -> str:
    """How the library was built and what it runs on."""
    from ._info import show_config

    return show_config()


def parallel_info() -> str:
    """The number of threads."""
    from ._info import get_num_threads

    return f"autodiffc: {get_num_threads()} threads of its own\n"
