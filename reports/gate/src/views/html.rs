//! For people with a browser: one file that needs nothing else, and that a hostile name can't do anything in.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{SECTIONS, link, probability};
use crate::{Decision, Effect, Finding, Verdict};

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d1d9e0;--soft:#f6f8fa;--bad:#b3261e;--warn:#8a5a00;--good:#1a7f37}\
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--line:#30363d;--soft:#161b22;--bad:#ff7b72;--warn:#e3b341;--good:#56d364}}\
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1100px;padding:1.5rem}\
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.05rem;border-top:1px solid var(--line);margin:1.4rem 0 .4rem;padding-top:.8rem}\
p{margin:.2rem 0}.dim{color:var(--dim)}a{color:inherit}\
.verdict{border-left:.35rem solid;padding:.5rem .9rem;background:var(--soft)}\
table{border-collapse:collapse;width:100%;font-size:.92rem}td,th{border-top:1px solid var(--line);padding:.2rem .7rem .2rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{color:var(--dim);font-weight:400}ul{list-style:none;padding:0;margin:0}li{border-top:1px solid var(--line);padding:.35rem 0;overflow-wrap:anywhere}\
li:target{background:var(--soft)}code{font:.9em ui-monospace,monospace;white-space:pre-wrap}\
.bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--good)}";

/// The decision as a page.
#[must_use]
pub fn html(decision: &Decision) -> String {
    let mut out =
        String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    let style = STANDARD.encode(Sha256::digest(STYLE));
    // Writing to a string can't fail. Nothing may be fetched or run, even if something slipped through.
    let _ = writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <div class=\"verdict {1}\"><h1>{0}</h1><p>{2}</p></div>",
        decision.verdict,
        tone(decision.verdict),
        escaped(&decision.headline()),
    );
    let _ = writeln!(out, "<p class=\"dim\">as of {} (UTC)</p>", decision.as_of);
    table(
        &mut out,
        "Image",
        &["name", "version", "arch", "sha256"],
        decision.images.iter().map(|image| {
            [&image.name, &image.version, &image.arch, &image.digest].map(|it| code(it)).to_vec()
        }),
    );
    for (effect, title) in SECTIONS {
        let findings: Vec<_> =
            decision.findings.iter().enumerate().filter(|(_, it)| it.effect == effect).collect();
        if findings.is_empty() {
            continue;
        }
        let _ = writeln!(out, "<h2>{title} ({})</h2>\n<ul>", findings.len());
        for (index, finding) in findings {
            item(&mut out, index, finding);
        }
        out.push_str("</ul>\n");
    }
    matrix(&mut out, decision);
    table(
        &mut out,
        "Waivers",
        &["waiver", "state", "owner", "until", "tracker", "reason"],
        decision.waivers.iter().map(|it| {
            let state = it.state.clone();
            vec![
                code(&it.id),
                state,
                escaped(&it.owner),
                it.expires.to_string(),
                code(&it.tracker),
                escaped(&it.reason),
            ]
        }),
    );
    if let Some(flakes) = &decision.flakes {
        let _ = write!(
            out,
            "<h2>First-pass rate</h2>\n<p>{} of all cases in required cells",
            flakes.all
        );
        if let Some((now, before, p)) = &flakes.compared {
            let p = probability(*p);
            let _ =
                write!(out, "; of those that the baseline has {now}, and {before} then (p = {p})");
        }
        out.push_str("</p>\n");
    }
    out.push_str("<h2>Checklist</h2>\n<ul>\n");
    for checkbox in &decision.checklist {
        let mark = if checkbox.done == Some(true) { "☑" } else { "☐" };
        let owner = checkbox.owner.as_ref().map(|owner| format!(" ({owner})")).unwrap_or_default();
        let _ = writeln!(out, "<li>{mark} {}{}</li>", escaped(&checkbox.text), escaped(&owner));
    }
    out.push_str("</ul>\n");
    table(
        &mut out,
        "Inputs",
        &["for", "file", "sha256"],
        decision.inputs.iter().map(|file| {
            let role = format!("{:?}", file.role).to_lowercase();
            let digest = file.sha256.as_deref().map_or("can't be read".to_owned(), code);
            vec![role, anchor(&file.path, &file.path), digest]
        }),
    );
    out.push_str("</body>\n</html>\n");
    out
}

fn item(out: &mut String, index: usize, finding: &Finding) {
    let class = match finding.effect {
        Effect::Blocks => "bad",
        Effect::Incomplete | Effect::Accepted => "warn",
        Effect::Warns | Effect::Fine => "dim",
    };
    let _ = write!(
        out,
        "<li id=\"f{index}\"><a class=\"{class}\" href=\"#f{index}\"><code>{}</code></a> {}<br><span class=\"dim\"><code>{}</code>",
        escaped(&finding.id),
        escaped(&finding.text),
        escaped(&finding.rule),
    );
    if let Some(owner) = &finding.owner {
        let _ = write!(out, " · {}", escaped(owner));
    }
    for path in &finding.evidence {
        let _ = write!(out, " · {}", anchor(path, path.rsplit('/').next().unwrap_or(path)));
    }
    out.push_str("</span></li>\n");
}

fn matrix(out: &mut String, decision: &Decision) {
    let heads =
        ["cell", "", "owner", "passed", "flaky", "failed", "waived", "open", "skipped", "before"];
    let rows = decision.cells.iter().map(|cell| {
        let required = if cell.required { "required" } else { "optional" };
        let owner = cell.owner.as_deref().map(escaped).unwrap_or_default();
        let mut row = vec![
            code(&cell.name),
            required.to_owned(),
            owner,
            format!("{}/{}", cell.passed, cell.planned),
        ];
        let counts = [cell.flaky, cell.failed, cell.waived, cell.open, cell.skipped];
        row.extend(counts.map(|count| count.to_string()));
        row.push(cell.baseline.map(|before| before.to_string()).unwrap_or_default());
        row
    });
    table(out, "Matrix", &heads, rows);
}

/// Cells are HTML already.
fn table(out: &mut String, title: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let rows: String =
        rows.map(|row| format!("<tr><td>{}</td></tr>\n", row.join("</td><td>"))).collect();
    if rows.is_empty() {
        return;
    }
    let heads = heads.join("</th><th>");
    let _ = writeln!(out, "<h2>{title}</h2>\n<table>\n<tr><th>{heads}</th></tr>\n{rows}</table>");
}

fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NoGo => "bad",
        Verdict::Incomplete | Verdict::GoWithWaivers => "warn",
        Verdict::Go => "good",
    }
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

fn anchor(path: &str, text: &str) -> String {
    format!("<a href=\"{}\"><code>{}</code></a>", link(path), escaped(text))
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
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
