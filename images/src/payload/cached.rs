//! Payloads in the cache.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use sha2::{Digest as _, Sha256};
use wheeltap_formats::payload::PrivateKey;

use super::create::{SlotLayout, create};
use super::error::CreatePayloadError;
use crate::cache::Cache;
use crate::error::CacheError;
use crate::image::Image;

/// Part of the name of each payload: another number makes all payloads anew, as a change to how they are made needs.
const RECIPE: &str = "1";

impl Cache {
    /// A payload as [`create_payload`](super::create_payload) makes it, made unless the cache has it. It is kept
    /// under a name that says from which image, which slot and which keys it is.
    ///
    /// # Errors
    /// Says what the image lacks or what failed.
    pub fn payload(
        &self,
        image: &Image,
        layout: &SlotLayout,
        keys: &[PrivateKey],
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, CreatePayloadError> {
        let name = name(image, layout, keys);
        let path = self.directory("payloads")?.join(format!("{name}.payload"));
        let _lock = self.lock(&format!("payload-{name}"), cancel, step)?;
        if path.is_file() {
            return Ok(path);
        }
        let work = self.work()?;
        let (payload, _) = create(&image.path, layout, keys, work.path(), cancel, step)?;
        let keep = || CacheError::io("write", &path);
        fs::set_permissions(payload.path(), Permissions::from_mode(0o444)).map_err(keep())?;
        payload.persist(&path).map_err(|error| keep()(error.error))?;
        Ok(path)
    }
}

fn name(image: &Image, layout: &SlotLayout, keys: &[PrivateKey]) -> String {
    let SlotLayout { usr_label, boot_label, kernel } = layout;
    let keys = keys.iter().map(|key| key.public_key().fingerprint().to_string());
    let parts = [RECIPE, &image.digest, usr_label, boot_label, kernel].map(str::to_owned);
    let mut digest = Sha256::new();
    for part in parts.into_iter().chain(keys) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut name = hex::encode(digest.finalize());
    name.truncate(16);
    name
}
