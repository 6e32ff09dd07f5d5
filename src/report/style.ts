/** The only style sheet of the report; no other file is needed to show it. */
export const STYLE = `
:root { color-scheme: light dark; --bg: #fbfbfa; --card: #ffffff; --ink: #1d2125; --soft: #5d6671; --line: #e2e5e8;
  --good: #14795b; --bad: #b3372f; --accent: #2f6fbf; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171a; --card: #1c2024; --ink: #e6e9ec; --soft: #9aa4af;
  --line: #30363c; --good: #4cc79d; --bad: #f0857c; --accent: #7fb2f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "DejaVu Sans", sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 40px 0 12px; }
h3 { font-size: 15px; margin: 0 0 8px; }
p { margin: 0 0 12px; }
.soft { color: var(--soft); }
.small { font-size: 13px; margin: 8px 0 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
main:focus { outline: 0; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 16px; top: 8px; padding: 6px 12px; background: var(--card); color: var(--accent); z-index: 1; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 16px 0 0; font-size: 14px; }
nav a { color: var(--accent); }
.grid { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; min-width: 0; }
.card + .card:not(.grid > .card), .card + .grid, .grid + .card { margin-top: 16px; }
summary { cursor: pointer; color: var(--soft); margin: 0 0 12px; }
ul { margin: 0; padding-left: 20px; }
.figures { display: flex; flex-wrap: wrap; gap: 8px 28px; }
.figure b { display: block; font-size: 26px; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
.figure span { color: var(--soft); font-size: 13px; }
figure { margin: 0; }
.chart > svg { display: block; width: 100%; height: auto; max-width: 460px; margin: 0 auto; }
.chart p { color: var(--soft); font-size: 13px; margin: 0 0 8px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; margin: 0 0 8px; }
.legend span { display: inline-flex; align-items: center; gap: 6px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); }
tbody th, tfoot th { color: var(--ink); font-weight: 400; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th button::after { content: " ↕"; opacity: 0.5; }
th[aria-sort=ascending] button::after { content: " ↑"; opacity: 1; }
th[aria-sort=descending] button::after { content: " ↓"; opacity: 1; }
th.prose { white-space: normal; min-width: 9em; overflow-wrap: break-word; }
td.prose { white-space: normal; min-width: 22em; text-align: left; }
td small { display: block; color: var(--soft); font-size: 12px; }
tfoot td, tfoot th { font-weight: 600; border-bottom: 0; border-top: 2px solid var(--line); }
dl { display: grid; grid-template-columns: minmax(110px, max-content) 1fr; gap: 4px 16px; margin: 0; font-size: 14px; }
dt { color: var(--soft); overflow-wrap: anywhere; }
dd { margin: 0; overflow-wrap: anywhere; }
.edit { border-top: 1px solid var(--line); padding: 12px 0; }
.edit:first-of-type { border-top: 0; padding-top: 0; }
.edit > p { margin: 0 0 8px; }
.edit b { color: var(--accent); }
.probe { display: grid; gap: 0 14px; grid-template-columns: 7.5em 1fr; padding: 6px 0; font-size: 14px; }
.probe .kind { color: var(--soft); font-size: 13px; }
.probe .said { overflow-wrap: anywhere; }
.answers { display: flex; flex-wrap: wrap; gap: 0 20px; }
.answers .who { color: var(--soft); font-size: 13px; }
.right { color: var(--good); font-weight: 600; }
.wrong { color: var(--bad); font-weight: 600; }
@media (max-width: 560px) { .probe { grid-template-columns: 1fr; } h1 { font-size: 22px; } }
`;
