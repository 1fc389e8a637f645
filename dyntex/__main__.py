"""``python -m dyntex`` is the command ``dyntex``."""

from dyntex.cli import main

if __name__ == "__main__":
    main()
