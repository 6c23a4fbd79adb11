//! What is at the server's address: update checks and packages.

use std::{
    io,
    net::SocketAddr,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use jiff::Timestamp;
use tokio::{fs::File, io::AsyncSeekExt as _};
use wheeltap_formats::omaha;

use super::{
    Asked, Misbehaviour, Release, Scope, Served, Trouble,
    answer::answer,
    log::Log,
    misbehaviour::Conduct,
    range::{Wanted, wanted},
    reply,
    transfer::{Body, Transfer},
    wire::Scissors,
};

/// Where updates are asked for, and events reported.
pub(super) const UPDATE: &str = "/v1/update";

/// Where packages are.
const PACKAGES: &str = "/packages/";

/// The longest body of a request that is read, in bytes.
const MAX_BODY: u64 = omaha::MAX_MESSAGE as u64;

/// What stands in the place of an answer that is not XML.
const GARBAGE: &str = "<?xml version=\"1.0\"?>\n<response protocol=\"3.0\"><app appid=";

/// What is at the server's address.
#[derive(Debug)]
pub(super) struct Site {
    /// `http` or `https`.
    scheme: &'static str,
    address: SocketAddr,
    releases: Mutex<Arc<[Release]>>,
    troubles: Mutex<Vec<Trouble>>,
    pub(super) log: Arc<Log>,
}

/// An answer that is not what the client wanted: a status and a sentence.
struct Refusal(StatusCode, String);

impl Site {
    pub(super) fn new(scheme: &'static str, address: SocketAddr, releases: Vec<Release>) -> Self {
        Self {
            scheme,
            address,
            releases: Mutex::new(releases.into()),
            troubles: Mutex::default(),
            log: Arc::new(Log::new()),
        }
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.scheme
    }

    pub(super) fn offer(&self, releases: Vec<Release>) {
        *lock(&self.releases) = releases.into();
    }

    pub(super) fn add_trouble(&self, trouble: Trouble) {
        lock(&self.troubles).push(trouble);
    }

    pub(super) fn clear_troubles(&self) {
        lock(&self.troubles).clear();
    }

    /// Answers one request. Never fails: what goes wrong is an answer too.
    pub(super) async fn handle(
        &self,
        request: Request<Incoming>,
        scissors: &Scissors,
    ) -> hyper::Result<Response<Body>> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let package = path.strip_prefix(PACKAGES).map(str::to_owned);
        let answered = match package {
            Some(package) if [Method::GET, Method::HEAD].contains(&method) => {
                self.download(&request, &package, scissors).await
            }
            None if method == Method::POST && is_update(&path) => {
                self.update(request, scissors).await
            }
            _ => Err(elsewhere(&method, &path)),
        };
        Ok(answered.unwrap_or_else(|Refusal(status, reason)| {
            let response = reply::sentence(status, &reason);
            self.note(&method, &path, Asked::Refused { reason }, status, Conduct::default());
            response
        }))
    }

    async fn update(
        &self,
        request: Request<Incoming>,
        scissors: &Scissors,
    ) -> Result<Response<Body>, Refusal> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let codebase = format!("{}://{}{PACKAGES}", self.scheme, self.host(&request));
        check_content_type(&request)?;
        let body = read_body(request.into_body()).await?;
        let request = omaha::Request::parse(&body).map_err(|error| {
            Refusal(StatusCode::BAD_REQUEST, format!("the body is no Omaha request: {error}"))
        })?;
        let is_check = request.apps.iter().any(|app| app.update_check.is_some());
        let conduct = self.conduct(if is_check { Scope::Checks } else { Scope::Reports });
        if let Some(response) = misbehave(&conduct) {
            let asked = Asked::Update { request: Box::new(request), response: None };
            self.note(&method, &path, asked, response.status(), conduct);
            return Ok(response);
        }
        let (response, xml) = if conduct.has(&Misbehaviour::GarbageXml) {
            (None, GARBAGE.to_owned())
        } else {
            let releases = Arc::clone(&lock(&self.releases));
            let response = answer(&request, &releases, &codebase, &conduct);
            let xml = response.to_xml();
            (Some(response), xml)
        };
        let length = xml.len() as u64;
        let source = io::Cursor::new(xml.into_bytes());
        let body = Transfer::new(source, 0, length, &conduct, scissors.clone(), |_| {}).into_body();
        let asked = Asked::Update { request: Box::new(request), response };
        self.note(&method, &path, asked, StatusCode::OK, conduct);
        Ok(reply::whole(StatusCode::OK, "text/xml; charset=utf-8", length, body))
    }

    async fn download(
        &self,
        request: &Request<Incoming>,
        name: &str,
        scissors: &Scissors,
    ) -> Result<Response<Body>, Refusal> {
        let releases = Arc::clone(&lock(&self.releases));
        let file =
            releases.iter().flat_map(Release::packages).find(|file| file.name == name).ok_or_else(
                || Refusal(StatusCode::NOT_FOUND, "there is no such package".to_owned()),
            )?;
        let conduct = self.conduct(Scope::Downloads);
        let header = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
        let header = header.filter(|_| !conduct.has(&Misbehaviour::NoRanges));
        let (status, range) = match wanted(header, file.size) {
            Wanted::All => (StatusCode::OK, 0..file.size),
            Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Wanted::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
        };
        let note = |status, range: &Range<u64>, conduct| {
            let asked = Asked::Download { package: name.to_owned(), range: range.clone(), sent: 0 };
            self.note(request.method(), request.uri().path(), asked, status, conduct)
        };
        if let Some(response) = misbehave(&conduct) {
            note(response.status(), &range, conduct);
            return Ok(response);
        }
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            note(status, &range, conduct);
            return Ok(reply::unsatisfiable(file.size));
        }
        let source = open(&file.path, range.start).await.map_err(|error| {
            let reason = format!("{} can't be read any more: {error}", file.path.display());
            tracing::warn!("the update server: {reason}");
            Refusal(StatusCode::INTERNAL_SERVER_ERROR, reason)
        })?;
        let index = note(status, &range, conduct.clone());
        let log = Arc::clone(&self.log);
        let length = range.end - range.start;
        let sent = move |bytes| log.add_sent(index, bytes);
        let transfer = Transfer::new(source, range.start, length, &conduct, scissors.clone(), sent);
        Ok(reply::package(status, &range, file.size, transfer.into_body()))
    }

    /// Where the client sees this server, which is not where it listens if the way leads through a tunnel.
    fn host(&self, request: &Request<Incoming>) -> String {
        let header = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
        let authority = request.uri().authority().map(ToString::to_string);
        authority.or_else(|| header.map(str::to_owned)).unwrap_or_else(|| self.address.to_string())
    }

    fn conduct(&self, scope: Scope) -> Conduct {
        Conduct::of(&mut lock(&self.troubles), scope)
    }

    /// Notes a TLS handshake that failed.
    pub(super) fn note_handshake(&self, reason: String) {
        self.log.push(Served {
            time: Timestamp::now(),
            method: "TLS".to_owned(),
            path: "handshake".to_owned(),
            asked: Asked::Refused { reason },
            status: 0,
            misbehaviours: Vec::new(),
        });
    }

    fn note(
        &self,
        method: &Method,
        path: &str,
        asked: Asked,
        status: StatusCode,
        Conduct(misbehaviours): Conduct,
    ) -> usize {
        self.log.push(Served {
            time: Timestamp::now(),
            method: method.to_string(),
            path: path.to_owned(),
            asked,
            status: status.as_u16(),
            misbehaviours,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// With and without a slash at the end: `SERVER=` in update.conf is written both ways.
fn is_update(path: &str) -> bool {
    path.strip_suffix('/').unwrap_or(path) == UPDATE
}

fn elsewhere(method: &Method, path: &str) -> Refusal {
    if is_update(path) || path.starts_with(PACKAGES) {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Refusal(status, format!("{method} is not a method for this address"));
    }
    let reason = format!("there are only {UPDATE} for update checks and {PACKAGES} for packages");
    Refusal(StatusCode::NOT_FOUND, reason)
}

/// Like go-omaha, takes `text/xml` and no content type at all.
fn check_content_type(request: &Request<Incoming>) -> Result<(), Refusal> {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else { return Ok(()) };
    let value = String::from_utf8_lossy(value.as_bytes());
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("text/xml") {
        return Ok(());
    }
    let reason = "an Omaha request has the content type text/xml".to_owned();
    Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason))
}

/// Reads the body of a request, of which no more than a message may have is kept. The rest is read all the same, because a
/// client that is still sending when the connection ends never sees the answer.
async fn read_body(mut incoming: Incoming) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    let mut length = 0;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| {
            Refusal(StatusCode::BAD_REQUEST, format!("the body is incomplete: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len() as u64;
        if length <= MAX_BODY {
            body.extend_from_slice(&data);
        }
    }
    if length > MAX_BODY {
        let reason = format!("a request has at most {MAX_BODY} bytes, and this one has {length}");
        return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, reason));
    }
    Ok(body)
}

/// The answer in place of the right one, if the misbehaviours want one.
fn misbehave(conduct: &Conduct) -> Option<Response<Body>> {
    if let Some(status) = conduct.status() {
        // The range was checked, so the fallback is only for the types.
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return Some(reply::sentence(status, "the update server was told to answer like this"));
    }
    conduct.redirect().map(reply::redirect)
}

async fn open(path: &Path, position: u64) -> io::Result<File> {
    let mut file = File::open(path).await?;
    file.seek(io::SeekFrom::Start(position)).await?;
    Ok(file)
}
