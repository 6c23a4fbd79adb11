//! Input that means harm, or that broke on the way: an error that says where, never a panic.

use test_case::test_case;

use super::messages::{CHECK, FULL_OFFER, OFFER, OLD_CHECK, SCRIPT_OFFER};
use crate::omaha::{MAX_MESSAGE, OmahaError, Request, Response};

fn request_error(bytes: impl AsRef<[u8]>) -> String {
    Request::parse(bytes.as_ref()).unwrap_err().to_string()
}

fn response_error(bytes: impl AsRef<[u8]>) -> String {
    Response::parse(bytes.as_ref()).unwrap_err().to_string()
}

#[test_case(b"", "the message holds no <request>; was the body left out?"; "nothing")]
#[test_case(b" \n<!-- x -->", "the message holds no <request>; was the body left out?"; "as good as nothing")]
#[test_case(b"404 not found", "the message is not well-formed XML at byte 0: text outside of the root element"; "text")]
#[test_case(b"<html></html>", "the message is a <html>, not a <request>"; "html")]
#[test_case(b"<response protocol='3.0'/>", "the message is a <response>, not a <request>"; "the other direction")]
#[test_case(b"<o:request protocol='3.0'/>", "the message is a <o:request>, not a <request>"; "a namespace")]
#[test_case(b"<request protocol='3.0'", "the message is not well-formed XML at byte 0: tag not closed: `>` not found before end of input"; "cut in a tag")]
#[test_case(b"<request protocol='3.0'><app appid='a'>", "the message ends before </app>; was the transfer cut off?"; "cut between tags")]
#[test_case(b"<request protocol='3.0'></app>", "the message is not well-formed XML at byte 24: expected `</request>`, but `</app>` was found"; "crossed tags")]
#[test_case(b"</request>", "the message is not well-formed XML at byte 0: close tag `</request>` does not match any open tag"; "an end without a start")]
#[test_case(b"<request protocol='3.0'/><request/>", "the message is not well-formed XML at byte 25: a second root element"; "two roots")]
#[test_case(b"<request protocol='3.0'/>x", "the message is not well-formed XML at byte 25: text outside of the root element"; "trailing text")]
#[test_case(b"<request protocol='3.0'/>&amp;", "the message is not well-formed XML at byte 25: text outside of the root element"; "trailing entity")]
#[test_case(b"<![CDATA[x]]><request protocol='3.0'/>", "the message is not well-formed XML at byte 0: text outside of the root element"; "leading cdata")]
#[test_case(b"<1/>", "the message is not well-formed XML at byte 0: \"1\" cannot name an element"; "a name that is none")]
#[test_case(b"<request protocol='3.0'><?xml version='1.0'?></request>", "the message is not well-formed XML at byte 24: an XML declaration not at the start"; "late declaration")]
#[test_case(b"<?xml version='1.1'?><request protocol='3.0'/>", "the message is not well-formed XML at byte 0: only XML 1.0 is read"; "xml 1.1")]
#[test_case(b"<?xml version='1.0' encoding='latin1'?><request protocol='3.0'/>", "the message declares the encoding \"latin1\"; only UTF-8 is read"; "latin1")]
#[test_case(b"<request protocol='\xff'/>", "the message is not UTF-8: byte 19 starts no valid character"; "not utf-8")]
#[test_case(b"\xff\xfe<\x00r\x00", "the message is not UTF-8: byte 0 starts no valid character"; "utf-16")]
#[test_case(b"<request protocol='\x00'/>", "the message is not well-formed XML at byte 19: '\\0' is not a character of XML"; "nul")]
#[test_case(b"<request protocol='&#1;'/>", "the protocol attribute of <request> is malformed: '\\u{1}' is not a character of XML"; "a control character by number")]
#[test_case(b"<!DOCTYPE request><request protocol='3.0'/>", "the message has a DOCTYPE; it is refused, because no Omaha message needs one"; "doctype")]
#[test_case(b"<request protocol='3.0'><!DOCTYPE r></request>", "the message has a DOCTYPE; it is refused, because no Omaha message needs one"; "doctype inside")]
#[test_case(b"<request/>", "<request> has no protocol attribute"; "no protocol")]
#[test_case(b"<request protocol='3.0' protocol='2.0'/>", "the protocol attribute of <request> is malformed: it is there twice"; "an attribute twice")]
#[test_case(b"<request protocol=3.0/>", "the protocol attribute of <request> is malformed: its value is not in quotes"; "no quotes")]
#[test_case(b"<request protocol />", "the protocol attribute of <request> is malformed: it has no value"; "no value")]
#[test_case(b"<request protocol= ismachine='1'/>", "the protocol attribute of <request> is malformed: its value is not in quotes"; "no value but a name")]
#[test_case(b"<request protocol='3.0' ismachine='2'/>", "the ismachine attribute of <request> is \"2\", not true or false"; "ismachine")]
#[test_case(b"<request protocol='3.0'><os/><os/></request>", "<request> has more than one <os>"; "two os")]
#[test_case(b"<request protocol='3.0'><app/></request>", "<app> has no appid attribute"; "no appid")]
fn requests(bytes: &[u8], said: &str) {
    assert_eq!(request_error(bytes), said);
}

#[test_case("delta_okay='yes'", "", "the delta_okay attribute of <app> is \"yes\", not true or false"; "delta_okay")]
#[test_case("delta_okay='True'", "", "the delta_okay attribute of <app> is \"True\", not true or false"; "a spelling that clients read as false")]
#[test_case("track='&lol9;'", "", "the track attribute of <app> is malformed: at 1..5: unrecognized entity `lol9`"; "an entity in an attribute")]
#[test_case("", "&lol9;", "the message is not well-formed XML at byte 40: at 1..5: unrecognized entity `lol9`"; "an entity in text")]
#[test_case("", "<updatecheck/><updatecheck/>", "<app> has more than one <updatecheck>"; "two update checks")]
#[test_case("", "<ping/><ping/>", "<app> has more than one <ping>"; "two pings")]
#[test_case("", "<ping active='-1'/>", "the active attribute of <ping> is \"-1\", not true or false"; "ping active")]
#[test_case("", "<ping r='1.5'/>", "the r attribute of <ping> is \"1.5\", not a whole number"; "ping days")]
#[test_case("", "<event eventresult='1'/>", "<event> has no eventtype attribute"; "no event type")]
#[test_case("", "<event eventtype='1'/>", "<event> has no eventresult attribute"; "no event result")]
#[test_case("", "<event eventtype='' eventresult='1'/>", "the eventtype attribute of <event> is \"\", not a whole number"; "empty event type")]
#[test_case("", "<event eventtype='3' eventresult='0' errorcode='4294967296'/>", "the errorcode attribute of <event> is \"4294967296\", not a whole number of 32 bits"; "error code")]
fn apps_of_requests(attributes: &str, inside: &str, said: &str) {
    let xml =
        format!("<request protocol='3.0'><app appid='a' {attributes}>{inside}</app></request>");
    let said = said.replace("byte 40", &format!("byte {}", xml.find('&').unwrap_or(0)));
    assert_eq!(request_error(xml), said);
}

#[test_case("<app appid='a'/>", "<app> has no status attribute"; "app status")]
#[test_case("<daystart/>", "<daystart> has no elapsed_seconds attribute"; "daystart")]
#[test_case("<daystart elapsed_seconds='now'/>", "the elapsed_seconds attribute of <daystart> is \"now\", not a whole number from 0 to 18446744073709551615"; "seconds")]
#[test_case("<app appid='a' status='ok'><ping/></app>", "<ping> has no status attribute"; "ping status")]
#[test_case("<app appid='a' status='ok'><updatecheck/></app>", "<updatecheck> has no status attribute"; "update status")]
fn responses(inside: &str, said: &str) {
    assert_eq!(response_error(format!("<response protocol='3.0'>{inside}</response>")), said);
}

#[test_case(r#"size="67546213""#, r#"size="abc""#, "the size attribute of <package> is \"abc\", not a whole number from 0 to 18446744073709551615"; "size in letters")]
#[test_case(r#"size="67546213""#, r#"size="-1""#, "the size attribute of <package> is \"-1\", not a whole number from 0 to 18446744073709551615"; "size below zero")]
#[test_case(r#"size="67546213""#, r#"size="18446744073709551616""#, "the size attribute of <package> is \"18446744073709551616\", not a whole number from 0 to 18446744073709551615"; "size too big")]
#[test_case(r#"size="67546213""#, "", "<package> has no size attribute"; "no size")]
#[test_case(r#"name="update.gz""#, "", "<package> has no name attribute"; "no name")]
#[test_case(r#"required="true""#, r#"required="maybe""#, "the required attribute of <package> is \"maybe\", not true or false"; "required")]
#[test_case(r#"event="postinstall""#, "", "<action> has no event attribute"; "no event")]
#[test_case(r#"DisablePayloadBackoff="true""#, r#"MaxFailureCountPerUrl="-3""#, "the MaxFailureCountPerUrl attribute of <action> is \"-3\", not a whole number from 0 to 4294967295"; "failures")]
#[test_case(r#"codebase="http://10.0.0.1:34567/packages/""#, "", "<url> has no codebase attribute"; "no codebase")]
#[test_case("status=\"ok\">\n\t\t\t<urls>", "status=\"ok\" PollInterval=\"soon\">\n\t\t\t<urls>", "the PollInterval attribute of <updatecheck> is \"soon\", not a whole number from 0 to 4294967295"; "poll interval")]
fn offers(from: &str, to: &str, said: &str) {
    assert!(OFFER.contains(from));
    assert_eq!(response_error(OFFER.replacen(from, to, 1)), said);
}

#[test]
fn an_entity_bomb_is_refused_before_it_goes_off() {
    let entities: String = (1..10)
        .map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10)))
        .collect();
    let bomb = format!("<!DOCTYPE r [<!ENTITY e0 \"lol\">{entities}]><request protocol=\"&e9;\"/>");
    assert_eq!(Request::parse(bomb.as_bytes()), Err(OmahaError::Doctype));
}

#[test]
fn one_mebibyte_is_read_and_one_byte_more_is_not() {
    let mut message = CHECK.to_owned();
    message.push_str(&" ".repeat(MAX_MESSAGE - message.len()));
    assert!(Request::parse(message.as_bytes()).is_ok());
    message.push(' ');
    let size = MAX_MESSAGE + 1;
    assert_eq!(Request::parse(message.as_bytes()), Err(OmahaError::TooLarge { size }));
}

#[test]
fn nesting_is_limited() {
    for depth in [17, 300_000] {
        let deep = "<a>".repeat(depth);
        assert_eq!(request_error(deep), "<a> is nested more than 16 elements deep");
    }
}

#[test]
fn attributes_are_limited_before_they_cost_time() {
    for count in [65, 100_000] {
        let many: String = (0..count).map(|n| format!(" a{n}=''")).collect();
        assert_eq!(request_error(format!("<b{many}/>")), "<b> has more than 64 attributes");
    }
}

#[test]
fn many_small_elements_are_skipped() {
    let message = format!("<request protocol='3.0'>{}</request>", "<a/>".repeat(200_000));
    assert_eq!(Request::parse(message.as_bytes()).unwrap().apps, []);
}

#[test]
fn what_an_error_quotes_is_short_and_on_one_line() {
    let value = "\u{202e}\n".repeat(50_000);
    let said = response_error(OFFER.replace("67546213", &value.replace('\n', "&#10;")));
    assert!(said.len() < 500 && !said.contains(['\n', '\u{202e}']), "{said}");
    let name = "x".repeat(100_000);
    for said in [
        request_error(format!("<{name}/>")),
        request_error(format!("<{name}>")),
        request_error(format!("<request protocol='3.0'><{name}></y>")),
        request_error(format!("<request {name}='&y;'/>")),
        request_error(format!("<request y='&{name};'/>")),
    ] {
        assert!(said.len() < 300, "{said}");
    }
}

#[test]
fn a_byte_order_mark_is_dropped() {
    let marked = format!("\u{feff}{CHECK}");
    assert_eq!(Request::parse(marked.as_bytes()), Request::parse(CHECK.as_bytes()));
}

#[test]
fn a_message_that_is_cut_off_anywhere_is_an_error() {
    for message in [CHECK, OLD_CHECK, OFFER, SCRIPT_OFFER, FULL_OFFER] {
        let message = message.trim_end();
        for end in 0..message.len() {
            let cut = &message.as_bytes()[..end];
            assert!(Request::parse(cut).is_err() && Response::parse(cut).is_err(), "at {end}");
        }
    }
}
