"""What the report of a search needs beside the looks of all reports."""

SEARCH_STYLE = """
#together .scroll, #trials .scroll, #stages .scroll { max-width: none; }
.parallel { width: 100%; }
.parallel .upright { stroke: var(--faint); }
.parallel text { paint-order: stroke; stroke: var(--paper); stroke-width: 4px;
  stroke-linejoin: round; }
.parallel .name { fill: var(--ink); font-weight: 500; }
.trial { fill: none; stroke-width: 1.4; stroke-linejoin: round;
  stroke: color-mix(in oklab, rgb(var(--blue)) calc(100% * var(--share)),
    rgb(var(--orange)));
  opacity: calc(.3 + .6 * var(--share)); }
.trial.failed { stroke: var(--faint); stroke-dasharray: 4 4; opacity: .6; }
.trial:hover { stroke: var(--ink); stroke-width: 3; opacity: 1; }
.ramp { display: inline-block; width: 5rem; height: 8px; border-radius: 4px;
  background: linear-gradient(90deg in oklab, rgb(var(--orange)),
    rgb(var(--blue))); }
.dot { fill: rgb(var(--blue)); }
.dot.stage-1 { fill: rgb(var(--orange) / .75); }
.dot.stage-2 { fill: rgb(var(--blue) / .8); }
.swatch.stage-1, .range.stage-1 i { background: rgb(var(--orange)); }
.swatch, .range i { background: rgb(var(--blue)); }
path.failed { fill: none; stroke: var(--faint); stroke-width: 1.5; }
.swatch.failed { background: var(--faint); }
.line.best { stroke: var(--ink); stroke-width: 1.5; }
td.ranges { min-width: 9rem; vertical-align: middle; }
.range { position: relative; height: 7px; border-radius: 4px;
  background: var(--rule); overflow: hidden; }
.range + .range { margin-top: 3px; }
.range i { position: absolute; top: 0; bottom: 0; border-radius: 4px;
  min-width: 3px; }
#stages td.words { min-width: 9rem; }
/* What a trial says runs below the other cells of its row. */
#trials th small { width: 0; }
#trials small span { display: block; width: min(30rem, 75vw); }
.importance { max-width: 36rem; }
@media print { .parallel { min-width: 0 !important; } }
"""
