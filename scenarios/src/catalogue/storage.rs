//! Disks: the read-only `/usr`, and what Ignition makes on other disks.

use wheeltap_platforms::{Capability, poll_until, ssh::quote};

use super::{ACT, LOOK};
use crate::{
    check,
    context::Context,
    failure::{Failure, Result},
    guest::Guest,
    ignition::{Fragment, filesystem as new_filesystem, unit},
    scenario::{Needs, Proof, Scenario},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "storage.usr-read-only",
        summary: "/usr can't be written, nor be made writable",
        claims: &["immutable-usr"],
        tags: &["smoke"],
        needs: Needs { slots: true, ..Needs::SHARED },
        proofs: &[Proof { fault: "writable-usr", headline: &["/usr can be written"] }],
        body: |cx| Box::pin(usr_read_only(cx)),
        ..LOOK
    },
    Scenario {
        name: "storage.usr-verity",
        summary: "/usr is the dm-verity device that the kernel command line names",
        claims: &["verity"],
        tags: &["smoke"],
        needs: Needs { slots: true, ..Needs::SHARED },
        proofs: &[Proof { fault: "no-verity", headline: &["is not a verity device"] }],
        body: |cx| Box::pin(usr_verity(cx)),
        ..LOOK
    },
    Scenario {
        name: "storage.verity-detects",
        summary: "a block of /usr that was changed on the disk is never served",
        claims: &["verity"],
        needs: Needs { slots: true, ..Needs::OWN },
        expects: &["verity-corruption", "kernel-panic", "disk-io-error"],
        proofs: &[Proof { fault: "no-verity", headline: &["the changed block was served"] }],
        body: |cx| Box::pin(verity_detects(cx)),
        ..ACT
    },
    Scenario {
        name: "storage.filesystem",
        summary: "Ignition makes a file system on a second disk, and it is mounted",
        claims: &["ignition-specs"],
        needs: Needs {
            capabilities: &[Capability::FreshBoot, Capability::ExtraDisks],
            disks: &[("data", 128)],
            ..Needs::OWN
        },
        ignition: |_| Some(filesystem_config()),
        proofs: &[Proof {
            fault: "no-mount-unit",
            headline: &["nothing is mounted at /var/lib/data"],
        }],
        body: |cx| Box::pin(filesystem(cx)),
        ..ACT
    },
    Scenario {
        name: "storage.swap",
        summary: "Ignition makes a swap area on a second disk, and it is in use",
        claims: &["ignition-specs"],
        needs: Needs {
            capabilities: &[Capability::FreshBoot, Capability::ExtraDisks],
            disks: &[("swap", 64)],
            ..Needs::OWN
        },
        ignition: |_| Some(swap_config()),
        proofs: &[Proof { fault: "no-swap-unit", headline: &["no swap is in use"] }],
        body: |cx| Box::pin(swap(cx)),
        ..ACT
    },
];

async fn usr_read_only(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let mount = usr_mount(&guest).await?;
    let write = guest.try_run("sudo touch /usr/wheeltap-was-here").await?;
    if write.success() {
        guest.try_run("sudo rm -f /usr/wheeltap-was-here").await?;
        return Err(Failure::check("/usr can be written"));
    }
    check!(
        write.error_text().contains("Read-only file system"),
        "/usr refuses a write for another reason: {}",
        write.error_text()
    );
    check!(mount.options.iter().any(|o| o == "ro"), "/usr is not mounted read-only: {mount:?}");
    let remount = guest.try_run("sudo mount -o remount,rw /usr").await?;
    if remount.success() {
        let write = guest.try_run("sudo touch /usr/wheeltap-was-here").await?;
        check!(!write.success(), "/usr can be written after a remount");
        guest.try_run("sudo mount -o remount,ro /usr").await?;
    }
    Ok(())
}

async fn usr_mount(guest: &Guest) -> Result<crate::guest::Mount> {
    guest.mount("/usr").await?.ok_or_else(|| Failure::check("nothing is mounted at /usr"))
}

async fn usr_verity(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let mount = usr_mount(&guest).await?;
    let table = guest.sudo(&format!("dmsetup table {}", quote(&mount.source))).await?;
    // Linux, Documentation/admin-guide/device-mapper/verity.rst: start, length, "verity", version, data device, hash
    // device, data block size, hash block size, number of data blocks, hash start block, algorithm, root digest, salt.
    let columns: Vec<&str> = table.split_whitespace().collect();
    let ["0", _, "verity", _, _, _, _, _, _, _, _, digest, ..] = columns.as_slice() else {
        return Err(Failure::check(format!(
            "/usr is on {}, which is not a verity device: {}",
            mount.source,
            table.trim()
        )));
    };
    let line = guest.kernel_command_line().await?;
    let slots = cx.slots()?;
    let named = line.value(&slots.cmdline_hash).unwrap_or("nothing");
    check!(*digest == named, "/usr has root hash {digest}, the kernel command line names {named}");
    let (partition, slot) = guest.active_slot().await?;
    let uuid = &slot.partuuid;
    let named = line.value(&slots.cmdline_device).unwrap_or("nothing").to_lowercase();
    check!(
        named == format!("partuuid={uuid}"),
        "/usr runs from {partition}, slot {} with PARTUUID {uuid}, the kernel command line names {named}",
        slot.label
    );
    Ok(())
}

async fn verity_detects(cx: Context) -> Result {
    let guest = cx.boot().await?;
    guest.wait_until_started().await?;
    let mount = usr_mount(&guest).await?;
    let (partition, _) = guest.active_slot().await?;
    // Any data block will do, since every one is hashed; direct reads see what the disk holds, not the page cache.
    let block = 1000;
    let read = |device: &str| {
        format!("dd if={} bs=4096 skip={block} count=1 iflag=direct status=none", quote(device))
    };
    let good = guest.sudo(&format!("{} | sha256sum", read(&mount.source))).await?;
    cx.step("overwriting one block of /usr on the disk, below dm-verity");
    guest
        .sudo(&format!(
            "head -c 4096 /dev/urandom | dd of={} bs=4096 seek={block} count=1 oflag=direct conv=notrunc status=none",
            quote(&partition)
        ))
        .await?;
    cx.step("reading it through /usr's device");
    // The machine panics, or the read fails; which of the two is the image's policy.
    let answer = guest.try_run(&format!("sudo {} | sha256sum", read(&mount.source))).await;
    let served = match answer {
        Ok(output) if output.success() => Some(output.text()),
        _ => None,
    };
    // sha256 of nothing is what is printed when dd could not read; the pipe's status is that of sha256sum.
    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    if let Some(served) = served.filter(|sum| !sum.starts_with(NOTHING)) {
        check!(served == good, "the changed block was served, and verity did not notice");
        return Err(Failure::check(
            "the block was not changed on the disk: the test proves nothing",
        ));
    }
    let limits = guest.limits();
    poll_until(
        "the kernel to report the corrupted block",
        limits.condition(),
        limits.poll(),
        guest.interrupt(),
        async || match guest.saw_expected("verity-corruption") {
            true => Ok(()),
            false => Err("the console shows no such line"),
        },
    )
    .await?;
    Ok(())
}

fn unit_for(disk: &str, kind: &str, body: &str) -> String {
    format!(
        "[Unit]\nDescription=wheeltap {disk}\n[{kind}]\n{body}\n[Install]\nWantedBy=multi-user.target\n"
    )
}

fn filesystem_config() -> Fragment {
    let device = "/dev/disk/by-id/virtio-data";
    let mount =
        unit_for("data", "Mount", &format!("What={device}\nWhere=/var/lib/data\nType=ext4"));
    Fragment::new([
        new_filesystem(device, "ext4").set("label", "data"),
        unit("var-lib-data.mount", &mount, true),
    ])
}

async fn filesystem(cx: Context) -> Result {
    let guest = cx.boot().await?;
    guest.wait_until_started().await?;
    let mount = guest.mount("/var/lib/data").await?;
    let mount = mount.ok_or_else(|| Failure::check("nothing is mounted at /var/lib/data"))?;
    check!(mount.fstype == "ext4", "/var/lib/data is {}, the config says ext4", mount.fstype);
    guest.sudo("echo kept > /var/lib/data/file && sync").await?;
    cx.step("rebooting, to see that the file system is not made again");
    let guest = guest.reboot().await?;
    guest.wait_for_unit("var-lib-data.mount").await?;
    let content = guest.sudo("cat /var/lib/data/file").await?;
    check!(content.trim() == "kept", "/var/lib/data/file holds {content:?} after a reboot");
    Ok(())
}

fn swap_config() -> Fragment {
    let device = "/dev/disk/by-id/virtio-swap";
    let name = "dev-disk-by\\x2did-virtio\\x2dswap.swap";
    let swap = unit_for("swap", "Swap", &format!("What={device}"));
    Fragment::new([new_filesystem(device, "swap").set("label", "swap"), unit(name, &swap, true)])
}

async fn swap(cx: Context) -> Result {
    let guest = cx.boot().await?;
    guest.wait_until_started().await?;
    let areas = guest.run("tail -n +2 /proc/swaps").await?;
    check!(!areas.trim().is_empty(), "no swap is in use");
    Ok(())
}
