# shellcheck shell=bash
# Settings and helpers that every step shares. Sourced, never run.
#
# The caller (`build`) exports RECIPE (this directory), PACKAGES (the unpacked packages), VERSION and
# IMAGE (the disk to write), and runs each step with a scratch directory as its working directory.
set -euo pipefail

# Everything below makes the same bytes from the same inputs: one clock, one collation, one umask.
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1700000000
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
umask 022

# The partition table of Flatcar's build_library/disk_layout.json, with smaller sizes. The GPT type and
# the unique GUIDs of USR-A and USR-B are Flatcar's. Flatcar draws the other GUIDs at random; here they
# are fixed, because a random one would give every build another digest.
# number  label  MiB  type  unique-GUID
# shellcheck disable=SC2034 # read by the steps
LAYOUT='
1 EFI-SYSTEM 128 c12a7328-f81f-11d2-ba4b-00a0c93ec93b 57686c74-6170-4000-8000-000000000001
2 BIOS-BOOT    2 21686148-6449-6e6f-744e-656564454649 57686c74-6170-4000-8000-000000000002
3 USR-A      256 5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6 7130c94a-213a-4e5a-8e26-6cce9662f132
4 USR-B      256 5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6 e03dd35c-7c2d-4a47-b3fe-27f15780a57c
6 OEM          8 0fc63daf-8483-4772-8e79-3d69d8477de4 57686c74-6170-4000-8000-000000000006
7 OEM-CONFIG   2 c95dc21a-df0e-4340-8d7b-26cbfa9a03e0 57686c74-6170-4000-8000-000000000007
9 ROOT       512 3884dd41-8582-4404-b9a8-e9b84f2df50e 57686c74-6170-4000-8000-000000000009
'
# Flatcar's "not yet made random" disk GUID.
# shellcheck disable=SC2034
DISK_GUID=00000000-0000-0000-0000-000000000001

# Products of the steps, in the scratch directory.
# shellcheck disable=SC2034
{
  USR=usr                 # tree that becomes /usr
  ETC=usr/share/flatcar/etc  # lower layer of the /etc overlay
  UNITS=usr/lib/systemd/system
}

# die_with_caller: wheeltap starts a script as the leader of a process group and holds its standard input
# open. When that ends (wheeltap may have been killed), the group is killed with all that runs in it.
die_with_caller() {
  [ -n "${WHEELTAP_LIFELINE:-}" ] || return 0
  exec 9<&0 </dev/null
  { cat <&9 >/dev/null; kill -KILL 0; } >/dev/null 2>&1 &
  # shellcheck disable=SC2064 # this process, now
  trap "kill $! 2>/dev/null" EXIT
}

# The one kernel release among the packages.
kernel_release() { basename "$PACKAGES"/lib/modules/*; }

# size_mib NUMBER: the size of a partition of the layout.
size_mib() { awk -v n="$1" '$1 == n { print $3 }' <<<"$LAYOUT"; }

# round_up FILE BLOCK: pads a file with zeros to a multiple of BLOCK bytes.
round_up() { truncate -s "%$2" "$1"; }

# pack_initrd TREE FILE: a tree as a compressed cpio archive. LZ4 unpacks fastest in a machine without KVM.
pack_initrd() {
  find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  (cd "$1" && find . -print0 | sort -z | cpio --null --quiet -o -H newc -R 0:0 --reproducible) |
    lz4 -l -9 -q >"$2"
}
