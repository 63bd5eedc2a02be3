//! Answers every GET with one line that names the host asked for.
//!
//! HTTP/1.1 on the standard library alone, with a fixed number of threads.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::Duration;

const WORKERS: usize = 200;
/// Connections kept open between requests, at most: new ones need workers too.
const KEPT: usize = 150;
const MAX_HEAD: u64 = 16 * 1024;
const MAX_DISCARDED: u64 = 64 * 1024;
const READ_TIMEOUT: Duration = Duration::from_secs(120);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// The connections that are open, by descriptor.
type Connections = Mutex<HashMap<RawFd, Arc<TcpStream>>>;

fn greeting() -> String {
    env::var("GREETING").unwrap_or_else(|_| "Hello".into())
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:8080")?;
    unix::prepare(&listener)?;

    let connections = Connections::default();
    let (sender, receiver) = mpsc::channel::<Arc<TcpStream>>();
    let receiver = Mutex::new(receiver);
    let next = || receiver.lock().unwrap().recv();

    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Ok(stream) = next() {
                    // An error ends this connection only.
                    let _ = serve(&stream, &connections);
                    connections.lock().unwrap().remove(&stream.as_raw_fd());
                }
            });
        }

        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    let stream = Arc::new(stream);
                    let open = (stream.as_raw_fd(), Arc::clone(&stream));
                    connections.lock().unwrap().insert(open.0, open.1);
                    sender.send(stream).unwrap();
                }
                Err(_) if unix::STOPPING.load(SeqCst) => break,
                // Out of descriptors, most likely: some come back when a connection ends.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
        drop(listener);

        // What is in flight is answered; who waits for a next request reads the end of the stream.
        for stream in connections.lock().unwrap().values() {
            let _ = stream.shutdown(Shutdown::Read);
        }
        drop(sender);
    });
    Ok(())
}

/// Answers the requests of one connection until either side ends it.
fn serve(mut stream: &TcpStream, connections: &Connections) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut reader = BufReader::new(stream);

    loop {
        let (response, close, unread) = match Request::read(&mut reader) {
            Ok(Some(request)) => {
                let crowded = connections.lock().unwrap().len() > KEPT;
                let close = request.close || request.has_body || crowded;
                (request.answer(close), close, request.has_body)
            }
            Ok(None) => return Ok(()),
            Err(Failure::Refused(status)) => (refusal(status), true, true),
            Err(Failure::Io(error)) => return Err(error),
        };
        stream.write_all(response.as_bytes())?;
        if unread {
            return discard(stream, reader);
        }
        if close {
            return Ok(());
        }
    }
}

/// Reads what the client still sends: a socket closed with unread input is reset, and the reset can
/// overtake the answer.
fn discard(stream: &TcpStream, reader: impl Read) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(DISCARD_TIMEOUT))?;
    io::copy(&mut reader.take(MAX_DISCARDED), &mut io::sink())?;
    Ok(())
}

struct Request {
    is_head: bool,
    host: String,
    has_body: bool,
    close: bool,
}

enum Failure {
    Refused(&'static str),
    Io(io::Error),
}

const BAD_REQUEST: Failure = Failure::Refused("400 Bad Request");
const NOT_IMPLEMENTED: Failure = Failure::Refused("501 Not Implemented");

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => BAD_REQUEST, // not UTF-8
            _ => Failure::Io(error),
        }
    }
}

impl Request {
    /// Reads the head of a request; `None` where the client sends no further one.
    fn read(reader: impl BufRead) -> Result<Option<Self>, Failure> {
        // A head that is cut short, by the limit or by the client, lacks the blank line at its end.
        let mut lines = reader.take(MAX_HEAD).lines();

        // Blank lines before a request are to be ignored.
        let is_blank = |line: &io::Result<String>| line.as_ref().is_ok_and(String::is_empty);
        let Some(line) = lines.find(|line| !is_blank(line)) else {
            return Ok(None);
        };
        let line = line?;
        let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(BAD_REQUEST);
        };
        if !is_token(method) || target.is_empty() || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
            return Err(BAD_REQUEST);
        }

        let mut host = None;
        let mut has_body = false;
        let mut close = version == "HTTP/1.0";
        loop {
            let line = lines.next().ok_or(BAD_REQUEST)??;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(BAD_REQUEST)?;
            let value = value.trim();
            if !is_token(name) {
                return Err(BAD_REQUEST);
            }
            match name.to_ascii_lowercase().as_str() {
                "host" if host.is_none() && value.bytes().all(|b| b.is_ascii_graphic()) => {
                    host = Some(without_port(value).to_owned());
                }
                "host" => return Err(BAD_REQUEST),
                "connection" => close |= has_option(value, "close"),
                "content-length" | "transfer-encoding" => has_body |= value != "0",
                _ => {}
            }
        }

        if !matches!(method, "GET" | "HEAD") {
            return Err(NOT_IMPLEMENTED);
        }
        if host.is_none() && version == "HTTP/1.1" {
            return Err(BAD_REQUEST);
        }
        Ok(Some(Self {
            is_head: method == "HEAD",
            host: host.unwrap_or_default(),
            has_body,
            close,
        }))
    }

    fn answer(&self, close: bool) -> String {
        let body = format!("{} from Rust at {}\n", greeting(), self.host);
        format!(
            "HTTP/1.1 200 OK\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\n\
             {}\r\n{}",
            body.len(),
            if close { "Connection: close\r\n" } else { "" },
            if self.is_head { "" } else { &body },
        )
    }
}

fn refusal(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn is_token(text: &str) -> bool {
    let is_token_byte = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn has_option(value: &str, option: &str) -> bool {
    value
        .split(',')
        .any(|part| part.trim().eq_ignore_ascii_case(option))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What the standard library lacks: SIGTERM, and a backlog above its 128.
mod unix {
    use std::io;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};

    extern "C" {
        fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
        fn listen(socket: i32, backlog: i32) -> i32;
        fn shutdown(socket: i32, how: i32) -> i32;
    }

    const BACKLOG: i32 = 1024;
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    const SHUT_RDWR: i32 = 2;

    pub static STOPPING: AtomicBool = AtomicBool::new(false);
    static LISTENER: AtomicI32 = AtomicI32::new(-1);

    /// Raises the listener's backlog, and makes SIGTERM and SIGINT end its `accept` with an error.
    pub fn prepare(listener: &TcpListener) -> io::Result<()> {
        let descriptor = listener.as_raw_fd();
        LISTENER.store(descriptor, SeqCst);
        // SAFETY: the descriptor is open, and the handler calls only what a signal handler may.
        unsafe {
            // A second `listen` changes the backlog of the first.
            if listen(descriptor, BACKLOG) != 0 {
                return Err(io::Error::last_os_error());
            }
            signal(SIGTERM, stop);
            signal(SIGINT, stop);
        }
        Ok(())
    }

    extern "C" fn stop(_number: i32) {
        STOPPING.store(true, SeqCst);
        // SAFETY: shutdown(2) is async-signal-safe.
        unsafe {
            shutdown(LISTENER.load(SeqCst), SHUT_RDWR);
        }
    }
}
