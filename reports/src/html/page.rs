//! The page as a whole.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::baseline::Baseline;
use super::boots::Boots;
use super::case::Teller;
use super::causes::{self, Cause};
use super::files::Files;
use super::{gantt, head, matrix};
use crate::clean;
use crate::text::human;
use crate::{CaseResult, Run, Verdict};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What an HTML report is made with, beyond the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct HtmlOptions<'a> {
    /// An earlier run to compare with, of any plan.
    pub baseline: Option<&'a Run>,
    /// The directory in which the report will lie. Evidence below it is linked; other evidence is
    /// named by its path.
    pub place: Option<&'a Path>,
}

/// The HTML report of a run. It reads evidence from the run's directory; what isn't there any more, or
/// can't be read, is left out.
#[must_use]
pub fn render(run: &Run, options: &HtmlOptions<'_>) -> String {
    let baseline = options.baseline.map(Baseline::new);
    let files = Files::new(run, options.place);
    let boots = Boots::read(run, &files);
    let causes = causes::causes(run, baseline.as_ref());
    let mut teller = Teller::new(run, baseline.as_ref(), &files, &boots);
    let title = format!("{}: {} {}", run.outcome(), run.plan.image.name, run.plan.image.version);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body class={ "o-" (head::outcome_class(run.outcome())) } {
                a.skip href="#causes" { "Skip to the causes" }
                (head::banner(run))
                main {
                    (head::notices(run))
                    (filters(run, &causes))
                    (causes::section(&causes, &mut teller))
                    (head::unjudged(run))
                    (matrix::section(run, options.baseline.zip(baseline.as_ref())))
                    (boots.section())
                    (gantt::section(run))
                    (head::about(run))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    let mut page = page.into_string();
    // Names in a plan are nobody's text, and were cleaned where they are shown. This makes it certain.
    if page.chars().any(is_bad) {
        page.retain(|c| !is_bad(c));
    }
    page
}

fn is_bad(c: char) -> bool {
    c != '\n' && clean::is_bad(c)
}

/// Nothing comes from elsewhere, and no script or style but these, whatever stands in a log.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

/// Shown by the script, since they need it.
fn filters(run: &Run, causes: &[Cause]) -> Markup {
    let has = |class: &str| run.cases.iter().any(|case| verdict_class(case) == class);
    let verdicts: Vec<_> = Verdict::ALL.into_iter().map(Verdict::word).chain(["waived"]).collect();
    html! {
        form #filters hidden aria-label="Which cases are shown" {
            fieldset {
                legend { "Verdict" }
                @for verdict in verdicts.into_iter().filter(|verdict| has(verdict)) {
                    label { input type="checkbox" name="verdict" value=(verdict) checked; " " (verdict) }
                }
            }
            label { "Text " input #search type="search" autocomplete="off" placeholder="press / to search"; }
            label {
                "Cell "
                select #cell {
                    option value="" { "all" }
                    @for cell in matrix::cells(run) { option { (cell) } }
                }
            }
            @if !causes.is_empty() {
                label {
                    "Cause "
                    select #cause {
                        option value="" { "all" }
                        @for cause in causes {
                            option value=(cause.signature) { (clean::line(&cause.headline, 60)) }
                        }
                    }
                }
            }
            button type="reset" { "Reset" }
            output #shown aria-live="polite" {}
        }
    }
}

pub(super) fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

/// How long something ran, if it did.
pub(super) fn ran_in(seconds: f64) -> String {
    if seconds > 0.0 { human(seconds) } else { String::new() }
}

/// How a case counts, in a word.
pub(super) fn verdict_word(case: &CaseResult) -> &'static str {
    if case.waived.is_some() { "waived" } else { case.verdict.word() }
}

/// The style of how a case counts.
pub(super) fn verdict_class(case: &CaseResult) -> &'static str {
    verdict_word(case)
}
