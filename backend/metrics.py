"""What is counted for Prometheus, of one process."""

from prometheus_client import Counter, Histogram

VOTES = Counter("heitto_votes", "Vote statements answered after their commit")
VOTE_BATCH = Histogram(
    "heitto_vote_batch_statements",
    "Vote statements that shared a transaction",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
BOARD_PAGES = Counter("heitto_board_pages", "Pages of boards read", ["source"])
PUBLIC_ANSWERS = Counter(
    "heitto_public_answers",
    "Answers the same for everyone: from the process, from Redis, made; and kept ones that were found stale (dropped)",
    ["how"],
)
BOARD_REBUILDS = Counter("heitto_board_rebuilds", "Boards of a municipality made anew")
LOGINS = Counter("heitto_logins", "Logins with a provider, by how they ended", ["provider", "outcome"])
UNPLANNED = Counter("heitto_graphql_unplanned", "Operations left to graphql-core to execute", ["reason"])
REFUSED_ACTS = Counter("heitto_refused_acts", "Acts of a kind that came too often", ["kind"])
