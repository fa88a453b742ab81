"""Start of the frozen window."""

import multiprocessing

if __name__ == "__main__":
    multiprocessing.freeze_support()  # a spawned child is this program too: it does its work here and ends
    from histoloop.gui.application import main

    raise SystemExit(main())
