//! What the command and the daemon say to each other: a word, and an answer. It stands in for update_engine's D-Bus.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::engine::Engine;

/// Where the daemon listens.
pub(crate) const PATH: &str = "/run/update_engine/socket";

/// A command that doesn't say its word must not keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(5);

const DONE: &str = "ok\n";

/// What can be asked, by the names of the D-Bus methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    AttemptUpdate,
    GetStatus,
    ResetStatus,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Self::AttemptUpdate => "AttemptUpdate",
            Self::GetStatus => "GetStatus",
            Self::ResetStatus => "ResetStatus",
        }
    }

    /// Asks the daemon.
    ///
    /// # Errors
    /// It can't be reached, or refuses; the error says why.
    pub(crate) fn call(self) -> io::Result<String> {
        let mut stream = UnixStream::connect(PATH)?;
        stream.write_all(format!("{}\n", self.word()).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match (self, answer.as_str()) {
            (Self::GetStatus, _) | (_, DONE) => Ok(answer),
            (_, reason) => Err(io::Error::other(reason.trim_end().to_owned())),
        }
    }
}

/// Reads a word and answers it.
pub(crate) fn answer(stream: &UnixStream, engine: &Engine) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(64)).read_line(&mut line)?;
    let all = [Method::AttemptUpdate, Method::GetStatus, Method::ResetStatus];
    let answer = match all.into_iter().find(|method| method.word() == line.trim_end()) {
        Some(Method::GetStatus) => engine.status().to_string(),
        Some(Method::AttemptUpdate) => {
            engine.attempt_update();
            DONE.to_owned()
        }
        Some(Method::ResetStatus) => {
            engine.reset_status().map_or_else(|reason| format!("{reason}\n"), |()| DONE.to_owned())
        }
        None => format!("unknown method {line:?}\n"),
    };
    (&*stream).write_all(answer.as_bytes())
}
