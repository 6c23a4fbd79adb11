//! For people with a browser: one file that needs nothing else, and that a hostile name can't do anything in.

use std::fmt::Write as _;

use super::story::{Section, Story, Tone};

/// The most rows of a section, unless all are wanted: browsers are slow with more.
const ROWS: usize = 2000;

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d1d9e0;--soft:#f6f8fa;--bad:#b3261e;--warn:#8a5a00;--good:#1a7f37}\
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--line:#30363d;--soft:#161b22;--bad:#ff7b72;--warn:#e3b341;--good:#56d364}}\
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1100px;padding:1.5rem}\
h1{font-size:1.3rem;margin:0 0 .6rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:0 0 1rem}\
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}.verdict{border-left:.35rem solid;padding:.5rem .9rem;background:var(--soft);font-weight:600;margin:0 0 1.2rem}\
details{border-top:1px solid var(--line);padding:.6rem 0}summary{cursor:pointer;overflow-wrap:anywhere}summary b{margin-right:.6rem}summary span{color:var(--dim)}\
table{border-collapse:collapse;width:100%;margin-top:.5rem;font-size:.92rem}td{border-top:1px solid var(--line);padding:.2rem .6rem .2rem 0;vertical-align:top;overflow-wrap:anywhere}\
td:first-child{white-space:nowrap;width:4.5rem;font-weight:600}code{font:.9em ui-monospace,monospace;white-space:pre-wrap}\
.bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--good)}.plain{color:var(--dim)}.more{color:var(--dim)}";

pub(super) fn render(story: &Story, all: bool) -> String {
    let mut out =
        String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Nothing may be fetched or run, even if something slipped through.
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Image diff</title>\n",
    );
    let _ = writeln!(out, "<style>{STYLE}</style>\n</head>\n<body>\n<h1>Image diff</h1>\n<dl>");
    for (name, side) in &story.sides {
        let _ = writeln!(out, "<dt>{name}</dt><dd><code>{}</code></dd>", escaped(side));
    }
    let _ = writeln!(
        out,
        "</dl>\n<p class=\"verdict {}\">{}</p>",
        class(story.tone),
        escaped(&story.verdict)
    );
    for (index, section) in story.sections.iter().enumerate() {
        write_section(&mut out, section, index < 2, all);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn write_section(out: &mut String, section: &Section, is_open: bool, all: bool) {
    let open = if is_open { " open" } else { "" };
    let _ = writeln!(
        out,
        "<details{open}>\n<summary><b>{}</b><span>{}</span></summary>",
        escaped(section.title),
        escaped(&section.summary)
    );
    let shown = if all { section.rows.len() } else { section.rows.len().min(ROWS) };
    if shown > 0 {
        out.push_str("<table>\n");
        for row in &section.rows[..shown] {
            let id = row.id.as_ref().map(|id| format!("<code>{}</code><br>", escaped(id)));
            let _ = writeln!(
                out,
                "<tr><td class=\"{}\">{}</td><td>{}<code>{}</code></td></tr>",
                class(row.tone),
                row.label,
                id.unwrap_or_default(),
                escaped(&row.text)
            );
        }
        out.push_str("</table>\n");
    }
    if shown < section.rows.len() {
        let more = section.rows.len() - shown;
        let _ = writeln!(out, "<p class=\"more\">{more} more are left out; --all has them</p>");
    }
    out.push_str("</details>\n");
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Bad => "bad",
        Tone::Warn => "warn",
        Tone::Good => "good",
        Tone::Plain => "plain",
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
