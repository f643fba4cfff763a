"""Work that goes on beside everything else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def running(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:  # Any: whatever they send and await
    """Keeps `works` going while the `with` lasts."""
    tasks = {asyncio.create_task(work) for work in works}
    try:
        yield
    finally:
        # Again where a library took a cancellation for a failure of its own, and the work went on.
        while tasks:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=1)
