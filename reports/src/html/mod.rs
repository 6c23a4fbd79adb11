//! The HTML report: one file that needs nothing else, with the verdict first and the causes next.
//!
//! - `page` puts it together; `head`, `causes`, `matrix`, `boots` and `gantt` are its parts.
//! - `case` is all that is told about a case that didn't pass, `baseline` what an earlier run says.
//! - `files` finds evidence, `excerpt` reads the telling lines of it, `journal` when what booted.
//!
//! # What can be relied on
//! - The same run, with the same evidence, gives the same bytes.
//! - No network: its Content-Security-Policy allows its own script and style, and pictures in data URIs.
//! - Whatever guests wrote is text: `maud` escapes it, no control character gets through, and secrets
//!   are taken out of excerpts before they are shown.
//! - Its size is bounded whatever the run: see [`BUDGET`]. What is left out is said to be.

mod baseline;
mod boots;
mod case;
mod causes;
mod excerpt;
mod files;
mod gantt;
mod head;
mod journal;
mod matrix;
mod page;

pub use page::{HtmlOptions, render};

/// The bytes that evidence may take in the page, after escaping. What explains most comes first: a
/// case of each cause, then a second of each, and so on. With the parts that grow with the number of
/// cases by less than a kilobyte each, the page stays below 15 MB for 2,000 of them.
const BUDGET: usize = 10_000_000;

/// The bytes that screenshots may take of that.
const PICTURES: usize = 4_000_000;
