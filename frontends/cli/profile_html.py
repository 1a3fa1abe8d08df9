"""A profile as one HTML file: numbers, the graph of kernels, and a table; it loads nothing."""

from __future__ import annotations

from html import escape

from tensorkiln.frontends.cli.profile import Profile, Timing
from tensorkiln.frontends.cli.profile_graph import graph_svg, heat

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #0f172a; background: #fff; margin: 2rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 0; }
dt { color: #475569; } dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
.graph { overflow: auto; text-align: center; max-height: 75vh; border: 1px solid #cbd5e1; border-radius: 6px; }
svg text { font-family: system-ui, sans-serif; fill: #0f172a; }
svg .node { font-size: 12px; font-weight: 600; } svg .time { font-size: 12px; }
svg a:focus rect, svg a:hover rect { stroke-width: 3; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e2e8f0; }
th { position: sticky; top: 0; background: #f1f5f9; } th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid #0369a1; }
td.text, th.text { text-align: left; } td.text { min-width: 12rem; max-width: 32rem; overflow-wrap: break-word; }
tr:target { outline: 2px solid #0369a1; }
.wide { overflow-x: auto; } p { max-width: 60rem; color: #334155; }
"""
# Sorts by the column whose heading is pressed: numbers from large to small, texts by letters.
_SCRIPT = """
document.querySelectorAll('th button').forEach((button, column) => {
  button.addEventListener('click', () => {
    const body = document.querySelector('tbody');
    const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (a, b) => isNaN(key(a)) ? key(a).localeCompare(key(b)) : key(b) - key(a);
    body.append(...[...body.rows].sort(order));
  });
});
"""
_HEAD = (
    ("call", ""), ("us", ""), ("share", ""), ("GFLOP/s", ""), ("of peak", ""), ("GB/s", ""),
    ("of copy", ""), ("kernel", "text"), ("nodes", "text"), ("operations", "text"),
)  # fmt: skip


def page(found: Profile) -> str:
    """The report."""
    title = escape(f"Profile of {found.model}")
    most = max((t.share for t in found.timings), default=0.0) or 1.0
    by_time = sorted(found.timings, key=lambda t: -t.seconds)
    rows = "\n".join(_row(t, heat(t.share / most)) for t in by_time)
    head = "".join(
        f'<th scope="col" class="{kind}"><button type="button">{name}</button></th>'
        for name, kind in _HEAD
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<dl>{_facts(found)}</dl>
<h2>Kernels in the order of the data</h2>
<p>Each box is one call of a kernel with the model's nodes that it computes; the more orange, the
larger its share of the time. A box leads to its row in the table.</p>
<div class="graph" tabindex="0">{graph_svg(found.timings)}</div>
<h2>Kernels by time</h2>
<p>Medians over the runs. “Of peak” is the share of the multiply-add rate of this machine in f32,
“of copy” the share of its rate of copying in memory; data in caches can be faster than that.</p>
<div class="wide"><table><thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _facts(found: Profile) -> str:
    facts = {
        "a run": f"{found.plain * 1e3:.3f} ms",
        "with clocks": f"{found.seconds * 1e3:.3f} ms",
        "between kernels": f"{found.between / found.seconds:.1%}" if found.seconds else "-",
        "threads": str(found.threads),
        "runs": str(found.runs),
        "arithmetic": f"{sum(t.flops * t.runs for t in found.timings) / 1e9:.3f} GFLOP",
        "multiply-add peak": f"{found.peak / 1e9:.0f} GFLOP/s",
        "copying": f"{found.copying / 1e9:.1f} GB/s",
    }
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())


def _row(t: Timing, colour: str) -> str:
    rate = t.runs / t.seconds / 1e9 if t.seconds else 0.0
    numbers = [
        (t.number, f"{t.number}"), (t.seconds, f"{t.seconds * 1e6:.1f}"),
        (t.share, f"{t.share:.1%}"), (t.flops * rate, f"{t.flops * rate:.1f}"),
        (t.peak, f"{t.peak:.0%}"), (t.bytes * rate, f"{t.bytes * rate:.1f}"),
        (t.bandwidth, f"{t.bandwidth:.0%}"),
    ]  # fmt: skip
    cells = [f'<td data-value="{value:.9g}">{text}</td>' for value, text in numbers]
    cells[2] = cells[2].replace("<td", f'<td style="background:{colour}"', 1)
    texts = (t.kernel, ", ".join(t.nodes), " ".join(t.operations))
    cells += [f'<td class="text">{escape(text)}</td>' for text in texts]
    return f'<tr id="call{t.number}">{"".join(cells)}</tr>'
