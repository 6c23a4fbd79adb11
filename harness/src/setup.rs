//! From what the user named (image, profile, config, machine) to what every attempt needs. Everything that can be wrong with
//! it is found here, before anything boots.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use tokio_util::sync::CancellationToken;
use wheeltap_images::{Cache, payload::SlotLayout};
use wheeltap_platforms::{
    Accelerator, Firmware, Platform,
    external::External,
    qemu::{Qemu, QemuOptions, find_ovmf, missing_programs},
    ssh::{RunKey, SshError, SshKey, UserKey},
};
use wheeltap_reports::Image;
pub use wheeltap_scenarios::World;
use wheeltap_scenarios::{
    Scenario, UpdateNeed, Updates,
    ignition::{Config, ConfigError},
    profile::Profile,
    watch::{Rules, Source},
};

use crate::{
    UserError, published,
    settings::ImageSettings,
    states,
    updates::{Preparation, target},
};

/// What the user named.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Name or path of the image.
    pub image: String,
    /// Name or file of the profile, where the image doesn't say.
    pub profile: Option<String>,
    /// The user's own Ignition config.
    pub ignition: Option<PathBuf>,
    /// A machine that exists, in place of QEMU.
    pub host: Option<ExternalHost>,
    /// The accelerator; `None` finds out what works.
    pub accelerator: Option<Accelerator>,
    /// Firmware that will be asked for.
    pub firmware: Vec<Firmware>,
    /// Console rules in place of the built-in ones.
    pub console_rules: Option<PathBuf>,
    /// What comes of updates.
    pub updates: UpdateSetup,
    /// How published images are fetched; without it, only those in the cache are used.
    pub images: Option<ImageSettings>,
}

/// Where updates come from.
#[derive(Clone, Debug)]
pub enum UpdateSetup {
    /// Nothing that was selected updates anything, so no payload is made.
    Unused,
    /// From servers of our own.
    Own {
        /// An image, a payload or its URL; the next version where the image is the reference image.
        to: Option<String>,
        /// The most that a selected scenario needs.
        need: UpdateNeed,
    },
    /// From a server that exists: its URL as guests see it.
    Server(String),
}

impl UpdateSetup {
    /// Servers of our own, if any of these scenarios updates something.
    #[must_use]
    pub fn own_if_used(scenarios: &[&Scenario], to: Option<&str>) -> Self {
        match scenarios.iter().map(|scenario| scenario.needs.update).max() {
            None | Some(UpdateNeed::None) => Self::Unused,
            Some(need) => Self::Own { to: to.map(str::to_owned), need },
        }
    }
}

/// A machine that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalHost {
    /// Who logs in.
    pub user: String,
    /// Where.
    pub address: SocketAddr,
    /// Private key.
    pub identity: PathBuf,
}

/// How to log in.
struct Login {
    user: String,
    key: SshKey,
    /// `None` if the machine has it already.
    public_key: Option<String>,
}

impl Setup {
    /// QEMU with an image, and nothing special.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            profile: None,
            ignition: None,
            host: None,
            accelerator: None,
            firmware: vec![Firmware::Bios],
            console_rules: None,
            updates: UpdateSetup::Unused,
            images: None,
        }
    }

    /// Puts it together. Making payloads takes a while: `step` is told what is done, and setting `abort` ends it.
    ///
    /// # Errors
    /// Names what is missing or broken, and what to do about it.
    pub fn world(
        &self,
        cancel: CancellationToken,
        abort: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<(World, Image), UserError> {
        let image = match &self.host {
            Some(_) => None,
            None => Some(self.image(abort, step)?),
        };
        let profile = self.profile(image.as_ref())?;
        let config = self.ignition.as_ref().map(|file| read_config(file, &profile)).transpose()?;
        let rules = match &self.console_rules {
            Some(file) => Rules::load(file).map_err(|error| UserError::usage(error.to_string()))?,
            None => Rules::builtin(),
        };
        let Login { user, key, public_key } = self.login(&profile)?;
        let published = image.as_ref().and_then(|image| image.published.as_ref());
        let mut described = Image {
            name: match &self.host {
                Some(host) => host.address.to_string(),
                None => self.image.clone(),
            },
            digest: image.as_ref().map(|image| image.digest.clone()).unwrap_or_default(),
            version: image.as_ref().and_then(|image| image.version.clone()).unwrap_or_default(),
            profile: profile.name.clone(),
            origin: published.map(|about| about.origin.clone()),
            signed_by: published
                .and_then(|about| Some(about.signature.as_ref()?.fingerprint.clone())),
            insecure: published.is_some_and(|about| about.insecure),
            update: None,
        };
        let platform = self.platform()?;
        let updates = self.updates(image.as_ref(), &profile, abort, step)?;
        described.update = target(&updates);
        let world = World {
            platform,
            profile,
            image: image.as_ref().map(|image| image.path.clone()).unwrap_or_default(),
            image_digest: described.digest.clone(),
            image_version: image.and_then(|image| image.version),
            config,
            key,
            public_key,
            user,
            rules: rules.for_source(Source::Console),
            updates,
            states: states::of_user()?.map(Arc::new),
            cancel,
        };
        Ok((world, described))
    }

    /// The image, which is fetched if need be. This is the only time that a moving name is looked up: from here on only the
    /// version, and the file with its digest, is used.
    fn image(
        &self,
        abort: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<wheeltap_images::Image, UserError> {
        let mut image = wheeltap_images::resolve(&self.fetched(&self.image, abort, step)?)?;
        image.name.clone_from(&self.image);
        fits_host(&self.image, image.published.as_ref().map(|about| &*about.arch))?;
        // What is in a cache that can't be written can't be removed from it, either.
        if image.version.is_some()
            && let Err(error) = Cache::of_user().and_then(|cache| cache.hold(&image.path))
        {
            tracing::info!("{error}; nothing keeps others from removing the image meanwhile");
        }
        Ok(image)
    }

    /// A name that means the same image to the end of the run.
    fn fetched(
        &self,
        name: &str,
        abort: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<String, UserError> {
        let Some(images) = &self.images else { return Ok(name.to_owned()) };
        let Some(named) = published::named(name)? else { return Ok(name.to_owned()) };
        fits_host(name, Some(&named.arch))?;
        let options = images.options(&named.family);
        let image = published::fetch(&named, &options, abort, &mut |text| {
            step(&format!("{name}: {text}"));
        })?;
        Ok(image.name)
    }

    fn profile(&self, image: Option<&wheeltap_images::Image>) -> Result<Profile, UserError> {
        let what = match &self.host {
            Some(host) => host.address.to_string(),
            None => self.image.clone(),
        };
        profile_of(&what, self.profile.as_deref(), image)
    }

    fn updates(
        &self,
        image: Option<&wheeltap_images::Image>,
        profile: &Profile,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<Updates, UserError> {
        match (&self.updates, image) {
            (UpdateSetup::Server(url), _) => Ok(Updates::Server(url.clone())),
            (&UpdateSetup::Own { ref to, need }, Some(image)) => {
                let to = to.as_ref().map(|to| self.fetched(to, cancel, step)).transpose()?;
                Preparation { image, profile, need, cancel, step }.updates(to.as_deref())
            }
            (UpdateSetup::Own { .. }, None) => Ok(Updates::None(
                "a machine that exists is only updated from --update-server".to_owned(),
            )),
            (UpdateSetup::Unused, _) => Ok(Updates::None("nothing was prepared".to_owned())),
        }
    }

    fn login(&self, profile: &Profile) -> Result<Login, UserError> {
        let wrong = |error: SshError| UserError::usage(error.to_string());
        Ok(match &self.host {
            Some(host) => {
                let own = UserKey::load(&host.identity).map_err(wrong)?;
                Login { user: host.user.clone(), key: own.private(), public_key: None }
            }
            None => {
                let own = RunKey::generate().map_err(wrong)?;
                let public_key = Some(own.public_line().to_owned());
                Login { user: profile.user.clone(), key: own.private(), public_key }
            }
        })
    }

    fn platform(&self) -> Result<Arc<dyn Platform>, UserError> {
        if let Some(host) = &self.host {
            return Ok(Arc::new(External::new(host.address)));
        }
        // Without these every case would fail alike.
        let missing = missing_programs();
        if !missing.is_empty() {
            return Err(UserError::infra(format!("not installed: {}", missing.join(", ")))
                .with_help("apt-get install qemu-system-x86 qemu-utils"));
        }
        if self.firmware.contains(&Firmware::Uefi) {
            find_ovmf().map_err(|error| UserError::infra(error.message))?;
        }
        let options = QemuOptions { accelerator: self.accelerator, ..QemuOptions::default() };
        Ok(Arc::new(Qemu::new(options)))
    }
}

/// Machines here run what is made for this architecture.
fn fits_host(name: &str, arch: Option<&str>) -> Result<(), UserError> {
    let own = crate::engine::arch();
    match arch {
        Some(arch) if arch != own => Err(UserError::usage(format!(
            "{name} is an image for {arch}, and machines here are {own}"
        ))
        .with_help("it can be fetched and verified here, and booted on such a host")),
        _ => Ok(()),
    }
}

/// The profile that was asked for, or the one that the image says it has.
pub(crate) fn profile_of(
    what: &str,
    asked: Option<&str>,
    image: Option<&wheeltap_images::Image>,
) -> Result<Profile, UserError> {
    let said = || image.and_then(|image| image.profile.as_deref());
    let name = asked.or_else(said).ok_or_else(|| {
        let names = Profile::names().collect::<Vec<_>>().join(", ");
        UserError::usage(format!("nothing says of which OS family {what} is"))
            .with_help(format!("give --profile with one of: {names}"))
    })?;
    let profile = if Path::new(name).extension().is_some() || name.contains('/') {
        Profile::load(name.as_ref())
    } else {
        Profile::builtin(name)
    };
    profile.map_err(|error| UserError::usage(error.to_string()))
}

/// Where an image of this family has the system that updates are made from: its first slot.
pub(crate) fn slot_layout(profile: &Profile) -> Result<SlotLayout, UserError> {
    let name = &profile.name;
    let none = || UserError::usage(format!("images of the profile {name} have no update slots"));
    let slots = profile.slots.as_ref().ok_or_else(none)?;
    let slot = slots.slot.first().ok_or_else(none)?;
    let kernel = slots.boot.relative(&slot.kernel).ok_or_else(|| {
        let (kernel, mount) = (&slot.kernel, &slots.boot.mount);
        UserError::usage(format!("profile {name}: the kernel {kernel} is not below {mount}"))
    })?;
    Ok(SlotLayout {
        usr_label: slot.label.clone(),
        boot_label: slots.boot.label.clone(),
        kernel: kernel.to_owned(),
    })
}

fn read_config(file: &Path, profile: &Profile) -> Result<Config, UserError> {
    let bytes = fs::read(file).map_err(|error| UserError::unreadable(file, &error))?;
    let wrong = |error: ConfigError| UserError::usage(format!("{}: {error}", file.display()));
    let config = Config::parse(bytes).map_err(wrong)?;
    config.check_version(profile).map_err(wrong)?;
    for warning in config.warnings() {
        tracing::warn!("{}: {warning}", file.display());
    }
    Ok(config)
}
