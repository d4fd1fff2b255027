"""``python -m app.cli``: the command line without its console script, as the demo starts its service."""

from app.cli import main

if __name__ == "__main__":
    main()
