//! Many at once: no error, one batch for those that come together, 429 for what is too much, and an orderly end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::api::enrol;
use crate::client::Server;
use crate::model::picture;
use crate::room::Room;

/// A sample of `/metrics`: its number.
fn metric(text: &str, line: &str) -> f64 {
    let found = text
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
    found
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("{line}\n{text}"))
}

#[test]
fn a_thousand_requests_at_eight_clients_while_others_change_the_gallery() {
    let room = Room::new();
    let server = room.serve(&[]);
    let mut client = server.connect();
    for brand in 0..6 {
        enrol(&mut client, &format!("b{brand}"), &picture(brand, 0));
    }
    let next = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Another process enrols and renames meanwhile.
        let changing = scope.spawn(|| {
            let mut changes = 0;
            while !over.load(Ordering::Relaxed) || changes < 4 {
                let brand = 50 + changes;
                let file = room.write(&format!("{brand}.jpg"), &picture(brand, 0));
                let gallery = room.gallery.to_str().unwrap();
                let name = format!("other {brand}");
                let enrol = [
                    "enrol",
                    "--gallery",
                    gallery,
                    "--brand",
                    &name,
                    file.to_str().unwrap(),
                ];
                let output = room.logodex(&enrol).output().unwrap();
                assert!(
                    output.status.success(),
                    "{}",
                    String::from_utf8_lossy(&output.stderr)
                );
                let anew = format!("anew {brand}");
                let rename = ["rename", "--gallery", gallery, &name, &anew];
                assert!(room.logodex(&rename).output().unwrap().status.success());
                changes += 1;
            }
            changes
        });
        let asking: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.connect();
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed) as u64;
                        if n >= 1000 {
                            return;
                        }
                        let (brand, bytes) = (n % 6, picture(n % 6, 1 + n % 9));
                        let fields = [("image", Some("a.jpg"), &bytes[..])];
                        let answer = client.post_form("/v1/identify", &fields).ok(200);
                        assert_eq!(answer["brand"], format!("b{brand}"), "{answer}");
                    }
                })
            })
            .collect();
        for asked in asking {
            asked.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
        let changes = changing.join().unwrap();
        // What the other process did last is seen at once.
        assert_eq!(client.get("/v1/gallery").ok(200)["brands"], 6 + changes);
        let last = picture(49 + changes, 2);
        let seen = client
            .post_form("/v1/identify", &[("image", None, &last)])
            .ok(200);
        assert_eq!(seen["brand"], format!("anew {}", 49 + changes));
    });
    let metrics = client.get("/metrics").text();
    let requests =
        "logodex_http_requests_total{route=\"/v1/identify\",method=\"POST\",status=\"200\"}";
    assert_eq!(metric(&metrics, requests), 1001.0, "{metrics}");
    let (pictures, batches) = (
        metric(&metrics, "logodex_batch_pictures_sum"),
        metric(&metrics, "logodex_batch_pictures_count"),
    );
    assert_eq!(pictures, 1007.0);
    assert!(batches < pictures, "no two were ever embedded together");
}

#[test]
fn more_than_the_queue_holds_is_told_to_come_again() {
    let room = Room::new();
    let server = room.serve(&["--queue", "1", "--batch", "1"]);
    let large = logodex_pixels::encode(&crate::model::pixels(1, 0, 2000), 2000, 95).unwrap();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asking: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.connect();
                    let fields = [("image", Some("a.jpg"), &large[..])];
                    let mut statuses = Vec::new();
                    for _ in 0..4 {
                        let reply = client.post_form("/v1/identify", &fields);
                        if reply.status == 429 {
                            assert_eq!(reply.header("retry-after"), Some("1"));
                            assert!(reply.refused(429).contains("ask again"));
                        }
                        statuses.push(reply.status);
                    }
                    statuses
                })
            })
            .collect();
        asking.into_iter().flat_map(|a| a.join().unwrap()).collect()
    });
    assert!(
        statuses.contains(&200) && statuses.contains(&429),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|s| [200, 429].contains(s)),
        "{statuses:?}"
    );
}

/// Four requests that are in the server together when it is told to end; none where they were answered too fast for that.
fn asked_at_the_end(server: &Server, large: &[u8], signal: i32) -> Option<Vec<u16>> {
    let mut watching = server.connect();
    thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|_| {
                let mut client = server.connect();
                scope.spawn(move || {
                    let fields = [("image", Some("a.jpg"), large)];
                    client.post_form("/v1/identify", &fields).status
                })
            })
            .collect();
        let in_flight = "logodex_http_requests_in_flight";
        // With that of /metrics itself.
        while metric(&watching.get("/metrics").text(), in_flight) < 5.0 {
            if asking.iter().any(|asked| asked.is_finished()) {
                return None;
            }
            thread::sleep(Duration::from_millis(1));
        }
        server.signal(signal);
        Some(asking.into_iter().map(|a| a.join().unwrap()).collect())
    })
}

#[test]
fn what_is_asked_before_the_end_is_answered_and_nothing_after() {
    let large = logodex_pixels::encode(&crate::model::pixels(1, 0, 3000), 3000, 95).unwrap();
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let room = Room::new();
        let mut server = room.serve(&[]);
        let mut idle = server.connect();
        idle.get("/healthz").ok(200);
        let answered = (0..50).find_map(|_| asked_at_the_end(&server, &large, signal));
        assert_eq!(answered, Some(vec![200; 4]));
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        assert!(std::net::TcpStream::connect(server.address).is_err());
    }
}
