"""`python -m tests.access.fuzz`: asks whatever the schema allows, and tells of answers that none may be."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.access.fuzz import SECONDS, SEED


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round, to have it again")
    given = parser.parse_args()
    environment = {**os.environ, SECONDS: str(given.seconds), SEED: str(given.seed)}
    print(f"seed {given.seed}, for {given.seconds:.0f} s", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", str(Path(__file__).parent)]
    return subprocess.call(command, env=environment)


if __name__ == "__main__":
    sys.exit(main())
