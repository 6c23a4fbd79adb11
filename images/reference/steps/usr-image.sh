# The tree of /usr to usr.img: erofs with its dm-verity hash tree behind it. The root hash goes to usr.hash.
. "$RECIPE/lib.sh"

# Unpacking keeps the special mode bits for root only, so they are set here, for everybody alike. Owners
# become root below, so what Debian gives to the group shadow (unix_chkpwd) is setuid root, as on Flatcar.
find "$USR" -perm /7000 -exec chmod a-st {} +
chmod 4755 "$USR"/bin/{chfn,chsh,gpasswd,mount,newgrp,passwd,su,sudo,umount} "$USR/sbin/unix_chkpwd" \
  "$USR/lib/openssh/ssh-keysign"
# The builder's umask and checkout have no say either.
find "$USR" -type d -exec chmod 755 {} +
find "$USR" -type f ! -perm /111 -exec chmod 644 {} +
chmod 640 "$ETC"/{shadow,gshadow}
chmod 440 "$ETC/sudoers" "$ETC"/sudoers.d/*

# LZ4 costs less in the machine than the dm-verity hashing of the bytes it saves.
mkfs.erofs -zlz4hc --all-root -x-1 -T"$SOURCE_DATE_EPOCH" -U 57686c74-6170-4000-8000-0000000000e0 \
  usr.img "$USR" >/dev/null
round_up usr.img 4096
size=$(stat -c %s usr.img)
veritysetup format usr.img usr.img --hash-offset="$size" --data-blocks=$((size / 4096)) \
  --data-block-size=4096 --hash-block-size=4096 \
  --salt=0000000000000000000000000000000000000000000000000000000000000000 \
  --uuid=57686c74-6170-4000-8000-0000000000e1 |
  sed -n 's/^Root hash:[[:space:]]*//p' >usr.hash
[ "$(wc -c <usr.hash)" = 65 ] || { echo "veritysetup named no root hash" >&2; exit 1; }

limit=$((120 * 1024 * 1024))
total=$(stat -c %s usr.img)
[ "$total" -lt $limit ] || { echo "/usr has grown to $total bytes, more than $limit" >&2; exit 1; }
