//! A release server on the loopback interface, with the layout of the real ones and failures on demand.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

/// How one answer fails.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// With this status, and this line in the head.
    Status(u16, &'static str),
    /// After half of the body nothing more comes, until the client goes.
    Stall,
    /// After half of the body the connection ends.
    Short,
    /// The connection ends before an answer.
    Cut,
    /// The same once for good: as if the server knew nothing of ranges.
    NoRange,
}

/// A request, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The bytes that are wanted: `bytes=100-`.
    pub(crate) range: Option<String>,
    /// Bytes of the body that were sent.
    pub(crate) sent: usize,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    once: BTreeMap<String, VecDeque<Fault>>,
    always: BTreeMap<String, Fault>,
    asked: Vec<Asked>,
    /// Answers with this path wait for it.
    gate: Option<(String, mpsc::Receiver<()>)>,
}

#[derive(Clone)]
pub(crate) struct Server {
    authority: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = Self { authority, state: Arc::default() };
        let own = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let own = own.clone();
                // Clients that were killed end their thread here.
                thread::spawn(move || own.answer(stream.ok()?));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        self.state.lock().unwrap().files.insert(path.to_owned(), content.as_ref().to_vec());
        self
    }

    pub(crate) fn remove(&self, path: &str) -> &Self {
        self.state.lock().unwrap().files.remove(path);
        self
    }

    /// The next answers for this path fail like this, one after the other. Questions for heads are no such answers.
    pub(crate) fn fail(&self, path: &str, faults: &[Fault]) -> &Self {
        self.state.lock().unwrap().once.insert(path.to_owned(), faults.to_vec().into());
        self
    }

    pub(crate) fn always_fail(&self, path: &str, fault: Fault) -> &Self {
        self.state.lock().unwrap().always.insert(path.to_owned(), fault);
        self
    }

    /// Holds the next answer for this path back until the sender is dropped.
    pub(crate) fn hold(&self, path: &str) -> mpsc::Sender<()> {
        let (sender, gate) = mpsc::channel();
        self.state.lock().unwrap().gate = Some((path.to_owned(), gate));
        sender
    }

    /// What was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The same of one path, without questions for heads.
    pub(crate) fn gets(&self, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|one| one.path == path && one.method == "GET").collect()
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let request = lines.next()?.ok()?;
        let mut range = None;
        let mut if_range = None;
        for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ")?;
            match name.to_ascii_lowercase().as_str() {
                "range" => range = Some(value.to_owned()),
                "if-range" => if_range = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let is_head = method == "HEAD";
        let (body, fault, gate, number) = {
            let mut state = self.state.lock().unwrap();
            let always = state.always.get(&path).cloned();
            let once = state.once.get_mut(&path).filter(|_| !is_head);
            let fault = once.and_then(VecDeque::pop_front).or(always);
            let gated = !is_head && state.gate.as_ref().is_some_and(|(gated, _)| *gated == path);
            let gate = if gated { state.gate.take() } else { None };
            let asked = Asked { method, path: path.clone(), range: range.clone(), sent: 0 };
            state.asked.push(asked);
            (state.files.get(&path).cloned(), fault, gate, state.asked.len() - 1)
        };
        if let Some((_, gate)) = gate {
            let _ = gate.recv();
        }
        let (status, more) = match (&fault, &body) {
            (Some(Fault::Cut), _) => return None,
            (Some(Fault::Status(status, more)), _) => (*status, *more),
            (_, None) => (404, ""),
            _ => (200, ""),
        };
        if status != 200 {
            let head = format!(
                "HTTP/1.1 {status} X\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            return stream.write_all(head.as_bytes()).ok();
        }
        let body = body?;
        let etag = format!("\"{}-{}\"", body.len(), path.len());
        let from = range
            .filter(|_| !matches!(fault, Some(Fault::NoRange)) && if_range.as_ref() == Some(&etag))
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
            .filter(|from| *from < body.len());
        let rest = &body[from.unwrap_or(0)..];
        let (status, partial) = match from {
            Some(from) => {
                let (last, all) = (body.len() - 1, body.len());
                (206, format!("Content-Range: bytes {from}-{last}/{all}\r\n"))
            }
            None => (200, String::new()),
        };
        let length = rest.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nETag: {etag}\r\n{partial}Connection: close\r\n\r\n"
        );
        let send = match fault {
            _ if is_head => 0,
            Some(Fault::Stall | Fault::Short) => length / 2,
            _ => length,
        };
        self.state.lock().unwrap().asked[number].sent = send;
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&rest[..send]).ok()?;
        if matches!(fault, Some(Fault::Stall)) {
            // Held open until the client gives up.
            let _ = stream.read(&mut [0]);
        }
        Some(())
    }
}
