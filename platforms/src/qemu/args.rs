//! QEMU's command line: one small pure function per concern.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use crate::{Accelerator, ExtraDisk, Hardware};

/// Everything the command line depends on.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) accelerator: Accelerator,
    pub(crate) hardware: Hardware,
    /// The machine's own disk, a qcow2 overlay on the image.
    pub(crate) disk: PathBuf,
    /// Files of the extra disks, in the order of `hardware.disks`.
    pub(crate) extra_disks: Vec<PathBuf>,
    pub(crate) fw_cfg_key: String,
    pub(crate) ignition: PathBuf,
    pub(crate) console: PathBuf,
    pub(crate) qmp_socket: PathBuf,
    /// OVMF's code and this machine's copy of its variables, for UEFI.
    pub(crate) ovmf: Option<(PathBuf, PathBuf)>,
    pub(crate) memory: Memory,
}

/// Where the guest's memory is.
#[derive(Clone, Debug)]
pub(crate) enum Memory {
    /// Nowhere but in the process.
    Anonymous,
    /// In this file, which what the guest writes goes to.
    File(PathBuf),
    /// In this file at the start; what the guest writes stays in the process. QEMU waits for the rest of the state.
    PrivateFile(PathBuf),
    /// In the process, to be saved with the devices.
    Copied,
    /// In the process, which waits for it and the rest of the state.
    Incoming,
}

/// Where a guest on QEMU's user network finds the host's 127.0.0.1: qemu(1), `-netdev user`, `host=` (the second address
/// of 10.0.2.0/24, unless said otherwise). `restrict=on` would close that way.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2));

impl Launch {
    /// Where the guest finds the host's 127.0.0.1.
    pub(crate) fn host_address(&self) -> Option<IpAddr> {
        // The extra networks have the same addresses as the first, and the guest may take one of them for the way.
        (self.hardware.extra_nics == 0).then_some(HOST)
    }

    /// The arguments after the program name.
    pub(crate) fn args(&self) -> Vec<OsString> {
        [
            machine(self.accelerator, &self.memory),
            size(&self.hardware),
            memory(&self.hardware, &self.memory),
            firmware(self.ovmf.as_ref()),
            system_disk(&self.disk),
            extra_disks(&self.hardware.disks, &self.extra_disks),
            network(),
            extra_networks(self.hardware.extra_nics),
            console(&self.console),
            screen(),
            qmp(&self.qmp_socket),
            entropy(),
            ignition(&self.fw_cfg_key, &self.ignition),
        ]
        .concat()
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.into_iter().map(OsString::from).collect()
}

/// `option,KEY=VALUE` with the value's commas doubled, as QEMU's option parser wants them.
fn path_option(before: &str, path: &Path, after: &str) -> OsString {
    // A path of ours that isn't UTF-8 can only come from the user's --out; the loss is visible in qemu.args.
    let path = path.to_string_lossy().replace(',', ",,");
    OsString::from(format!("{before}{path}{after}"))
}

fn machine(accelerator: Accelerator, memory: &Memory) -> Vec<OsString> {
    let (accel, cpu) = match accelerator {
        // The host's own CPU: nothing is emulated, and Flatcar's images may use what it has.
        Accelerator::Kvm => ("kvm", "host"),
        // One host thread per vCPU. Room (MiB) for little more code than a boot makes: what an earlier boot left is dropped
        // at once then, and not page by page as the next boot writes over it, which made every reboot take twice as long.
        // `max` without five-level paging, which only makes software page walks longer.
        Accelerator::Tcg => ("tcg,thread=multi,tb-size=256", "max,la57=off"),
    };
    // No configuration files and no default devices: the machine is what stands here, on every host.
    let machine = match memory {
        Memory::Anonymous => "q35",
        _ => "q35,memory-backend=memory0",
    };
    let mut args = words(["-accel", accel, "-machine", machine, "-cpu", cpu]);
    args.extend(words(["-nodefaults", "-no-user-config", "-display", "none"]));
    args
}

fn size(hardware: &Hardware) -> Vec<OsString> {
    let (cpus, memory) = (hardware.cpus.to_string(), hardware.memory_mib.to_string());
    words(["-smp", &cpus, "-m", &memory])
}

fn memory(hardware: &Hardware, memory: &Memory) -> Vec<OsString> {
    let size = hardware.memory_mib;
    let backed = |file: &Path, share: &str| {
        let before = format!("memory-backend-file,id=memory0,size={size}M,share={share},mem-path=");
        path_option(&before, file, "")
    };
    let backend = match memory {
        Memory::Anonymous => return Vec::new(),
        Memory::File(file) => backed(file, "on"),
        // Never shared: all forks would write to the same memory.
        Memory::PrivateFile(file) => backed(file, "off"),
        Memory::Copied | Memory::Incoming => {
            format!("memory-backend-ram,id=memory0,size={size}M").into()
        }
    };
    let mut args = vec![
        "-object".into(),
        backend,
        "-device".into(),
        // Tells the guest that it is another now, so that forks don't draw the same random numbers.
        "vmgenid,guid=auto".into(),
    ];
    if matches!(memory, Memory::PrivateFile(_) | Memory::Incoming) {
        args.extend(words(["-incoming", "defer"]));
    }
    args
}

fn firmware(ovmf: Option<&(PathBuf, PathBuf)>) -> Vec<OsString> {
    let Some((code, variables)) = ovmf else {
        // SeaBIOS is what q35 starts by itself.
        return Vec::new();
    };
    vec![
        "-drive".into(),
        path_option("if=pflash,format=raw,unit=0,readonly=on,file=", code, ""),
        "-drive".into(),
        path_option("if=pflash,format=raw,unit=1,file=", variables, ""),
    ]
}

fn system_disk(disk: &Path) -> Vec<OsString> {
    vec![
        "-drive".into(),
        // The overlay dies with the machine, so the host need not flush it (cache=unsafe). The guest's own flushes still
        // order its writes within QEMU, so a reset or a panic of the guest loses nothing that it had flushed.
        path_option("if=none,id=disk0,format=qcow2,cache=unsafe,discard=unmap,file=", disk, ""),
        "-device".into(),
        "virtio-blk-pci,drive=disk0,bootindex=1".into(),
    ]
}

fn extra_disks(disks: &[ExtraDisk], files: &[PathBuf]) -> Vec<OsString> {
    let mut args = Vec::new();
    for (n, (disk, file)) in disks.iter().zip(files).enumerate() {
        let n = n + 1;
        args.push("-drive".into());
        let before = format!("if=none,id=disk{n},format=qcow2,cache=unsafe,discard=unmap,file=");
        args.push(path_option(&before, file, ""));
        args.push("-device".into());
        // The serial gives the disk a stable name in the guest: /dev/disk/by-id/virtio-SERIAL.
        args.push(format!("virtio-blk-pci,drive=disk{n},serial={}", disk.serial).into());
    }
    args
}

fn network() -> Vec<OsString> {
    words([
        "-netdev",
        // Port 0: QEMU asks the kernel for a free one, so there is no race for it; it is read back over QMP.
        "user,id=net0,hostfwd=tcp:127.0.0.1:0-:22",
        "-device",
        // No option ROM: nothing boots from the network, and the firmware starts sooner.
        "virtio-net-pci,netdev=net0,romfile=",
    ])
}

fn extra_networks(count: u32) -> Vec<OsString> {
    (1..=count)
        .flat_map(|n| {
            [
                OsString::from("-netdev"),
                // Networks of their own, cut off from the host: only the number of cards matters.
                OsString::from(format!("user,id=net{n},restrict=on")),
                OsString::from("-device"),
                OsString::from(format!("virtio-net-pci,netdev=net{n},romfile=")),
            ]
        })
        .collect()
}

fn console(file: &Path) -> Vec<OsString> {
    vec![
        "-chardev".into(),
        // QEMU itself writes the file: what the guest said is kept even if wheeltap is killed.
        path_option("file,id=console,path=", file, ""),
        "-serial".into(),
        "chardev:console".into(),
    ]
}

fn screen() -> Vec<OsString> {
    // Without a display adapter there is nothing to take a screenshot of.
    words(["-device", "VGA"])
}

fn qmp(socket: &Path) -> Vec<OsString> {
    vec!["-qmp".into(), path_option("unix:", socket, ",server=on,wait=off")]
}

fn entropy() -> Vec<OsString> {
    words([
        "-object",
        // urandom never blocks; a guest that waits for entropy would wait for the host's.
        "rng-random,id=rng0,filename=/dev/urandom",
        "-device",
        "virtio-rng-pci,rng=rng0",
    ])
}

fn ignition(key: &str, config: &Path) -> Vec<OsString> {
    vec!["-fw_cfg".into(), path_option(&format!("name={key},file="), config, "")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Firmware;

    fn launch(accelerator: Accelerator, hardware: Hardware) -> Launch {
        let uefi = hardware.firmware == Firmware::Uefi;
        Launch {
            accelerator,
            extra_disks: (1..=hardware.disks.len())
                .map(|n| PathBuf::from(format!("/out/m1/disk{n}.qcow2")))
                .collect(),
            hardware,
            disk: "/out/m1/disk.qcow2".into(),
            fw_cfg_key: "opt/org.flatcar-linux/config".into(),
            ignition: "/out/m1/ignition.json".into(),
            console: "/out/m1/console.log".into(),
            qmp_socket: "/run/wheeltap-1/qmp".into(),
            ovmf: uefi.then(|| ("/usr/share/OVMF/CODE.fd".into(), "/out/m1/vars.fd".into())),
            memory: Memory::Anonymous,
        }
    }

    /// One option per line, so that a change shows as a change of that line.
    fn lines(launch: &Launch) -> String {
        let mut text = String::new();
        for arg in launch.args() {
            let arg = arg.into_string().unwrap();
            text.push_str(if arg.starts_with('-') { "\n" } else { " " });
            text.push_str(&arg);
        }
        text
    }

    #[test]
    fn tcg_bios() {
        let launch = launch(Accelerator::Tcg, Hardware::default());
        insta::assert_snapshot!(lines(&launch));
        assert_eq!(launch.host_address(), Some(HOST));
    }

    #[test]
    fn kvm_uefi() {
        let hardware =
            Hardware { firmware: Firmware::Uefi, cpus: 2, memory_mib: 2048, ..Hardware::default() };
        insta::assert_snapshot!(lines(&launch(Accelerator::Kvm, hardware)));
    }

    #[test]
    fn extra_disks_and_networks() {
        let disk = |serial: &str| ExtraDisk { serial: serial.into(), size_mib: 64 };
        let hardware = Hardware {
            disks: vec![disk("data"), disk("swap")],
            extra_nics: 2,
            ..Hardware::default()
        };
        let launch = launch(Accelerator::Tcg, hardware);
        insta::assert_snapshot!(lines(&launch));
        assert_eq!(launch.host_address(), None);
    }

    #[test]
    fn saved_and_forked() {
        let mut launch = launch(Accelerator::Kvm, Hardware::default());
        launch.memory = Memory::File("/out/state/memory".into());
        let saved = lines(&launch);
        insta::assert_snapshot!(saved);
        launch.memory = Memory::PrivateFile("/out/state/memory".into());
        let forked = lines(&launch);
        // Private, and waiting for the rest of the state; nothing else may differ.
        assert_eq!(
            forked,
            saved
                .replace("share=on", "share=off")
                .replace("guid=auto", "guid=auto\n-incoming defer")
        );
    }

    #[test]
    fn saved_and_forked_without_a_file_for_the_memory() {
        let mut launch = launch(Accelerator::Tcg, Hardware::default());
        launch.memory = Memory::Copied;
        let saved = lines(&launch);
        assert!(saved.contains("-object memory-backend-ram,id=memory0,size=1024M\n"), "{saved}");
        launch.memory = Memory::Incoming;
        let expected = saved.replace("guid=auto", "guid=auto\n-incoming defer");
        assert_eq!(lines(&launch), expected);
    }

    #[test]
    fn commas_in_paths_are_doubled() {
        let mut launch = launch(Accelerator::Tcg, Hardware::default());
        launch.disk = "/out/a,b/disk.qcow2".into();
        assert!(lines(&launch).contains("file=/out/a,,b/disk.qcow2"));
    }

    #[test]
    fn a_machine_that_outlives_wheeltap_is_known_by_its_socket() {
        let socket = Path::new("/a,b/wheeltap-1-2-0123456789/qmp");
        let mut line = b"qemu-system-x86_64".to_vec();
        for arg in qmp(socket) {
            line.push(0);
            line.extend(arg.as_encoded_bytes());
        }
        let (_, found) = crate::lease::parse_command_line(&line).unwrap();
        assert_eq!(found, socket);
    }
}
