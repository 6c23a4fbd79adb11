# esp.img, the EFI system partition: GRUB for UEFI, the selector, slot A's kernel, the mark of a first boot.
. "$RECIPE/lib.sh"

# GRUB knows nothing of slots: it always loads the selector.
printf 'search.fs_label EFI-SYSTEM root hd0,gpt1\nset prefix=($root)/flatcar/grub\nconfigfile ($root)/flatcar/grub/grub.cfg\n' >load.cfg
modules="normal search search_label part_gpt fat configfile echo linux serial terminal test boot"
# shellcheck disable=SC2086 # a list of words
grub-mkimage -O x86_64-efi -d /usr/lib/grub/x86_64-efi -c load.cfg -p /flatcar/grub -o bootx64.efi $modules
# shellcheck disable=SC2086
grub-mkimage -O i386-pc -d /usr/lib/grub/i386-pc -c load.cfg -p /flatcar/grub -o core.img $modules biosdisk

truncate -s "$(size_mib 1)M" esp.img
mkfs.vfat -n EFI-SYSTEM --invariant esp.img >/dev/null
: >first_boot
cp "$RECIPE/files/grub.cfg" grub.cfg
touch -d "@$SOURCE_DATE_EPOCH" grub.cfg bootx64.efi selector.kernel selector.initrd vmlinuz-a first_boot
mmd -i esp.img ::/EFI ::/EFI/boot ::/flatcar ::/flatcar/grub
put() { mcopy -m -i esp.img "$1" "::/$2"; }
put bootx64.efi EFI/boot/bootx64.efi
put grub.cfg flatcar/grub/grub.cfg
put selector.kernel flatcar/selector
put selector.initrd flatcar/selector.initrd
put vmlinuz-a flatcar/vmlinuz-a
# Ignition runs while this file exists, and the initrd removes it afterwards.
put first_boot flatcar/first_boot
