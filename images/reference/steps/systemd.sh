# Our units and tools, and which units are on.
. "$RECIPE/lib.sh"

cp -a "$RECIPE/files/usr/." "$USR"
chmod 755 "$USR"/bin/rootdev "$USR"/sbin/{flatcar-*,update-ca-certificates} "$USR"/lib/flatcar/* "$USR"/lib/flatcar-initrd/bin/*

# Flatcar's cgpt does more than Debian's; files/usr/lib/flatcar/cgpt adds the difference.
mv "$USR/bin/cgpt" "$USR/lib/flatcar/cgpt.debian"
ln -s ../lib/flatcar/cgpt "$USR/bin/cgpt"
# The update client, one program with two names, and the key of the updates it takes.
install -m 755 "$RECIPE/update_engine" "$USR/sbin/update_engine"
ln -s ../sbin/update_engine "$USR/bin/update_engine_client"
install -D -m 644 "$RECIPE/update-payload-key.pub.pem" "$USR/share/update_engine/update-payload-key.pub.pem"
# Ignition wants a setfiles, see files/etc/selinux/config. Only its PATH in the initrd has this one.
ln -s /usr/bin/true "$USR/lib/flatcar-initrd/bin/setfiles"

# As on Flatcar nothing is enabled by preset, and what the system itself needs is linked statically.
rm -f "$USR"/lib/systemd/system-preset/*
echo 'disable *' >"$USR/lib/systemd/system-preset/99-default.preset"
# want TARGET UNIT...
want() {
  local target=$1 unit
  shift
  mkdir -p "$UNITS/$target.wants"
  for unit in "$@"; do ln -sf "../$unit" "$UNITS/$target.wants/$unit"; done
}
want local-fs.target boot.automount
want sockets.target sshd.socket systemd-networkd.socket
want multi-user.target systemd-networkd.service systemd-resolved.service sshd-keygen.service \
  update-ca-certificates.service update-engine.service
ln -sf multi-user.target "$UNITS/default.target"

# systemd starts resolved before sysinit.target, where nothing of ours needs it; later, sshd comes up sooner.
sed -i 's/^Before=sysinit.target.*/Before=network.target nss-lookup.target/
  s/^After=systemd-sysusers.*/After=basic.target/
  /^DefaultDependencies=no/d' "$UNITS/systemd-resolved.service"
