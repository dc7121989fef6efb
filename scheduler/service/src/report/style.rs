//! The page's style sheet: light and dark, screen and paper.

use super::charts::palette;

/// The style sheet. Colours are variables, so that figures follow the reader's scheme; figures
/// that carry literal colours are mapped to the same variables.
pub(crate) fn sheet() -> String {
    let light = palette::variables(palette::Scheme::Light);
    let dark = palette::variables(palette::Scheme::Dark);
    format!(
        ":root{{color-scheme:light dark;{light}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{}{RULES}",
        palette::mapping()
    )
}

const RULES: &str = "
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1160px;margin:0 auto;padding:36px 24px 48px}
h1{font-size:28px;line-height:1.2;margin:0 0 8px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:19px;line-height:1.3;margin:0 0 4px}
h3{font-size:14px;margin:20px 0 6px}
p{margin:0 0 10px;max-width:100ch}
a{color:var(--link)}
code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
code{overflow-wrap:anywhere}
section{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:22px 24px;margin:20px 0}
.lead{font-size:16px;margin-bottom:14px}
.note,.nothing,figcaption,.sub{color:var(--muted);font-size:13px}
.nothing,section>:last-child{margin-bottom:0}
.badge{display:inline-block;border:1px solid var(--muted);color:var(--muted);border-radius:99px;padding:1px 11px;font-size:12px;font-weight:600;margin-bottom:12px}
.command{background:var(--soft);border:1px solid var(--line);border-radius:8px;padding:10px 14px;margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.command b{user-select:none;color:var(--muted);font-weight:400}
nav{margin:16px 0 0;font-size:13px;display:flex;flex-wrap:wrap;gap:4px 18px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(215px,1fr));gap:14px;margin:20px 0}
.tile{margin:0;background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:16px 18px}
.tile dt{color:var(--muted);font-size:13px}
.tile dd{margin:0}
.tile .value{font-size:27px;line-height:1.3;font-weight:650;letter-spacing:-.01em}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px;margin-top:10px}
th,td{text-align:left;vertical-align:top;padding:7px 12px 7px 0;border-bottom:1px solid var(--line)}
th:last-child,td:last-child{padding-right:0}
tbody tr:last-child>*{border-bottom:0}
thead th{color:var(--muted);font-weight:600;font-size:12.5px;vertical-align:bottom;white-space:nowrap}
thead tr.groups th{border-bottom:0;padding-bottom:0;color:var(--ink)}
tbody th{font-weight:600;overflow-wrap:anywhere}
.n{text-align:right;white-space:nowrap}
.w{min-width:124px}
td .sub,th .sub{display:block;font-size:12px;font-weight:400}
.sub.bad{font-weight:600}
.unit{color:var(--muted);font-weight:400}
table.snug{width:auto;min-width:62%}
.many thead th{white-space:normal}
.many tbody th{min-width:8.5em}
.vm{min-width:120px}
.best{font-weight:700}
.bad{color:var(--bad);font-weight:600}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:10px 0 0;font-size:13.5px}
dl.facts dt{color:var(--muted)}
dl.facts dd{margin:0;overflow-wrap:anywhere}
ul{margin:6px 0 0;padding-left:20px}
li{margin:2px 0;overflow-wrap:anywhere}
figure{margin:14px 0 0}
figcaption{margin-top:4px}
figcaption code{font-size:11px}
figure svg{display:block;width:100%;height:auto}
.wide svg{min-width:860px}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(310px,1fr));gap:8px 22px}
.panels.two{grid-template-columns:repeat(auto-fill,minmax(440px,1fr))}
.panels h3{margin:6px 0 0;overflow-wrap:anywhere}
svg text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-variant-numeric:tabular-nums}
.chart text{font-size:12px;fill:var(--ink)}
.chart text.m{fill:var(--muted)}
.chart text.b{font-weight:600}
.chart text.r{text-anchor:end}
.chart text.c{text-anchor:middle}
.chart text.s{font-size:11px}
.chart text.on-dark{fill:#fff}
.chart text.on-light{fill:#14171a}
.chart text.on-stay{fill:var(--ink)}
.track{fill:var(--soft);stroke:var(--line)}
.mark{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 2}
.grid{stroke:var(--grid)}
.edge{stroke:var(--surface);stroke-width:1}
.whisker{stroke:var(--ink);stroke-width:1.3;fill:none}
.predicted{fill:var(--c5);fill-opacity:.5}
.actual{fill:var(--c0)}
.ended-badly{fill:var(--muted)}
.stopped{fill:var(--c3)}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--muted);font-size:13px;margin-top:10px}
.key span{display:inline-flex;align-items:center;gap:7px}
.key svg{width:22px;height:14px;flex:none;display:block}
footer{color:var(--muted);font-size:13px;margin-top:26px}
@media (max-width:640px){main{padding:20px 12px}section{padding:16px 14px}}
@page{size:landscape;margin:12mm}
@media print{
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{background:#fff;font-size:12px}
main{max-width:none;padding:0}
nav{display:none}
section{border:0;padding:0;margin:22px 0;border-radius:0;break-inside:avoid}
h2,h3,h2+.note{break-after:avoid}
.key{break-before:avoid;break-inside:avoid}
figure,tr,p,li,.tile{break-inside:avoid}
thead{display:table-header-group}
.scroll{overflow:visible}
.wide svg{min-width:0}
.tiles{grid-template-columns:repeat(4,1fr)}
.panels{grid-template-columns:repeat(3,1fr)}
.panels.two{grid-template-columns:repeat(2,1fr)}
table,.note,.nothing,figcaption,.sub,.key{font-size:11px}
thead th,td .sub,th .sub{font-size:10px}
.tile .value{font-size:22px}
}
";
