//! Updates that must be refused, with a reason, and without a trace.
//!
//! The payloads are small: whether one is accepted doesn't depend on what is in it, and no machine ever boots it.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use wheeltap_formats::omaha::{ErrorCode, EventResult};
use wheeltap_formats::payload::{self, Content, PrivateKey};
use wheeltap_platforms::{Class, PrivateDirectory, ssh::quote};

use super::scene::{GROUP, Scene, broken, release};
use crate::{
    check,
    context::Context,
    failure::{Checks, Failure, Result},
    targets::Signer,
    updates::{Misbehaviour, Release, Scope},
};

/// A key that no image trusts.
const STRANGER: &str = include_str!("../../../keys/stranger.key.pem");

/// Bytes of the small payload's file system.
const SMALL: u64 = 1 << 20;

/// Payloads made for one attempt; they go when it ends.
struct Workshop {
    directory: PrivateDirectory,
    key: String,
}

impl Workshop {
    fn open(cx: &Context) -> Result<Self> {
        let directory = wheeltap_platforms::private_directory()?;
        Ok(Self { directory, key: cx.targets()?.key.private.clone() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A payload of `size` bytes of nothing in particular, and of a kernel that is none.
    async fn make(&self, name: &str, size: u64, keys: Vec<PrivateKey>) -> Result<PathBuf> {
        let (path, scratch) = (self.path(name), self.directory.path().to_owned());
        let making = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let mut partition = noise().take(SMALL).chain(io::repeat(0).take(size - SMALL));
                let mut kernel = noise().take(64 << 10);
                let content = Content { partition: &mut partition, kernel: Some(&mut kernel) };
                let scratch = tempfile::tempfile_in(scratch).map_err(broken)?;
                let file = File::create(path).map_err(broken)?;
                payload::create(content, &keys, scratch, file).map_err(broken)
            }
        });
        making.await.map_err(broken)??;
        Ok(path)
    }

    fn key(&self) -> Result<PrivateKey> {
        PrivateKey::from_pem(&self.key).map_err(broken)
    }
}

/// Bytes that don't compress, always the same.
fn noise() -> impl io::Read {
    struct Noise(u64);
    impl io::Read for Noise {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            for byte in &mut *buffer {
                // Steele, Lea and Flood's SplitMix64.
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                *byte = (mixed >> 32) as u8;
            }
            Ok(buffer.len())
        }
    }
    Noise(1)
}

/// Flips a bit.
fn spoil(file: &Path, place: SeekFrom) -> Result {
    let flip = || {
        let mut file = File::options().read(true).write(true).open(file)?;
        let mut byte = [0];
        file.seek(place)?;
        file.read_exact(&mut byte)?;
        file.seek(SeekFrom::Current(-1))?;
        file.write_all(&[byte[0] ^ 1])
    };
    flip().map_err(broken)
}

impl Scene {
    /// What is offered is refused: the service says why, the server is told, and the old version is booted next.
    async fn refuses(&self, what: &str) -> Result {
        let (reported, asked) = (self.server.events().len(), self.server.requests().len());
        let attempt = self.guest.check_for_update().await?;
        let limit = self.guest.limits().update();
        let unasked = attempt.clone();
        let end = tokio::select! {
            // A client may claim to be updated without having asked.
            end = unasked.refused(limit) => end,
            check = self.next_check(asked) => match check {
                Ok(_) => attempt.has_begun().refused(limit).await,
                Err(failure) => Err(failure),
            },
        };
        let end = end.map_err(|failure| failure.context(what))?;
        self.still_boots_old(&format!("after {what}")).await?;
        self.runs_old(&format!("after {what}")).await?;
        let (limit, interrupt) = (self.guest.limits().condition(), self.guest.interrupt());
        let mut new = 0;
        let report = self.server.wait_for_event("the error report", limit, interrupt, |it| {
            new = it.index;
            new >= reported && it.event.result == EventResult::Error
        });
        let report = report.await.map_err(|error| Failure::from(error).context(what))?;
        let code = report.event.error_code.unwrap_or(ErrorCode::SUCCESS);
        check!(code != ErrorCode::SUCCESS, "{what}: the error report has no error code");
        tracing::info!("{what}: {code}; {}", end.complaints.join("; "));
        Ok(())
    }

    /// Still the old version after a reboot.
    async fn survives_a_reboot(self, cx: &Context) -> Result<Self> {
        cx.step("rebooting");
        let scene = self.reboot().await?;
        scene.runs_old("after the refused updates and a reboot").await?;
        scene.still_boots_old("after the refused updates and a reboot").await?;
        Ok(scene)
    }

    async fn offers(&self, cx: &Context, payload: &Path, what: &str) -> Result {
        cx.step(what);
        self.offer(vec![Release::load(payload).await.map_err(broken)?])
    }
}

async fn scene(cx: &Context) -> Result<Scene> {
    let guest = cx.boot().await?;
    Scene::set(cx, guest, Vec::new(), Signer::Us).await
}

pub(super) async fn signature(cx: Context) -> Result {
    let workshop = Workshop::open(&cx)?;
    let unsigned = workshop.make("unsigned", SMALL, Vec::new()).await?;
    let stranger = PrivateKey::from_pem(STRANGER).map_err(broken)?;
    let strangers = workshop.make("strangers", SMALL, vec![stranger]).await?;
    let spoilt = workshop.make("spoilt", SMALL, vec![workshop.key()?]).await?;
    // The last bytes of a payload are those of its last signature.
    spoil(&spoilt, SeekFrom::End(-1))?;
    let scene = scene(&cx).await?;
    let mut checks = Checks::default();
    for (payload, what) in [
        (&unsigned, "an unsigned payload"),
        (&spoilt, "a payload with a wrong signature"),
        (&strangers, "a payload signed with another key"),
    ] {
        scene.offers(&cx, payload, what).await?;
        checks.note(scene.refuses(what).await)?;
    }
    checks.done()?;
    scene.survives_a_reboot(&cx).await.map(drop)
}

pub(super) async fn damage(cx: Context) -> Result {
    let workshop = Workshop::open(&cx)?;
    let good = workshop.make("good", SMALL, vec![workshop.key()?]).await?;
    let blob = workshop.make("blob", SMALL, vec![workshop.key()?]).await?;
    // The middle of the data. The server announces the digest of what it has, so only the operation's own tells.
    spoil(&blob, SeekFrom::Start(SMALL / 2))?;
    let cut = workshop.make("cut", SMALL, vec![workshop.key()?]).await?;
    // A connection that breaks is no reason to refuse, since the rest can be fetched; a payload that has no rest is.
    File::options()
        .write(true)
        .open(&cut)
        .and_then(|cut| cut.set_len(SMALL / 2))
        .map_err(broken)?;
    let scene = scene(&cx).await?;
    let mut checks = Checks::default();
    for (payload, what) in
        [(&blob, "a payload with a damaged operation"), (&cut, "a payload that was cut short")]
    {
        scene.offers(&cx, payload, what).await?;
        checks.note(scene.refuses(what).await)?;
    }
    scene.offers(&cx, &good, "the same payload, sound, and a server that damages it").await?;
    for (misbehaviour, what) in [
        (Misbehaviour::Corrupt { offset: SMALL / 2 }, "a payload that was damaged on its way"),
        (Misbehaviour::WrongSize, "a payload of another size than announced"),
        (Misbehaviour::WrongHash, "a payload with another digest than announced"),
    ] {
        cx.step(what);
        scene.server.misbehave(misbehaviour).await;
        checks.note(scene.refuses(what).await)?;
        scene.server.behave().await.map_err(broken)?;
    }
    checks.done()?;
    scene.survives_a_reboot(&cx).await.map(drop)
}

/// A file that takes what room there is.
const FILL: &str = "wheeltap-fill";

pub(super) async fn no_room(cx: Context) -> Result {
    let workshop = Workshop::open(&cx)?;
    let scene = scene(&cx).await?;
    let device = quote(&format!("/dev/disk/by-partuuid/{}", scene.to.partuuid));
    let size = scene.guest.sudo(&format!("blockdev --getsize64 {device}")).await?;
    let size: u64 = size.trim().parse().map_err(broken)?;
    let large = workshop.make("large", size + (1 << 20), vec![workshop.key()?]).await?;
    let mut checks = Checks::default();
    scene.offers(&cx, &large, "a payload that is larger than the slot").await?;
    checks.note(scene.refuses("a payload that is larger than the slot").await)?;

    let good = workshop.make("good", SMALL, vec![workshop.key()?]).await?;
    let boot = &cx.slots()?.boot.mount;
    for (directory, what) in [
        (boot.as_str(), "an update while the boot partition is full"),
        ("/var", "an update while ROOT is full"),
    ] {
        scene.offers(&cx, &good, what).await?;
        let fill = quote(&format!("{directory}/{FILL}"));
        scene.fills(directory, &fill).await?;
        checks.note(scene.refuses(what).await)?;
        scene.guest.sudo(&format!("rm {fill} && sync")).await?;
    }
    checks.done()?;
    scene.survives_a_reboot(&cx).await.map(drop)
}

impl Scene {
    /// Fills a file system to the last byte.
    async fn fills(&self, directory: &str, file: &str) -> Result {
        // The other slot's kernel goes first, so that there is nothing to overwrite in place.
        self.guest.sudo(&format!("rm -f {}", quote(&self.to.kernel))).await?;
        let fill = format!(
            "n=$(df --output=avail -B1 {directory} | tail -n 1); \
             fallocate -l $n {file} 2>/dev/null || true; cat /dev/zero >>{file} 2>/dev/null; \
             sync; echo x >>{file} && exit 1; true"
        );
        let run = self.guest.try_sudo(&fill).await?;
        if run.success() {
            return Ok(());
        }
        let headline = format!("{directory} can't be filled: {}", run.error_text());
        Err(Failure::new(Class::Test, "fill", headline))
    }
}

pub(super) async fn server_trouble(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let next = &cx.targets()?.next;
    let scene = Scene::set(&cx, guest, vec![release(next).await?], next.signer).await?;
    let mut checks = Checks::default();
    for (trouble, what) in [
        (
            Misbehaviour::HttpStatus { status: 500 }.on(Scope::Checks),
            "a server that fails (HTTP 500)",
        ),
        (Misbehaviour::GarbageXml.into(), "a server that answers no XML"),
    ] {
        cx.step(what);
        scene.server.misbehave(trouble).await;
        checks.note(scene.refuses(what).await)?;
        scene.server.behave().await.map_err(broken)?;
    }
    checks.done()?;
    cx.step("taking the server down");
    scene.server.misbehave(Misbehaviour::Down).await;
    let attempt = scene.guest.check_for_update().await?;
    attempt.refused(scene.guest.limits().update()).await?;
    scene.still_boots_old("with the server down").await?;
    let scene = {
        cx.step("rebooting while the server is down");
        let scene = scene.reboot().await?;
        scene.runs_old("after a reboot without a server").await?;
        scene
    };
    cx.step("the server is back, and breaks one download off");
    scene.server.behave().await.map_err(broken)?;
    scene.configure(GROUP).await?;
    scene.server.misbehave(Misbehaviour::ResetAfter { bytes: 4 << 20 }.times(1)).await;
    scene.install().await?;
    scene.boots_new().await
}
