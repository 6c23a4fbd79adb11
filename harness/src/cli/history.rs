//! `wheeltap history`.

mod args;
mod boot;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use wheeltap_platforms::Accelerator;
use wheeltap_reports::{
    CaseId, Image, Paint, Run,
    history::{
        self, Bisection, Glyphs, History, HistoryError, HistoryResult, bisection_json,
        bisection_text,
    },
};

pub(super) use args::HistoryArgs;

use self::{
    args::{BisectArgs, FileArgs, HistoryCommand, ImportArgs, ShowArgs, WhichArgs},
    boot::{Boot, Tried},
};
use super::out;
use crate::{ExitCode, UserError, engine::Expected};

pub(super) fn history(args: &HistoryArgs) -> Result<ExitCode, UserError> {
    match &args.command {
        None => show(&args.show),
        Some(HistoryCommand::Import(args)) => import(args),
        Some(HistoryCommand::Bisect(args)) => bisect(args),
    }
}

/// Takes in a run that has just ended. Its verdict stands, whatever comes of this.
pub(super) fn record(file: Option<&Path>, run: &Run) {
    let recorded = path(file).and_then(|path| History::open(&path)?.record(run));
    if let Err(error) = recorded {
        out::error_line(format_args!("warning: this run is not in the history: {error}"));
    }
}

/// How long cases took in earlier runs with this accelerator. Without a history nothing is known, which is no error.
pub(super) fn expected(file: Option<&Path>, accelerator: Option<Accelerator>) -> Expected {
    let host = accelerator.map_or_else(|| "none".to_owned(), |it| it.to_string());
    let known = path(file).and_then(|path| {
        let history = path.exists().then(|| History::open_existing(&path)).transpose()?;
        history.map(|history| history.expected(&host)).transpose()
    });
    match known {
        Ok(Some(durations)) => Arc::new(move |case| durations.of(case)),
        Ok(None) => Arc::new(|_| None),
        Err(error) => {
            out::error_line(format_args!("warning: nothing is known of earlier runs: {error}"));
            Arc::new(|_| None)
        }
    }
}

/// The file that was asked for, or the user's.
fn path(file: Option<&Path>) -> HistoryResult<PathBuf> {
    file.map_or_else(History::path_of_user, |file| Ok(file.to_owned()))
}

impl FileArgs {
    fn open_existing(&self) -> Result<History, UserError> {
        Ok(History::open_existing(&path(self.history.as_deref())?)?)
    }
}

impl WhichArgs {
    fn has_cell(&self, case: &CaseId) -> bool {
        self.cell.as_ref().is_none_or(|cell| *cell == case.cell)
    }

    fn has_image(&self, image: &Image) -> bool {
        self.image.as_ref().is_none_or(|name| {
            // A path may hold characters that mean something in globs.
            *name == image.name || glob_match::glob_match(name, &image.name)
        })
    }
}

fn show(args: &ShowArgs) -> Result<ExitCode, UserError> {
    let history = args.file.open_existing()?;
    let is_named = |case: &CaseId| {
        args.scenario.as_ref().is_none_or(|name| glob_match::glob_match(name, &case.scenario))
    };
    let is_wanted = |case: &CaseId| is_named(case) && args.which.has_cell(case);
    let has_image = |image: &Image| args.which.has_image(image);
    let known = history.case_ids()?;
    if let Some(name) = args.scenario.as_ref().filter(|_| !known.iter().any(is_named)) {
        return Err(unknown_scenario(name, &known));
    }
    let nothing = known.is_empty();
    if !nothing && !known.iter().any(is_wanted) {
        return Err(unknown_cell(&args.which, known.iter().filter(|case| is_named(case))));
    }
    let (text, is_empty) = if args.scenario.is_some() {
        let cases = history.cases(&is_wanted, &has_image)?;
        let text = match args.json {
            true => history::details_json(&cases)?,
            false => history::details_text(&cases, paint(), glyphs()),
        };
        (text, cases.is_empty())
    } else {
        let summaries = history.summaries(&is_wanted, &has_image)?;
        let text = match args.json {
            true => history::overview_json(&summaries)?,
            false => history::overview_text(&summaries, paint(), glyphs()),
        };
        (text, summaries.is_empty())
    };
    match (is_empty, &args.which.image) {
        (true, Some(image)) if !nothing => {
            return Err(UserError::usage(format!("no recorded image matches `{image}`")));
        }
        (true, _) if !args.json => out::error_line(format_args!(
            "nothing is recorded in {} yet; `wheeltap run` and `wheeltap history import RUN…` do that",
            history.path().display()
        )),
        _ => out::text(text),
    }
    Ok(ExitCode::Passed)
}

fn import(args: &ImportArgs) -> Result<ExitCode, UserError> {
    let history = History::open(&path(args.file.history.as_deref())?)?;
    let mut imported = 0;
    for directory in &args.run {
        match Run::load(directory) {
            Ok(run) => {
                history.record(&run)?;
                imported += 1;
            }
            // One bad directory among a year's must not keep the others out.
            Err(error) => {
                let error = UserError::from(error);
                out::error_line(format_args!("{:?}", miette::Report::new(error)));
            }
        }
    }
    let runs = if imported == 1 { "1 run is".to_owned() } else { format!("{imported} runs are") };
    out::line(format_args!("{runs} in {}", history.path().display()));
    Ok(if imported == args.run.len() { ExitCode::Passed } else { ExitCode::Usage })
}

fn bisect(args: &BisectArgs) -> Result<ExitCode, UserError> {
    let history = args.file.open_existing()?;
    let case = case(args, &history.case_ids()?)?;
    let ask = || -> Result<Bisection, UserError> {
        let found = history.bisection(&case, &|image| args.which.has_image(image))?;
        found.ok_or_else(|| {
            let image = args.which.image.as_deref().unwrap_or("*");
            UserError::usage(format!("{case} never ran on an image that matches `{image}`"))
        })
    };
    let mut found = ask()?;
    if args.boot {
        let boot = Boot::new(&case, &args.out, args.json)?;
        let mut tried: Vec<Image> = Vec::new();
        while let Some(build) = found.next(&|image| tried.contains(image)) {
            let image = build.image.clone();
            match boot.run(&image)? {
                Tried::Ran(run) => {
                    history.record(&run)?;
                    if matches!(run.state, wheeltap_reports::State::Interrupted { .. }) {
                        return Ok(ExitCode::Interrupted);
                    }
                }
                Tried::Gone(why) => out::error_line(format_args!("left out: {why}")),
            }
            // Also what couldn't be judged isn't tried twice.
            tried.push(image);
            found = ask()?;
        }
    }
    out::text(match args.json {
        true => bisection_json(&found)?,
        false => bisection_text(&found, paint()),
    });
    if !args.boot && !args.json && !found.gaps().is_empty() {
        let CaseId { scenario, cell } = &case;
        out::line(format_args!(
            "`wheeltap history bisect {scenario} --cell {cell} --boot` runs it there"
        ));
    }
    let is_less_than_asked = args.boot && !found.gaps().is_empty();
    Ok(if is_less_than_asked { ExitCode::Incomplete } else { ExitCode::Passed })
}

/// The one case that is meant.
fn case(args: &BisectArgs, known: &[CaseId]) -> Result<CaseId, UserError> {
    let named: Vec<_> = known.iter().filter(|case| case.scenario == args.scenario).collect();
    if named.is_empty() {
        return Err(unknown_scenario(&args.scenario, known));
    }
    let wanted: Vec<_> = named.iter().filter(|case| args.which.has_cell(case)).collect();
    match wanted[..] {
        [] => Err(unknown_cell(&args.which, named.into_iter())),
        [case] => Ok((*case).clone()),
        _ => Err(UserError::usage(format!("{} ran in several cells", args.scenario))
            .with_help(format!("give --cell with one of: {}", cells(named.into_iter())))),
    }
}

fn unknown_scenario(name: &str, known: &[CaseId]) -> UserError {
    let likeness = |case: &CaseId| strsim::jaro_winkler(name, &case.scenario);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let help = match nearest {
        // As for `wheeltap run`: below this, two names have little in common.
        Some(case) if likeness(case) > 0.75 => format!("; did you mean `{}`?", case.scenario),
        Some(_) => "; `wheeltap history` shows what there is".to_owned(),
        None => ", nor of any other scenario".to_owned(),
    };
    UserError::usage(format!("the history has no results of `{name}`{help}"))
}

fn unknown_cell<'a>(which: &WhichArgs, known: impl Iterator<Item = &'a CaseId>) -> UserError {
    let cell = which.cell.as_deref().unwrap_or_default();
    UserError::usage(format!("the history has no results in the cell `{cell}`"))
        .with_help(format!("there are: {}", cells(known)))
}

fn cells<'a>(cases: impl Iterator<Item = &'a CaseId>) -> String {
    let mut cells: Vec<&str> = cases.map(|case| case.cell.as_str()).collect();
    cells.sort_unstable();
    cells.dedup();
    cells.join(", ")
}

fn paint() -> Paint {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Paint::Colour
    } else {
        Paint::Plain
    }
}

/// Blocks where the locale says UTF-8, else letters, which every log can hold.
fn glyphs() -> Glyphs {
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).ok());
    glyphs_of(variables.into_iter().flatten())
}

/// The first variable that isn't empty decides, as in locale(7).
fn glyphs_of(mut locales: impl Iterator<Item = String>) -> Glyphs {
    let locale = locales.find(|value| !value.is_empty()).unwrap_or_default().to_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Glyphs::Unicode
    } else {
        Glyphs::Ascii
    }
}

impl From<HistoryError> for UserError {
    fn from(error: HistoryError) -> Self {
        let message = error.to_string();
        match error {
            HistoryError::Render(_) => Self::defect(message),
            error if error.is_infra() => Self::infra(message),
            _ => Self::usage(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(&[] => Glyphs::Ascii; "no locale at all")]
    #[test_case(&["C"] => Glyphs::Ascii)]
    #[test_case(&["", "de_AT.UTF-8"] => Glyphs::Unicode; "an empty variable counts as unset")]
    #[test_case(&["C", "de_AT.UTF-8"] => Glyphs::Ascii; "the first decides")]
    #[test_case(&["C.utf8"] => Glyphs::Unicode)]
    fn sparklines_fit_the_locale(locales: &[&str]) -> Glyphs {
        glyphs_of(locales.iter().map(|&locale| locale.to_owned()))
    }

    #[test_case("flatcar:*", "flatcar:stable" => true; "a glob")]
    #[test_case("flatcar:*", "fcos:stable" => false; "of another family")]
    #[test_case("/images/[rc].img", "/images/[rc].img" => true; "a path with brackets")]
    fn images_match(wanted: &str, name: &str) -> bool {
        let which = WhichArgs { image: Some(wanted.to_owned()), ..WhichArgs::default() };
        which.has_image(&Image { name: name.to_owned(), ..Image::default() })
    }
}
