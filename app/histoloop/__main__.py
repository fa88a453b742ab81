"""`python -m histoloop` is the `histoloop` command."""

from histoloop.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
