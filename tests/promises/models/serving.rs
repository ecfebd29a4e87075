//! `logodex serve` with a model that was trained and exported answers what `logodex identify` does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::recognise::{Logo, exported, lines, logos, write_list};
use crate::workspace::{Workspace, binary};

/// A server of a gallery, killed when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(w: &Workspace, arguments: &[&str]) -> Self {
        let mut child = binary("logodex")
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(w.path("."))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap();
        let address = address.split('/').next().unwrap().trim().to_owned();
        Self { child, address }
    }

    /// Posts a form; the answer must have this status.
    fn post(&self, path: &str, fields: &[(&str, &[u8])], status: u16) -> Value {
        const BOUNDARY: &str = "a-boundary-of-this-test";
        let mut body = Vec::new();
        for (name, value) in fields {
            let file = match *name {
                "image" => "; filename=\"a.jpg\"",
                _ => "",
            };
            write!(
                body,
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
            )
            .unwrap();
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        write!(body, "--{BOUNDARY}--\r\n").unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bbox: [u32; 4]) -> String {
    bbox.map(|x| x.to_string()).join(",")
}

/// What both tell: the brands with their similarities.
fn answer(json: &Value) -> Value {
    let top: Vec<Value> = json["top"]
        .as_array()
        .unwrap()
        .iter()
        .map(|candidate| serde_json::json!([candidate["brand"], candidate["similarity"]]))
        .collect();
    let told = [
        "verdict",
        "brand",
        "similarity",
        "threshold",
        "false_accept_rate",
    ];
    let mut all: Vec<Value> = told.iter().map(|key| json[key].clone()).collect();
    all.push(top.into());
    all.into()
}

#[test]
fn a_server_of_an_exported_model_answers_what_identify_answers() {
    let w = exported();
    let mut by_brand = BTreeMap::<String, Vec<Logo>>::new();
    for logo in logos(w, "test") {
        by_brand.entry(logo.brand.clone()).or_default().push(logo);
    }
    let enrolled: Vec<Logo> = by_brand
        .values()
        .take(4)
        .flat_map(|logos| logos.iter().take(2).cloned())
        .collect();
    let asked: Vec<Logo> = by_brand
        .values()
        .flat_map(|logos| logos.iter().skip(1).take(3).cloned())
        .collect();
    write_list(w, "served_enrol.csv", &enrolled);
    write_list(w, "served_ask.csv", &asked);
    w.ok(
        "logodex",
        "enrol --gallery served --model model.onnx --list served_enrol.csv",
    );
    let identified = || {
        lines(&w.ok(
            "logodex",
            "identify --gallery served --json --far 0.2 --list served_ask.csv",
        ))
    };
    let server = Server::start(w, &["--gallery", "served", "--far", "0.2"]);
    let read = |logo: &Logo| std::fs::read(w.path(&logo.file)).unwrap();
    let over_http = |logo: &Logo| {
        let (image, bbox) = (read(logo), text(logo.bbox));
        let fields = [("image", &image[..]), ("box", bbox.as_bytes())];
        server.post("/v1/identify", &fields, 200)
    };
    let agree = || {
        let by_command = identified();
        assert_eq!(by_command.len(), asked.len());
        for (line, logo) in by_command.iter().zip(&asked) {
            assert_eq!(answer(&over_http(logo)), answer(line), "{logo:?}");
        }
        by_command
    };
    let before = agree();
    let verdicts: Vec<&Value> = before.iter().map(|line| &line["verdict"]).collect();
    assert!(verdicts.contains(&&"unknown".into()), "{verdicts:?}");
    // One of the enrolled pictures is asked about, too.
    assert!(verdicts.contains(&&"known".into()), "{verdicts:?}");

    // What is enrolled over HTTP is known to the command, and the two agree again.
    let stranger = by_brand.values().last().unwrap();
    let (image, bbox) = (read(&stranger[0]), text(stranger[0].bbox));
    let fields = [("image", &image[..]), ("box", bbox.as_bytes())];
    server.post("/v1/brands/Stranger/pictures", &fields, 201);
    let after = agree();
    assert_ne!(before, after);
    let told = |lines: &[Value]| {
        lines
            .iter()
            .any(|line| line.to_string().contains("Stranger"))
    };
    assert!(told(&after) && !told(&before));
    let said = w.ok("logodex", "list --gallery served --json");
    assert_eq!(lines(&said).len(), 5, "{said}");
}
