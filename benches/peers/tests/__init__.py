"""Run from benches/: `python3 -m unittest discover --top-level-directory . -s peers/tests`."""
