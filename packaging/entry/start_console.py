"""Start of the frozen console program: the `histoloop` command."""

import multiprocessing

if __name__ == "__main__":
    multiprocessing.freeze_support()  # a spawned child is this program too: it does its work here and ends
    from histoloop.cli import main

    raise SystemExit(main())
