//! Runs as a harness writes them, and what is said about them.

// The attribute tells clippy that helpers are test code as well.
#[cfg(test)]
mod browser;
#[cfg(test)]
mod devtools;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod html;
#[cfg(test)]
mod junit;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod markdown;
#[cfg(test)]
mod merging;
#[cfg(test)]
mod redaction;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tap;
#[cfg(test)]
mod waivers;
