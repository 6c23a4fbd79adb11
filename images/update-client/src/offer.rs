//! The update that a server offers, if its answer holds all that an update needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wheeltap_formats::omaha::{AppStatus, Response, UpdateStatus};

/// An update to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The version it leads to; empty if the server doesn't say.
    pub(crate) version: String,
    /// Where the payload is.
    pub(crate) url: String,
    /// Bytes of the payload.
    pub(crate) size: u64,
    /// SHA-256 of the payload.
    pub(crate) sha256: [u8; 32],
}

impl Offer {
    /// What the answer offers to an application, `None` for nothing.
    ///
    /// # Errors
    /// Something is missing; the sentence says what.
    pub(crate) fn of(response: &Response, app_id: &str) -> Result<Option<Self>, String> {
        let app = response.apps.iter().find(|app| app.id == app_id);
        let app = app.ok_or_else(|| format!("has no answer for the application {app_id}"))?;
        if app.status != AppStatus::Ok {
            return Err(format!("has the status \"{}\" for the application", app.status));
        }
        let check = app.update_check.as_ref().ok_or("has no updatecheck element")?;
        match &check.status {
            UpdateStatus::NoUpdate => return Ok(None),
            UpdateStatus::Ok => {}
            status => return Err(format!("has the status \"{status}\" for the update")),
        }
        let manifest = check.manifests.first().ok_or("has no manifest")?;
        let codebase = check.urls.first().ok_or("has no URL to download from")?;
        let package = manifest.packages.first().ok_or("names no package")?;
        if package.size == 0 {
            return Err(format!("has no size for the package {}", package.name));
        }
        let action = manifest.postinstall().ok_or("has no postinstall action")?;
        let sha256 = action.sha256.as_deref().ok_or("has no sha256 in the postinstall action")?;
        let sha256 = STANDARD.decode(sha256).ok().and_then(|bytes| bytes.try_into().ok());
        Ok(Some(Self {
            version: manifest.version.clone().unwrap_or_default(),
            url: package.url(codebase),
            size: package.size,
            sha256: sha256.ok_or("has a sha256 in the postinstall action that is none")?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const APP: &str = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}";
    const OFFER: &str = r#"<response protocol="3.0"><app appid="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}" status="ok"><updatecheck status="ok"><urls><url codebase="http://10.0.2.2/packages/"></url></urls><manifest version="4000.1.0"><packages><package name="update.gz" size="7" required="true"></package></packages><actions><action event="postinstall" sha256="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="></action></actions></manifest></updatecheck></app></response>"#;

    fn read(xml: &str) -> Result<Option<Offer>, String> {
        Offer::of(&Response::parse(xml.as_bytes()).unwrap(), APP)
    }

    #[test]
    fn an_offer() {
        let offer = read(OFFER).unwrap().unwrap();
        assert_eq!(offer.url, "http://10.0.2.2/packages/update.gz");
        assert_eq!((offer.version.as_str(), offer.size, offer.sha256[0]), ("4000.1.0", 7, 0xe3));
    }

    #[test]
    fn no_offer() {
        let xml = OFFER.replace("updatecheck status=\"ok\"", "updatecheck status=\"noupdate\"");
        assert_eq!(read(&xml), Ok(None));
    }

    #[test_case("e96281a6", "a96281a6", "no answer for the application"; "another application")]
    #[test_case("}\" status=\"ok\"", "}\" status=\"error-unknownApplication\"", "error-unknownApplication"; "unknown application")]
    #[test_case("updatecheck status=\"ok\"", "updatecheck status=\"error-internal\"", "error-internal"; "server error")]
    #[test_case("urls>", "uris>", "no URL"; "no url")]
    #[test_case("packages>", "pakets>", "names no package"; "no package")]
    #[test_case("size=\"7\"", "size=\"0\"", "no size"; "no size")]
    #[test_case("event=\"postinstall\"", "event=\"install\"", "no postinstall action"; "no action")]
    #[test_case("sha256=\"47", "sha255=\"47", "no sha256"; "no digest")]
    #[test_case("sha256=\"47", "sha256=\"4", "that is none"; "bad digest")]
    fn refused(from: &str, to: &str, reason: &str) {
        let error = read(&OFFER.replace(from, to)).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
