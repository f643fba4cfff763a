"""Whatever the schema allows to be asked."""

SECONDS, SEED = "FUZZ_SECONDS", "FUZZ_SEED"  # what `python -m tests.fuzz` tells the test, as environment variables
