"""The native codec: built where a compiler is. Without it mainstem is whole, and slower (see docs/adr/0013)."""

import os
from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("mainstem/codec/native")

setup(
    ext_modules=[
        Extension(
            "mainstem.codec.native._avro",
            sources=sorted(map(str, NATIVE.glob("*.c"))),
            depends=sorted(map(str, NATIVE.glob("*.h"))),
            extra_compile_args=["/O2", "/std:c11"] if os.name == "nt" else ["-O3", "-std=c11"],
            optional=True,
        )
    ]
)
