//! TAP as a consumer reads it: Perl's own parser, which is older than version 14 in nothing but the
//! first line.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::fixture::{BIOS, Fixture, UEFI, failure};
use wheeltap_reports::{FailureClass, Format, Outcome, Phase};

/// What Perl makes of it: a line for each point, the diagnostics' keys, then plan, bail-out and errors.
const SCRIPT: &str = r#"
use TAP::Parser;
local $/;
my $parser = TAP::Parser->new({ tap => <STDIN> });
while (my $it = $parser->next) {
    if ($it->is_test) {
        my $kind = $it->has_todo ? 'todo' : $it->has_skip ? 'skip' : 'plain';
        printf "%s %s %s |%s|\n", $it->is_actual_ok ? 'ok' : 'not-ok', $kind, $it->description, $it->explanation // '';
    } elsif ($it->is_yaml) {
        my $data = $it->data;
        print "  $_: ", ref $data->{$_} ? scalar @{ $data->{$_} } : $data->{$_}, "\n" for sort keys %$data;
    } elsif ($it->is_bailout) {
        print "bail out: ", $it->explanation, "\n";
    } elsif ($it->is_unknown) {
        print "unknown: ", $it->as_string, "\n";
    }
}
print "errors: ", join('; ', $parser->parse_errors), "\n";
"#;

/// What Perl says about it; none, with a reason, if there is no Perl and this isn't CI.
pub(crate) fn parsed(tap: &str) -> Option<String> {
    let tap = tap.replacen("TAP version 14", "TAP version 13", 1);
    let child = Command::new("perl")
        .args(["-CS", "-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("skipped: perl can't be run: {error}");
            return None;
        }
        Err(error) => panic!("perl can't be run: {error}; ci/setup installs it"),
    };
    child.stdin.take().unwrap().write_all(tap.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn perl_reads_it() {
    let cases = [
        ("boot.pass", UEFI),
        ("boot.flaky", UEFI),
        ("boot.fail", UEFI),
        ("boot.infra", BIOS),
        ("boot.not-run", BIOS),
        ("boot.skip", BIOS),
    ];
    let mut run = Fixture::new(&cases).skip(r"needs disk #2 \ or more");
    let cause = |class, headline: &str| failure(class, Phase::Boot, "panic", headline);
    run.start()
        .pass(cases[0])
        .attempt(cases[1], 1, Some(cause(FailureClass::Product, "once")))
        .attempt(cases[1], 2, None)
        .end(cases[1], wheeltap_reports::Verdict::Flaky)
        .fail(cases[2], cause(FailureClass::Product, r#"a "quoted" \ # TODO ... --- 🚂"#))
        .fail(cases[3], cause(FailureClass::Infra, "no port"))
        .finish(Outcome::ProductFailure);
    let Some(parsed) = parsed(&run.render(Format::Tap)) else { return };
    insta::assert_snapshot!("tap.perl", parsed);
}

/// Perl finds fault with what isn't TAP, so that finding none means something.
#[test]
fn perl_refuses_what_is_wrong() {
    let Some(parsed) = parsed("TAP version 14\n1..2\nok 1 - a\n") else { return };
    assert!(parsed.contains("errors: Bad plan"), "{parsed}");
}
