"""What tests of the object store share."""

from collections.abc import Iterator

import pytest

from include.perf.adapters.s3.objects import Objects
from tests.object_stores import ObjectStore, Proxy


@pytest.fixture
def objects(s3: ObjectStore) -> Objects:
    """The objects below a prefix of a bucket of its own."""
    return s3.objects()


@pytest.fixture
def proxy(s3: ObjectStore) -> Iterator[Proxy]:
    """What stands between a client and the server, and can fail."""
    proxy = Proxy(s3.port)
    yield proxy
    proxy.close()
