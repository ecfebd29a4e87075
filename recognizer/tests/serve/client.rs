//! A server process of its own on a free port of loopback, and a client that speaks HTTP/1.1 to it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The longest that a test waits for anything.
pub const LONG: Duration = Duration::from_secs(60);

/// A running `logodex serve`, killed when it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts it on a free port with these arguments behind `serve`; its log goes to a file beside the gallery.
    pub fn start(gallery: &Path, arguments: &[&str]) -> Self {
        let log = gallery.with_extension("log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_logodex"))
            .args(["serve", "--listen", "127.0.0.1:0", "--gallery"])
            .arg(gallery)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("the log"))
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its first line");
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next()?.trim().parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("the server says {line:?}\n{log}");
        };
        Self {
            child,
            address,
            log,
        }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill() takes two numbers; the process is our child and was not waited for.
        let sent = unsafe { libc::kill(self.pid(), signal) };
        assert_eq!(sent, 0);
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(
                began.elapsed() < LONG,
                "the server does not end\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that is kept.
pub struct Client {
    stream: BufReader<TcpStream>,
    host: String,
    /// Sent with every request.
    pub token: Option<String>,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// It must have this status; gives its JSON.
    pub fn ok(&self, status: u16) -> serde_json::Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// It must be a refusal of this status in the form of RFC 9457; gives its sentence.
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let json = self.json();
        assert_eq!(json["status"], status);
        json["detail"].as_str().expect("a sentence").to_owned()
    }
}

/// A field of a form: name, file name, bytes.
pub type Field<'a> = (&'a str, Option<&'a str>, &'a [u8]);

/// `multipart/form-data` of these fields: Content-Type and body.
pub fn form(fields: &[Field]) -> (String, Vec<u8>) {
    let boundary = "0123456789-boundary-of-a-test";
    let mut body = Vec::new();
    for (name, file, bytes) in fields {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream: BufReader::new(stream),
            host: address.to_string(),
            token: None,
        }
    }

    /// The bare connection.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.stream.get_mut()
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, "", b"")
    }

    pub fn post_form(&mut self, path: &str, fields: &[Field]) -> Reply {
        let (kind, body) = form(fields);
        self.send("POST", path, &kind, &body)
    }

    pub fn post_json(&mut self, path: &str, value: &serde_json::Value) -> Reply {
        self.send(
            "POST",
            path,
            "application/json",
            value.to_string().as_bytes(),
        )
    }

    /// A request and its answer, which must come.
    pub fn send(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> Reply {
        self.try_send(method, path, kind, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub fn try_send(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> io::Result<Reply> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(token) = &self.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if !kind.is_empty() {
            head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        self.reply()
    }

    /// Reads an answer.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended");
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(ended());
        }
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(ended());
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
        };
        let length = reply.header("content-length").and_then(|n| n.parse().ok());
        reply.body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut reply.body)?;
        Ok(reply)
    }
}
