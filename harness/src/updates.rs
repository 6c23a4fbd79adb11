//! From what the user named to what the machines of a run can be updated to.

use std::{
    fs::File,
    io::{BufReader, Read as _},
    path::Path,
    sync::atomic::AtomicBool,
};

use wheeltap_formats::payload::{PrivateKey, inspect};
use wheeltap_images::{
    BuildOptions, Cache, DEVELOPMENT_KEY, DEVELOPMENT_PUBLIC_KEY, Defect, Image,
    payload::SlotLayout,
};
use wheeltap_reports::UpdateTarget;
use wheeltap_scenarios::{
    KeyPair, Payload, Signer, Targets, UpdateNeed, Updates, profile::Profile, updates::Version,
};

use crate::{UserError, setup::slot_layout};

/// The first bytes of a payload.
const PAYLOAD_MAGIC: &[u8] = b"CrAU";

/// Makes, finds or fetches the payloads that an image is updated to.
pub(crate) struct Preparation<'a> {
    pub(crate) image: &'a Image,
    pub(crate) profile: &'a Profile,
    /// The most that a selected scenario needs; nothing beyond it is made.
    pub(crate) need: UpdateNeed,
    pub(crate) cancel: &'a AtomicBool,
    pub(crate) step: &'a mut dyn FnMut(&str),
}

impl Preparation<'_> {
    /// `to` is an image, a payload or a payload's URL; without it, the next version of the reference image.
    pub(crate) fn updates(mut self, to: Option<&str>) -> Result<Updates, UserError> {
        if self.profile.slots.is_none() {
            return Ok(Updates::None(format!(
                "the profile {} has no update slots",
                self.profile.name
            )));
        }
        let own_version = self.image.version.clone();
        let next_reference = || {
            let is_reference = self.image.name.split(':').next() == Some("reference");
            let version = own_version.as_deref().filter(|_| is_reference)?;
            Some(format!("reference:{}", version_after(version)?))
        };
        let Some(to) = to.map(str::to_owned).or_else(next_reference) else {
            return Ok(Updates::None(format!(
                "nothing says what {} is updated to: give --update-to or --update-server",
                self.image.name
            )));
        };
        let layout = slot_layout(self.profile)?;
        let cache = Cache::of_user()?;
        let next = self.next(&cache, &layout, &to)?;
        (self.step)("payload of the image itself");
        let back = self.payload_of(&cache, &layout, self.image)?;
        let key =
            KeyPair { private: DEVELOPMENT_KEY.into(), public: DEVELOPMENT_PUBLIC_KEY.into() };
        let never_good = self.never_good(&cache, &layout, &to)?;
        Ok(Updates::Own(Box::new(Targets { next, back, never_good, key })))
    }

    fn next(&mut self, cache: &Cache, layout: &SlotLayout, to: &str) -> Result<Payload, UserError> {
        let is_url = to.starts_with("http://") || to.starts_with("https://");
        if is_url {
            self.fits_board(to)?;
            let path = cache.fetch(to, self.cancel, self.step)?;
            can_be_read(&path)?;
            let version = version_in(to);
            return Ok(Payload { path, version, image: None, signer: Signer::Vendor });
        }
        let path = Path::new(to);
        if path.is_file() && is_payload(path)? {
            can_be_read(path)?;
            let (path, signer) = (path.to_owned(), Signer::Vendor);
            return Ok(Payload { path, version: None, image: None, signer });
        }
        if let Some(version) = to.strip_prefix("reference:") {
            cache.build(&BuildOptions::new(version), self.cancel, self.step)?;
        }
        let image = wheeltap_images::resolve(to)?;
        (self.step)(&format!("payload of {to}"));
        self.payload_of(cache, layout, &image)
    }

    /// A payload for another board would be installed and never boot, which says nothing about the image.
    fn fits_board(&self, url: &str) -> Result<(), UserError> {
        let own = format!("{}-usr", crate::engine::arch());
        match board_in(url) {
            Some(board) if board != own => Err(UserError::usage(format!(
                "{url} is a payload for the board {board}, and machines here are {own}"
            ))),
            _ => Ok(()),
        }
    }

    /// Built of the reference image only.
    fn never_good(
        &mut self,
        cache: &Cache,
        layout: &SlotLayout,
        to: &str,
    ) -> Result<Option<Payload>, UserError> {
        let version = to.strip_prefix("reference:").filter(|_| self.need == UpdateNeed::NeverGood);
        let Some(version) = version else { return Ok(None) };
        let options =
            BuildOptions { defect: Some(Defect::NeverGood), ..BuildOptions::new(version) };
        let built = cache.build(&options, self.cancel, self.step)?;
        let image = wheeltap_images::resolve(&built.image.name)?;
        (self.step)("payload of a version that never gets good");
        self.payload_of(cache, layout, &image).map(Some)
    }

    fn payload_of(
        &mut self,
        cache: &Cache,
        layout: &SlotLayout,
        image: &Image,
    ) -> Result<Payload, UserError> {
        let key = PrivateKey::from_pem(DEVELOPMENT_KEY)
            .map_err(|error| UserError::usage(error.to_string()))?;
        let path = cache.payload(image, layout, &[key], self.cancel, self.step)?;
        let version: Option<Version> = image.version.as_ref().and_then(|text| text.parse().ok());
        Ok(Payload { path, version, image: Some(image.digest.clone()), signer: Signer::Us })
    }
}

/// What a run's plan says about where updates lead to.
pub(crate) fn target(updates: &Updates) -> Option<UpdateTarget> {
    let Updates::Own(targets) = updates else { return None };
    let version = targets.next.version.as_ref()?.to_string();
    Some(UpdateTarget { version, digest: targets.next.image.clone() })
}

fn is_payload(path: &Path) -> Result<bool, UserError> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(PAYLOAD_MAGIC.len() as u64).read_to_end(&mut start))
        .map_err(|error| UserError::unreadable(path, &error))?;
    Ok(start == PAYLOAD_MAGIC)
}

/// Found out now, and not when a guest refuses it.
fn can_be_read(path: &Path) -> Result<(), UserError> {
    let file = File::open(path).map_err(|error| UserError::unreadable(path, &error))?;
    inspect(BufReader::new(file))
        .map(drop)
        .map_err(|error| UserError::usage(format!("{}: {error}", path.display())))
}

/// The version in a URL such as those of Flatcar's release server: the last directory that is one.
pub(crate) fn version_in(url: &str) -> Option<Version> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.split(['?', '#']).next()?;
    let (_host, path) = path.split_once('/')?;
    let directories = path.rsplit('/').skip(1);
    directories.filter(|name| name.contains('.')).find_map(|name| name.parse().ok())
}

/// The board in the URL of a published payload: a directory such as `amd64-usr`.
pub(crate) fn board_in(url: &str) -> Option<&str> {
    url.rsplit('/').skip(1).find(|name| name.len() > 4 && name.ends_with("-usr"))
}

/// `4000.1.0` after `4000.0.0`; images of the reference have three numbers.
fn version_after(version: &str) -> Option<String> {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor)), Some(Ok(_)), None) =
        (numbers.next(), numbers.next(), numbers.next(), numbers.next())
    else {
        return None;
    };
    Some(format!("{major}.{}.0", minor.checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("https://update.release.flatcar-linux.net/arm64-usr/4593.2.3/flatcar_production_update.gz" => Some("arm64-usr"); "as published")]
    #[test_case("http://host/update/x-usr" => None; "a name is none")]
    #[test_case("http://host/-usr/update.gz" => None; "no architecture")]
    fn boards_in_urls(url: &str) -> Option<&str> {
        board_in(url)
    }

    #[test_case("https://update.release.flatcar-linux.net/amd64-usr/4593.2.3/flatcar_production_update.gz" => Some("4593.2.3".to_owned()); "as published")]
    #[test_case("http://host/4628.0.0+nightly-20260318-2100/images/update.gz" => Some("4628.0.0+nightly-20260318-2100".to_owned()); "a nightly build")]
    #[test_case("http://127.0.0.1/amd64-usr/update.gz" => None; "an address is none")]
    #[test_case("http://host/1/update.gz" => None; "a bare number is none")]
    #[test_case("http://host/images/4593.2.3.gz" => None; "a name is none")]
    #[test_case("http://host/update.gz?from=/1.2.3/" => None; "a query is none")]
    fn versions_in_urls(url: &str) -> Option<String> {
        version_in(url).map(|version| version.to_string())
    }

    #[test_case("4000.0.0" => Some("4000.1.0".to_owned()))]
    #[test_case("4000.9.3" => Some("4000.10.0".to_owned()))]
    #[test_case("4000.0" => None)]
    #[test_case("4000.0.0.1" => None)]
    #[test_case("x.0.0" => None)]
    fn the_next_version(version: &str) -> Option<String> {
        version_after(version)
    }
}
