//! What is known about an OS family, as data.
//!
//! A profile is one TOML file. Nothing outside such a file names an OS: scenarios ask the profile for partition
//! labels, commands and paths, so that they run unchanged on every relative.

mod facts;
mod load;

pub use facts::{
    BootPartition, FirstBoot, HashOffset, IgnitionFacts, Profile, Protocol, Slot, SlotScheme,
    Slots, Socket, Sockets, Update,
};
pub use load::ProfileError;
pub(crate) use load::toml_position;
