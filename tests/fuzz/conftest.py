"""On the two towns of the access tests."""

from tests.access.conftest import built, database_url, towns

__all__ = ["built", "database_url", "towns"]
