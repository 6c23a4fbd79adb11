//! Attempts as they are seen, look by look.

use proptest::prelude::*;
use test_case::test_case;

use super::*;

fn seen(operation: &str, last_checked: u64, journal: &[(&str, &str)]) -> Seen {
    let entries = journal.iter().map(|(priority, message)| {
        let entry =
            serde_json::json!({ "PRIORITY": priority, "MESSAGE": message, "__CURSOR": "s=1" });
        format!("{entry}\n")
    });
    let journal: String = entries.collect();
    let status =
        format!("LAST_CHECKED_TIME={last_checked}\nCURRENT_OP=UPDATE_STATUS_{operation}\n");
    Seen::parse(&format!("{status}{DIVIDER}\n{journal}")).unwrap()
}

/// What the looks led to; the last of them has to be the end.
fn end(looks: &[Seen]) -> UpdateEnd {
    let mut progress = Progress::default();
    let (last, before) = looks.split_last().unwrap();
    for look in before {
        progress.next(7, look.clone()).unwrap_err();
    }
    progress.next(7, last.clone()).unwrap()
}

const REFUSED: &[(&str, &str)] =
    &[("6", "update check"), ("3", "the signature is wrong"), ("6", "idle again")];

#[test]
fn an_update_is_done_as_soon_as_it_says_so() {
    let end = end(&[
        seen("IDLE", 7, &[]),
        seen("DOWNLOADING", 8, &[]),
        seen("UPDATED_NEED_REBOOT", 8, &[("3", "a download was resumed")]),
    ]);
    assert!(end.is_updated());
    assert_eq!(end.complaints, ["a download was resumed"]);
}

#[test]
fn a_refusal_is_told_by_the_journal_even_if_it_was_too_quick_to_be_seen() {
    let end = end(&[seen("IDLE", 7, &[]), seen("IDLE", 7, REFUSED)]);
    assert!(!end.is_updated());
    assert_eq!(end.reason(), "the signature is wrong");
    assert_eq!(end.journal, "update check\nthe signature is wrong\nidle again");
}

#[test]
fn idle_before_the_beginning_is_no_end() {
    let mut progress = Progress::default();
    for _ in 0..5 {
        let stands = progress.next(7, seen("IDLE", 7, &[("6", "started")])).unwrap_err();
        assert_eq!(stands, "the update service is idle, and nothing has begun");
    }
    let stands = progress.next(7, seen("VERIFYING", 8, &[])).unwrap_err();
    assert_eq!(stands, "the update service is verifying");
    progress.next(7, seen("IDLE", 8, &[])).unwrap_err();
    progress.next(7, seen("IDLE", 8, &[])).unwrap();
}

#[test]
fn an_early_complaint_is_no_end_while_the_service_works() {
    let complaint = &[("3", "no answer, trying again")];
    let end = end(&[
        seen("IDLE", 7, complaint),
        seen("CHECKING_FOR_UPDATE", 7, complaint),
        seen("IDLE", 7, complaint),
        seen("IDLE", 7, complaint),
    ]);
    assert_eq!(end.complaints.len(), 1);
}

#[test]
fn no_update_leaves_nothing_but_the_time_of_the_check() {
    let end = end(&[seen("IDLE", 8, &[("6", "no update")]), seen("IDLE", 8, &[])]);
    assert!(end.complaints.is_empty());
    assert!(!end.reported);
    assert_eq!(end.reason(), "its journal has no complaint");
}

#[test]
fn a_report_to_the_server_is_no_complaint_in_the_journal() {
    let end =
        end(&[seen("REPORTING_ERROR_EVENT", 8, &[]), seen("IDLE", 8, &[]), seen("IDLE", 8, &[])]);
    assert!(end.complaints.is_empty());
    assert!(end.reported);
    assert_eq!(end.reason(), "it reported an error to the server, and wrote none to its journal");
}

#[test]
fn an_attempt_that_is_known_to_have_begun_ends_in_silence() {
    let mut progress = Progress { begun: true, ..Progress::default() };
    progress.next(7, seen("IDLE", 7, &[])).unwrap_err();
    let end = progress.next(7, seen("IDLE", 7, &[])).unwrap();
    assert_eq!(end.reason(), "its journal has no complaint");
}

#[test_case("3", "anything" => true; "an error")]
#[test_case("4", "anything" => false; "a warning")]
#[test_case("6", "E1124 22:19:14.123456   812 omaha_request_action.cc:557] bad" => true; "glog")]
#[test_case("6", "F1124 22:19:14.123456   812 main.cc:1] bad" => true; "fatal in glog")]
#[test_case("6", "I1124 22:19:14.123456   812 main.cc:92] Error 0" => false; "information in glog")]
#[test_case("6", "[1124/221914:ERROR:download_action.cc(200)] bad" => true; "chromium")]
#[test_case("6", "Everything is fine" => false; "a word with E")]
#[test_case("", "" => false; "nothing")]
fn complaints(priority: &str, message: &str) -> bool {
    Entry { message: message.into(), priority: priority.into() }.is_complaint()
}

#[test]
fn what_journalctl_makes_of_bytes() {
    let lines = concat!(
        "CURRENT_OP=UPDATE_STATUS_IDLE\n=== journal ===\n",
        "{\"MESSAGE\":[69,49,32,255],\"PRIORITY\":\"6\"}\n",
        "{\"MESSAGE\":null}\nno JSON\n{}\n"
    );
    let seen = Seen::parse(lines).unwrap();
    let messages: Vec<_> = seen.entries.iter().map(|entry| entry.message.as_str()).collect();
    assert_eq!(messages, ["E1 \u{fffd}", "", ""]);
    assert!(seen.entries[0].is_complaint());
}

proptest! {
    #[test]
    fn nothing_panics(printed in "(?s).{0,100}", journal in "(?s).{0,200}") {
        let _ = Seen::parse(&printed);
        let _ = Seen::parse(&format!("CURRENT_OP=X\n{DIVIDER}\n{journal}"));
        let _ = serde_json::from_str::<Entry>(&journal);
    }
}
