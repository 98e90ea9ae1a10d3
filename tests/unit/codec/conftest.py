"""The two engines: what is tested of the codec holds for both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mainstem.codec import engine


@pytest.fixture(scope="module", params=[engine.NATIVE, engine.FASTAVRO])
def codec_engine(request: pytest.FixtureRequest) -> Iterator[str]:
    wanted: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(engine.VARIABLE, wanted)
        if engine.engine() != wanted:
            pytest.skip("the native codec was not built")
        yield wanted
