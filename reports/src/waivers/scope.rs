//! Where a waiver holds.

use super::version::{Version, VersionRange};
use crate::{CaseResult, Image, Plan};

/// Where a waiver holds: everywhere that all of these allow.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// A glob over names of scenarios.
    pub(super) scenario: String,
    /// Any of these; everywhere if there are none.
    pub(super) platform: Vec<String>,
    pub(super) arch: Vec<String>,
    pub(super) channel: Vec<String>,
    pub(super) version: Option<VersionRange>,
}

/// Whether a case is in a scope, but for the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Inside,
    /// And why, as a clause.
    Outside(String),
    /// It can't be told, and why, as a clause. What can't be told isn't waived.
    Unknown(String),
}

impl Scope {
    pub(super) fn is_about(&self, case: &CaseResult) -> bool {
        glob_match::glob_match(&self.scenario, &case.planned.id.scenario)
    }

    /// Whether it holds for a case that it is about.
    pub(super) fn place(&self, plan: &Plan, case: &CaseResult) -> Place {
        let name = &case.planned.id.cell;
        let cell = plan.cells.iter().find(|cell| cell.name == *name);
        let unknown = |what: &str| format!("plan.json doesn't say what {what} the cell {name} has");
        let image = &plan.image;
        let places = [
            one_of(&self.platform, "platform", cell.map(|cell| &*cell.platform), || {
                unknown("platform")
            }),
            one_of(&self.arch, "arch", cell.map(|cell| &*cell.arch), || unknown("arch")),
            one_of(&self.channel, "channel", channel(image), || {
                format!("the channel of the image {} is unknown", image.name)
            }),
            self.in_range(image),
        ];
        // What is certainly outside isn't unknown.
        let mut unknown = None;
        for place in places {
            match place {
                Place::Inside => {}
                Place::Outside(_) => return place,
                Place::Unknown(_) => unknown = unknown.or(Some(place)),
            }
        }
        unknown.unwrap_or(Place::Inside)
    }

    fn in_range(&self, image: &Image) -> Place {
        let Some(range) = &self.version else { return Place::Inside };
        match Version::of_image(&image.version) {
            Some(version) if range.contains(&version) => Place::Inside,
            Some(_) => Place::Outside(format!("it is for version {range}, not {}", image.version)),
            None => Place::Unknown(format!("the image's version {:?} is no number", image.version)),
        }
    }
}

fn one_of(
    allowed: &[String],
    what: &str,
    found: Option<&str>,
    unknown: impl Fn() -> String,
) -> Place {
    match found {
        _ if allowed.is_empty() => Place::Inside,
        Some(found) if allowed.iter().any(|allowed| allowed == found) => Place::Inside,
        Some(found) => {
            Place::Outside(format!("it is for {what} {}, not {found}", allowed.join(" or ")))
        }
        None => Place::Unknown(unknown()),
    }
}

/// The channel that an image was asked for by: `flatcar:stable` is of channel `stable`. A version,
/// a path and the reference image have none.
fn channel(image: &Image) -> Option<&str> {
    let (family, channel) = image.name.split_once(':')?;
    let is_word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    (is_word(family) && is_word(channel)).then_some(channel)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use crate::Image;

    #[test_case("flatcar:stable" => Some("stable".to_owned()))]
    #[test_case("fcos:next-devel" => Some("next-devel".to_owned()))]
    #[test_case("flatcar:4593.2.3" => None; "a version")]
    #[test_case("reference" => None)]
    #[test_case("./flatcar:stable" => None; "a path")]
    #[test_case("flatcar:stable.img" => None; "a file")]
    #[test_case("flatcar:" => None; "nothing")]
    fn channels(name: &str) -> Option<String> {
        let image = Image {
            name: name.into(),
            digest: String::new(),
            version: String::new(),
            profile: "flatcar".into(),
            ..Image::default()
        };
        super::channel(&image).map(str::to_owned)
    }
}
