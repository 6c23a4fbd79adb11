//! When what booted, from `journal.log` as `journalctl --output=short-iso-precise` writes it.
//!
//! Before journald runs nobody stamps lines: what the kernel and the initrd say has the time at which
//! it was read. The sums that systemd prints at the end (`Startup finished in …`) have no such gap, so
//! these are what boots are compared by.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::clean;

/// Units that are shown, the slowest.
const UNITS: usize = 6;
/// Boots of one machine that are told apart; more only come of a loop of reboots.
const BOOTS: usize = 8;
/// Targets that mark how far a boot has come.
const TARGETS: [&str; 8] = [
    "initrd-root-fs.target",
    "initrd.target",
    "local-fs.target",
    "sysinit.target",
    "basic.target",
    "network-online.target",
    "multi-user.target",
    "emergency.target",
];
/// The longest name shown, in characters.
const NAME: usize = 60;

/// One boot of a machine. Times are seconds from its first line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Boot {
    /// When its first line was written. Forks of one machine have its boot, and this to know it by.
    pub(super) began: Timestamp,
    /// What took how long, in the order of beginning.
    pub(super) spans: Vec<Span>,
    /// Until systemd said that all is up, or until the last line.
    pub(super) seconds: f64,
    /// Whether systemd said that all is up.
    pub(super) is_up: bool,
    /// What systemd adds up: `kernel`, `initrd`, `userspace` and how many seconds each took.
    pub(super) parts: Vec<(String, f64)>,
}

/// Something that took time, or happened at a moment (then it ends where it begins).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// From the first line to the first of anything but the kernel.
    Kernel,
    /// A stage of Ignition.
    Ignition,
    /// A unit, from `Starting` to `Started` or `Finished`.
    Unit,
    /// A target that was reached.
    Target,
    /// A unit or a stage that failed.
    Failed,
}

impl Boot {
    /// What it took, by systemd's own sum if there is one.
    pub(super) fn total(&self) -> f64 {
        if self.parts.is_empty() {
            self.seconds
        } else {
            self.parts.iter().map(|(_, seconds)| seconds).sum()
        }
    }
}

/// The boots that a journal tells of, in order.
pub(super) fn boots(journal: &str) -> Vec<Boot> {
    let mut boots = Vec::new();
    let mut reader: Option<Reader> = None;
    for line in journal.lines() {
        let Some((stamp, who, message)) = parse(line) else { continue };
        let is_first = who == "kernel" && message.starts_with("Linux version ");
        if (is_first || reader.is_none())
            && let Some(at) = time(stamp)
        {
            boots.extend(reader.replace(Reader::new(at)).map(Reader::finish));
            if boots.len() == BOOTS {
                return boots;
            }
        }
        if let Some(reader) = &mut reader {
            reader.line(stamp, who, message);
        }
    }
    boots.extend(reader.map(Reader::finish));
    boots
}

/// Reads one boot.
struct Reader {
    first: Timestamp,
    last: f64,
    kernel: Option<f64>,
    stage: Option<(String, f64)>,
    starting: HashMap<String, f64>,
    units: Vec<Span>,
    boot: Boot,
}

impl Reader {
    fn new(first: Timestamp) -> Self {
        Self {
            first,
            last: 0.0,
            kernel: None,
            stage: None,
            starting: HashMap::new(),
            units: Vec::new(),
            boot: Boot { began: first, ..Boot::default() },
        }
    }

    fn line(&mut self, stamp: &str, who: &str, message: &str) {
        // What comes after the boot is the scenario's business. Times are only read where they matter.
        if self.boot.is_up || who == "kernel" {
            return;
        }
        let Some(at) = time(stamp) else { return };
        // A clock that was set back while it booted makes nothing negative.
        let at = at.duration_since(self.first).as_secs_f64().max(self.last);
        self.last = at;
        self.kernel.get_or_insert(at);
        match who {
            "ignition" => self.ignition(at, message),
            "systemd" => self.systemd(at, message),
            _ => {}
        }
    }

    fn ignition(&mut self, at: f64, message: &str) {
        if let Some(stage) = message.strip_prefix("Stage: ") {
            self.end_stage(at, Kind::Ignition);
            self.stage = Some((format!("Ignition {stage}"), at));
        } else if message.starts_with("Ignition finished") {
            self.end_stage(at, Kind::Ignition);
        } else if message.starts_with("Ignition failed") {
            self.end_stage(at, Kind::Failed);
        }
    }

    fn end_stage(&mut self, at: f64, kind: Kind) {
        if let Some((name, from)) = self.stage.take() {
            self.boot.spans.push(span(&name, kind, from, at));
        }
    }

    fn systemd(&mut self, at: f64, message: &str) {
        if let Some(unit) = message.strip_prefix("Starting ") {
            self.starting.entry(name_of(unit).to_owned()).or_insert(at);
        } else if let Some(unit) =
            message.strip_prefix("Started ").or_else(|| message.strip_prefix("Finished "))
        {
            let name = name_of(unit);
            if let Some(from) = self.starting.remove(name) {
                self.units.push(span(name, Kind::Unit, from, at));
            }
        } else if let Some(unit) = message.strip_prefix("Failed to start ") {
            let name = name_of(unit);
            let from = self.starting.remove(name).unwrap_or(at);
            self.boot.spans.push(span(name, Kind::Failed, from, at));
        } else if let Some(target) = message.strip_prefix("Reached target ") {
            let name = name_of(target);
            if TARGETS.contains(&name) && self.boot.spans.iter().all(|span| span.name != name) {
                self.boot.spans.push(span(name, Kind::Target, at, at));
            }
        } else if let Some(sums) = message.strip_prefix("Startup finished in ") {
            self.boot.parts = parts(sums);
            self.boot.is_up = true;
        }
    }

    fn finish(mut self) -> Boot {
        let last = self.last;
        // What was never done is why it isn't up.
        if !self.boot.is_up {
            let waiting = self.starting.into_iter().chain(self.stage);
            let undone = |(name, from): (String, f64)| {
                span(&format!("{name} (not done)"), Kind::Unit, from, last)
            };
            self.units.extend(waiting.map(undone));
        }
        let took = |span: &Span| span.to - span.from;
        self.units.sort_by(|one, other| {
            took(other).total_cmp(&took(one)).then_with(|| one.name.cmp(&other.name))
        });
        self.units.truncate(UNITS);
        self.boot.spans.append(&mut self.units);
        if let Some(kernel) = self.kernel {
            self.boot.spans.push(span("kernel", Kind::Kernel, 0.0, kernel));
        }
        self.boot.spans.sort_by(|one, other| {
            one.from.total_cmp(&other.from).then_with(|| one.name.cmp(&other.name))
        });
        self.boot.spans.truncate(3 * UNITS);
        self.boot.seconds = last;
        self.boot
    }
}

fn span(name: &str, kind: Kind, from: f64, to: f64) -> Span {
    Span { name: clean::line(name, NAME), kind, from, to }
}

/// `2026-01-31T12:00:00.000000+0000 host systemd[1]: Started …` as its time, its writer and its message.
fn parse(line: &str) -> Option<(&str, &str, &str)> {
    let (stamp, rest) = line.split_once(' ')?;
    let (_host, rest) = rest.split_once(' ')?;
    let (who, message) = rest.split_once(": ")?;
    let name = who.split_once('[').map_or(who, |(name, _)| name);
    // Of all systemds, the one that boots the system.
    (name != "systemd" || who == "systemd[1]").then_some((stamp, name, message))
}

fn time(stamp: &str) -> Option<Timestamp> {
    stamp.parse().ok()
}

/// `dbus.service - D-Bus System Message Bus...` as `dbus.service`; older systemds only have the text.
fn name_of(text: &str) -> &str {
    let name = text.split_once(" - ").map_or(text, |(name, _)| name);
    name.trim_end_matches('.')
}

/// `4.876s (kernel) + 13.487s (userspace) = 18.364s.`
fn parts(text: &str) -> Vec<(String, f64)> {
    let sums = text.split_once(" = ").map_or(text, |(sums, _)| sums);
    let part = |part: &str| {
        let (time, name) = part.split_once(" (")?;
        Some((clean::line(name.strip_suffix(')')?, NAME), seconds(time)?))
    };
    sums.split(" + ").map(part).collect::<Option<_>>().unwrap_or_default()
}

/// `1min 2.345s` in seconds.
fn seconds(text: &str) -> Option<f64> {
    text.split(' ')
        .map(|word| {
            let at = word.find(|c: char| c.is_ascii_alphabetic() || c == 'µ')?;
            let (number, unit) = word.split_at(at);
            let number: f64 = number.parse().ok().filter(|it: &f64| (0.0..1e9).contains(it))?;
            let unit = match unit {
                "h" => 3600.0,
                "min" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                _ => return None,
            };
            Some(number * unit)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};
    use test_case::test_case;

    use super::{Boot, Kind, boots, seconds};

    /// Two boots as Flatcar and as the reference image write them, shortened.
    const JOURNAL: &str = "\
2026-01-31T12:00:00.000000+0000 host kernel: Linux version 6.6.0-flatcar (gcc)
2026-01-31T12:00:00.500000+0000 host kernel: Command line: console=ttyS0
2026-01-31T12:00:01.000000+0000 host systemd[1]: systemd 255 running in system mode
2026-01-31T12:00:01.250000+0000 host ignition[163]: Stage: fetch-offline
2026-01-31T12:00:01.500000+0000 host ignition[163]: Ignition finished successfully
2026-01-31T12:00:02.000000+0000 host ignition[204]: Stage: files
2026-01-31T12:00:02.500000+0000 host ignition[204]: Ignition failed: no such user
2026-01-31T12:00:03.000000+0000 host systemd[1]: Starting dbus.service - D-Bus System Message Bus...
2026-01-31T12:00:03.100000+0000 host systemd[700]: Starting user.service - not the system's...
2026-01-31T12:00:04.000000+0000 host systemd[1]: Started dbus.service - D-Bus System Message Bus.
2026-01-31T12:00:04.100000+0000 host systemd[1]: Failed to start docker.service - Docker.
2026-01-31T12:00:05.000000+0000 host systemd[1]: Reached target multi-user.target - Multi-User System.
2026-01-31T12:00:05.500000+0000 host systemd[1]: Startup finished in 1min 2.5s (kernel) + 876ms (initrd) + 3s (userspace) = 1min 6.376s.
2026-01-31T12:09:00.000000+0000 host systemd[1]: Starting late.service...
not a line of a journal
2026-01-31T12:10:00.000000+0000 host kernel: Linux version 6.6.0-flatcar (gcc)
2026-01-31T12:10:02.000000+0000 host systemd[1]: Starting stuck.service - Stuck...
2026-01-31T12:10:09.000000+0000 host sshd[9]: a line
";

    fn spans(boot: &Boot) -> Vec<(&str, Kind, f64, f64)> {
        boot.spans.iter().map(|span| (&*span.name, span.kind, span.from, span.to)).collect()
    }

    #[test]
    fn two_boots() {
        let [up, stuck] = &boots(JOURNAL)[..] else { panic!("two boots") };
        assert!(up.is_up && !stuck.is_up);
        assert_eq!(
            spans(up),
            [
                ("kernel", Kind::Kernel, 0.0, 1.0),
                ("Ignition fetch-offline", Kind::Ignition, 1.25, 1.5),
                ("Ignition files", Kind::Failed, 2.0, 2.5),
                ("dbus.service", Kind::Unit, 3.0, 4.0),
                ("docker.service", Kind::Failed, 4.1, 4.1),
                ("multi-user.target", Kind::Target, 5.0, 5.0),
            ]
        );
        let parts: Vec<_> = up.parts.iter().map(|(name, took)| (&**name, *took)).collect();
        assert_eq!(parts, [("kernel", 62.5), ("initrd", 0.876), ("userspace", 3.0)]);
        assert!((up.total() - 66.376).abs() < 1e-9 && (up.seconds - 5.5).abs() < 1e-9);
        assert_eq!(
            spans(stuck),
            [
                ("kernel", Kind::Kernel, 0.0, 2.0),
                ("stuck.service (not done)", Kind::Unit, 2.0, 9.0),
            ]
        );
        assert!((stuck.total() - 9.0).abs() < 1e-9);
    }

    #[test_case("18.364s", Some(18.364); "seconds")]
    #[test_case("1h 1min 1s", Some(3661.0); "all")]
    #[test_case("12ms", Some(0.012); "milliseconds")]
    #[test_case("s", None; "no number")]
    #[test_case("-1s", None; "negative")]
    #[test_case("3 parsecs", None; "no unit of time")]
    fn durations(text: &str, expected: Option<f64>) {
        assert_eq!(seconds(text), expected);
    }

    proptest! {
        #[test]
        fn any_lines_give_plots_that_can_be_drawn(
            lines in prop::collection::vec((0_u32..5000, 0_usize..9, any::<String>()), 0..80)
        ) {
            const WORDS: [&str; 9] = [
                "kernel: Linux version ", "systemd[1]: Starting ", "systemd[1]: Started ",
                "systemd[1]: Reached target multi-user.target - ", "systemd[1]: Failed to start ",
                "systemd[1]: Startup finished in 1s (kernel) + ", "ignition[1]: Stage: ",
                "ignition[1]: Ignition finished ", "",
            ];
            let line = |(at, word, text): &(u32, usize, String)| {
                let (minute, second) = (at / 60 % 60, at % 60);
                format!("2026-01-31T12:{minute:02}:{second:02}.000001+0000 h {}{text}", WORDS[*word])
            };
            let journal = lines.iter().map(line).collect::<Vec<_>>().join("\n");
            for boot in boots(&journal) {
                prop_assert!(boot.seconds >= 0.0 && boot.total() >= 0.0 && boot.spans.len() <= 18);
                for span in boot.spans {
                    prop_assert!(0.0 <= span.from && span.from <= span.to && span.to <= boot.seconds);
                }
            }
        }
    }
}
