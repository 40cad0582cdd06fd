"""Agencies, people and keys, as the log's own chain ``directory`` established them.

    found             opens the log and names the six keys that it has itself
    add_agency        adds an agency, perhaps below another
    add_agencies      the same for several, those above first
    change_agency     renames or moves one
    add_people        adds people: their posts, clearance, and roles, each for a time
    appoint           gives a person one more role at an agency, for a time
    dismiss           ends a role with this entry
    clear             says up to which level of secrecy a person may work
    substitute        lets one person act in the place of another, in one role, for a time
    end_substitution  ends that early
    leave             ends all that a person holds, for good, and the key
    enrol             gives a person who has none a key, perhaps with its certificate
    trust_authority, distrust_authority, revocation_list: see `domain.authorities`
    rotate            from here on the holder has another key
    revoke            from here on a key does not count; what it signed since an index is disputed

A key alone does nothing: a person acts, in a role, for an agency, within a period. All are signed
by the administrator; a key comes in with its owner's own signature besides (`audit.directory`).

The directory is a fold of those entries, so that it comes back from the log alone. What ends "with
this entry" ends at the instant at which the entry was received. A key is given as its base64
SubjectPublicKeyInfo (``spki``) and named by that structure's SHA-256. What a key is worth, and what
a certificate says, is judged where keys are opened: `audit.directory`.
"""

from domain.directory.folding import advance, changed_agencies, follow
from domain.directory.forms import ASSIGNABLE, FIELDS
from domain.directory.judging import check_agencies, check_fresh, check_purpose, judge
from domain.directory.state import Directory
from domain.directory.values import (
    ADMINISTRATOR,
    CHAIN,
    CHECKPOINT,
    CHECKPOINT_PQ,
    CLOCK,
    DOOR,
    LAPSE,
    LOG,
    REASONS,
    SERVICE,
    Agency,
    Holding,
    Key,
    KeyState,
    Period,
    Person,
    Substitution,
    key_id,
)

__all__ = [
    "ADMINISTRATOR",
    "ASSIGNABLE",
    "CHAIN",
    "CHECKPOINT",
    "CHECKPOINT_PQ",
    "CLOCK",
    "DOOR",
    "FIELDS",
    "LAPSE",
    "LOG",
    "REASONS",
    "SERVICE",
    "Agency",
    "Directory",
    "Holding",
    "Key",
    "KeyState",
    "Period",
    "Person",
    "Substitution",
    "advance",
    "changed_agencies",
    "check_agencies",
    "check_fresh",
    "check_purpose",
    "follow",
    "judge",
    "key_id",
]
