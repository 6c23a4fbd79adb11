# Packages to the tree of /usr: merged /usr, Flatcar's /usr/share/flatcar/etc, our own files on top.
. "$RECIPE/lib.sh"

cp -a "$PACKAGES/usr/." "$USR"
# Nothing was configured, so Debian's usrmerge has not happened yet. Links inside keep working, because
# the machine has /bin -> usr/bin and so on.
for dir in bin sbin lib lib64; do
  mkdir -p "$USR/$dir"
  cp -a --no-clobber "$PACKAGES/$dir/." "$USR/$dir/"
done

# On Flatcar /etc is an overlay whose lower layer lives in /usr.
mkdir -p "$ETC"
cp -a "$PACKAGES/etc/." "$ETC"

# Ignition runs from /usr once it is mounted, as on Flatcar.
install -m 755 "$PACKAGES/usr/lib/dracut/modules.d/30ignition/ignition" "$USR/bin/ignition"
