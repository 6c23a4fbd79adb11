//! A run in which everything that comes from elsewhere is hostile: every view of it is whole for a real
//! parser of its format, and free of what was planted.

use pulldown_cmark::{Event as Markdown, Options, Parser, Tag, TagEnd};
use quick_xml::events::Event as Xml;
use wheeltap_reports::{
    CaseId, Event, FailureClass, Format, JunitOptions, Outcome, Paint, Phase, Run, Severity,
    render, render_junit,
};

use crate::fixture::{Fixture, UEFI, failure};

/// Control characters, escapes, a redrawn line, text that turns its direction, characters of four
/// bytes, what was no UTF-8, what ends CDATA, comments, code, tables and blocks of YAML, mentions,
/// directives, and secrets.
const NASTY: &str = "\x1b[31mred\x1b[0m \0\x07\x08 a\rb 🚂 \u{fffd}\u{ffff}\u{202e}\u{2066} ]]> --> <![CDATA[ &amp; \"q\" 'q' \
                     ` `` ``` ~~~ | \\| # TODO #12 @octocat <b>x</b> <!-- [x](http://evil.example) ... --- \
                     password=hunter2 https://me:hunter2@host/ ghp_hunter2hunter2hunter2 \
                     $6$salt$hunter2hunter2 -----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----";

fn run() -> Fixture {
    let scenario = format!("boot.{NASTY}");
    let case = (&*scenario, UEFI);
    let mut run = Fixture::new(&[("boot.skip", UEFI), case]).skip(NASTY);
    // The one that was skipped is the first.
    let skip = run.plan.cases[1].skip.take();
    (run.plan.cases[0].skip, run.plan.cases[1].summary) = (skip, NASTY.to_owned());
    run.plan.image.name = NASTY.into();
    run.plan.image.version = NASTY.into();
    run.plan.image.origin = Some(NASTY.into());
    run.plan.image.insecure = true;
    run.plan.cells[1].firmware = Some(NASTY.into());
    let mut cause = failure(FailureClass::Product, Phase::Boot, NASTY, NASTY);
    cause.detail =
        format!("{NASTY}\n```\n  ...\nok 2 - forged\n</failure>\n\u{2028}not ok 3\n{NASTY}\n");
    run.start().fail(case, cause);
    let id = || CaseId::new(case.0, case.1);
    run.push(Event::Step { case: id(), attempt: 1, text: NASTY.into() });
    run.push(Event::ConsoleHit {
        case: id(),
        attempt: 1,
        rule: NASTY.into(),
        severity: Severity::Warn,
        text: NASTY.into(),
        line: 1,
        boot: 1,
    });
    run.push(Event::TeardownTrouble { case: id(), attempt: 1, text: NASTY.into() });
    run.push(Event::Note { text: NASTY.into() });
    run.push(Event::HarnessDefect { text: NASTY.into() });
    run.push(Event::RunInterrupted { signal: NASTY.into() });
    run.each_event(|event| {
        if let Event::RunStarted { command, host, .. } = event {
            command.extend([NASTY.to_owned(), "--token".into(), "hunter2".into()]);
            (host.name, host.os) = (NASTY.into(), NASTY.into());
        }
    });
    run
}

const FORMATS: [(&str, Format); 5] = [
    ("junit", Format::Junit),
    ("json", Format::Json),
    ("text", Format::Text(Paint::Plain)),
    ("md", Format::Markdown),
    ("tap", Format::Tap),
];

#[test]
fn every_view_is_whole() {
    let fixture = run();
    let run = fixture.load();
    for (name, format) in FORMATS {
        let report = render(&run, format).unwrap();
        let report = report.replace(fixture.dir.path().to_str().unwrap(), "/RUN");
        check(format, &report);
        insta::assert_snapshot!(format!("everything.{name}"), report);
    }
    crate::schema::hold(&fixture);
}

/// Ten megabytes from a guest are cut to what can be read, in every view.
#[test]
fn ten_megabytes_are_cut() {
    let case = ("boot.chatty", UEFI);
    let mut fixture = Fixture::new(&[case]);
    let mut cause = failure(FailureClass::Product, Phase::Boot, "chatty", "it talks too much");
    let line = "\x1b[1mблаблабла\x1b[0m password=hunter2 🚂\n";
    cause.detail = format!("the beginning\n{}the end", line.repeat(10_000_000 / line.len()));
    cause.headline.clone_from(&cause.detail);
    fixture.start().fail(case, cause).finish(Outcome::ProductFailure);
    let run: Run = fixture.load();
    for (name, format) in FORMATS {
        let report = render(&run, format).unwrap();
        assert!(report.len() < 80_000, "{name}: {} bytes", report.len());
        assert!(report.contains("the beginning"), "{name}");
        check(format, &report);
    }
    // What can be cut into files can't cut a case.
    let options = JunitOptions { max_bytes: Some(10), ..JunitOptions::default() };
    assert_eq!(render_junit(&run, &options).unwrap().len(), 1);
}

fn check(format: Format, report: &str) {
    assert!(!report.contains("hunter"), "a secret: {report}");
    let is_bad = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{ffff}' | '\u{202e}' | '\u{2066}')
    };
    assert!(!report.contains(is_bad), "{report:?}");
    match format {
        Format::Junit => xml(report),
        Format::Json => drop(serde_json::from_str::<serde_json::Value>(report).unwrap()),
        Format::Markdown => markdown(report),
        Format::Tap => tap(report),
        Format::Text(_) | Format::Summary(_) => {}
    }
}

/// Well-formed, and with no more cases than there are.
fn xml(report: &str) {
    let mut reader = quick_xml::Reader::from_str(report);
    reader.config_mut().check_comments = true;
    let mut cases = 0;
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(tag) | Xml::Empty(tag) => {
                tag.attributes().for_each(|attribute| drop(attribute.unwrap()));
                cases += usize::from(tag.name().as_ref() == b"testcase");
            }
            Xml::Eof => break,
            _ => {}
        }
    }
    assert!((1..=2).contains(&cases), "{cases}");
}

/// Nothing is drawn, linked or mentioned: what is hostile stands in code.
pub(crate) fn markdown(report: &str) {
    assert!(report.len() <= 65_535, "{}", report.len());
    let mut in_block = false;
    for event in Parser::new_ext(report, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Markdown::Html(html) | Markdown::InlineHtml(html) => panic!("HTML: {html}"),
            Markdown::Start(Tag::Link { .. } | Tag::Image { .. }) => panic!("a link in {report}"),
            Markdown::Start(Tag::CodeBlock(_)) => in_block = true,
            Markdown::End(TagEnd::CodeBlock) => in_block = false,
            Markdown::Text(text) if !in_block => {
                assert!(!text.contains(['@', '#', '<', '`', '|']), "outside of code: {text}");
            }
            _ => {}
        }
    }
    assert!(!in_block);
}

/// As many points as are planned, and no forged ones.
fn tap(report: &str) {
    let Some(parsed) = crate::tap::parsed(report) else { return };
    assert!(parsed.contains("errors: \n") || parsed.contains("errors:\n"), "{parsed}");
    assert!(!parsed.contains("forged") && !parsed.contains("unknown"), "{parsed}");
}
