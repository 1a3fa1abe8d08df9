"""Options of the test suite."""

from __future__ import annotations

import os

import pytest

# Tests compile what they test; those of the cache give it a folder of their own.
os.environ["TENSORKILN_CACHE"] = "off"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bless", action="store_true", help="write what comes out into the files of expected text"
    )
    parser.addoption(
        "--whole-table", action="store_true", help="check bounds over every sample of every op"
    )
    parser.addoption("--fuzz", default=0, help="how many damaged inputs of each kind to take")
    parser.addoption("--fuzz-from", default=0, help="the seed of the first one")
    parser.addoption(
        "--random-functions", default=0, help="how many random functions to compile and compare"
    )


@pytest.fixture
def bless(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--bless"))
