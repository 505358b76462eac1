import os

from hypothesis import settings

# `make test` takes the first; `HYPOTHESIS_PROFILE=long make test` looks further, for as long as an hour.
settings.register_profile("bounded", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bounded"))
