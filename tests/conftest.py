import os

from hypothesis import settings

# `make test` takes the first, which finds today what it found yesterday. `HYPOTHESIS_PROFILE=long make test` looks
# further, each time elsewhere, for as long as an hour.
settings.register_profile("bounded", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bounded"))
