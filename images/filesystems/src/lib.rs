//! Reads disks without root and without mounting: partitions, and the file systems in them.
