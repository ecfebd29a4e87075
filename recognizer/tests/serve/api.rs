//! What the API answers.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::client::Client;
use crate::model::{self, picture};
use crate::room::Room;

/// Enrols one picture.
pub fn enrol(client: &mut Client, brand: &str, bytes: &[u8]) -> serde_json::Value {
    let path = format!("/v1/brands/{brand}/pictures");
    client
        .post_form(&path, &[("image", Some("a.jpg"), bytes)])
        .ok(201)
}

fn identify(client: &mut Client, bytes: &[u8]) -> serde_json::Value {
    let fields = [("image", Some("a.jpg"), bytes), ("top", None, b"3")];
    client.post_form("/v1/identify", &fields).ok(200)
}

#[test]
fn an_unknown_is_enrolled_and_then_known_and_every_way_of_asking_agrees() {
    let room = Room::new();
    let server = room.serve(&[]);
    let mut client = server.connect();
    // Nobody is enrolled: nobody is named.
    let empty = identify(&mut client, &picture(1, 0));
    assert_eq!(
        (&empty["verdict"], &empty["top"]),
        (&json!("unknown"), &json!([]))
    );
    assert_eq!(empty["similarity"], json!(null));

    let first = enrol(&mut client, "One%20of%20%C3%A9lan", &picture(1, 0));
    assert_eq!(first["brand"], "One of élan");
    assert_eq!(
        (&first["pictures"], &first["check"]["nearest"]),
        (&json!(1), &json!(null))
    );
    enrol(&mut client, "Two", &picture(2, 0));
    let three = enrol(&mut client, "Three", &picture(3, 0));
    assert!(three["check"]["nearest"].is_string() && three["check"]["warning"].is_null());

    let known = identify(&mut client, &picture(1, 5));
    assert_eq!(
        (&known["verdict"], &known["brand"]),
        (&json!("known"), &json!("One of élan"))
    );
    assert_eq!(known["top"].as_array().unwrap().len(), 3);
    assert_eq!(known["nearest"][0]["picture"], first["enrolled"][0]);
    assert_eq!(known["threshold"], 0.7);
    let stranger = identify(&mut client, &picture(9, 0));
    assert_eq!(
        (&stranger["verdict"], &stranger["brand"]),
        (&json!("unknown"), &json!(null))
    );

    // As JSON, and by a box that is the whole picture.
    let base64 = STANDARD.encode(picture(1, 5));
    let as_json = json!({"image": base64, "top": 3, "box": [0, 0, 96, 96]});
    assert_eq!(client.post_json("/v1/identify", &as_json).ok(200), known);
    // A part of it is another picture.
    let part = json!({"image": base64, "top": 3, "box": [0, 0, 48, 48]});
    assert_ne!(client.post_json("/v1/identify", &part).ok(200), known);

    // What the command says of the same file is the same.
    let file = room.write("asked.jpg", &picture(1, 5));
    let output = room
        .logodex(&[
            "identify",
            "--json",
            "--top",
            "3",
            "--threshold",
            "0.7",
            "--gallery",
        ])
        .args([&room.gallery, &file])
        .output()
        .unwrap();
    let line: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    for key in ["verdict", "brand", "similarity", "threshold"] {
        assert_eq!(line[key], known[key], "{key}");
    }

    let (a, b, c) = (picture(1, 0), picture(1, 5), picture(2, 0));
    let verify = |client: &mut Client, a: &[u8], b: &[u8]| {
        let fields = [("a", Some("a.jpg"), a), ("b", Some("b.jpg"), b)];
        client.post_form("/v1/verify", &fields).ok(200)
    };
    assert_eq!(verify(&mut client, &a, &b)["same"], true);
    assert_eq!(verify(&mut client, &a, &c)["same"], false);
    let both = json!({"a": {"image": STANDARD.encode(&a)}, "b": {"image": STANDARD.encode(&a)}});
    let same = client.post_json("/v1/verify", &both).ok(200);
    assert!(same["similarity"].as_f64().unwrap() > 0.9999, "{same}");
}

#[test]
fn brands_are_listed_page_by_page_renamed_and_removed_with_what_was_kept_of_them() {
    let room = Room::new();
    let server = room.serve(&[]);
    let mut client = server.connect();
    for (brand, name) in [(1, "Beta"), (2, "alpha"), (3, "Beta%2Fwest"), (4, "Gamma")] {
        enrol(&mut client, name, &picture(brand, 0));
    }
    let page = client.get("/v1/brands?limit=3").ok(200);
    let names: Vec<&str> = page["brands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["brand"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Beta", "Beta/west", "Gamma"]);
    assert_eq!(
        (&page["total"], &page["next"]),
        (&json!(4), &json!("Gamma"))
    );
    let rest = client.get("/v1/brands?limit=3&after=Gamma").ok(200);
    assert_eq!(rest["brands"][0]["brand"], "alpha");
    assert_eq!(rest["next"], json!(null));
    let found = client.get("/v1/brands?search=BETA").ok(200);
    assert_eq!(found["total"], 2);

    // A second picture of a brand, one part of a larger file, and the list of both.
    let large = logodex_pixels::encode(&model::pixels(1, 7, 160), 160, 92).unwrap();
    let boxed = [
        ("image", Some("l.jpg"), &large[..]),
        ("box", None, b"0,0,150,150"),
    ];
    let second = client.post_form("/v1/brands/Beta/pictures", &boxed).ok(201);
    assert_eq!(second["pictures"], 2);
    let shown = client.get("/v1/brands/Beta").ok(200);
    assert_eq!(shown["pictures"].as_array().unwrap().len(), 2);
    let id = second["enrolled"][0].as_str().unwrap().to_owned();
    let thumbnail = client.get(&format!("/v1/pictures/{id}"));
    assert_eq!(
        (thumbnail.status, thumbnail.header("content-type")),
        (200, Some("image/jpeg"))
    );
    let thumbnail = logodex_pixels::decode(&thumbnail.body).unwrap();
    assert_eq!((thumbnail.width, thumbnail.height), (176, 176));

    // A rename keeps the pictures; two brands are not made one in passing.
    let rename = |client: &mut Client, from: &str, to: &str| {
        let body = json!({"name": to}).to_string();
        client.send(
            "PATCH",
            &format!("/v1/brands/{from}"),
            "application/json",
            body.as_bytes(),
        )
    };
    assert_eq!(rename(&mut client, "Beta", "Delta").ok(200)["pictures"], 2);
    assert!(
        rename(&mut client, "Delta", "Gamma")
            .refused(409)
            .contains("Gamma")
    );
    assert!(
        rename(&mut client, "Beta", "Other")
            .refused(404)
            .contains("Beta")
    );
    rename(&mut client, "Delta", " padded ").refused(422);
    rename(&mut client, "Delta", &"x".repeat(201)).refused(422);

    // A duplicate is refused, also one that only looks the same; taken if that is asked for.
    let again = [("image", Some("a.jpg"), &picture(2, 0)[..])];
    let said = client
        .post_form("/v1/brands/alpha/pictures", &again)
        .refused(409);
    assert!(said.contains("already") && said.contains("alpha"), "{said}");
    let softer = logodex_pixels::encode(&model::pixels(2, 0, 96), 96, 60).unwrap();
    let alike = [("image", Some("b.jpg"), &softer[..])];
    let said = client
        .post_form("/v1/brands/Other/pictures", &alike)
        .refused(409);
    assert!(
        said.contains("looks the same") && said.contains("alpha"),
        "{said}"
    );
    let forced = [alike[0], ("allow_duplicates", None, b"true")];
    let forced = client
        .post_form("/v1/brands/Other/pictures", &forced)
        .ok(201);
    assert!(
        forced["check"]["warning"]
            .as_str()
            .unwrap()
            .contains("alpha"),
        "{forced}"
    );

    // Out again: the picture, its brand with its last picture, and the file that was kept.
    let kept = || {
        std::fs::read_dir(room.gallery.join("pictures"))
            .unwrap()
            .count()
    };
    let before = kept();
    let gone = client
        .send("DELETE", &format!("/v1/pictures/{id}"), "", b"")
        .ok(200);
    assert_eq!(
        (&gone["brand"], &gone["pictures"]),
        (&json!("Delta"), &json!(1))
    );
    assert_eq!(kept(), before - 1);
    client.get(&format!("/v1/pictures/{id}")).refused(404);
    client
        .send("DELETE", &format!("/v1/pictures/{id}"), "", b"")
        .refused(404);
    client
        .send("DELETE", "/v1/brands/Beta%2Fwest", "", b"")
        .ok(200);
    client.get("/v1/brands/Beta%2Fwest").refused(404);
    assert_eq!(client.get("/v1/gallery").ok(200)["brands"], 4);
}

#[test]
fn what_a_request_gets_wrong_is_said() {
    let room = Room::new();
    let server = room.serve(&[]);
    let mut client = server.connect();
    let one = picture(1, 0);
    let mut refused = |fields: &[(&str, Option<&str>, &[u8])], status| {
        client.post_form("/v1/identify", fields).refused(status)
    };
    let image = ("image", Some("a.jpg"), &one[..]);
    assert!(refused(&[], 400).contains("image"));
    assert!(refused(&[image, image], 400).contains("2 fields"));
    assert!(refused(&[image, ("bx", None, b"1")], 400).contains("\"bx\""));
    assert!(refused(&[image, ("box", None, b"1,2,3")], 400).contains("left,top,right,bottom"));
    assert!(refused(&[("box", None, b"1,2,3,4"), image], 400).contains("follows"));
    assert!(refused(&[image, ("top", None, b"0")], 400).contains("1 to 100"));
    assert!(refused(&[image, ("box", None, b"5,5,5,9")], 422).contains("does not lie"));
    assert!(refused(&[image, ("box", None, b"0,0,97,96")], 422).contains("96 × 96"));
    let json = |client: &mut Client, body: &str| {
        client.send("POST", "/v1/identify", "application/json", body.as_bytes())
    };
    assert!(json(&mut client, "{").refused(400).contains("JSON"));
    assert!(
        json(&mut client, "{\"image\": \"%%\"}")
            .refused(400)
            .contains("Base64")
    );
    assert!(
        json(&mut client, "{\"image\": \"\", \"x\": 1}")
            .refused(400)
            .contains("unknown field")
    );
    assert!(
        client
            .send("POST", "/v1/identify", "text/plain", b"x")
            .refused(415)
            .contains("multipart")
    );
    assert!(
        client
            .get("/v1/brands?limit=0")
            .refused(400)
            .contains("1 to 500")
    );
    client.get("/v1/brands?limt=3").refused(400);
    client.get("/v1/brands/%FF").refused(400);
    client.get("/nowhere").refused(404);
    client.get("/page/../Cargo.toml").refused(404);
    let reply = client.send("PUT", "/v1/identify", "", b"");
    reply.refused(405);
    assert!(reply.header("allow").unwrap().contains("POST"), "{reply:?}");
    assert_eq!(client.get("/healthz").ok(200)["status"], "ok");
    assert_eq!(client.get("/readyz").ok(200)["status"], "ok");
}

#[test]
fn the_page_and_the_api_ask_for_a_token_and_never_tell_it() {
    let room = Room::new();
    let secret = "correct-horse-battery-staple-9";
    let token = room.write("token", format!("{secret}\n").as_bytes());
    let server = room.serve(&["--token-file", token.to_str().unwrap()]);
    let mut client = server.connect();
    client.get("/v1/brands").refused(401);
    assert_eq!(
        client.get("/v1/brands").header("www-authenticate"),
        Some("Bearer")
    );
    client.get("/metrics").refused(401);
    for path in [
        "/",
        "/page/serve.js",
        "/healthz",
        "/readyz",
        "/openapi.json",
    ] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    client.token = Some("correct-horse-battery-staple-8".to_owned());
    let said = client.get("/v1/brands").refused(401);
    assert!(!said.contains("horse"), "{said}");
    client.token = Some(secret.to_owned());
    client.get("/v1/brands").ok(200);
    enrol(&mut client, "Brand", &picture(1, 0));
    client
        .post_form("/v1/identify", &[("image", None, b"x")])
        .refused(422);

    // The page takes nothing from elsewhere and runs nothing inline.
    let page = client.get("/");
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(!page.text().contains("http://") && !page.text().contains("https://"));

    // The token is in no count, no log, and nothing that is kept.
    let metrics = client.get("/metrics").text();
    assert!(metrics.contains("logodex_http_requests_total"), "{metrics}");
    assert!(
        metrics.contains("route=\"/v1/brands/{brand}/pictures\""),
        "{metrics}"
    );
    assert!(metrics.contains("logodex_gallery_brands 1"), "{metrics}");
    server.signal(libc::SIGTERM);
    let mut server = server;
    assert!(server.wait().success(), "{}", server.log());
    for text in [metrics, server.log()] {
        assert!(!text.contains("horse"), "{text}");
    }
}

#[test]
fn the_world_is_not_listened_to_without_a_token() {
    let room = Room::new();
    let gallery = room.gallery.to_str().unwrap();
    let told = |listen: &str, token: Option<&Path>| {
        let mut command = room.logodex(&["serve", "--gallery", gallery, "--threshold", "0.7"]);
        command
            .arg("--model")
            .arg(&room.model)
            .args(["--listen", listen]);
        command.args(
            token
                .map(|path| ["--token-file".as_ref(), path.as_os_str()])
                .into_iter()
                .flatten(),
        );
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told("0.0.0.0:0", None).contains("a token is needed"));
    let short = room.write("short", b"hunter2-hunter2");
    let said = told("127.0.0.1:0", Some(&short));
    assert!(
        said.contains("16 or more") && !said.contains("hunter"),
        "{said}"
    );
    // A port that is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(told(&address, None).contains(&address));
}
