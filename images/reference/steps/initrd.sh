# Two initial RAM file systems. The selector's chooses a slot and kexecs its kernel; the initrd, which
# every slot's kernel carries, opens dm-verity, runs Ignition and enters the real system.
. "$RECIPE/lib.sh"
release=$(kernel_release)

# base TREE: busybox and the directories both start with.
base() {
  mkdir -p "$1"/{bb/{mod,lib,dyn},dev,etc,usr}
  install -m 644 "$RECIPE/files/initramfs/common" "$1/bb/common"
  install -m 755 "$PACKAGES/bin/busybox" "$1/bb/busybox"
  local applet
  for applet in $("$PACKAGES/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$1/bb/$applet"
  done
}

# modules TREE NAME...: the modules and what they depend on, with the order to load them in.
modules() {
  local tree=$1 module file
  shift
  for module in "$@"; do
    modprobe -d "$PACKAGES" -S "$release" --show-depends "$module"
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >modules.paths
  while read -r file; do
    cp "$file" "$tree/bb/mod/"
    basename "$file"
  done <modules.paths >"$tree/bb/modules.order"
  strip -g "$tree"/bb/mod/*.ko
}

# programs TREE FILE...: dynamic programs with the libraries they need. They run through /bb/lib/ld.so, so
# that they work before there is a /usr.
programs() {
  local tree=$1 file library directory
  shift
  cp "$@" "$tree/bb/dyn/"
  local todo=("$tree"/bb/dyn/*) next
  while [ ${#todo[@]} -gt 0 ]; do
    next=()
    for file in "${todo[@]}"; do
      for library in $(objdump -p "$file" | awk '/NEEDED/ { print $2 }'); do
        [ -e "$tree/bb/lib/$library" ] && continue
        for directory in "$PACKAGES"/{,usr/}lib/x86_64-linux-gnu "$PACKAGES/lib64"; do
          [ -e "$directory/$library" ] || continue
          cp -L "$directory/$library" "$tree/bb/lib/$library"
          next+=("$tree/bb/lib/$library")
          break
        done
      done
    done
    todo=("${next[@]}")
  done
  mv "$tree/bb/lib/ld-linux-x86-64.so.2" "$tree/bb/lib/ld.so"
}

depmod -b "$PACKAGES" "$release"
disks="virtio_pci virtio_blk virtio_scsi sd_mod nvme"
fat="vfat nls_ascii nls_cp437 nls_iso8859-1 nls_utf8"

base selector
install -m 755 "$RECIPE/files/initramfs/selector" selector/init
# shellcheck disable=SC2086 # lists of words
modules selector $disks $fat
programs selector "$PACKAGES/usr/bin/cgpt" "$PACKAGES/sbin/kexec"
pack_initrd selector selector.initrd

base initrd
install -m 755 "$RECIPE/files/initramfs/initrd" initrd/init
# shellcheck disable=SC2086
modules initrd $disks $fat virtio_rng dm-verity erofs overlay qemu_fw_cfg
programs initrd "$PACKAGES/sbin/veritysetup"
pack_initrd initrd slot.initrd
