//! Who writes on the terminal during a run.

use std::{
    io::{self, IsTerminal as _},
    iter,
    path::Path,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use wheeltap_reports::{CaseId, Paint, Plan, Record};

use super::{
    super::out,
    frame::{Size, frame},
    keys::Unechoed,
    lines::{Level, Line},
    state::State,
};
use crate::engine::Progress;

/// How often it is looked whether there is something new to draw. Times are drawn in whole seconds, so most looks draw nothing.
const TICK: Duration = Duration::from_millis(200);

/// How long a case took before, if it has a history.
pub(in crate::cli) type Expected = Box<dyn Fn(&CaseId) -> Option<Duration> + Send + Sync>;

/// What is shown.
pub(in crate::cli) struct Options {
    pub(in crate::cli) level: Level,
    /// Events go to standard output, one per line, and everything for people to standard error.
    pub(in crate::cli) json: bool,
    pub(in crate::cli) expected: Expected,
}

/// Shows a run. A thread of its own writes, so that a terminal that was stopped (Ctrl-S) or a slow reader of `--format json`
/// holds up nothing but itself.
pub(in crate::cli) struct Screen {
    sender: Sender<Message>,
    expected: Expected,
    writer: Mutex<Option<Writer>>,
}

struct Writer {
    thread: JoinHandle<Receiver<Message>>,
    /// While lines are drawn over, nobody else writes on the terminal.
    diverted: Option<out::Diverted>,
}

enum Message {
    Planned(State),
    Event(Box<Record>),
    /// A line that was meant for standard error.
    Said(String),
    End,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Standard error, a terminal, with lines below them that are drawn over.
    Live,
    Stderr,
    Stdout,
    Nowhere,
}

impl Screen {
    pub(in crate::cli) fn new(options: Options) -> Self {
        let place = place(&options, io::stderr().is_terminal(), out::is_dumb());
        let paint = match place {
            Place::Live | Place::Stderr => out::paint(&io::stderr()),
            Place::Stdout | Place::Nowhere => out::paint(&io::stdout()),
        };
        let (sender, receiver) = channel();
        let diverted = (place == Place::Live).then(|| {
            let sender = sender.clone();
            // Whoever sends when the thread has ended is a latecomer; what it left unread is written by `finish`.
            out::divert(move |line| drop(sender.send(Message::Said(line))))
        });
        let (level, json) = (options.level, options.json);
        let thread = std::thread::spawn(move || {
            let live = (place == Place::Live).then(Live::new);
            let state = State::default();
            View { place, level, json, paint, state, live, wrote: Vec::new() }.run(receiver)
        });
        let writer = Mutex::new(Some(Writer { thread, diverted }));
        Self { sender, expected: options.expected, writer }
    }

    /// Says what is left to say, and leaves the terminal as it was. What comes later is not shown.
    pub(in crate::cli) fn finish(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Writer { thread, diverted }) = writer else { return };
        self.send(Message::End);
        let ended = thread.join();
        drop(diverted);
        match ended {
            Ok(receiver) => receiver.try_iter().for_each(|message| {
                if let Message::Said(line) = message {
                    out::error_line(line);
                }
            }),
            Err(_) => tracing::error!("the screen broke down; the run went on without it"),
        }
    }

    fn send(&self, message: Message) {
        // Only a screen that broke down doesn't listen, and `finish` says so.
        let _ = self.sender.send(message);
    }
}

impl Progress for Screen {
    fn planned(&self, plan: &Plan, directory: &Path) {
        // Absolute, as in the reports, so that it can be pasted anywhere.
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        self.send(Message::Planned(State::new(plan, directory, &self.expected)));
    }

    fn event(&self, record: &Record) {
        self.send(Message::Event(Box::new(record.clone())));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Whoever asked for JSON has standard output for that alone. Without a terminal nobody watches what is drawn over; and quiet
/// means quiet.
fn place(options: &Options, stderr_is_terminal: bool, is_dumb: bool) -> Place {
    match (stderr_is_terminal, options.json) {
        (true, _) if !is_dumb && options.level > Level::Quiet => Place::Live,
        (true, true) => Place::Stderr,
        (false, true) => Place::Nowhere,
        (_, false) => Place::Stdout,
    }
}

/// What the thread has.
struct View {
    place: Place,
    level: Level,
    json: bool,
    paint: Paint,
    state: State,
    live: Option<Live>,
    /// What is to be written, in order.
    wrote: Vec<(Stream, String)>,
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

impl View {
    /// Shows what comes until the end, and gives back what came after it.
    fn run(mut self, receiver: Receiver<Message>) -> Receiver<Message> {
        let mut goes_on = true;
        while goes_on {
            let message = match &self.live {
                Some(_) => receiver.recv_timeout(TICK),
                None => receiver.recv().map_err(RecvTimeoutError::from),
            };
            match message {
                // All that is there is written at once, which spares drawing in between.
                Ok(message) => {
                    for message in iter::once(message).chain(receiver.try_iter()) {
                        goes_on &= self.take(message);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => goes_on = false,
            }
            self.show();
        }
        receiver
    }

    /// Takes in a message; false if it was the last.
    fn take(&mut self, message: Message) -> bool {
        let lines = match message {
            Message::Planned(state) => {
                self.state = state;
                return true;
            }
            Message::Said(line) => {
                self.wrote.push((Stream::Err, line));
                return true;
            }
            Message::Event(record) => {
                // Exactly the log's line: it has the same serializer and the same record.
                if self.json
                    && let Ok(line) = serde_json::to_string(&*record)
                {
                    self.wrote.push((Stream::Out, line));
                }
                self.state.apply(&record)
            }
            Message::End => {
                let lines = self.state.rest();
                self.say(lines);
                return false;
            }
        };
        self.say(lines);
        true
    }

    fn say(&mut self, lines: Vec<Line>) {
        let stream = match self.place {
            Place::Live | Place::Stderr => Stream::Err,
            Place::Stdout => Stream::Out,
            Place::Nowhere => return,
        };
        let lines = lines.into_iter().filter(|line| line.level() <= self.level);
        self.wrote.extend(lines.map(|line| (stream, line.text(self.paint))));
    }

    /// Writes what is to be written, and draws what has changed.
    fn show(&mut self) {
        let wrote = std::mem::take(&mut self.wrote);
        let write = || {
            for (stream, text) in &wrote {
                match stream {
                    Stream::Out => out::line(text),
                    Stream::Err => out::write_error(format_args!("{text}\n")),
                }
            }
        };
        let Some(live) = &mut self.live else { return write() };
        // First, so that a case is not seen below the line that says how it ended.
        live.draw(frame(&self.state, Timestamp::now(), live.size(), self.paint));
        if !wrote.is_empty() {
            // Not `println` of the bar: that fills lines with blanks, which whoever copies them has to remove again.
            live.bar.suspend(write);
        }
    }
}

/// The lines that are drawn over.
struct Live {
    bar: ProgressBar,
    drawn: Vec<String>,
    term: Term,
    _keys: Option<Unechoed>,
}

impl Live {
    fn new() -> Self {
        let keys = Unechoed::new();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is fixed, and a test of indicatif's own would be the only thing that could reject it.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self { bar, drawn: Vec::new(), term: Term::stderr(), _keys: keys }
    }

    fn size(&self) -> Size {
        let (rows, columns) = self.term.size();
        Size { columns: columns.into(), rows: rows.into() }
    }

    fn draw(&mut self, lines: Vec<String>) {
        if lines != self.drawn {
            self.bar.set_message(lines.join("\n"));
            self.drawn = lines;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
