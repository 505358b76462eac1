import os

from hypothesis import settings

# `make test` is bounded; `HYPOTHESIS_PROFILE=long` looks longer (an hour at night, or before a release).
settings.register_profile("default", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5000, stateful_step_count=80)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
