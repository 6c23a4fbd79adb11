//! Published images: from a name to one in the cache, and what to do when that fails.

use std::{path::Path, sync::atomic::AtomicBool};

use wheeltap_images::{
    Cache, CachedImage,
    published::{FetchOptions, PublishedError, PublishedName},
};

use crate::{ExitCode, UserError};

/// The published image that a text names; a path with a colon is still a path.
pub(crate) fn named(text: &str) -> Result<Option<PublishedName>, UserError> {
    if Path::new(text).exists() {
        return Ok(None);
    }
    PublishedName::parse(text).transpose().map_err(UserError::usage)
}

/// Gets it, from the cache if it is there. Of a moving name only the server knows what it means: without the server, the
/// versions that are here can still be named themselves.
pub(crate) fn fetch(
    name: &PublishedName,
    options: &FetchOptions,
    cancel: &AtomicBool,
    step: &mut dyn FnMut(&str),
) -> Result<CachedImage, UserError> {
    let cache = Cache::of_user()?;
    cache.fetch_image(name, options, cancel, step).map_err(|error| {
        let is_offline = error.is_of_server();
        let error = UserError::from(error);
        let cached = cache.fetched(&name.family).unwrap_or_default();
        let usable = |image: &&CachedImage| {
            image.published.as_ref().is_some_and(|about| about.arch == name.arch)
        };
        let cached: Vec<_> = cached.iter().filter(usable).map(|image| &*image.name).collect();
        match cached.first() {
            Some(first) if is_offline => error.with_help(format!(
                "these are in the cache and need no server: {}; use one by its version, such as `wheeltap run --image {first}`, \
                 or try again with `wheeltap image fetch {name}`",
                cached.join(", ")
            )),
            _ if is_offline => {
                error.with_help(format!("when that is mended: `wheeltap image fetch {name}`"))
            }
            _ => error,
        }
    })
}

/// What people must see who use an image that nobody vouches for.
pub(crate) fn warning(name: &str, origin: &str) -> String {
    format!(
        "WARNING: {name} is INSECURE: nobody checked who signed it. It came from {origin}, and whoever controls that server or \
         the way to it may have changed it. Every report of it will say so"
    )
}

impl From<PublishedError> for UserError {
    fn from(error: PublishedError) -> Self {
        let code = match &error {
            PublishedError::Cancelled => ExitCode::Interrupted,
            error if error.is_usage() => ExitCode::Usage,
            _ => ExitCode::InfraFailure,
        };
        Self::usage(error.to_string()).with_code(code)
    }
}
