"""What ids look like."""

import re

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")  # of clients, mailings and imports
SEGMENT = re.compile(r"[a-z]{1,16}(#[0-9]{1,6}){1,3}")
