//! The QEMU platform against a real QEMU. The machines have an empty disk: nothing of this needs a guest.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{fs, path::Path, time::Duration};

use wheeltap_platforms::{
    Accelerator, Class, DiskPatch, ExtraDisk, Firmware, Hardware, Interruption, Machine,
    MachineExit, MachineSpec, Origin, Platform, PlatformError,
    qemu::{Qemu, QemuOptions, SavedMemory, find_ovmf},
};

/// No test waits this long unless something is broken.
const GUARD: Duration = Duration::from_secs(120);

fn qemu() -> Qemu {
    Qemu::new(QemuOptions { accelerator: Some(Accelerator::Tcg), ..QemuOptions::default() })
}

fn spec(directory: &Path) -> MachineSpec {
    let image = directory.join("image.raw");
    if !image.exists() {
        fs::write(&image, vec![0; 1 << 20]).unwrap();
    }
    let evidence = directory.join("m1");
    fs::create_dir_all(&evidence).unwrap();
    MachineSpec {
        name: "m1".into(),
        image,
        patches: Vec::new(),
        hardware: Hardware { memory_mib: 64, ..Hardware::default() },
        ignition: b"{}".to_vec(),
        fw_cfg_key: "opt/com.coreos/config".into(),
        evidence,
        origin: Origin::Boot,
    }
}

async fn start(spec: MachineSpec) -> Result<Box<dyn Machine>, PlatformError> {
    tokio::time::timeout(GUARD, qemu().start(spec)).await.unwrap()
}

async fn interruption(machine: &dyn Machine) -> Interruption {
    let interrupt = machine.interrupter().listen();
    tokio::time::timeout(GUARD, interrupt.raised()).await.unwrap()
}

fn pid(evidence: &Path) -> Option<u32> {
    let needle = format!("{}", evidence.join("console.log").display());
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let is_qemu = line.starts_with(b"qemu-system");
        (is_qemu && String::from_utf8_lossy(&line).contains(&needle)).then_some(pid)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lives_and_leaves_nothing_but_evidence() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(directory.path());
    spec.hardware.disks.push(ExtraDisk { serial: "data".into(), size_mib: 8 });
    spec.hardware.extra_nics = 1;
    let evidence = spec.evidence.clone();
    let machine = start(spec).await.unwrap();

    assert_eq!(machine.status().await.unwrap(), "running");
    machine.pause().await.unwrap();
    assert_eq!(machine.status().await.unwrap(), "paused");
    machine.resume().await.unwrap();
    assert_ne!(machine.ssh_address().port(), 0);

    let resets = machine.resets();
    machine.reset().await.unwrap();
    while machine.resets() == resets {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let picture = evidence.join("screenshot.png");
    machine.screenshot(&picture).await.unwrap();
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));

    let process = pid(&evidence).expect("qemu runs");
    machine.destroy().await.unwrap();
    assert_eq!(machine.wait_exit(GUARD).await.unwrap(), MachineExit::Quit);
    assert!(!Path::new(&format!("/proc/{process}")).exists());
    let mut left: Vec<_> = fs::read_dir(&evidence)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let expected =
        ["console.log", "ignition.json", "qemu.args", "qemu.stderr", "qmp.jsonl", "screenshot.png"];
    assert_eq!(left, expected);
    let events = fs::read_to_string(evidence.join("qmp.jsonl")).unwrap();
    assert!(events.contains("RESET"), "{events}");
    assert!(events.contains("host-qmp-quit"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_machine_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let spec = spec(directory.path());
    let evidence = spec.evidence.clone();
    let machine = start(spec).await.unwrap();
    let process = pid(&evidence).expect("qemu runs");
    drop(machine);
    while Path::new(&format!("/proc/{process}")).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!evidence.join("disk.qcow2").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_qemu_interrupts_every_wait() {
    let directory = tempfile::tempdir().unwrap();
    let spec = spec(directory.path());
    let evidence = spec.evidence.clone();
    let machine = start(spec).await.unwrap();
    let process = pid(&evidence).expect("qemu runs");
    let process = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    let why = interruption(&*machine).await;
    assert!(why.to_string().contains("qemu ended by itself (signal: 9"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uefi_starts_with_variables_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(directory.path());
    spec.hardware.firmware = Firmware::Uefi;
    spec.hardware.memory_mib = 128;
    let evidence = spec.evidence.clone();
    let machine = start(spec).await.unwrap();
    assert!(evidence.join("ovmf-vars.fd").exists());
    machine.destroy().await.unwrap();
    assert!(!evidence.join("ovmf-vars.fd").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_qemu_says_is_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(directory.path());
    spec.hardware.cpus = 100_000;
    let error = start(spec).await.err().expect("QEMU refuses so many CPUs");
    assert_eq!(error.class, Class::Infra);
    assert!(error.message.contains("qemu ended before it could be reached"), "{}", error.message);
    assert!(error.message.contains("SMP CPUs"), "{}", error.message);
    assert!(error.message.contains("its command was:\nqemu-system-x86_64"), "{}", error.message);
    assert!(!directory.path().join("m1/disk.qcow2").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_qemu_names_the_package() {
    let directory = tempfile::tempdir().unwrap();
    let options = QemuOptions {
        program: "qemu-system-nonesuch".into(),
        accelerator: Some(Accelerator::Tcg),
        ..QemuOptions::default()
    };
    let error = Qemu::new(options).start(spec(directory.path())).await.err().unwrap();
    assert_eq!(
        error.message,
        "qemu-system-nonesuch is not installed: apt-get install qemu-system-x86"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(directory.path());
    spec.image = directory.path().join("nonesuch.img");
    let error = start(spec).await.err().unwrap();
    assert!(error.message.contains("nonesuch.img can't be read"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_needs_a_partition_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(directory.path());
    spec.patches.push(DiskPatch { partition: "USR-A".into(), offset: 0, bytes: vec![1] });
    let error = start(spec).await.err().unwrap();
    assert!(error.message.contains("no GUID partition table"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_start_from_a_saved_one_and_leave_it_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state, of 'one'");
    fs::create_dir(&state).unwrap();
    let mut source = spec(directory.path());
    source.hardware.disks.push(ExtraDisk { serial: "data".into(), size_mib: 8 });
    source.origin = Origin::Savable(state.clone());
    let machine = start(source.clone()).await.unwrap();
    let saved = machine.save().await.unwrap();
    assert_eq!(machine.wait_exit(GUARD).await.unwrap(), MachineExit::Quit);
    assert!(saved.size().unwrap() > 0);
    let content = |name: &str| fs::read(state.join(name)).unwrap();
    let files = ["memory", "devices", "disk.qcow2", "disk-data.qcow2"];
    let before = files.map(content);

    let fork = |name: &str| {
        let evidence = directory.path().join(name);
        fs::create_dir(&evidence).unwrap();
        let origin = Origin::Fork(saved.clone());
        start(MachineSpec { name: name.into(), evidence, origin, ..source.clone() })
    };
    let (first, second) = tokio::join!(fork("f1"), fork("f2"));
    let (first, second) = (first.unwrap(), second.unwrap());
    for fork in [&first, &second] {
        assert_eq!(fork.status().await.unwrap(), "running");
    }
    assert_ne!(first.ssh_address().port(), second.ssh_address().port());
    first.reset().await.unwrap();
    while first.resets() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    first.destroy().await.unwrap();
    second.destroy().await.unwrap();
    assert!(files.map(content) == before, "a fork has changed what it started from");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_cannot_be_mapped_is_copied() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::create_dir(&state).unwrap();
    let qemu = Qemu::new(QemuOptions {
        accelerator: Some(Accelerator::Tcg),
        saved_memory: SavedMemory::Copied,
        ..QemuOptions::default()
    });
    let mut source = spec(directory.path());
    source.origin = Origin::Savable(state.clone());
    let saved = qemu.start(source.clone()).await.unwrap().save().await.unwrap();
    assert_eq!(saved.memory, SavedMemory::Copied);
    assert!(!state.join("memory").exists());
    source.origin = Origin::Fork(saved);
    let fork = qemu.start(source).await.unwrap();
    assert_eq!(fork.status().await.unwrap(), "running");
    fork.destroy().await.unwrap();
    assert!(state.join("devices").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_where_no_file_can_be_mapped_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::create_dir(&state).unwrap();
    // It can be opened, and not be mapped.
    std::os::unix::fs::symlink("/dev/null", state.join("memory")).unwrap();
    let mut source = spec(directory.path());
    source.origin = Origin::Savable(state.clone());
    let saved = start(source).await.unwrap().save().await.unwrap();
    assert_eq!(saved.memory, SavedMemory::Copied);
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_of_a_state_follow_the_machine_and_not_its_paths() {
    let facts = async |hardware: &Hardware| qemu().state_facts(hardware, "opt/key").await.unwrap();
    let hardware = Hardware::default();
    let usual = facts(&hardware).await;
    assert_eq!(usual, facts(&hardware).await);
    assert!(usual[0].starts_with("QEMU emulator version"), "{usual:?}");
    let larger = Hardware { memory_mib: 2048, ..hardware.clone() };
    assert_ne!(usual, facts(&larger).await);
    let uefi = facts(&Hardware { firmware: Firmware::Uefi, ..hardware }).await;
    let (code, variables) = find_ovmf().unwrap();
    for file in [code, variables] {
        let before = format!("{} ", file.display());
        assert!(uefi.iter().any(|fact| fact.starts_with(&before)), "{uefi:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_not_saved_leaves_no_state() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::create_dir(&state).unwrap();
    let mut spec = spec(directory.path());
    spec.origin = Origin::Savable(state.clone());
    start(spec).await.unwrap().destroy().await.unwrap();
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_broken_is_an_error_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::create_dir(&state).unwrap();
    let mut source = spec(directory.path());
    source.origin = Origin::Savable(state.clone());
    let saved = start(source.clone()).await.unwrap().save().await.unwrap();
    fs::write(state.join("devices"), "no state").unwrap();
    source.origin = Origin::Fork(saved);
    let error = start(source.clone()).await.err().unwrap();
    assert_eq!(error.class, Class::Infra);
    assert!(pid(&source.evidence).is_none());
    assert!(!source.evidence.join("disk.qcow2").exists());
}
