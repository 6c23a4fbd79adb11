//! What secrets look like, as patterns.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::{Judge, Rule};

/// Names of secrets, whole or as the end of a longer one: `passwordHash`, `AWS_SECRET_ACCESS_KEY`.
macro_rules! name {
    () => {
        concat!(
            r"(?i:pass(?:word|wd|phrase|code)(?:[_-]?hash)?|pwd|secret|token|client[_-]key[_-]data",
            r"|(?:api|access|account|auth|private|secret|encryption|shared|wep|license|storage|master)[_-]?key\d?|psk)"
        )
    };
}

/// What stands between a name and its value: quotes (also escaped ones), and `=` or `:`.
macro_rules! assign {
    ($sign:literal) => {
        concat!(r#"\\*["']?[ \t]*(?:"#, $sign, r")[ \t]*")
    };
}

/// A value in quotes, to the closing one; also in escaped ones, as JSON in JSON has.
macro_rules! quoted {
    () => {
        r#"(?:\\+"([^"\\]{3,})|"((?:[^"\\]|\\.){3,})|'([^'\n]{3,}))"#
    };
}

/// A value without quotes, in the middle of a line.
macro_rules! bare {
    () => {
        r#"[^\s"'\\,;&<>(){}\[\]|](?:[^\s"'\\,;&<>]|\\[^nrt"])*"#
    };
}

/// That value, and the word after it, which tells prose from a value.
macro_rules! bare_in_prose {
    () => {
        concat!("((", bare!(), r")(?:[ \t]+[a-z]+\b)?)")
    };
}

/// An option whose value is the next argument.
pub(super) static OPTION: LazyLock<Regex> =
    LazyLock::new(|| pattern(concat!("^--?(?:[a-zA-Z0-9]+[-_])*", name!(), "$")));

/// Without Unicode: what secrets are made of is ASCII, and word boundaries are an automaton's that way.
fn pattern(text: &str) -> Regex {
    RegexBuilder::new(text).unicode(false).build().expect("this module's patterns are tested")
}

pub(super) fn all() -> Vec<Rule> {
    let rules: &[(&str, Judge)] = &[
        // In quotes, the value is known whole: JSON, YAML, shell, TOML.
        (concat!(name!(), assign!("=>|:=|[=:]"), quoted!()), any),
        // A line of its own is INI, YAML or an environment, and the value goes to its end.
        (
            concat!(
                r"(?m)^(?:[ \t]+|[ \t]*- |export |Environment=)[\w.-]*?",
                name!(),
                assign!("[=:]"),
                r#"([^\s"'\\\[{|>&][^\n]*)$"#
            ),
            any,
        ),
        (
            concat!(r"(?m)^[\w.-]*?", name!(), assign!("[=:]"), r#"([^\s"'\\\[{|>&][^\n]*)$"#),
            is_no_sentence,
        ),
        (concat!(name!(), r":[ \t]*[|>][+-]?\n[ \t]+([^\n]+)"), any),
        (concat!(name!(), assign!("="), "(", bare!(), ")"), any),
        // In the middle of a line a colon may as well be punctuation.
        (concat!(name!(), assign!(":"), bare_in_prose!()), is_no_prose),
        (concat!(r"<[\w:-]*", name!(), r"[^<>]*>([^<]+)</"), any),
        (
            concat!(
                r"(?:^|\s)--?(?:[a-zA-Z0-9]+[-_])*",
                name!(),
                r"[ \t]+(?:",
                quoted!(),
                "|",
                bare_in_prose!(),
                ")"
            ),
            is_no_prose,
        ),
        (r"\bsecret,\S*?\bdata=([^\s,]+)", any),
        // Just `key` is a secret in URLs and environments only, unless it is a public one.
        (
            r#"(?:^|[^\w.-])(?i:key)=(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"'\\,;&<>(){}\[\]]+))"#,
            is_random,
        ),
        (
            concat!(
                r"[?&;](?i:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token)",
                r#"|awsaccesskeyid|key)=([^\s"'&<>\\]+)"#
            ),
            any,
        ),
        // Headers.
        (
            r#"(?i:authorization)\\*["']?[ \t]*[:=][ \t]*\\*["']?((?i:basic|bearer|digest|token|negotiate|aws4-hmac-sha256)[ \t][^\n"'\\]+)"#,
            any,
        ),
        (r#"(?i:authorization)\\*["']?[ \t]*[:=][ \t]*\\*["']?([^\s"'\\]{16,})"#, any),
        (r#"(?i:\bbearer)[ \t]+([\w.~+/=-]{8,})"#, is_random),
        (r#"(?im:^|[\s"'])(?i:(?:set-)?cookie):[ \t]*([^\n"']+)"#, any),
        // The password of `user:password@`, and a name that is too long to be a user's.
        (r#"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/?#@:"'<>]*:([^\s/?#"'<>]+)@"#, any),
        (r#"\b[a-zA-Z][a-zA-Z0-9+.-]*://([^\s/?#@:"'<>]{16,})@"#, any),
        (r#"\bcurl\b[^\n]*?\s(?:-u|--user)[ =]?["']?[^\s:"']+:([^\s"']+)"#, any),
        (r"\bsshpass\s+-p\s*(\S+)", any),
        (r"\blogin\s+\S+\s+password\s+(\S+)", any),
        // Hashes of passwords, crypt(5), and lines of shadow(5).
        (
            r"((?:\\?\$|%24)(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1|scrypt|argon2(?:id?|d)|pbkdf2[\w-]*)(?:\\?\$|%24)[./A-Za-z0-9$\\=,+%-]{8,})",
            any,
        ),
        (r"(?m)^[a-z_][a-z0-9_-]*:([./0-9A-Za-z]{13,}):\d*:\d*:", any),
        // Tokens that say what they are.
        (r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})\b", any),
        (r"\b(gh[pousr]_[A-Za-z0-9]{10,}|github_pat_\w{10,})", any),
        (r"\b(gl(?:pat|dt|rt|ptt|ft|imt|agent|oas|cbt|soat)-[\w-]{10,})", any),
        (r"\b(xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,})", any),
        (r"\bhooks\.slack\.com/services/([\w/]+)", any),
        (
            r"\b(AIza[\w-]{30,}|ya29\.[\w-]{10,}|npm_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{20,}|do[opr]_v1_[a-f0-9]{32,}|hv[sbr]\.[\w-]{20,}|[sr]k_(?:live|test)_\w{10,}|pypi-[\w-]{30,})",
            any,
        ),
        (r"\b(AGE-SECRET-KEY-1[0-9A-Z]+)", any),
        // A JWT or a JWE: base64 of `{"`, a dot, and more of the same.
        (r"\b(eyJ[\w-]{8,}\.[\w.-]*)", any),
        // Join tokens: kubeadm's, and those of k3s and RKE2.
        (r"\b([a-z0-9]{6}\.[a-z0-9]{16})\b", is_join_token),
        (r#"\b(K10[0-9a-f]{32,}::[^\s"']+)"#, any),
        // The private parts of a JSON web key, which Tang and Clevis have.
        (r#""(?:d|k|p|q|dp|dq|qi)\\*"\s*:\s*\\*"([\w-]{22,})"#, any),
        // What registries' credentials are called in Docker's config.
        (r#""auth"\s*:\s*"([A-Za-z0-9+/=]{8,})"#, any),
        // A private key of OpenSSH, or a PEM file, in base64.
        (r"\b(b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/=\s]*)", any),
        (r"\b(LS0tLS1CRUdJTi[A-Za-z0-9+/=]*)", super::url::is_secret_in_base64),
        // The key file of a LUKS volume in an Ignition config is a secret whatever is in it.
        (
            r#"(?i:key_?file)\\*"?\s*:\s*\{?[^{}]*?(?i:source)\\*"?\s*:\s*\\*"?data:[^,"\s]*,([^"\\\s}]+)"#,
            any,
        ),
        (r#"(?im:key_?file):[ \t]*\n?[ \t]*inline:[ \t]*([^\n]+)"#, any),
    ];
    rules
        .iter()
        .map(|(text, is_secret)| Rule { pattern: pattern(text), is_secret: *is_secret })
        .collect()
}

fn any(_: &str) -> bool {
    true
}

/// Whether it isn't a word of prose, as in `bad password: permission denied`: such is followed by
/// another word.
fn is_no_prose(value: &str) -> bool {
    let mut words = value.split_whitespace();
    let first = words.next().unwrap_or_default();
    words.next().is_none() || !is_word(first)
}

/// Whether it isn't several words of prose, as in `Password: permission denied`.
fn is_no_sentence(value: &str) -> bool {
    value.split_whitespace().count() == 1 || !value.split_whitespace().all(is_word)
}

fn is_word(text: &str) -> bool {
    text.trim_end_matches(['.', ',', ';', ':', '!']).chars().all(|c| c.is_ascii_alphabetic())
}

/// Whether it is more than a word: long, and with digits in it.
fn is_random(value: &str) -> bool {
    value.len() >= 8 && value.chars().any(|c| c.is_ascii_digit())
}

/// Whether it isn't two words of a name that happen to have this length.
fn is_join_token(value: &str) -> bool {
    let (id, secret) = value.split_once('.').unwrap_or_default();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    digits(secret) > 0
        && digits(id) + digits(secret) >= 3
        && !id.chars().all(|c| c.is_ascii_digit())
}
