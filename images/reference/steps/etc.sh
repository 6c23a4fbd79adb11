# /usr/share/flatcar/etc: users, the files that maintainer scripts would have written, our own files.
. "$RECIPE/lib.sh"

cp -a "$RECIPE/files/etc/." "$ETC"
mkdir -p "$ETC"/{alternatives,flatcar,ssl/certs,systemd/{network,system}}

# Users. Debian's base users, the system users that packages would have made (ids as on Flatcar), and core.
sed 's/^\([^:]*\):\*:/\1:x:/; s#^\(root:.*\):/bin/sh$#\1:/bin/bash#' \
  "$PACKAGES/usr/share/base-passwd/passwd.master" >"$ETC/passwd"
sed 's/^\([^:]*\):\*:/\1:x:/' "$PACKAGES/usr/share/base-passwd/group.master" >"$ETC/group"
# user NAME ID COMMENT HOME SHELL
user() {
  echo "$1:x:$2:$2:$3:$4:$5" >>"$ETC/passwd"
  echo "$1:x:$2:" >>"$ETC/group"
}
user messagebus 201 'D-Bus' /run/dbus /usr/sbin/nologin
user sshd 204 'sshd' /run/sshd /usr/sbin/nologin
user systemd-network 244 'systemd-networkd' / /usr/sbin/nologin
user systemd-resolve 245 'systemd-resolved' / /usr/sbin/nologin
user core 500 'Flatcar Admin' /home/core /bin/bash
for group in systemd-journal:248 input:249 kvm:78 render:250 sgx:251 wheel:110 docker:233; do
  echo "${group%:*}:x:${group#*:}:" >>"$ETC/group"
done
sed -i -E 's/^(sudo|wheel|docker|systemd-journal):x:([0-9]+):.*/\1:x:\2:core/' "$ETC/group"
# Nobody has a password; core gets keys from Ignition.
awk -F: '{ print $1 ":*:19700:0:99999:7:::" }' "$ETC/passwd" >"$ETC/shadow"
awk -F: '{ print $1 ":*::" $4 }' "$ETC/group" >"$ETC/gshadow"

# ca-certificates' list, in a fixed order.
cat "$USR"/share/ca-certificates/mozilla/*.crt >"$ETC/ssl/certs/ca-certificates.crt"
ln -sf ../usr/lib/os-release "$ETC/os-release"
ln -sf /run/systemd/resolve/resolv.conf "$ETC/resolv.conf"

# update-alternatives did not run.
ln -sf mawk "$USR/bin/awk"
ln -sf bash "$USR/bin/sh"
ln -sf less "$USR/bin/pager"
ln -sf which.debianutils "$USR/bin/which"
