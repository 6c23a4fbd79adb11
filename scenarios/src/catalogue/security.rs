//! Who gets in, and what is open.

use super::LOOK;
use crate::{
    check,
    context::Context,
    failure::Result,
    scenario::{Proof, Scenario},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "security.only-sshd-listens",
        summary: "nothing but sshd listens for others",
        claims: &["only-sshd"],
        tags: &["smoke"],
        proofs: &[Proof { fault: "open-port", headline: &["tcp [::]:9999"] }],
        body: |cx| Box::pin(only_sshd(cx)),
        ..LOOK
    },
    Scenario {
        name: "security.keys-only",
        summary: "sshd offers no way to log in with a password",
        claims: &["keys-only"],
        tags: &["smoke"],
        proofs: &[Proof { fault: "password-login", headline: &["sshd offers"] }],
        body: |cx| Box::pin(keys_only(cx)),
        ..LOOK
    },
    Scenario {
        name: "security.default-user",
        summary: "the default user is in wheel and may become root with sudo",
        claims: &["core-user"],
        tags: &["smoke"],
        proofs: &[Proof { fault: "no-sudo", headline: &["can't become root"] }],
        body: |cx| Box::pin(default_user(cx)),
        // The fault takes away the means to undo it, so the machine can't be shared with it; the look can.
        ..LOOK
    },
    Scenario {
        name: "security.no-package-manager",
        summary: "there is no package manager on the machine",
        claims: &["no-package-manager"],
        proofs: &[Proof { fault: "package-manager", headline: &["package managers"] }],
        body: |cx| Box::pin(no_package_manager(cx)),
        ..LOOK
    },
];

async fn only_sshd(cx: Context) -> Result {
    let guest = cx.boot().await?;
    guest.wait_until_started().await?;
    let allowed = &cx.profile().sockets;
    let unexpected: Vec<String> = guest
        .listeners()
        .await?
        .iter()
        .filter(|listener| !allowed.allow(listener.protocol, listener.address, listener.port))
        .map(ToString::to_string)
        .collect();
    check!(unexpected.is_empty(), "something besides sshd listens: {}", unexpected.join(", "));
    Ok(())
}

async fn keys_only(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let methods = guest.offered_logins().await?;
    let password = methods
        .iter()
        .find(|method| matches!(method.as_str(), "password" | "keyboard-interactive"));
    check!(password.is_none(), "sshd offers {}", methods.join(", "));
    check!(methods.iter().any(|method| method == "publickey"), "sshd offers {methods:?}, no keys");
    Ok(())
}

async fn default_user(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let name = &cx.profile().user;
    let who = guest.run("id -un").await?;
    check!(who.trim() == name, "the SSH user is {}, not {name}", who.trim());
    let groups = guest.run("id -nG").await?;
    let in_wheel = groups.split_whitespace().any(|group| group == "wheel");
    check!(in_wheel, "{name} is not in wheel, only in {}", groups.trim());
    let root = guest.try_run("sudo -n id -u").await?;
    check!(
        root.success() && root.text().trim() == "0",
        "{name} can't become root with sudo: {}",
        root.error_text()
    );
    Ok(())
}

async fn no_package_manager(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let names = "apt apt-get dpkg rpm dnf yum zypper pacman apk emerge";
    // A login shell's path, and the places where such programs would be.
    let search = format!(
        "PATH=$PATH:/usr/sbin:/sbin:/usr/local/bin:/opt/bin; for p in {names}; do command -v $p; done; true"
    );
    let found = guest.run(&search).await?;
    let found: Vec<&str> = found.split_whitespace().collect();
    check!(found.is_empty(), "there are package managers: {}", found.join(", "));
    Ok(())
}
