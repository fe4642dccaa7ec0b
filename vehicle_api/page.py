"""The page at `/`: the fleet, and which Pod answered. One document without anything from elsewhere.

It arrives with its table filled in. A script then asks the API every two seconds, so that one can watch the answers
come from one Pod and another, and stop and go on while the database is killed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Final

from vehicle_api.core import StoredVehicle

_COLUMNS: Final = ("vin", "make", "model", "year", "licence_plate", "mileage", "status")
_TITLES: Final = ("VIN", "Make", "Model", "Year", "Plate", "km", "Status")

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
h1 { margin: 0 0 .25rem; font-size: 1.6rem; }
.pods { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; padding: 0; list-style: none; font-size: .875rem; }
.pods li { border: 1px solid color-mix(in srgb, currentColor 30%, transparent); border-radius: 1rem; }
.pods li { padding: 0 .75rem; }
.pods li.last { border-color: #0a7a3d; box-shadow: inset 0 0 0 1px #0a7a3d; }
#state.away { color: #c02020; font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: left; }
tr { border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
td:first-child { font-family: ui-monospace, monospace; }
td:nth-child(6), th:nth-child(6) { text-align: right; }
"""

_SCRIPT: Final = """
const columns = ["vin", "make", "model", "year", "licence_plate", "mileage", "status"];
const state = document.getElementById("state"), pods = document.getElementById("pods");
const rows = document.getElementById("rows"), answers = new Map();
function count(pod) {
  answers.set(pod, (answers.get(pod) || 0) + 1);
  pods.replaceChildren(...[...answers].sort().map(([name, number]) => {
    const item = document.createElement("li");
    item.textContent = `${name}: ${number}`;
    item.className = name === pod ? "last" : "";
    return item;
  }));
}
function show(page) {
  rows.replaceChildren(...page.items.map(vehicle => {
    const row = document.createElement("tr");
    for (const column of columns) row.insertCell().textContent = vehicle[column] ?? "";
    return row;
  }));
  const number = page.items.length;
  state.textContent = page.next ? `The first ${number} vehicles` : `${number} vehicle${number === 1 ? "" : "s"}`;
}
async function refresh() {
  try {
    const answer = await fetch("/api/vehicles", {cache: "no-store", signal: AbortSignal.timeout(4000)});
    count(answer.headers.get("X-Pod"));
    const body = await answer.json();
    state.classList.toggle("away", !answer.ok);
    if (answer.ok) show(body); else state.textContent = body.detail;
  } catch (error) {
    state.textContent = "No answer";
    state.classList.add("away");
  }
  setTimeout(refresh, 2000);
}
count(pods.dataset.pod);
setTimeout(refresh, 2000);
"""


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src {_digest(_STYLE)}; script-src {_digest(_SCRIPT)}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def _row(vehicle: StoredVehicle) -> str:
    cells = (getattr(vehicle, column) for column in _COLUMNS)
    return "<tr>" + "".join(f"<td>{'' if cell is None else escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _state(vehicles: Sequence[StoredVehicle] | None, limit: int) -> str:
    if vehicles is None:
        return '<p id="state" class="away" role="status">the database is away</p>'
    number = len(vehicles)
    text = f"The first {limit} vehicles" if number > limit else f"{number} vehicle{'' if number == 1 else 's'}"
    return f'<p id="state" role="status">{text}</p>'


def render(pod: str, vehicles: Sequence[StoredVehicle] | None, limit: int) -> str:
    """The page as this Pod sees it; None for vehicles means that the database is away."""
    name = escape(pod)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Vehicles</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Vehicles</h1>
{_state(vehicles, limit)}
<p>Answered by:</p>
<ul class="pods" id="pods" data-pod="{name}"><li class="last">{name}</li></ul>
<div class="scroll">
<table>
<thead><tr>{"".join(f"<th>{title}</th>" for title in _TITLES)}</tr></thead>
<tbody id="rows">{"".join(_row(vehicle) for vehicle in (vehicles or ())[:limit])}</tbody>
</table>
</div>
<script>{_SCRIPT}</script>
</body>
</html>
"""
