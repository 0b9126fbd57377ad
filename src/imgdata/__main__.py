"""`python -m imgdata` is the same as `imgdata`."""

from imgdata.cli.main import main

if __name__ == "__main__":
    main()
