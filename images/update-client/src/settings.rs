//! The configuration: `KEY=VALUE` files, the first that has a key counts.

use std::fs;

/// Where keys are looked up, in this order (`omaha_request_params.cc`).
const FILES: [&str; 3] =
    ["/etc/flatcar/update.conf", "/usr/share/flatcar/update.conf", "/usr/share/flatcar/release"];
const OEM_FILES: [&str; 2] = ["/etc/oem-release", "/usr/share/oem/oem-release"];

const APP_ID: &str = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}";

/// What the files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) server: Server,
    /// The channel (`GROUP`).
    pub(crate) group: String,
    /// Take only versions that start like this. A key of this stand-in: update_engine has none for it.
    pub(crate) version_prefix: Option<String>,
    /// The version that runs.
    pub(crate) version: String,
    pub(crate) board: String,
    pub(crate) app_id: String,
    /// A name for the machine that its owner chose.
    pub(crate) machine_alias: String,
    pub(crate) oem: String,
    pub(crate) oem_version: String,
}

/// Whom to ask (`SERVER`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Url(String),
    /// `SERVER=disabled`.
    Disabled,
    /// No key at all. update_engine asks Flatcar's public server then; the reference image must not, because it is no
    /// Flatcar and would be offered an update that isn't for it.
    Missing,
}

impl Settings {
    /// Reads all files anew.
    pub(crate) fn read() -> Self {
        Self::find(|path| fs::read_to_string(path).ok())
    }

    fn find(read: impl Fn(&str) -> Option<String>) -> Self {
        let look = |paths: &[&str]| paths.iter().filter_map(|path| read(path)).collect::<Vec<_>>();
        let (texts, oem) = (look(&FILES), look(&OEM_FILES));
        let value = |key| texts.iter().find_map(|text| value(text, key));
        let or_empty = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let oem_value = |key| or_empty(oem.iter().find_map(|text| self::value(text, key)));
        Self {
            server: match value("SERVER") {
                None | Some("") => Server::Missing,
                Some("disabled") => Server::Disabled,
                Some(url) => Server::Url(url.to_owned()),
            },
            group: value("GROUP").unwrap_or("stable").to_owned(),
            version_prefix: value("TARGET_VERSION_PREFIX").map(str::to_owned),
            version: or_empty(value("FLATCAR_RELEASE_VERSION")),
            board: or_empty(value("FLATCAR_RELEASE_BOARD")),
            app_id: value("FLATCAR_RELEASE_APPID").unwrap_or(APP_ID).to_owned(),
            machine_alias: or_empty(value("MACHINE_ALIAS")),
            oem: oem_value("ID"),
            oem_version: oem_value("VERSION_ID"),
        }
    }
}

/// The value of a key. As in a shell, the last line with it counts; blanks and quotes around the value go.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    let value = pairs.rfind(|(name, _)| name.trim() == key)?.1.trim();
    let unquoted =
        ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some(unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn settings(etc: &str) -> Settings {
        Settings::find(|path| match path {
            "/etc/flatcar/update.conf" => Some(etc.to_owned()),
            "/usr/share/flatcar/update.conf" => Some("GROUP=stable\n".into()),
            "/usr/share/flatcar/release" => Some(
                "FLATCAR_RELEASE_VERSION=4000.0.0\nFLATCAR_RELEASE_BOARD=\"amd64-usr\"\n".into(),
            ),
            "/usr/share/oem/oem-release" => Some("ID=qemu\nVERSION_ID=0.0.1\n".into()),
            _ => None,
        })
    }

    #[test]
    fn the_shipped_files() {
        insta::assert_debug_snapshot!(settings(""), @r#"
        Settings {
            server: Missing,
            group: "stable",
            version_prefix: None,
            version: "4000.0.0",
            board: "amd64-usr",
            app_id: "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}",
            machine_alias: "",
            oem: "qemu",
            oem_version: "0.0.1",
        }
        "#);
    }

    #[test]
    fn etc_comes_first() {
        let settings =
            settings("SERVER=http://10.0.2.2/v1/update\nGROUP=beta\nTARGET_VERSION_PREFIX=4000.\n");
        assert_eq!(settings.server, Server::Url("http://10.0.2.2/v1/update".into()));
        assert_eq!(settings.group, "beta");
        assert_eq!(settings.version_prefix.as_deref(), Some("4000."));
    }

    #[test]
    fn disabled() {
        assert_eq!(settings("SERVER=disabled\n").server, Server::Disabled);
        assert_eq!(settings("SERVER=\n").server, Server::Missing);
    }

    #[test_case("A=1", Some("1"); "plain")]
    #[test_case(" A = 1 ", Some("1"); "blanks")]
    #[test_case("A=\"1 2\"", Some("1 2"); "quoted")]
    #[test_case("A='1'", Some("1"); "single quotes")]
    #[test_case("A=\"1", Some("\"1"); "half quoted")]
    #[test_case("A=1\nA=2", Some("2"); "twice")]
    #[test_case("A=b=c", Some("b=c"); "equals sign in it")]
    #[test_case("A=", Some(""); "empty")]
    #[test_case("#A=1", None; "comment")]
    #[test_case("AA=1\nB", None; "other keys")]
    fn values(text: &str, expected: Option<&str>) {
        assert_eq!(value(text, "A"), expected);
    }
}
