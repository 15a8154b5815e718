"""The looks of a report: light and dark, desk and phone, screen and paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1b2430; --soft: #5a6675; --faint: #8a95a3;
  --rule: #e1e6ec; --paper: #ffffff; --panel: #f5f7fa;
  --blue: 47 111 208; --orange: 208 92 32;
  --cell-blue: 47 111 208; --cell-orange: 208 92 32; --floor: .12;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e9ef; --soft: #a0abb9; --faint: #7a8696;
    --rule: #2c3540; --paper: #12171d; --panel: #1a2129;
    --blue: 96 156 240; --orange: 236 132 76;
    --cell-blue: 62 116 200; --cell-orange: 186 88 36; --floor: .26;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 3rem; max-width: 66rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
    "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .75rem;
  letter-spacing: -.015em; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 1rem;
  letter-spacing: -.01em; }
h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
p { margin: 0 0 .75rem; max-width: 42rem; }
header p { color: var(--soft); }
section { padding: 2rem 0 .5rem; margin-top: 2rem;
  border-top: 1px solid var(--rule); }
small, .soft { color: var(--soft); font-size: .85rem; }
.note { padding: .75rem 1rem; border-radius: 8px;
  background: rgb(var(--orange) / .12); }
nav { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin-top: 1.25rem;
  font-size: .9rem; }
a { color: rgb(var(--blue)); text-decoration: none; }
a:hover { text-decoration: underline; }
footer { margin-top: 3rem; color: var(--faint); font-size: .85rem; }

.headline { display: grid; gap: 2rem 3rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.hero { font-size: 3.75rem; font-weight: 650; line-height: 1;
  letter-spacing: -.03em; margin-bottom: .5rem; }
.interval { position: relative; height: 10px; margin: 1.1rem 0 .8rem;
  border-radius: 5px; background: var(--rule); max-width: 26rem; }
.interval i { position: absolute; top: 0; bottom: 0; border-radius: 5px;
  background: rgb(var(--blue) / .4); }
.interval b { position: absolute; top: -4px; bottom: -4px; width: 3px;
  margin-left: -1.5px; border-radius: 2px; background: rgb(var(--blue)); }
.figures { display: grid; gap: 1.25rem 1.5rem; margin: 0; align-content: start;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.figures dt { color: var(--soft); font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-weight: 600;
  font-variant-numeric: tabular-nums; line-height: 1.35; }
.figures dd.soft { font-size: .85rem; font-weight: 400; }

.facts { display: grid; gap: .75rem 2rem; margin: 0 0 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 13rem), 1fr)); }
.lines { margin: 1rem 0; padding-inline-start: 1.1rem; }
.lines li { margin-bottom: .4rem; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 0; }
.facts .wide { grid-column: span 2; }

.scroll { overflow-x: auto; margin: .5rem 0 1rem; max-width: 52rem; }
table { border-collapse: collapse; width: 100%; font-size: .925rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .75rem; text-align: right; vertical-align: baseline;
  border-bottom: 1px solid var(--rule); white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; }
th:first-child { text-align: start; padding-inline-start: 0; }
tbody th, tfoot th { font-weight: 500; white-space: normal; min-width: 6.5rem;
  max-width: 22rem; }
tfoot td, tfoot th { font-weight: 600; border-bottom: 0; }
th small { display: block; font-weight: 400; }
.words { text-align: start; }
td.words { white-space: normal; max-width: 30rem; }
tbody th, td.words { overflow-wrap: break-word; }
td.bar div { display: flex; align-items: center; gap: .75rem; }
td.bar span { flex: 1 0 4.5rem; height: 8px; border-radius: 4px;
  overflow: hidden; background: var(--rule); }
td.bar i { display: block; height: 100%; background: rgb(var(--blue) / .8); }
.badge { padding: .1rem .5rem; border-radius: 1rem; font-size: .75rem;
  color: rgb(var(--blue)); background: rgb(var(--blue) / .14); }
details { margin: .5rem 0 1rem; }
summary { cursor: pointer; color: rgb(var(--blue)); font-size: .9rem; }

figure { margin: 0; }
figcaption { font-weight: 600; margin-bottom: .25rem; }
.pair { display: grid; gap: 2rem 2.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.pair h3 { margin: 0 0 .25rem; }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; }
.beside > * { min-width: 0; flex: 0 1 auto; }
.beside > div:last-child { flex: 1 1 20rem; }
.beside th, .beside td { padding-inline-end: .4rem; }
.beside h3 { margin-top: .5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 0 0 .5rem;
  padding: 0; list-style: none; font-size: .85rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: .45rem; }
.swatch { width: 14px; height: 10px; border-radius: 2px; flex: none; }
.swatch.training, .swatch.validation, .swatch.rate { height: 3px; }
.swatch.training { background: rgb(var(--orange)); }
.swatch.validation, .swatch.rate { background: rgb(var(--blue)); }
.swatch.correct { background: rgb(var(--blue) / .75); }
.swatch.wrong { background: rgb(var(--orange) / .6); }
.swatch.often { background: var(--faint); }
svg { display: block; width: 100%; height: auto; }
svg.plot { max-width: 29rem; }
svg text { font-size: 12px; fill: var(--soft); unicode-bidi: plaintext;
  font-variant-numeric: tabular-nums; }
.grid { stroke: var(--rule); }
.mark { stroke: var(--faint); stroke-dasharray: 3 3; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.training { stroke: rgb(var(--orange)); }
.line.validation, .line.rate { stroke: rgb(var(--blue)); }
.dot.training { fill: rgb(var(--orange)); }
.dot.validation { fill: rgb(var(--blue)); }
.diagonal { fill: none; stroke: var(--ink); stroke-dasharray: 5 4; }
.area.correct { fill: rgb(var(--blue) / .75); }
.area.wrong { fill: rgb(var(--orange) / .6); }
.area.often { fill: var(--faint); }

.confusion { width: auto; font-size: .85rem; }
.confusion th, .confusion td { padding: 0; border: 0; }
.confusion tbody th { padding-inline-end: .6rem; text-align: end;
  vertical-align: middle; white-space: nowrap; max-width: 9rem;
  overflow: hidden; text-overflow: ellipsis;
  position: sticky; inset-inline-start: 0; background: var(--paper); }
.confusion thead th { vertical-align: bottom; text-align: start;
  padding-bottom: .4rem; color: var(--ink); }
.confusion thead span { display: block; margin: 0 auto; max-height: 9rem;
  writing-mode: vertical-rl; transform: rotate(180deg); overflow: hidden; }
.confusion td { min-width: 2.15rem; height: 2.15rem; text-align: center;
  vertical-align: middle; border: 1px solid var(--paper);
  background: var(--panel); }
.confusion thead td { background: none; }
.confusion.wide td { min-width: 4rem; }
.confusion.wide thead th { text-align: center; }
.confusion.wide thead span { writing-mode: horizontal-tb; transform: none; }
.confusion td.correct { background: rgb(var(--cell-blue) / var(--alpha)); }
.confusion td.wrong { background: rgb(var(--cell-orange) / var(--alpha)); }
.confusion td {
  --alpha: calc(var(--floor) + (.75 - var(--floor)) * var(--share)); }
.drawn { display: block; max-width: 100%; width: 44rem; border-radius: 8px;
  margin-bottom: 1rem; }
.matrix { min-width: 40rem; max-width: 52rem; }
.matrix image { image-rendering: pixelated; }
.matrix rect { fill: none; stroke: var(--rule); }
.matrix text { font-size: 11px; }

.mistakes { display: grid; gap: 1.25rem 1rem; margin: 0; padding: 0;
  list-style: none; line-height: 1.35; font-size: .9rem;
  grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.mistakes li > * { display: block; }
.mistakes img { width: 100%; aspect-ratio: 1; object-fit: contain;
  border-radius: 6px; background: var(--panel); margin-bottom: .4rem; }
.mistakes .pixels { image-rendering: pixelated; }
.mistakes small { color: var(--soft); font-size: .75rem;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
pre { margin: 0 0 1rem; padding: .9rem 1rem; border-radius: 8px;
  background: var(--panel); font: .9rem/1.5 var(--mono);
  white-space: pre-wrap; }

@media (max-width: 36rem) {
  body { padding: 1.5rem 1rem 2rem; }
  h1 { font-size: 1.5rem; }
  th, td { padding: .4rem .5rem; }
  td.bar span { flex-basis: 3rem; }
  tbody th { max-width: 9rem; }
  .scores td.bar span { display: none; }
  .facts { grid-template-columns: 1fr 1fr; gap: .75rem 1rem; }
  .confusion tbody th { max-width: 6.5rem; }
  .mistakes { grid-template-columns: repeat(2, 1fr); }
}
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, details { display: none; }
  section { padding-top: 1rem; margin-top: 1rem; }
  th, td { padding-block: .2rem; }
  tfoot { display: table-row-group; }
  .pair { grid-template-columns: 1fr 1fr; }
  .mistakes { grid-template-columns: repeat(6, 1fr); font-size: .8rem; }
  h2, h3, figcaption { break-after: avoid; }
  figure, tr, .mistakes li, .headline, .confusion { break-inside: avoid; }
  .scroll { overflow: visible; }
  .matrix { min-width: 0; }
  .confusion td { min-width: 1.6rem; height: 1.6rem; }
}
"""
