"""Whatever the schema allows to be asked."""

SECONDS, SEED = (
    "FUZZ_SECONDS",
    "FUZZ_SEED",
)  # what the command tells the test, as environment variables
