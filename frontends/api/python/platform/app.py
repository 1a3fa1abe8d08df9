"""Running a program's `main` with its flags."""

from tensorkiln.app import run
