# GRUB for BIOS, as grub-install would write it, but as bytes: boot.img into the MBR and core.img into
# BIOS-BOOT. GRUB for UEFI is a file on the ESP already.
. "$RECIPE/lib.sh"

lba=$(sgdisk -p "$IMAGE" | awk '$1 == 2 { print $2 }')
cp /usr/lib/grub/i386-pc/boot.img boot.img
chmod 644 boot.img
round_up core.img 512

# poke FILE OFFSET HEX: overwrites bytes.
poke() { printf '%b' "$(sed 's/../\\x&/g' <<<"$3")" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc status=none; }
# little BYTES NUMBER: a number in little-endian hex.
little() {
  local hex="" i
  for ((i = 0; i < $1; i++)); do hex+=$(printf '%02x' $((($2 >> (8 * i)) & 255))); done
  echo "$hex"
}

# In boot.img: the sector of core.img, and no check of the drive number, as for any hard disk.
poke boot.img 0x5c "$(little 8 "$lba")"
poke boot.img 0x66 9090
# In core.img's first sector: where its other sectors are, how many, and the segment to load them to.
sectors=$(($(stat -c %s core.img) / 512))
poke core.img 0x1f4 "$(little 8 $((lba + 1)))$(little 2 $((sectors - 1)))$(little 2 $((0x820)))"

# Only the code of the MBR; the partition table behind byte 440 stays.
dd if=boot.img of="$IMAGE" bs=440 count=1 conv=notrunc status=none
dd if=core.img of="$IMAGE" bs=512 seek="$lba" conv=notrunc status=none
