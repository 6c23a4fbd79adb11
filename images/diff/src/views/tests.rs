use jiff::civil::date;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Format, md, render};
use crate::limits::{Judgement, Limits};
use crate::sample::{file, image, link, listener, listings, package, put, user};
use crate::{Component, Inventory, compare};

const FORMATS: [Format; 6] =
    [Format::Text, Format::Markdown, Format::Html, Format::Json, Format::Sarif, Format::Junit];

/// Whatever could do harm in one of the forms.
const HOSTILE: &str =
    "\u{1b}[2J\u{7}\r\n]]><script>alert(1)</script>`` @all | **x** & 🦀 \\\\xff \u{202e}\u{9b}";

fn pair() -> (Inventory, Inventory) {
    let (mut old, mut new) = (image(), image());
    let base = |path: &str| (Component::Base, path.to_owned());
    old.name = "4081.2.0".into();
    new.name = format!("4081.2.1{HOSTILE}");
    new.version = Some("4081.2.1".into());
    put(&mut new, base(&format!("/usr/bin/{HOSTILE}")), file(0o4755, 51_280));
    put(&mut old, base("/usr/bin/gone"), file(0o755, 5 << 20));
    put(&mut old, base("/usr/bin/open"), file(0o755, 10));
    put(&mut new, base("/usr/bin/open"), file(0o777, 12));
    put(&mut old, base("/usr/lib/systemd/system/a.service"), file(0o644, 1));
    put(&mut old, base("/usr/bin/kind"), file(0o755, 1));
    put(&mut new, base("/usr/bin/kind"), link(HOSTILE));
    let docker = Component::Sysext("docker-flatcar".into());
    put(&mut new, (docker.clone(), "/usr/bin/docker".into()), file(0o755, 60 << 20));
    package(&mut new, &docker, "docker", "27.2.1");
    for (name, before, after) in [
        ("systemd", "255.8", "255.7"),
        ("openssh", "9.7p1", "9.8p1"),
        (HOSTILE, "", "1"),
        ("bzip2", "1.0.8", ""),
    ] {
        package(&mut old, &Component::Base, name, before);
        package(&mut new, &Component::Base, name, after);
    }
    new.listeners = Some([listener("a.socket", "0.0.0.0:22")].into());
    new.users.as_mut().unwrap().insert("eve".into(), user(1000, true));
    new.kernel_config.as_mut().unwrap().insert("CONFIG_B".into(), HOSTILE.into());
    new.partitions.as_mut().unwrap().get_mut("EFI-SYSTEM").unwrap().used = Some(62 << 20);
    old.users.as_mut().unwrap().get_mut("root").unwrap().password = None;
    (old, new)
}

fn judged(old: &Inventory, new: &Inventory) -> Judgement {
    let text = format!(
        "{}\n[limits.no-new-user]\nseverity = 'warn'\n[limits.no-new-capability]\n
        [[allow]]\nid = 'no-downgrade:systemd'\nowner = 'release <team>'\nreason = 'x ]]> y'\nexpires = 2026-03-31
        [[allow]]\nid = 'no-downgrade:b'\nowner = 'us'\nreason = 'known'\nexpires = 2026-03-31",
        crate::limits::DEFAULT
    );
    Limits::parse("limits.toml", &text)
        .unwrap()
        .judge(&compare(old, new).unwrap(), date(2026, 1, 31))
}

fn rendered(format: Format, all: bool) -> String {
    let (old, new) = pair();
    render(&compare(&old, &new).unwrap(), &judged(&old, &new), format, all).unwrap()
}

#[test]
fn text() {
    insta::assert_snapshot!(rendered(Format::Text, false));
}

#[test]
fn text_of_all() {
    insta::assert_snapshot!(rendered(Format::Text, true));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(rendered(Format::Markdown, false));
}

#[test]
fn html() {
    insta::assert_snapshot!(rendered(Format::Html, false));
}

#[test]
fn json() {
    insta::assert_snapshot!(rendered(Format::Json, false));
}

#[test]
fn sarif() {
    insta::assert_snapshot!(rendered(Format::Sarif, false));
}

#[test]
fn junit() {
    insta::assert_snapshot!(rendered(Format::Junit, false));
}

#[test]
fn nothing_reaches_a_terminal_that_it_would_obey() {
    for format in FORMATS {
        for all in [false, true] {
            let text = rendered(format, all);
            let bad = text.chars().find(|c| *c != '\n' && crate::visible::is_hidden(*c));
            assert_eq!(bad, None, "{format:?}");
            // JSON needs no care about markup, and the others have none of it left.
            let is_json = matches!(format, Format::Json | Format::Sarif);
            let is_code = matches!(format, Format::Text | Format::Markdown);
            assert!(is_json || is_code || !text.contains("<script"), "{format:?}");
        }
    }
}

/// Two images that have little in common.
fn large() -> (Inventory, Inventory) {
    let (mut old, mut new) = (listings(), listings());
    new.unread.push(crate::Unread { what: "a".into(), why: "b".into() });
    for n in 0..3000 {
        let name =
            |what: &str| (Component::Base, format!("/usr/share/{what}{n}/{}", "x".repeat(100)));
        put(&mut new, name("new"), file(if n % 3 == 0 { 0o4755 } else { 0o644 }, n));
        put(&mut old, name("old"), file(0o644, n));
        package(&mut old, &Component::Base, &format!("a/b{n}c"), "2");
        package(
            &mut new,
            &Component::Base,
            &format!("a/b{n}c"),
            if n % 2 == 0 { "1" } else { "3" },
        );
        let config = new.kernel_config.get_or_insert_default();
        config.insert(format!("CONFIG_{n}"), "y".into());
        put(
            &mut old,
            (Component::Base, format!("/usr/lib/systemd/system/{n}.service")),
            file(0o644, 1),
        );
        put(
            &mut new,
            (Component::Base, format!("/usr/lib/systemd/system/n{n}.service")),
            file(0o644, 1),
        );
    }
    (old, new)
}

#[test]
fn one_screen_tells_the_story_however_much_changed() {
    let (old, new) = large();
    let (diff, judgement) = (compare(&old, &new).unwrap(), judged(&old, &new));
    let text = render(&diff, &judgement, Format::Text, false).unwrap();
    assert!(text.lines().count() <= 40, "{}", text.lines().count());
    assert!(text.lines().all(|line| line.chars().count() <= 120));
    let all = render(&diff, &judgement, Format::Text, true).unwrap();
    assert!(all.lines().count() > 10_000);
}

#[test]
fn markdown_fits_into_a_comment_and_says_what_it_left_out() {
    let (old, new) = large();
    let (diff, judgement) = (compare(&old, &new).unwrap(), judged(&old, &new));
    let text = render(&diff, &judgement, Format::Markdown, false).unwrap();
    assert!(text.len() <= 65_535, "{}", text.len());
    assert!(text.len() > 60_000, "{}", text.len());
    assert!(text.contains("more are left out, since this must stay short"));
    for title in
        ["Limits", "Most alarming", "Packages", "Files", "Sizes", "System", "Can't be compared"]
    {
        assert!(text.contains(&format!("### {title}\n")), "{title}");
    }
}

#[test]
fn html_leaves_out_what_would_be_slow_and_says_so() {
    let (old, new) = large();
    let (diff, judgement) = (compare(&old, &new).unwrap(), judged(&old, &new));
    let cut = render(&diff, &judgement, Format::Html, false).unwrap();
    assert!(cut.contains("more are left out; --all has them"));
    assert!(!render(&diff, &judgement, Format::Html, true).unwrap().contains("left out"));
}

#[test]
fn the_same_image_has_a_short_story() {
    let image = image();
    let diff = compare(&image, &image).unwrap();
    let judgement = Limits::builtin().unwrap().judge(&diff, date(2026, 1, 31));
    insta::assert_snapshot!(render(&diff, &judgement, Format::Text, false).unwrap(), @r"
    old  image (image, version 4081.2.0, amd64-usr, disk of 8.0 GiB)
    new  image (image, version 4081.2.0, amd64-usr, disk of 8.0 GiB)
    =>   within the limits; nothing changed
    Limits: 7 of 7 hold (built-in)
    ");
}

proptest! {
    #[test]
    fn any_names_are_shown_without_harm(
        names in prop::collection::vec(("\\PC{0,20}|[\u{0}-\u{20}`<>&\u{7f}-\u{9f}]{0,20}", any::<u16>()), 0..6),
    ) {
        let (old, mut new) = (image(), image());
        for (name, mode) in names {
            put(&mut new, (Component::Base, format!("/{name}")), file(mode & 0o7777, 1));
        }
        let diff = compare(&old, &new).unwrap();
        let judgement = judged(&old, &new);
        for format in FORMATS {
            let text = render(&diff, &judgement, format, false).unwrap();
            prop_assert!(!text.chars().any(|c| c != '\n' && crate::visible::is_hidden(c)));
            if matches!(format, Format::Json | Format::Sarif) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }

    #[test]
    fn nothing_gets_out_of_code(text in "[a`]{0,12}") {
        let code = md::code(&text);
        let fence = code.chars().take_while(|c| *c == '`').count();
        let inner = &code[fence..code.len() - fence];
        prop_assert!(code.ends_with(&"`".repeat(fence)));
        prop_assert!(inner.split(|c| c != '`').all(|run| run.len() < fence));
        prop_assert_eq!(inner.trim_matches(' '), text);
    }
}
