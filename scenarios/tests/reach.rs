//! The way from a guest to the update server. The guest is an OpenSSH server on this host, so its 127.0.0.1 is the host's.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

#[macro_use]
#[expect(dead_code, reason = "it helps other tests too")]
#[path = "../../platforms/tests/sshd/mod.rs"]
mod sshd;

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use sshd::{GUARD, Server, noise, user};
use tokio_util::sync::CancellationToken;
use wheeltap_platforms::{Hardware, Interrupt, external::External, poll_until};
use wheeltap_scenarios::{
    Guest, Observer, Phase, SharedMachine, Updates, World,
    guest::Way,
    profile::Profile,
    updates::{Release, UpdateServer},
    watch::{Hit, Rules},
};

struct Silent;

impl Observer for Silent {
    fn phase(&self, _: Phase) {}
    fn machine(&self, _: &str, _: Option<&str>) {}
    fn step(&self, _: &str) {}
    fn console(&self, _: &Hit) {}
    fn trouble(&self, _: &str) {}
}

fn machine(server: &Server) -> SharedMachine {
    let world = World {
        platform: Arc::new(External::new(server.address)),
        profile: Profile::builtin("reference").unwrap(),
        image: PathBuf::new(),
        image_digest: String::new(),
        image_version: None,
        config: None,
        key: server.key.private(),
        public_key: None,
        user: user(),
        rules: Rules::builtin(),
        updates: Updates::None("this machine has none".into()),
        states: None,
        cancel: CancellationToken::new(),
    };
    let evidence = server.dir.path().join("m1");
    let hardware = Hardware::default();
    SharedMachine::new(Arc::new(world), hardware, Vec::new(), evidence, Arc::new(Silent))
}

/// A server with one payload, of which it gives the bytes too.
async fn updates(server: &Server) -> (UpdateServer, Vec<u8>) {
    let path = server.dir.path().join("update.gz");
    let payload = noise(3_000_001);
    std::fs::write(&path, &payload).unwrap();
    let release = Release::load(&path).await.unwrap();
    (UpdateServer::start(UpdateServer::LOOPBACK, vec![release]).await.unwrap(), payload)
}

/// What a client on the guest gets from the server whose update URL this is.
async fn download(url: &str) -> Result<Vec<u8>, String> {
    let url = url.replace("/v1/update", "/packages/update.gz");
    let agent: ureq::Agent =
        ureq::Agent::config_builder().proxy(None).timeout_global(Some(GUARD)).build().into();
    let get = move || agent.get(url).call()?.body_mut().read_to_vec();
    tokio::task::spawn_blocking(get).await.unwrap().map_err(|error| error.to_string())
}

/// Ends every SSH session, as a reboot does.
fn hang_up(server: &Server) {
    let parent = server.process.id().to_string();
    let children = Command::new("ps").args(["-o", "pid=", "--ppid", &parent]).output().unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    assert!(!children.trim().is_empty());
    assert!(
        Command::new("kill")
            .arg("-KILL")
            .args(children.split_whitespace())
            .status()
            .unwrap()
            .success()
    );
}

async fn guest(machine: &SharedMachine) -> Guest {
    tokio::time::timeout(GUARD, machine.guest()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_leads_to_the_server_until_it_is_dropped() {
    let server = server!();
    let machine = machine(&server);
    let guest = guest(&machine).await;
    let (updates, payload) = updates(&server).await;
    // Nobody knows of a way from an external machine.
    let reached = guest.reach(&updates).await.unwrap();
    assert_eq!(reached.way(), Way::Forward);
    assert_ne!(reached.url(), updates.url());
    reached.ready().await.unwrap();
    assert!(download(reached.url()).await.unwrap() == payload);

    let url = reached.url().to_owned();
    drop(reached);
    let (what, pause) = ("the port to close", Duration::from_millis(20));
    poll_until(what, GUARD, pause, &Interrupt::never(), async || match download(&url).await {
        Ok(_) => Err("it still answers"),
        Err(_) => Ok(()),
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_forward_comes_back_on_the_same_port() {
    let server = server!();
    let machine = machine(&server);
    let guest = guest(&machine).await;
    let (updates, payload) = updates(&server).await;
    let reached = guest.reach_by(Way::Forward, &updates).await.unwrap();
    for _ in 0..2 {
        hang_up(&server);
        let (what, pause) = ("the forward", Duration::from_millis(20));
        let download = || download(reached.url());
        let again = poll_until(what, GUARD, pause, &Interrupt::never(), download).await;
        assert!(again.unwrap() == payload);
        reached.ready().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_is_not_there_is_named() {
    let server = server!("AllowTcpForwarding no\n");
    let machine = machine(&server);
    let guest = guest(&machine).await;
    let (updates, _) = updates(&server).await;
    let failure = guest.reach_by(Way::Direct, &updates).await.unwrap_err();
    let expected = format!(
        "the platform's network has no way from the guest to {} of this host; use a forward",
        updates.address()
    );
    assert_eq!(failure.headline, expected);
    let failure = guest.reach(&updates).await.unwrap_err();
    assert!(failure.headline.contains("`AllowTcpForwarding yes`"), "{failure}");
}
