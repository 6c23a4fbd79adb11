# What is wrong with an image that scenarios want to be bad. Without DEFECT nothing is.
. "$RECIPE/lib.sh"

case $DEFECT in
  "") ;;
  # The update service doesn't start, so nothing marks the slot good.
  never-good) rm "$USR/sbin/update_engine" ;;
  *) echo "no defect is named $DEFECT" >&2; exit 1 ;;
esac
