"""Fixtures for the tests of the object store."""

from collections.abc import Iterator

import pytest

from include.perf.adapters.s3.objects import Objects
from tests.object_stores import ObjectStore, Proxy


@pytest.fixture
def objects(s3: ObjectStore) -> Objects:
    """Objects below a prefix of a separate bucket."""
    return s3.objects()


@pytest.fixture
def proxy(s3: ObjectStore) -> Iterator[Proxy]:
    """A proxy between client and server that can fail on purpose."""
    proxy = Proxy(s3.port)
    yield proxy
    proxy.close()
