use std::{fs, future::Future as _, path::PathBuf, pin::pin, task::Poll, time::Duration};

use super::*;
use crate::qemu::{SavedMemory, SavedState};

/// A directory of states, an image, and what makes a state of that.
struct Place {
    directory: tempfile::TempDir,
    states: States,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("image"), "image").unwrap();
        let states = States::at(directory.path().join("states"), DEFAULT_LIMIT);
        states.prepare().unwrap();
        Self { directory, states }
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    async fn vacant(&self, name: &str) -> Vacant {
        match self.states.acquire(name).await.unwrap() {
            Entry::Vacant(vacant) => vacant,
            Entry::Ready(held) => panic!("{} is there already", held.name()),
        }
    }

    /// A state with one file of so many bytes.
    async fn make(&self, name: &str, size: usize) -> Held {
        let vacant = self.vacant(name).await;
        let state = fill(&vacant, size);
        vacant.publish(&state, &self.image()).unwrap()
    }

    /// Everything that is in the directory.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.states.directory()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn fill(vacant: &Vacant, size: usize) -> SavedState {
    let directory = vacant.directory().to_owned();
    fs::write(directory.join("devices"), vec![1; size]).unwrap();
    let memory = SavedMemory::Copied;
    SavedState { directory, hardware: Hardware::default(), memory }
}

#[tokio::test]
async fn a_state_is_made_once_and_found_again() {
    let place = Place::new();
    assert!(place.states.find("a").unwrap().is_none());
    let made = place.make("a", 10).await;
    assert_eq!(made.state().directory, place.states.directory().join("a"));
    assert_eq!(made.state().memory, SavedMemory::Copied);
    let found = place.states.find("a").unwrap().unwrap();
    assert_eq!(found.state(), made.state());
    assert!(matches!(place.states.acquire("a").await.unwrap(), Entry::Ready(_)));
    assert_eq!(place.left(), ["a", "a.lock"]);
    let mode = fs::metadata(&made.state().directory).unwrap().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn whoever_wants_what_is_being_made_waits_for_it() {
    let place = Place::new();
    let vacant = place.vacant("a").await;
    assert!(place.states.find("a").unwrap().is_none(), "it is not complete");
    let mut waiting = pin!(place.states.acquire("a"));
    let early = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_ready()));
    assert!(!early.await);
    let state = fill(&vacant, 10);
    let made = vacant.publish(&state, &place.image()).unwrap();
    let Entry::Ready(found) = waiting.await.unwrap() else { panic!("it would be made twice") };
    assert_eq!(found.state(), made.state());
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing_and_is_free() {
    let place = Place::new();
    let vacant = place.vacant("a").await;
    fill(&vacant, 10);
    drop(vacant);
    assert!(place.left().is_empty(), "{:?}", place.left());
    place.make("a", 10).await;
}

#[tokio::test]
async fn a_state_of_ones_own_is_for_nobody_else_and_goes_with_its_owner() {
    let place = Place::new();
    let vacant = place.vacant("a").await;
    let state = fill(&vacant, 10);
    let held = vacant.keep(&state, &place.image()).unwrap();
    assert!(held.state().directory.join("devices").exists());
    assert!(place.states.find("a").unwrap().is_none());
    place.states.prepare().unwrap();
    assert!(held.state().directory.exists(), "its owner lives");
    let other = place.make("a", 10).await;
    drop((held, other));
    assert_eq!(place.left(), ["a", "a.lock"]);
}

#[tokio::test]
async fn a_damaged_state_is_removed() {
    let damages: [fn(&Place, &Path); 6] = [
        |_, state| fs::write(state.join("devices"), "short").unwrap(),
        |_, state| fs::remove_file(state.join("devices")).unwrap(),
        |_, state| fs::write(state.join("about.json"), "{}").unwrap(),
        |_, state| fs::remove_file(state.join("about.json")).unwrap(),
        |place, _| fs::write(place.image(), "another image").unwrap(),
        |place, _| fs::remove_file(place.image()).unwrap(),
    ];
    for damage in damages {
        let place = Place::new();
        let state = place.make("a", 10).await.state().clone();
        damage(&place, &state.directory);
        assert!(place.states.find("a").unwrap().is_none());
        assert!(place.left().is_empty(), "{:?}", place.left());
    }
}

#[tokio::test]
async fn a_state_whose_file_was_written_to_is_removed() {
    let place = Place::new();
    let state = place.make("a", 10).await.state().clone();
    let file = fs::File::options().append(true).open(state.directory.join("devices")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
    assert!(place.states.find("a").unwrap().is_none());
}

#[tokio::test]
async fn a_state_that_does_not_come_up_is_removed_under_the_eyes_of_its_users() {
    let place = Place::new();
    let held = place.make("a", 10).await;
    let other = place.states.find("a").unwrap().unwrap();
    place.states.spoil(&held);
    place.states.spoil(&other);
    assert!(place.states.find("a").unwrap().is_none());
    drop((held, other));
    place.make("a", 10).await;
}

#[tokio::test]
async fn what_was_used_least_recently_makes_room() {
    let place = Place::new();
    for (age, name) in [(30, "a"), (20, "b"), (10, "c")] {
        let held = place.make(name, 100_000).await;
        let lock = place.states.lock_file(held.name());
        let then = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().append(true).open(lock).unwrap().set_modified(then).unwrap();
    }
    let names = || {
        let listed = place.states.list().unwrap();
        listed.into_iter().map(|state| state.name).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["a", "b", "c"]);
    drop(place.states.find("a").unwrap());
    assert_eq!(names(), ["b", "c", "a"], "it was used just now");
    assert!(place.states.evict(u64::MAX).unwrap().is_empty());

    let held = place.states.find("c").unwrap();
    let listed = place.states.list().unwrap();
    let c = listed.iter().find(|state| state.name == "c").unwrap();
    assert!(c.held && c.size >= 100_000);
    let two = c.size * 2;
    let removed = place.states.evict(two).unwrap();
    assert_eq!(removed.iter().map(|state| &*state.name).collect::<Vec<_>>(), ["b"]);
    place.states.evict(0).unwrap();
    assert_eq!(names(), ["c"], "somebody holds it");
    drop(held);
    place.states.evict(0).unwrap();
    assert!(place.left().is_empty(), "{:?}", place.left());
}

#[tokio::test]
async fn what_a_killed_process_left_is_swept() {
    let place = Place::new();
    let root = place.states.directory();
    for name in ["a.making", "b.own-1-0"] {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("memory"), "half").unwrap();
    }
    fs::write(root.join("a.lock"), "").unwrap();
    let alive = place.vacant("c").await;
    let left = ["a.making", "b.own-1-0"].map(|name| root.join(name));
    let sorted = |mut paths: Vec<PathBuf>| {
        paths.sort();
        paths
    };
    assert_eq!(sorted(place.states.abandoned().unwrap()), left);
    assert!(!root.join("b.own-1-0.lock").exists(), "to look makes nothing");
    assert_eq!(sorted(place.states.remove_abandoned().unwrap()), left);
    assert_eq!(place.left(), ["c.lock", "c.making"]);
    drop(alive);
}

#[tokio::test]
async fn a_temporary_place_goes_with_its_last_user() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("run/states");
    let states = States::temporary(&root);
    states.prepare().unwrap();
    assert!(root.exists());
    drop(states);
    assert!(!root.exists());
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = States::at(file.join("states"), 0).prepare().unwrap_err();
    assert!(error.message.contains("can't be used"), "{}", error.message);
}

#[test]
fn everything_that_goes_in_decides_the_name() {
    let (hardware, facts) = (Hardware::default(), ["QEMU 7".to_owned()]);
    let usual = Ingredients {
        image: "5e",
        config: b"{}",
        user: "core",
        hardware: &hardware,
        facts: &facts,
    };
    let larger = Hardware { memory_mib: 2048, ..hardware.clone() };
    let newer = ["QEMU 8".to_owned()];
    let others = [
        Ingredients { image: "5f", ..usual.clone() },
        Ingredients { config: b"{ }", ..usual.clone() },
        Ingredients { user: "root", ..usual.clone() },
        Ingredients { hardware: &larger, ..usual.clone() },
        Ingredients { facts: &newer, ..usual.clone() },
    ];
    let digest = usual.digest();
    assert_eq!(digest, usual.digest());
    assert_eq!(digest.len(), 32);
    assert!(others.iter().all(|other| other.digest() != digest));
}
