"""Run the program that imports this with the packages of tests/requirements.txt."""

import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]

if not pathlib.Path(sys.prefix).samefile(TOP / "build" / "venv") if (TOP / "build" / "venv").exists() else True:
    python = subprocess.run([TOP / "tests/lib/python"], check=True, capture_output=True, text=True).stdout.strip()
    os.execv(python, [python, *sys.argv])
