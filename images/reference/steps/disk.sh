# The partition table and the partitions' contents into IMAGE, a sparse raw disk.
. "$RECIPE/lib.sh"

# Partitions start on 2 MiB, as Flatcar aligns them.
sector=4096
args=()
declare -A start
while read -r number label mib type guid; do
  [ -n "$number" ] || continue
  start[$number]=$sector
  args+=(-n "$number:$sector:$((sector + mib * 2048 - 1))" -c "$number:$label" -t "$number:$type" -u "$number:$guid")
  sector=$((sector + mib * 2048))
done <<<"$LAYOUT"
# Two more MiB hold the backup table.
rm -f "$IMAGE"
truncate -s $(((sector + 4096) * 512)) "$IMAGE"
sgdisk -a 4096 -U "$DISK_GUID" "${args[@]}" "$IMAGE" >/dev/null

# As Flatcar's build leaves them: A is good, B is empty.
cgpt add -i 3 -P 1 -T 0 -S 1 "$IMAGE"
cgpt add -i 4 -P 0 -T 0 -S 0 "$IMAGE"

# put FILE NUMBER
put() { dd if="$1" of="$IMAGE" bs=2M seek=$((start[$2] / 4096)) conv=notrunc,sparse status=none; }

put esp.img 1
put usr.img 3

# ext4 NUMBER LABEL GUID OPTION...: an empty file system for a partition. Flatcar's OEM is btrfs.
ext4() {
  local number=$1 label=$2 guid=$3
  shift 3
  truncate -s "$(size_mib "$number")M" "$label.img"
  mkfs.ext4 -q -F -L "$label" -U "$guid" -E "root_owner=0:0,hash_seed=$guid,lazy_itable_init=1" "$@" "$label.img"
  put "$label.img" "$number"
}
ext4 6 OEM 57686c74-6170-4000-8000-0000000000f6 -O ^has_journal
ext4 9 ROOT 57686c74-6170-4000-8000-0000000000f9
