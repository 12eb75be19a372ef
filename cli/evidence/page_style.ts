/** The style of an incident's page: light and dark, wide, narrow and paper. */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --ground: #f4f5f7; --card: #fff; --text: #1b1f27; --soft: #5b6472;
  --line: #dfe3e9; --tint: #f0f2f5; --link: #0b57b0;
  --bad: #b3140f; --bad-tint: #fde8e6; --bad-line: #f3bcb7;
  --good: #17663a; --good-tint: #e2f4e8;
  --warn: #7a4b00; --warn-tint: #fdf0d5;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas,
    "DejaVu Sans Mono", "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151a; --card: #1a1e25; --text: #e3e7ee; --soft: #98a2b3;
    --line: #2c323c; --tint: #222831; --link: #7db7ff;
    --bad: #ff8f86; --bad-tint: #43201f; --bad-line: #7a3733;
    --good: #7fd8a0; --good-tint: #183526;
    --warn: #f2c572; --warn-tint: #3a2e17;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
    "DejaVu Sans", sans-serif;
}
main { max-width: 78rem; margin: 0 auto; padding: 1.25rem; }
code, pre, .mono { font-family: var(--mono); font-size: .85em; }
code { overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.25; margin: 0; }
h1 { font-size: 1.65rem; }
h2 { font-size: 1.15rem; margin-bottom: .75rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .4rem; }
p { margin: .35rem 0; }
a { color: var(--link); }
.soft { color: var(--soft); }
.small { font-size: .87em; }
.card, .head {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.15rem 1.3rem; margin: 0 0 1rem;
}
.head { border-top: 5px solid var(--bad); }
.head .mono { font-size: .9em; }
.what {
  margin: .9rem 0 0; padding: 0; list-style: none;
}
.what li {
  padding: .65rem 0; border-top: 1px solid var(--line);
}
.what strong { font-size: 1.08rem; overflow-wrap: anywhere; }
.pills { display: flex; flex-wrap: wrap; gap: .35rem; margin-top: .35rem; }
.pill {
  display: inline-block; padding: .05rem .55rem; border-radius: 99px;
  background: var(--tint); color: var(--soft); font-size: .8rem;
  white-space: nowrap;
}
.pill.bad { background: var(--bad-tint); color: var(--bad); font-weight: 600; }
.pill.good {
  background: var(--good-tint); color: var(--good); font-weight: 600;
}
.pill.warn {
  background: var(--warn-tint); color: var(--warn); font-weight: 600;
}
.pill.rule { background: var(--bad); color: var(--card); font-weight: 700; }
nav {
  display: flex; flex-wrap: wrap; gap: .2rem .9rem; margin: .9rem 0 0;
  font-size: .87rem;
}
.commands { display: grid; grid-template-columns: minmax(0, 1fr); gap: .55rem; margin: .6rem 0 0; }
.commands > div {
  display: grid; grid-template-columns: minmax(0, 27rem) minmax(0, 1fr);
  gap: .15rem 1rem; align-items: baseline;
}
.commands code {
  display: block; padding: .35rem .6rem; border-radius: 6px;
  background: var(--tint); border: 1px solid var(--line);
  user-select: all; -webkit-user-select: all;
}
.scroll { overflow-x: auto; max-width: 100%; }
.two {
  display: grid; gap: 0 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 31rem), 1fr));
}
.two > div { min-width: 0; }
table { border-collapse: collapse; }
td, th {
  padding: .14rem .9rem .14rem 0; text-align: left; vertical-align: top;
}
th { color: var(--soft); font-weight: 500; font-size: .85em; }
table.mono td, table.mono th { white-space: nowrap; }
table.lined { width: 100%; }
table.lined td, table.lined th {
  border-top: 1px solid var(--line); padding-top: .3rem; padding-bottom: .3rem;
}
table.lined tr:first-child > * { border-top: 0; }
td.wrap { white-space: normal !important; overflow-wrap: anywhere; }
.code { line-height: 1.45; }
.two .code { font-size: .8em; }
.code tr.gone td { background: var(--good-tint); }
.code tr.come td { background: var(--bad-tint); }
.code tr.here td { background: var(--warn-tint); }
.code tr.label td {
  color: var(--soft); padding-top: .35rem; font-weight: 600;
}
.code td:first-child { color: var(--soft); padding-left: .45rem; }
.code .raw { color: var(--soft); }
.hex { line-height: 1.5; }
.hex td { padding-right: 1.1rem; }
.hex .sign { padding: 0 .5rem; user-select: none; -webkit-user-select: none; }
.hex tr.gone td { background: var(--good-tint); }
.hex tr.come td { background: var(--bad-tint); }
.hex i { font-style: normal; font-weight: 700; border-radius: 3px; }
.hex tr.gone i { color: var(--good); }
.hex tr.come i { color: var(--bad); }
.hex pre, td pre { margin: 0; font-size: 1em; }
.sym { color: var(--link); }
.was { color: var(--good); }
.is { color: var(--bad); }
.lack {
  border-left: 3px solid var(--warn); padding: .2rem .7rem;
  color: var(--soft); margin: .35rem 0;
}
details { margin-top: .6rem; }
summary { cursor: pointer; font-weight: 600; font-size: .93rem; }
details > *:not(summary) { margin-top: .4rem; }
.registers {
  display: grid; gap: 0 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
}
.registers > div { display: flex; gap: .6rem; padding: .1rem 0; min-width: 0; }
.registers > div > span:first-child {
  color: var(--soft); flex: 0 0 auto; min-width: 3.3rem;
}
.registers > div > span:last-child { min-width: 0; overflow-wrap: anywhere; }
.stack { columns: 2 33rem; column-gap: 1.5rem; line-height: 1.5; }
.stack > div { overflow-wrap: anywhere; break-inside: avoid; }
.stack > .here { background: var(--warn-tint); }
footer { color: var(--soft); font-size: .85rem; padding: .3rem .3rem 2rem; }
@media (max-width: 46rem) {
  main { padding: .6rem; }
  .card, .head { padding: .9rem; border-radius: 8px; }
  h1 { font-size: 1.3rem; }
  .commands > div { grid-template-columns: minmax(0, 1fr); }
  .facts, .facts tbody, .facts tr { display: block; }
  .facts td, .facts th { display: block; padding-right: 0; }
  .facts th { padding-bottom: 0; border-top: 1px solid var(--line); }
  .facts td { border-top: 0 !important; padding-top: 0; }
}
@media print {
  :root {
    color-scheme: light;
    --ground: #fff; --card: #fff; --text: #000; --soft: #444; --line: #bbb;
    --tint: #eee; --link: #000; --bad: #a00; --bad-tint: #f6dada;
    --good: #040; --good-tint: #dcefe2; --warn: #530; --warn-tint: #f3e8cf;
  }
  html { font-size: 11px; }
  body { font-size: 10.5px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  .card, .head { border-radius: 0; padding: .6rem .2rem; border-width: 1px 0 0; }
  .head { border-top-width: 3px; }
  nav { display: none; }
  .scroll { overflow: visible; }
  .two { grid-template-columns: 1fr; }
  tr, .commands > div, h2, h3 { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
}
`;
