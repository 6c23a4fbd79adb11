//! A client: `ureq`, which shares no code with the server, and bare sockets where it hides too much.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use ureq::http;
use wheeltap_formats::omaha::{
    AppRequest, Event, EventResult, EventType, Ping, Request, Response, UpdateCheckRequest,
};
use wheeltap_scenarios::updates::{Release, UpdateServer};

/// No test waits this long unless something is broken.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// What a client got, as far as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Why the body ended before its time.
    pub(crate) broken: Option<io::Error>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn omaha(&self) -> Response {
        assert_eq!(self.status, 200, "{}", self.text());
        Response::parse(&self.body).unwrap()
    }
}

/// Follows no redirects, and takes no HTTP status for a failure.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(GUARD))
        .build()
        .into()
}

/// Runs blocking code beside the server.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn receive(response: Result<http::Response<ureq::Body>, ureq::Error>) -> Reply {
    let mut response = response.unwrap();
    let mut body = Vec::new();
    let broken = response.body_mut().as_reader().read_to_end(&mut body).err();
    Reply { status: response.status().as_u16(), headers: response.headers().clone(), body, broken }
}

/// Posts bytes as an update request.
pub(crate) async fn post(server: &UpdateServer, body: impl Into<Vec<u8>>) -> Reply {
    post_as(server, "text/xml", body).await
}

pub(crate) async fn post_as(
    server: &UpdateServer,
    content_type: &'static str,
    body: impl Into<Vec<u8>>,
) -> Reply {
    let (url, body) = (server.url(), body.into());
    apart(move || receive(agent().post(url).content_type(content_type).send(&body[..]))).await
}

/// Asks for a package, with a `Range` header unless it is empty.
pub(crate) async fn get(server: &UpdateServer, name: &str, range: &str) -> Reply {
    let (url, range) = (package_url(server, name), range.to_owned());
    apart(move || {
        let request = agent().get(url);
        receive(if range.is_empty() { request } else { request.header("Range", range) }.call())
    })
    .await
}

pub(crate) async fn head(server: &UpdateServer, name: &str) -> Reply {
    let url = package_url(server, name);
    apart(move || receive(agent().head(url).call())).await
}

pub(crate) fn package_url(server: &UpdateServer, name: &str) -> String {
    format!("http://{}/packages/{name}", server.address())
}

/// Asks for a package on a bare socket and gives the body and how the connection ended.
pub(crate) async fn get_raw(server: &UpdateServer, name: &str) -> (Vec<u8>, io::Result<()>) {
    read_to_end(request_raw(server, name).await).await
}

/// Reads the body, and gives how the connection ended.
pub(crate) async fn read_to_end(mut stream: TcpStream) -> (Vec<u8>, io::Result<()>) {
    apart(move || {
        let mut received = Vec::new();
        let end = stream.read_to_end(&mut received);
        (body_of(&received), end.map(drop))
    })
    .await
}

/// Asks for a package on a bare socket, of which nothing has been read yet.
pub(crate) async fn request_raw(server: &UpdateServer, name: &str) -> TcpStream {
    let address = server.address();
    let request =
        format!("GET /packages/{name} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    apart(move || {
        let mut stream = connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    })
    .await
}

/// Reads until the other side has been silent for a while, or the connection has ended.
pub(crate) async fn read_until_silent(mut stream: TcpStream) -> (Vec<u8>, io::ErrorKind) {
    apart(move || {
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut received = Vec::new();
        let end = stream.read_to_end(&mut received).unwrap_err();
        (body_of(&received), end.kind())
    })
    .await
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, GUARD)?;
    stream.set_read_timeout(Some(GUARD))?;
    Ok(stream)
}

/// What stands behind the head of a response; nothing if the head isn't there.
fn body_of(received: &[u8]) -> Vec<u8> {
    let head = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    head.map(|head| received[head + 4..].to_owned()).unwrap_or_default()
}

/// The request of a machine that wants an update.
pub(crate) fn check(version: &str, group: &str, pin: &str) -> Request {
    let app = AppRequest {
        ping: Some(Ping { active: Some(true), ..Ping::default() }),
        update_check: Some(UpdateCheckRequest { target_version_prefix: Some(pin.to_owned()) }),
        ..app(version, group)
    };
    Request { apps: vec![app], ..Request::new() }
}

/// The request of a machine that reports something.
pub(crate) fn report(event: Event) -> Request {
    let app = AppRequest { events: vec![event], ..app("3999.0.0", "stable") };
    Request { apps: vec![app], ..Request::new() }
}

pub(crate) fn download_started() -> Event {
    Event::new(EventType::UpdateDownloadStarted, EventResult::Success)
}

fn app(version: &str, group: &str) -> AppRequest {
    AppRequest {
        id: "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}".to_owned(),
        version: Some(version.to_owned()),
        track: Some(group.to_owned()),
        machine_id: Some("{0123456789abcdef}".to_owned()),
        ..AppRequest::default()
    }
}

/// Files to serve, in a directory that goes with them.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A file with [`content`].
    pub(crate) fn add(&self, name: &str, size: usize) -> PathBuf {
        self.add_bytes(name, &content(size))
    }

    pub(crate) fn add_bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Reproducible bytes, of which no two places look the same.
pub(crate) fn content(size: usize) -> Vec<u8> {
    let block = |number: u32| number.wrapping_mul(2_654_435_761).to_le_bytes();
    let mut content = Vec::with_capacity(size + 3);
    (0_u32..).take(size.div_ceil(4)).for_each(|number| content.extend_from_slice(&block(number)));
    content.truncate(size);
    content
}

/// A server that offers `update.gz` with so many bytes as version 4000.1.0 to everybody.
pub(crate) async fn serve(files: &Files, size: usize) -> UpdateServer {
    let release = Release::load(&files.add("update.gz", size)).await.unwrap();
    start(vec![release.with_version("4000.1.0".parse().unwrap())]).await
}

pub(crate) async fn start(releases: Vec<Release>) -> UpdateServer {
    UpdateServer::start(UpdateServer::LOOPBACK, releases).await.unwrap()
}
