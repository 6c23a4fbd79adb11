//! What hits a rule.

use super::rule::Check;
use crate::compare::{content_size, directory_size};
use crate::views::bytes;
use crate::{
    Aspect, Change, Component, Diff, Entry, Inventory, PackageMove, Partition, Presence, visible,
};

/// Something that a rule is about and that is not as it should be.
pub(super) struct Found {
    /// What an id ends with, and what `allow` is matched with.
    pub(super) subject: String,
    /// Of what; part of the id unless it is the image itself.
    pub(super) component: Option<Component>,
    /// A sentence.
    pub(super) message: String,
    /// The file in the image.
    pub(super) path: Option<String>,
}

/// What a check found, and what it could not see.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) found: Vec<Found>,
    /// Aspects that had to be comparable.
    pub(super) needs: Vec<Aspect>,
    /// What isn't known of the new image, which no comparison notes: a name for ids, and a sentence.
    pub(super) unknown: Vec<(String, String)>,
}

impl Outcome {
    fn needs(aspects: &[Aspect]) -> Self {
        Self { needs: aspects.to_vec(), ..Self::default() }
    }

    fn hit(&mut self, subject: impl Into<String>, component: Option<&Component>, message: String) {
        let component = component.filter(|component| **component != Component::Base).cloned();
        self.found.push(Found { subject: subject.into(), component, message, path: None });
    }

    fn file(&mut self, component: &Component, path: &str, message: String) {
        self.hit(path, Some(component), message);
        if let Some(found) = self.found.last_mut() {
            found.path = Some(path.to_owned());
        }
    }
}

/// Where partitions are mounted whose files are known by their paths.
fn mounted(label: &str) -> Option<&'static str> {
    match label {
        "EFI-SYSTEM" => Some("/boot"),
        "USR-A" => Some("/usr"),
        "OEM" => Some("/oem"),
        _ => None,
    }
}

impl Check {
    pub(super) fn run(&self, diff: &Diff<'_>) -> Outcome {
        match self {
            Self::PartitionUsed { partition, below } => {
                let used = |partition: &Partition| partition.used;
                let size = of_partition(diff.new, partition, used).or_else(|| {
                    directory_size(diff.new, &Component::Base, mounted(partition)?)
                        .filter(|size| *size > 0)
                });
                at_most(partition, "uses", size, *below)
            }
            Self::PartitionSize { partition, below } => {
                let size = of_partition(diff.new, partition, |partition| Some(partition.size));
                at_most(partition, "has", size, *below)
            }
            Self::ImageSizeChange { within } => image_size(diff, *within),
            Self::DirectorySize { path, component, below, growth } => {
                directory(diff, path, component, *below, *growth)
            }
            Self::NoDowngrade => no_downgrade(diff),
            Self::NoNewSetuid | Self::NoNewCapability | Self::NoRemovedFile { .. } => {
                self.files(diff)
            }
            Self::NoRemovedUnit | Self::NoNewListener | Self::NoNewUser => self.names(diff),
            Self::KernelConfig { must, unchanged } => {
                let mut outcome = Outcome::default();
                if !unchanged.is_empty() {
                    outcome.needs.push(Aspect::KernelConfig);
                }
                kernel_unchanged(diff, unchanged, &mut outcome);
                match &diff.new.kernel_config {
                    None if !must.is_empty() => outcome.unknown.push((
                        Aspect::KernelConfig.name().to_owned(),
                        "the new image's kernel config is not known".to_owned(),
                    )),
                    config => {
                        for (option, wanted) in must {
                            let value = config.as_ref().and_then(|config| config.get(option));
                            let value = value.map_or("n", String::as_str);
                            if value.trim_matches('"') != wanted.trim_matches('"') {
                                let message =
                                    format!("{option} is {}, and must be {wanted}", visible(value));
                                outcome.hit(option, None, message);
                            }
                        }
                    }
                }
                outcome
            }
            Self::MustBeComparable { aspects } => Outcome::needs(aspects),
        }
    }

    fn files(&self, diff: &Diff<'_>) -> Outcome {
        let mut outcome = match self {
            Self::NoNewCapability => Outcome::needs(&[Aspect::Files, Aspect::Capabilities]),
            _ => Outcome::needs(&[Aspect::Files]),
        };
        for change in &diff.changes {
            let Change::File(file) = change else { continue };
            let path = visible(&file.path);
            let message = match self {
                Self::NoNewSetuid if file.gained_setid() => {
                    let was = if file.old.is_some() { "now runs" } else { "is new and runs" };
                    format!(
                        "{path} {was} with the rights of {}",
                        file.new.map(rights).unwrap_or_default()
                    )
                }
                Self::NoNewCapability if file.gained_capabilities() => {
                    let given =
                        file.new.and_then(|new| new.capabilities.as_deref()).unwrap_or_default();
                    format!("{path} gives whoever runs it {}", visible(given))
                }
                Self::NoRemovedFile { files }
                    if file.change == Presence::Removed
                        && files.iter().any(|glob| is_match(glob, &file.path)) =>
                {
                    format!("{path} is gone")
                }
                _ => continue,
            };
            outcome.file(file.component, &file.path, message);
        }
        outcome
    }

    fn names(&self, diff: &Diff<'_>) -> Outcome {
        let aspect = match self {
            Self::NoRemovedUnit => Aspect::Files,
            Self::NoNewListener => Aspect::Listeners,
            _ => Aspect::Users,
        };
        let mut outcome = Outcome::needs(&[aspect]);
        for change in &diff.changes {
            match (self, change) {
                (Self::NoRemovedUnit, Change::Unit { realm, name, change: Presence::Removed }) => {
                    outcome.hit(
                        *name,
                        Some(realm),
                        format!("the unit {} is gone or masked", visible(name)),
                    );
                }
                (Self::NoNewListener, Change::Listener { listener, change: Presence::Added }) => {
                    let crate::Listener { unit, protocol, address } = listener;
                    let (subject, message) = if address == crate::Listener::UNKNOWN {
                        (unit.clone(), format!("{} is enabled, and was not before", visible(unit)))
                    } else {
                        let what = format!("{unit}:{protocol}:{address}");
                        let (protocol, address) = (visible(protocol), visible(address));
                        (
                            what,
                            format!(
                                "{} listens on {protocol} {address}, and did not before",
                                visible(unit)
                            ),
                        )
                    };
                    outcome.hit(subject, None, message);
                }
                (Self::NoNewUser, Change::User(user))
                    if user.change == Presence::Added || user.is_alarming() =>
                {
                    let name = visible(user.name);
                    let message = match (user.old, user.new.map(|new| (new.uid, new.password))) {
                        (None, Some((uid, Some(true)))) => {
                            format!("the user {name} ({uid}) is new, and a password lets it in")
                        }
                        (None, _) => format!("the user {name} is new"),
                        (Some(_), Some((0, _))) => {
                            format!("the user {name} is root now, or a password lets it in")
                        }
                        (Some(_), _) => {
                            format!("a password lets the user {name} in, and did not before")
                        }
                    };
                    outcome.hit(user.name, None, message);
                }
                _ => {}
            }
        }
        outcome
    }
}

pub(super) fn is_match(glob: &str, subject: &str) -> bool {
    // A path may have brackets of its own.
    glob == subject || glob_match::glob_match(glob, subject)
}

fn rights(entry: &Entry) -> String {
    let name = |name: &Option<String>| {
        name.as_deref().map_or_else(|| "unknown".into(), visible).into_owned()
    };
    let owner = (entry.mode & 0o4000 != 0).then(|| format!("its owner ({})", name(&entry.owner)));
    let group = (entry.mode & 0o2000 != 0).then(|| format!("its group ({})", name(&entry.group)));
    owner.into_iter().chain(group).collect::<Vec<_>>().join(" and ")
}

fn of_partition(
    inventory: &Inventory,
    label: &str,
    what: impl Fn(&Partition) -> Option<u64>,
) -> Option<u64> {
    what(inventory.partitions.as_ref()?.get(label)?)
}

fn at_most(label: &str, verb: &str, size: Option<u64>, below: u64) -> Outcome {
    let mut outcome = Outcome::default();
    match size {
        None => outcome.unknown.push((
            format!("{}:{label}", Aspect::Partitions.name()),
            format!("of the new image's partition {label} it is not known how much it {verb}"),
        )),
        Some(size) if size >= below => {
            let message =
                format!("{label} {verb} {}, and must stay below {}", bytes(size), bytes(below));
            outcome.hit(label, None, message);
        }
        Some(_) => {}
    }
    outcome
}

fn image_size(diff: &Diff<'_>, within: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let content = content_size(diff.old).zip(content_size(diff.new));
    let disk = diff.old.size.zip(diff.new.size);
    if content.is_none() && disk.is_none() {
        outcome.needs = vec![Aspect::Files, Aspect::ImageSize];
    }
    for (subject, what, sizes) in
        [("content", "all files take", content), ("disk", "the disk has", disk)]
    {
        let Some((old, new)) = sizes.filter(|(old, new)| old.abs_diff(*new) > within) else {
            continue;
        };
        let message = format!(
            "{what} {}, and {} before: more than {} apart",
            bytes(new),
            bytes(old),
            bytes(within)
        );
        outcome.hit(subject, None, message);
    }
    outcome
}

fn directory(
    diff: &Diff<'_>,
    path: &str,
    component: &Component,
    below: Option<u64>,
    growth: Option<u64>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let (old, new) =
        (directory_size(diff.old, component, path), directory_size(diff.new, component, path));
    let whose = match component {
        Component::Base => String::new(),
        component => format!(" of {component}"),
    };
    let untold = |side: &str| {
        let why = format!("the files{whose} are not known of the {side} image");
        (format!("{}:{component}", Aspect::Files.name()), why)
    };
    match (new, below) {
        (None, _) => outcome.unknown.push(untold("new")),
        (Some(new), Some(below)) if new >= below => {
            let message =
                format!("{path}{whose} takes {}, and must stay below {}", bytes(new), bytes(below));
            outcome.hit(path, Some(component), message);
        }
        _ => {}
    }
    match (old, new, growth) {
        (None, Some(_), Some(_)) => outcome.unknown.push(untold("old")),
        (Some(old), Some(new), Some(growth)) if new.saturating_sub(old) >= growth => {
            let message = format!(
                "{path}{whose} grew by {} to {}, and must grow by less than {}",
                bytes(new - old),
                bytes(new),
                bytes(growth)
            );
            outcome.hit(format!("{path}:growth"), Some(component), message);
        }
        _ => {}
    }
    outcome
}

fn no_downgrade(diff: &Diff<'_>) -> Outcome {
    let mut outcome = Outcome::needs(&[Aspect::Packages]);
    for change in &diff.changes {
        let Change::Package(package) = change else { continue };
        let (name, old, new) =
            (visible(package.name), package.old.join(", "), package.new.join(", "));
        let (old, new) = (visible(&old), visible(&new));
        let message = match package.change {
            // Of several versions the newest may just be gone.
            PackageMove::Down if package.new.is_empty() => {
                format!("{name} {old} is gone, and an older version left")
            }
            PackageMove::Down => format!("{name} went down from {old} to {new}"),
            PackageMove::Unordered => {
                format!("{name} went from {old} to {new}, and which is newer can't be told")
            }
            _ => continue,
        };
        outcome.hit(package.name, Some(package.component), message);
    }
    outcome
}

fn kernel_unchanged(diff: &Diff<'_>, unchanged: &[String], outcome: &mut Outcome) {
    for change in &diff.changes {
        let Change::KernelOption { option, old, new } = change else { continue };
        if unchanged.iter().any(|glob| is_match(glob, option)) {
            let (old, new) = (old.unwrap_or("n"), new.unwrap_or("n"));
            let message =
                format!("{} went from {} to {}", visible(option), visible(old), visible(new));
            outcome.hit(*option, None, message);
        }
    }
}
