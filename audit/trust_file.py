"""Writing a trust file; `audit.policy` has its format, and reads it."""

from audit.malformed import Malformed
from audit.policy import Policy, parse_policy


def format_policy(policy: Policy) -> bytes:
    """Raises ValueError for what would not be read back."""
    rows: list[tuple[str, ...]] = []
    rows += (("log", item.key.vkey, item.url or "") for item in policy.logs)
    rows += (("witness", item.name, item.key.vkey, item.url or "") for item in policy.witnesses)
    rows += (("group", item.name, str(item.threshold), *item.members) for item in policy.groups)
    rows.append(("quorum", policy.quorum))
    if policy.founding is not None:
        rows.append(("founding", policy.founding))
    if policy.max_age is not None:
        rows.append(("max-age", str(policy.max_age)))
    data = "".join(" ".join(row).rstrip(" ") + "\n" for row in rows).encode()
    try:
        same = parse_policy(data) == policy
    except Malformed as error:
        raise ValueError("not a policy") from error
    if not same:
        raise ValueError("not a policy")
    return data
