//! Ignition applies what a config asks for, once.

use super::{ACT, LOOK};
use crate::{
    check,
    context::Context,
    failure::{Failure, Result},
    ignition::{Fragment, directory, dropin, file, link, unit, user},
    scenario::{Needs, Proof, Scenario},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "ignition.files",
        summary: "files get their content, mode and owner",
        tags: &["smoke"],
        claims: &["ignition-specs"],
        ignition: |_| Some(files_config()),
        proofs: &[
            Proof { fault: "other-content", headline: &["/opt/wheeltap/file holds"] },
            Proof { fault: "other-mode", headline: &["has mode"] },
            Proof { fault: "other-owner", headline: &["belongs to"] },
        ],
        body: |cx| Box::pin(files(cx)),
        ..LOOK
    },
    Scenario {
        name: "ignition.directories",
        summary: "directories are made with their mode and owner",
        claims: &["ignition-specs"],
        ignition: |_| Some(Fragment::new([directory(DIRECTORY, 0o750).owner("core", "core")])),
        proofs: &[Proof { fault: "no-directory", headline: &["is no directory"] }],
        body: |cx| Box::pin(directories(cx)),
        ..LOOK
    },
    Scenario {
        name: "ignition.links",
        summary: "symbolic links are made with their target",
        claims: &["ignition-specs"],
        ignition: |_| Some(Fragment::new([link(LINK, LINK_TARGET)])),
        proofs: &[Proof { fault: "other-link", headline: &["points to"] }],
        body: |cx| Box::pin(links(cx)),
        ..LOOK
    },
    Scenario {
        name: "ignition.users",
        summary: "a new user exists, is in its groups and can log in with its key",
        claims: &["ignition-specs"],
        ignition: |_| Some(users_config()),
        proofs: &[
            Proof { fault: "no-group", headline: &["is not in group"] },
            Proof { fault: "no-key", headline: &["authorized key"] },
        ],
        body: |cx| Box::pin(users(cx)),
        ..LOOK
    },
    Scenario {
        name: "ignition.units",
        summary: "an enabled unit ran, and a drop-in changed an existing one",
        claims: &["ignition-specs"],
        ignition: |_| Some(units_config()),
        proofs: &[
            Proof { fault: "unit-not-enabled", headline: &["wheeltap-unit.service"] },
            Proof { fault: "no-dropin", headline: &["drop-in"] },
        ],
        body: |cx| Box::pin(units(cx)),
        ..LOOK
    },
    Scenario {
        name: "ignition.hostname",
        summary: "the host name from the config is the machine's",
        claims: &["ignition-specs"],
        ignition: |_| Some(Fragment::new([file("/etc/hostname", HOSTNAME, 0o644)])),
        proofs: &[Proof { fault: "other-hostname", headline: &["the host name is"] }],
        body: |cx| Box::pin(hostname(cx)),
        ..LOOK
    },
    Scenario {
        name: "ignition.once",
        summary: "Ignition runs on the first boot, and not again on the next",
        claims: &["provision-once"],
        tags: &["smoke"],
        ignition: |_| Some(once_config()),
        proofs: &[
            Proof { fault: "first-boot-again", headline: &["Ignition ran again"] },
            Proof { fault: "no-marker", headline: &["Ignition did not write"] },
        ],
        body: |cx| Box::pin(once(cx)),
        ..ACT
    },
    Scenario {
        name: "ignition.bad-config",
        summary: "a config that can't be applied stops the boot, and the console says why",
        needs: Needs::FRESH,
        ignition: |_| Some(Fragment::new([file("/opt/bad", "x", 0o644).owner(NOBODY, NOBODY)])),
        proofs: &[Proof { fault: "good-config", headline: &["came up with a config"] }],
        body: |cx| Box::pin(bad_config(cx)),
        ..ACT
    },
];

const FILE: &str = "/opt/wheeltap/file";
const CONTENT: &str = "Übung macht den Meister: 100% of \"quotes\" and\ttabs\n";
const DIRECTORY: &str = "/opt/wheeltap/directory";
const LINK: &str = "/opt/wheeltap/link";
const LINK_TARGET: &str = "/usr/lib/os-release";
const USER: &str = "tapper";
const HOSTNAME: &str = "wheeltap-host";
const MARKER: &str = "/opt/wheeltap/marker";
const NOBODY: &str = "no-such-user";
/// A valid public key whose private half nobody has.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqP0e0c5vGJpZ0lX1nV0Xv4dB0m0l3zF1S9b3cVqk2v tapper@wheeltap";

fn files_config() -> Fragment {
    Fragment::new([file(FILE, CONTENT, 0o640).owner("core", "core")])
}

async fn files(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let facts = guest.stat(FILE).await?;
    let facts = facts.ok_or_else(|| Failure::check(format!("{FILE} does not exist")))?;
    let content = guest.read(FILE).await?;
    check!(
        content == CONTENT.as_bytes(),
        "{FILE} holds {:?}, the config says {CONTENT:?}",
        String::from_utf8_lossy(&content)
    );
    check!(facts.mode == 0o640, "{FILE} has mode {:o}, the config says 640", facts.mode);
    check!(facts.owner == "core", "{FILE} belongs to {}, the config says core", facts.owner);
    Ok(())
}

async fn directories(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let facts = guest.stat(DIRECTORY).await?;
    let kind = facts.as_ref().map_or("nothing", |facts| facts.kind.as_str());
    check!(kind == "directory", "{DIRECTORY} is no directory but {kind}");
    let facts = facts.ok_or_else(|| Failure::check(format!("{DIRECTORY} vanished")))?;
    check!(facts.mode == 0o750, "{DIRECTORY} has mode {:o}, the config says 750", facts.mode);
    check!(facts.owner == "core", "{DIRECTORY} belongs to {}, the config says core", facts.owner);
    Ok(())
}

async fn links(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let facts = guest.stat(LINK).await?;
    let kind = facts.as_ref().map_or("nothing", |facts| facts.kind.as_str());
    check!(kind == "symbolic link", "{LINK} is no symbolic link but {kind}");
    let target = guest.read_link(LINK).await?;
    check!(target == LINK_TARGET, "{LINK} points to {target}, the config says {LINK_TARGET}");
    Ok(())
}

fn users_config() -> Fragment {
    Fragment::new([user(USER, &[KEY], &["systemd-journal"])])
}

async fn users(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let user = guest.user(USER).await?;
    let user = user.ok_or_else(|| Failure::check(format!("user {USER} does not exist")))?;
    let group = "systemd-journal";
    check!(user.groups.iter().any(|g| g == group), "user {USER} is not in group {group}");
    // Where the keys land differs between builds of Ignition; sshd reads both places.
    let keys = format!(
        "cat {home}/.ssh/authorized_keys {home}/.ssh/authorized_keys.d/* 2>/dev/null; true",
        home = user.home
    );
    let keys = guest.sudo(&keys).await?;
    let blob = KEY.split(' ').nth(1).unwrap_or_default();
    check!(
        keys.contains(blob),
        "{USER}'s authorized keys don't hold the authorized key of the config"
    );
    Ok(())
}

fn units_config() -> Fragment {
    let contents = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/touch /run/wheeltap-unit-ran\n\
                [Install]\nWantedBy=multi-user.target\n";
    Fragment::new([
        unit("wheeltap-unit.service", contents, true),
        dropin(
            "systemd-journald.service",
            "10-wheeltap.conf",
            "[Service]\nEnvironment=WHEELTAP=1\n",
        ),
    ])
}

async fn units(cx: Context) -> Result {
    let guest = cx.boot().await?;
    guest.wait_until_started().await?;
    let unit = guest.unit("wheeltap-unit.service").await?;
    check!(unit.active == "active", "wheeltap-unit.service is {} ({})", unit.active, unit.load);
    let ran = guest.stat("/run/wheeltap-unit-ran").await?;
    check!(ran.is_some(), "wheeltap-unit.service is active but never ran");
    let environment = guest.run("systemctl show -p Environment systemd-journald.service").await?;
    check!(
        environment.contains("WHEELTAP=1"),
        "the drop-in of systemd-journald.service has no effect: {}",
        environment.trim()
    );
    Ok(())
}

async fn hostname(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let name = guest.run("cat /proc/sys/kernel/hostname").await?;
    check!(name.trim() == HOSTNAME, "the host name is {}, the config says {HOSTNAME}", name.trim());
    Ok(())
}

fn once_config() -> Fragment {
    // Overwritten if it is there, so that a second run of Ignition shows as such, and not as its failure.
    Fragment::new([file(MARKER, "written by Ignition\n", 0o644).set("overwrite", true)])
}

async fn once(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let written = guest.stat(MARKER).await?;
    check!(written.is_some(), "Ignition did not write {MARKER}");
    cx.step("changing what Ignition wrote, then rebooting");
    guest.sudo(&format!("echo 'changed since' > {MARKER} && sync")).await?;
    let guest = guest.reboot().await?;
    let content = guest.run(&format!("cat {MARKER}")).await?;
    check!(
        content.trim() == "changed since",
        "Ignition ran again: {MARKER} holds {:?}",
        content.trim()
    );
    let messages = guest.try_run("sudo journalctl -b -o cat -t ignition").await?.text();
    check!(
        !messages.contains("Ignition finished"),
        "Ignition ran again: it is in the second boot's journal"
    );
    Ok(())
}

async fn bad_config(cx: Context) -> Result {
    let failure = cx.boot_expecting_failure().await?;
    let Some(failure) = failure else {
        return Err(Failure::check(format!(
            "the machine came up with a config that names the unknown user {NOBODY}"
        )));
    };
    // The cause must be on the console, not only in a journal that nobody can reach.
    check!(
        failure.headline.contains(NOBODY) && failure.headline.contains("Ignition"),
        "the boot ended, but for another cause: {}",
        failure.headline
    );
    Ok(())
}
