//! The page that is served: to this machine, to whoever knows its secret, and nothing that others wrote is lost.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use logodex_schemas::plan::audit::{Audit, audit_header};

use super::tree;
use crate::browser;
use crate::workspace::{Workspace, binary, contents};

/// An audit that is being served.
struct Serving {
    child: Child,
    said: BufReader<ChildStdout>,
    address: SocketAddr,
    /// The path of the page, `/<secret>/`.
    page: String,
}

/// What a server answered.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Serving {
    /// Serves the audit of the folder's tree on a free port; its log is `log`.
    fn start(workspace: &Workspace) -> Self {
        let mut child = binary("logodex-data")
            .args("audit --raw raw --out audit --serve :0".split(' '))
            .current_dir(workspace.path(""))
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(workspace.path("log")).unwrap())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let url = loop {
            line.clear();
            let read = said.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended before it served");
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split(' ').next().unwrap().to_owned();
            }
        };
        let (address, page) = url.split_once('/').unwrap();
        Self {
            address: address.parse().unwrap(),
            page: format!("/{page}"),
            child,
            said,
        }
    }

    /// Asks as a browser would that was given the address; `more` are further header lines.
    fn ask(&self, method: &str, what: &str, more: &str, body: &str) -> Answer {
        let host = self.address.to_string();
        self.ask_as(&host, method, &format!("{}{what}", self.page), more, body)
    }

    fn ask_as(&self, host: &str, method: &str, path: &str, more: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let n = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        write!(stream, "{head}{more}Content-Length: {n}\r\n\r\n{body}").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: bytes[end + 4..].to_vec(),
            head,
        }
    }

    /// Writes answers, as one who saw the file with this tag or saw none.
    fn put(&self, seen: Option<&str>, text: &str) -> Answer {
        let seen = match seen {
            Some(tag) => format!("If-Match: {tag}\r\n"),
            None => "If-None-Match: *\r\n".to_owned(),
        };
        self.ask("PUT", "overrides.toml", &seen, text)
    }

    /// Ends it as Ctrl-C does: it must end at once and well. Returns what it still says.
    fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        let began = Instant::now();
        let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(sent.success());
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_audit(workspace: &Workspace) -> Audit {
    let json = std::fs::read(workspace.path("audit/audit.json")).unwrap();
    audit_header().parse(&json).unwrap()
}

const DROPPED: &str = "[[drop]]\npath = \"Necessities/norton-2\"\nreason = \"a test\"\n";

#[test]
fn only_who_was_given_the_secret_on_this_machine_is_served() {
    let workspace = tree();
    for (address, says) in [
        ("0.0.0.0:0", "loopback only"),
        ("[::]:0", "loopback only"),
        ("8000", "no address"),
    ] {
        let said = workspace.fails(
            2,
            "logodex-data",
            &format!("audit --raw raw --out audit --serve {address}"),
        );
        assert!(said.contains(says), "{said}");
    }
    let serving = Serving::start(&workspace);
    let taken = format!("audit --raw raw --out other --serve {}", serving.address);
    let said = workspace.fails(2, "logodex-data", &taken);
    assert!(
        said.contains(&serving.address.to_string()) && said.contains(":0"),
        "{said}"
    );

    let page = serving.ask("GET", "", "", "");
    assert_eq!(page.status, 200);
    let policy = page.field("Content-Security-Policy").unwrap();
    for part in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.field("Referrer-Policy"), Some("no-referrer"));
    assert_eq!(page.field("Cache-Control"), Some("no-store"));

    let host = serving.address.to_string();
    let secret = serving.page.trim_matches('/').to_owned();
    assert_eq!(secret.len(), 64);
    let mut other = secret.clone().into_bytes();
    other[63] = if other[63] == b'0' { b'1' } else { b'0' };
    let other = String::from_utf8(other).unwrap();
    for path in [
        "/",
        "/overrides.toml",
        &format!("/{other}/"),
        &format!("/{}/", &secret[..63]),
        "//",
    ] {
        let refused = serving.ask_as(&host, "GET", path, "", "");
        assert_eq!(refused.status, 404, "{path}");
        assert!(!refused.text().contains(&secret) && refused.body.len() < 200);
    }
    for foreign in ["example.org", "192.168.0.1:80", "localhost.example.org"] {
        let refused = serving.ask_as(foreign, "GET", &serving.page, "", "");
        assert_eq!(refused.status, 403, "{foreign}");
    }
    for own in ["localhost:1234", "127.0.0.1", "[::1]:5"] {
        assert_eq!(
            serving.ask_as(own, "GET", &serving.page, "", "").status,
            200,
            "{own}"
        );
    }
    let foreign = "Origin: http://example.org\r\nIf-None-Match: *\r\n";
    assert_eq!(
        serving
            .ask("PUT", "overrides.toml", foreign, DROPPED)
            .status,
        403
    );
    for (method, what, status) in [
        ("DELETE", "overrides.toml", 405),
        ("POST", "", 405),
        ("GET", "plan.json", 404),
    ] {
        assert_eq!(
            serving.ask(method, what, "", "").status,
            status,
            "{method} {what}"
        );
    }
    assert!(!workspace.path("audit/overrides.toml").exists());
    // A client that neither asks nor leaves holds nobody up.
    let _idle = TcpStream::connect(serving.address).unwrap();
    serving.end();
    // Printed once, on standard output, and in no log.
    assert!(
        !std::fs::read_to_string(workspace.path("log"))
            .unwrap()
            .contains(&secret)
    );
}

#[test]
fn pictures_of_the_audit_are_shown_in_full_and_no_other_file() {
    let workspace = tree();
    let before = contents(&workspace.path("raw"));
    let serving = Serving::start(&workspace);
    let audit = read_audit(&workspace);
    for (i, picture) in audit.pictures.iter().enumerate() {
        let file = workspace.path("raw/LogoDet-3K").join(&picture.image);
        let shown = serving.ask("GET", &format!("picture/{i}"), "", "");
        assert_eq!(shown.status, 200, "{}", picture.image);
        assert!(shown.field("Content-Type").unwrap().starts_with("image/"));
        assert!(
            shown.body == std::fs::read(file).unwrap(),
            "{}",
            picture.image
        );
    }
    assert!(before == contents(&workspace.path("raw")));
    let beyond = audit.pictures.len().to_string();
    for what in [
        &beyond,
        "-1",
        "",
        "0/../1",
        "../../truth.json",
        "%2e%2e/%2e%2e/truth.json",
        "Food/a/1.jpg",
    ] {
        let refused = serving.ask("GET", &format!("picture/{what}"), "", "");
        assert_eq!(refused.status, 404, "{what}");
    }
    // What took a picture's place since is not shown: a link out of the tree, another kind of file.
    let first = workspace
        .path("raw/LogoDet-3K")
        .join(&audit.pictures[0].image);
    std::fs::remove_file(&first).unwrap();
    std::os::unix::fs::symlink(workspace.path("raw/truth.json"), &first).unwrap();
    assert_eq!(serving.ask("GET", "picture/0", "", "").status, 404);
    std::fs::remove_file(&first).unwrap();
    std::fs::write(&first, "<script>alert(1)</script>").unwrap();
    let refused = serving.ask("GET", "picture/0", "", "");
    assert_eq!(refused.status, 404);
    assert!(!refused.text().contains("script"));
}

#[test]
fn answers_are_written_whole_and_nothing_is_lost() {
    let workspace = tree();
    let file = workspace.path("audit/overrides.toml");
    let read = || std::fs::read_to_string(&file).unwrap();
    let serving = Serving::start(&workspace);
    assert_eq!(serving.ask("GET", "overrides.toml", "", "").status, 204);
    for (wrong, says) in [
        ("[[drop]]\npath = nonsense\n", "line 2"),
        ("[[drops]]\npath = \"a\"\n", "drops"),
        (
            "[[drop]]\npath = \"Food/nobody\"\nreason = \"a test\"\n",
            "Food/nobody",
        ),
    ] {
        let refused = serving.put(None, wrong);
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains(says), "{}", refused.text());
    }
    assert_eq!(
        serving.ask("PUT", "overrides.toml", "", DROPPED).status,
        428
    );
    assert!(!file.exists());

    let first = serving.put(None, DROPPED);
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(first.text().contains("audit/overrides.toml"));
    assert_eq!(read(), DROPPED);
    let tag = first.field("ETag").unwrap().to_owned();
    let seen = serving.ask("GET", "overrides.toml", "", "");
    assert_eq!(
        (seen.text().as_str(), seen.field("ETag")),
        (DROPPED, Some(tag.as_str()))
    );

    // Somebody edits the file: the page, which has not seen that, does not write over it.
    let by_hand = format!("# my own words\n{DROPPED}");
    std::fs::write(&file, &by_hand).unwrap();
    for stale in [Some(tag.as_str()), None] {
        let refused = serving.put(stale, "");
        assert_eq!(refused.status, 412, "{}", refused.text());
    }
    assert_eq!(read(), by_hand);
    let tag = serving.ask("GET", "overrides.toml", "", "");
    let tag = tag.field("ETag").unwrap().to_owned();
    let rename = "[[rename]]\ncategory = \"Necessities\"\nbrand = \"norton\"\nto = \"Norton\"\nreason = \"a test\"\n";
    // Of two pages that have seen the same, one writes.
    let texts = [rename.to_owned(), format!("{rename}\n")];
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = |text: &str| serving.put(Some(&tag), text);
        let threads = texts.each_ref().map(|text| scope.spawn(move || ask(text)));
        threads.map(|thread| thread.join().unwrap()).into()
    });
    let mut codes: Vec<u16> = answers.iter().map(|a| a.status).collect();
    let won = codes.iter().position(|&code| code == 200).unwrap();
    codes.sort_unstable();
    assert_eq!(codes, [200, 412]);
    assert_eq!(read(), texts[won]);
    let kept = format!("audit/overrides-{}.toml", &tag[1..9]);
    assert!(
        answers[won].text().contains(&kept),
        "{}",
        answers[won].text()
    );
    assert_eq!(
        std::fs::read_to_string(workspace.path(&kept)).unwrap(),
        by_hand
    );

    let said = serving.end();
    assert!(said.contains("--overrides audit/overrides.toml"), "{said}");
    // Once more: it goes on from what was written, and the plan obeys it.
    let again = Serving::start(&workspace);
    assert_eq!(read_audit(&workspace).overrides.rename[0].to, "Norton");
    again.end();
    workspace.fails(
        2,
        "logodex-data",
        "audit --raw raw --out audit --serve :0 --overrides raw/LogoDet-3K/overrides.toml",
    );
    workspace.write("raw/LogoDet-3K/overrides.toml", "");
    let said = workspace.fails(
        2,
        "logodex-data",
        "audit --raw raw --out audit --serve :0 --overrides raw/LogoDet-3K/overrides.toml",
    );
    assert!(said.contains("lies in the raw tree"), "{said}");
}

#[test]
#[ignore = "takes Chromium: in PATH, or LOGODEX_CHROMIUM"]
fn what_is_decided_in_a_served_page_is_written_by_it() {
    let workspace = tree();
    let serving = Serving::start(&workspace);
    let url = format!("http://{}{}", serving.address, serving.page);
    let file = workspace.path("audit/overrides.toml");
    browser::served_audit(&url, &file);
    serving.end();
    // What the page wrote, a plan obeys.
    workspace.ok(
        "logodex-data",
        "plan --raw raw --out plan.json --overrides audit/overrides.toml",
    );
}
