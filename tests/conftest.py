"""What holds for every test."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _data_of_its_own(tmp_path_factory):
    """No test reads or writes the user's own files: a gateway goes on with the batches it finds there."""
    before = os.environ.get("XDG_DATA_HOME")
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))
    yield
    if before is None:
        del os.environ["XDG_DATA_HOME"]
    else:
        os.environ["XDG_DATA_HOME"] = before
