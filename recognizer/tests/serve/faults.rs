//! Damaged pictures, bombs, huge and slow bodies, kills, a full disk, a gallery that is changed or damaged underneath.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::api::enrol;
use crate::client::{Client, form};
use crate::model::picture;
use crate::room::Room;

/// A PNG whose header promises 40,000 × 40,000 pixels.
fn bomb() -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([40_000u32.to_be_bytes(), 40_000u32.to_be_bytes()].concat());
    png.extend(b"\x08\x02\0\0\0\0\0\0\0");
    png.extend([0; 64]);
    png
}

fn identify(client: &mut Client, bytes: &[u8]) -> crate::client::Reply {
    client.post_form("/v1/identify", &[("image", Some("a.jpg"), bytes)])
}

/// Resident memory of a process, MiB.
fn resident(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        >> 10
}

#[test]
fn damaged_pictures_and_bombs_are_refused_with_their_reason() {
    let room = Room::new();
    let server = room.serve(&[]);
    let mut client = server.connect();
    let whole = picture(1, 0);
    assert_eq!(identify(&mut client, &whole).status, 200);
    let before = resident(server.pid());
    let said = identify(&mut client, &bomb()).refused(413);
    assert!(said.contains("40000 × 40000"), "{said}");
    assert!(resident(server.pid()) < before + 64, "a bomb was unpacked");
    assert!(identify(&mut client, b"").refused(422).contains("no bytes"));
    identify(&mut client, b"GIF89a").refused(422);
    identify(&mut client, &[0xff, 0xd8, 0xff]).refused(422);
    identify(&mut client, b"<svg/>").refused(422);
    for cut in [whole.len() / 3, whole.len() / 2, whole.len() - 3] {
        identify(&mut client, &whole[..cut]).refused(422);
    }
    let mut flipped = whole.clone();
    for at in (200..flipped.len()).step_by(97) {
        flipped[at] ^= 0x55;
    }
    let status = identify(&mut client, &flipped).status;
    assert!(status == 422 || status == 200, "{status}");
    // None of it cost the server anything.
    assert_eq!(identify(&mut client, &whole).status, 200);
}

#[test]
fn a_huge_body_is_refused_whether_its_length_is_told_or_not() {
    let room = Room::new();
    let server = room.serve(&["--max-body", "1"]);
    let mut client = server.connect();
    let huge = vec![0; 5 << 20];
    let before = resident(server.pid());
    let said = identify(&mut client, &huge).refused(413);
    assert!(
        said.contains("1048576") && said.contains("--max-body"),
        "{said}"
    );
    // The connection is as good as before.
    assert_eq!(identify(&mut client, &picture(1, 0)).status, 200);

    // In chunks, so that nobody knows how much comes.
    let head = "POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    client.stream().write_all(head.as_bytes()).unwrap();
    for _ in 0..40 {
        client.stream().write_all(b"10000\r\n").unwrap();
        client.stream().write_all(&[b'x'; 0x10000]).unwrap();
        client.stream().write_all(b"\r\n").unwrap();
    }
    client.stream().write_all(b"0\r\n\r\n").unwrap();
    client.reply().unwrap().refused(413);

    // Who asks first is told before sending.
    let head = format!(
        "POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        3u64 << 30
    );
    let mut client = server.connect();
    client.stream().write_all(head.as_bytes()).unwrap();
    client.reply().unwrap().refused(413);
    assert!(
        resident(server.pid()) < before + 32,
        "a refused body was kept"
    );
}

#[test]
fn slow_clients_are_let_go_and_hold_up_nobody() {
    let room = Room::new();
    let server = room.serve(&["--timeout", "4", "--queue", "2"]);
    // Heads that never end, and bodies that trickle: more of them than there are places in the queue.
    let mut slow: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for (at, client) in slow.iter_mut().enumerate() {
        let head = match at % 2 {
            0 => "GET /v1/brands HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_owned(),
            _ => "POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                  Content-Length: 4000\r\n\r\n{"
                .to_owned(),
        };
        client.stream().write_all(head.as_bytes()).unwrap();
    }
    let began = Instant::now();
    let mut quick = server.connect();
    for _ in 0..5 {
        assert_eq!(identify(&mut quick, &picture(1, 0)).status, 200);
    }
    assert!(
        began.elapsed() < Duration::from_millis(3800),
        "the slow ones held up the quick one"
    );
    for (at, client) in slow.iter_mut().enumerate() {
        match at % 2 {
            // A head that does not come is nothing to answer.
            0 => {
                let mut rest = Vec::new();
                let _ = client.stream().read_to_end(&mut rest);
                let text = String::from_utf8_lossy(&rest);
                assert!(
                    rest.is_empty() || text.starts_with("HTTP/1.1 408"),
                    "{text}"
                );
            }
            _ => assert!(client.reply().unwrap().refused(408).contains("--timeout")),
        }
    }
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_server_that_is_killed_loses_nothing_that_it_confirmed() {
    let room = Room::new();
    for round in 0..4u64 {
        let mut server = room.serve(&[]);
        let address = server.address;
        // Enrols without a pause until the server is gone.
        let enrolling = std::thread::spawn(move || {
            let mut client = Client::connect(address);
            let mut confirmed = Vec::new();
            for n in 0.. {
                let brand = 100 * (round + 1) + n;
                let bytes = picture(brand, 0);
                let (kind, body) = form(&[("image", Some("a.jpg"), &bytes)]);
                let path = format!("/v1/brands/{brand}/pictures");
                match client.try_send("POST", &path, &kind, &body) {
                    Ok(reply) => {
                        reply.ok(201);
                        confirmed.push(brand.to_string());
                    }
                    Err(_) => break,
                }
            }
            confirmed
        });
        std::thread::sleep(Duration::from_millis(120 + 37 * round));
        server.signal(libc::SIGKILL);
        server.wait();
        let confirmed = enrolling.join().unwrap();
        assert!(!confirmed.is_empty());
        let server = room.serve(&[]);
        let mut client = server.connect();
        let listed = client.get("/v1/brands?limit=500").ok(200);
        let listed: Vec<&str> = listed["brands"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| b["brand"].as_str().unwrap())
            .collect();
        for brand in &confirmed {
            assert!(
                listed.contains(&brand.as_str()),
                "{brand} was confirmed and is lost"
            );
        }
        // And each has its picture still.
        for brand in listed {
            let shown = client.get(&format!("/v1/brands/{brand}")).ok(200);
            let id = shown["pictures"][0].as_str().unwrap().to_owned();
            assert_eq!(client.get(&format!("/v1/pictures/{id}")).status, 200);
        }
    }
}

#[test]
fn a_gallery_that_is_damaged_underneath_is_told_and_the_last_good_one_served() {
    let room = Room::new();
    let server = room.serve(&[]);
    let mut client = server.connect();
    enrol(&mut client, "Brand", &picture(1, 0));
    let manifest = room.gallery.join("gallery.json");
    let good = std::fs::read(&manifest).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(room.gallery.join("damaged"), &bad).unwrap();
    std::fs::rename(room.gallery.join("damaged"), &manifest).unwrap();

    let known = identify(&mut client, &picture(1, 3)).ok(200);
    assert_eq!(known["brand"], "Brand");
    client.get("/readyz").refused(503);
    let refused = client.post_form(
        "/v1/brands/Two/pictures",
        &[("image", None, &picture(2, 0))],
    );
    assert!(refused.refused(500).contains("nothing was changed"));
    assert!(
        client
            .get("/metrics")
            .text()
            .contains("logodex_gallery_reload_failures_total")
    );

    std::fs::write(room.gallery.join("mended"), &good).unwrap();
    std::fs::rename(room.gallery.join("mended"), &manifest).unwrap();
    client.get("/readyz").ok(200);
    enrol(&mut client, "Two", &picture(2, 0));
}

/// In a mount namespace of its own, with a file system of 3 MiB.
#[test]
#[ignore = "takes a file system of its own"]
fn a_full_disk_is_told_and_what_was_enrolled_stays() {
    let room = Room::new();
    let small = room.dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let name = std::ffi::CString::new(small.to_str().unwrap()).unwrap();
    // SAFETY: unshare() and mount() take what is given, all of it living through the calls; the test's own thread alone moves into
    // the namespace.
    let mounted = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
            && libc::mount(
                c"tmpfs".as_ptr(),
                name.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"size=3m".as_ptr().cast(),
            ) == 0
    };
    assert!(mounted, "{}", std::io::Error::last_os_error());
    let room = Room {
        gallery: small.join("gallery"),
        ..room
    };
    let server = room.serve(&[]);
    let mut client = server.connect();
    enrol(&mut client, "First", &picture(1, 0));
    let large = logodex_pixels::encode(&crate::model::pixels(7, 7, 700), 700, 100).unwrap();
    let mut enrolled = 1;
    let said = loop {
        let mut bytes = large.clone();
        // Behind the end of the picture, so that each is a file of its own.
        bytes.extend(vec![enrolled as u8; 200_000]);
        let fields = [
            ("image", Some("a.jpg"), &bytes[..]),
            ("allow_duplicates", None, b"true"),
        ];
        let reply = client.post_form(
            &format!("/v1/brands/Brand {enrolled}/pictures").replace(' ', "%20"),
            &fields,
        );
        if reply.status != 201 {
            break reply.refused(507);
        }
        enrolled += 1;
        assert!(enrolled < 60, "the disk does not fill");
    };
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(client.get("/v1/gallery").ok(200)["brands"], enrolled);
    assert_eq!(
        identify(&mut client, &picture(1, 4)).ok(200)["brand"],
        "First"
    );
    // With room again, it goes on.
    client
        .send("DELETE", "/v1/brands/Brand%201", "", b"")
        .ok(200);
    enrol(&mut client, "Last", &picture(3, 0));
}
