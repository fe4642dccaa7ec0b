"""What schemathesis cannot know from the OpenAPI document: the check digit of a VIN, and that a key is for one body."""

from __future__ import annotations

import uuid

import schemathesis
from hypothesis import strategies as st

from vehicle_api.vin import compute_check_digit

_vins = st.text(alphabet="0123456789ABCDEFGHJKLMNPRSTUVWXYZ", min_size=17, max_size=17)
schemathesis.openapi.format("vin", _vins.map(lambda vin: vin[:8] + compute_check_digit(vin) + vin[9:]))
schemathesis.openapi.format("idempotency-key", st.builds(lambda: uuid.uuid4().hex))
