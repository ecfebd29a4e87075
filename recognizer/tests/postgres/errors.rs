//! What goes wrong is told with the server's name, without its password, and changes nothing.

use std::process::Command;

use logodex_program::exit_code;
use logodex_recognizer::Gallery;
use logodex_recognizer::gallery::postgres::Postgres;
use logodex_recognizer::gallery::store::Store;
use logodex_schemas::gallery::Numbers;

use crate::galleries::{add, assert_equal, edit};
use crate::server::{PASSWORD, Server};

/// The text and the exit code of a failure; no text has the password.
pub fn told<T: std::fmt::Debug>(result: anyhow::Result<T>) -> (String, u8) {
    let error = result.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        !text.contains(PASSWORD) && !format!("{error:?}").contains(PASSWORD),
        "{text}"
    );
    (text, exit_code(&error))
}

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn what_cannot_be_reached_or_used_is_told_by_name_without_its_password() {
    let server = Server::start();
    let url = server.database("errors");
    let at = format!("postgres://postgres@127.0.0.1:{}/errors", server.port);
    let begin = |url: &str| edit(&Store::at(url).unwrap(), Numbers::F32, vec![add("a", 1, 1)]);
    let open = |url: &str| Gallery::open(url);

    let (text, code) = told(open(&url));
    assert!(
        text.contains("there is no gallery")
            && text.contains(&format!("--gallery {at} "))
            && code == 2,
        "{text}"
    );
    let wrong = url.replace(PASSWORD, "wrong-one");
    let (text, code) = told(open(&wrong));
    assert!(
        text.starts_with(&at) && text.contains("password authentication failed"),
        "{text}"
    );
    assert!(
        text.contains("PGPASSWORD") && !text.contains("wrong-one") && code == 2,
        "{text}"
    );
    let (text, code) = told(open(&at));
    assert!(
        text.starts_with(&at) && text.contains("PGPASSWORD") && code == 2,
        "{text}"
    );
    let (text, code) = told(open(&url.replace("/errors", "/nowhere")));
    assert!(
        text.contains("\"nowhere\" does not exist")
            && text.contains("createdb nowhere")
            && code == 2,
        "{text}"
    );
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (text, code) = told(open(&format!(
        "postgres://postgres:{PASSWORD}@127.0.0.1:{nobody}/errors"
    )));
    assert!(
        text.contains(&format!("127.0.0.1:{nobody}"))
            && text.contains("onnection refused")
            && code == 1,
        "{text}"
    );

    // No pgvector on the server; or no right to make it known.
    let without = format!("{url}?options=-c%20extension_control_path%3D/nowhere");
    let (text, code) = told(begin(&without));
    assert!(
        text.contains("\"vector\"") && text.contains("pgvector 0.7") && code == 2,
        "{text}"
    );
    let mut admin = server.admin("errors");
    admin
        .batch_execute(&format!("CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'"))
        .unwrap();
    let plain = url.replace("postgres:never", "plain:never");
    let (text, code) = told(begin(&plain));
    assert!(text.contains("permission denied") && code == 2, "{text}");
    assert_eq!(
        Store::at(&url).unwrap().generation().unwrap(),
        None,
        "nothing was left"
    );
    admin
        .batch_execute("GRANT CREATE ON DATABASE errors TO plain")
        .unwrap();
    let (text, code) = told(begin(&plain));
    assert!(
        text.contains("permission denied") && text.contains("CREATE EXTENSION vector") && code == 2,
        "{text}"
    );
    admin.batch_execute("CREATE EXTENSION vector").unwrap();
    begin(&plain).unwrap();
    // Two galleries of one database, each in a schema.
    begin(&format!("{url}?schema=Other%20one")).unwrap();
    let (text, code) = told(begin(&format!("{plain}?schema=Other%20one")));
    assert!(
        text.contains("permission denied") && text.contains("?schema=Other%20one") && code == 2,
        "{text}"
    );

    // A server that only reads is read, and refuses changes.
    let reads = format!("{plain}?options=-c%20default_transaction_read_only%3Don");
    assert_equal(&open(&reads).unwrap(), &open(&plain).unwrap());
    let (text, code) = told(begin(&reads));
    assert!(text.contains("only reads") && code == 2, "{text}");
    // Tables that are not ours, newer ones, and ones that somebody has changed by hand.
    admin
        .batch_execute(
            "CREATE SCHEMA foreign_one; CREATE TABLE foreign_one.gallery (painting text)",
        )
        .unwrap();
    let (text, code) = told(open(&format!("{url}?schema=foreign_one")));
    assert!(
        text.contains("no gallery's") && text.contains("?schema=NAME") && code == 2,
        "{text}"
    );
    admin
        .batch_execute("UPDATE logodex.gallery SET version = 2")
        .unwrap();
    for result in [open(&url).map(|_| ()), begin(&url).map(|_| ())] {
        let (text, code) = told(result);
        assert!(
            text.contains("version 2") && text.contains("newer logodex") && code == 5,
            "{text}"
        );
    }
    admin
        .batch_execute(
            "UPDATE logodex.gallery SET version = 1; UPDATE logodex.brand SET pictures = 2",
        )
        .unwrap();
    let (text, code) = told(open(&url));
    assert!(
        text.contains("contradict each other") && code == 5,
        "{text}"
    );
    admin
        .batch_execute(
            "UPDATE logodex.brand SET pictures = 1; UPDATE logodex.gallery SET embedding_dim = 25",
        )
        .unwrap();
    let (text, code) = told(open(&url));
    assert!(
        text.contains("has 24 numbers, expected 25") && code == 5,
        "{text}"
    );
    admin.batch_execute("UPDATE logodex.gallery SET embedding_dim = 24; UPDATE logodex.picture SET crop = '{1,-2,3,4}'").unwrap();
    let (text, code) = told(open(&url));
    assert!(text.contains("crop") && code == 5, "{text}");
    admin
        .batch_execute(
            "UPDATE logodex.picture SET crop = '{1,2,3,4}', source = '{\"kind\": \"dream\"}'",
        )
        .unwrap();
    let (text, code) = told(open(&url));
    assert!(
        text.contains("none that a gallery has") && code == 5,
        "{text}"
    );
}

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn a_connection_that_drops_changes_nothing_and_is_made_anew() {
    let server = Server::start();
    let url = server.database("drops");
    let store = Store::at(&url).unwrap();
    edit(&store, Numbers::F32, vec![add("a", 1, 1)]).unwrap();
    let drop_all = || {
        let drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'logodex'";
        let dropped = server.admin("drops").query(drop, &[]).unwrap();
        assert!(!dropped.is_empty());
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    // Between two uses: nobody notices.
    drop_all();
    assert_eq!(store.generation().unwrap(), Some(1));
    drop_all();
    edit(&store, Numbers::F32, vec![add("b", 2, 2)]).unwrap();
    // In the middle of a change: nothing of it is there.
    let error = store.edit(None, |_| {
        drop_all();
        Ok(vec![add("c", 3, 3)])
    });
    let (text, code) = told(error);
    assert!(text.starts_with("postgres://postgres@127.0.0.1:"), "{text}");
    assert!(text.contains("nothing was changed") && code == 1, "{text}");
    assert_eq!(store.load().unwrap().unwrap().pictures.len(), 2);
    edit(&store, Numbers::F32, vec![add("c", 3, 3)]).unwrap();
    assert_eq!(Gallery::open(&url).unwrap().brands().len(), 3);
    // The server goes: its name is told.
    drop(server);
    let (text, _) = told(store.generation());
    assert!(
        text.starts_with("postgres://postgres@127.0.0.1:") && text.contains("server"),
        "{text}"
    );
}

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn files_are_kept_in_the_database_and_fetched_once_to_the_cache() {
    let server = Server::start();
    let url = server.database("kept");
    let database = Postgres::new(&url).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model.onnx");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * i % 251) as u8).collect();
    std::fs::write(&model, &bytes).unwrap();
    // The first that is kept makes the schema; there is no gallery yet.
    assert_eq!(database.model("f1"), None);
    database.keep_model(&model, "f1").unwrap();
    database.keep_model(&model, "f1").unwrap();
    assert_eq!(database.generation().unwrap(), None);
    let fetched = database.model("f1").unwrap();
    assert_eq!(std::fs::read(&fetched).unwrap(), bytes);
    assert_eq!(fetched.extension().unwrap(), "onnx");
    // A copy that was damaged is fetched again.
    std::fs::write(&fetched, b"damaged").unwrap();
    assert_eq!(database.model("f1").unwrap(), fetched);
    assert_eq!(std::fs::read(&fetched).unwrap(), bytes);
    std::fs::remove_file(fetched).unwrap();
    // Another model takes its place; pictures stay.
    let picture = database.keep_picture(b"picture").unwrap();
    std::fs::write(&model, b"another").unwrap();
    database.keep_model(&model, "f2").unwrap();
    assert_eq!(database.model("f1"), None);
    let other = database.model("f2").unwrap();
    assert_eq!(std::fs::read(&other).unwrap(), b"another");
    std::fs::remove_file(other).unwrap();
    let kept = Store::at(&url).unwrap().picture(picture.to_str().unwrap());
    assert_eq!(std::fs::read(&kept).unwrap(), b"picture");
    std::fs::remove_file(kept).unwrap();
    edit(
        &Store::at(&url).unwrap(),
        Numbers::F32,
        vec![add("a", 1, 1)],
    )
    .unwrap();
    assert_eq!(database.generation().unwrap(), Some(1));
}

#[test]
#[ignore = "takes PostgreSQL with pgvector"]
fn commands_answer_of_a_database_as_of_a_directory_and_show_no_password() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("gallery").to_str().unwrap().to_owned();
    let url = server.database("commands");
    let shown = format!("postgres://postgres@127.0.0.1:{}/commands", server.port);
    let edits: Vec<_> = (0..60)
        .map(|i| add(["nike", "Nike", "puma", "ärger"][i as usize % 4], i, i / 2))
        .collect();
    for place in [&place, &url] {
        edit(&Store::at(place).unwrap(), Numbers::F32, edits.clone()).unwrap();
    }
    let run = |gallery: &str, password: Option<&str>, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logodex"));
        command
            .arg(args[0])
            .args(["--gallery", gallery])
            .args(&args[1..])
            .env("RUST_LOG", "trace");
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            !out.contains(PASSWORD) && !err.contains(PASSWORD),
            "{args:?}: {out}{err}"
        );
        (
            output.status.code(),
            out.replace(gallery, "GALLERY").replace(&shown, "GALLERY"),
            err,
        )
    };
    let hash = &crate::galleries::picture("", 4).blake3[..12];
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--brand", "Nike", "--json"],
        &["list", "--brand", "nobody"],
        &["rename", "nike", "Nike", "--merge"],
        &["rename", "puma", "Nike"],
        &["list", "--brand", "Nike"],
        &["remove", "Nike", "--picture", hash],
        &["remove", "ärger"],
        &["list", "--json"],
    ] {
        let directory = run(&place, None, args);
        let database = run(&url, None, args);
        assert_eq!(
            (directory.0, &directory.1),
            (database.0, &database.1),
            "{args:?}: {}",
            database.2
        );
    }
    // As it is shown, with the password from the environment.
    let (code, out, err) = run(&shown, Some(PASSWORD), &["list", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, run(&url, None, &["list", "--json"]).1);
    let (code, _, err) = run(&place, None, &["index"]);
    assert!(
        code == Some(2) && err.contains("a directory is searched exactly"),
        "{err}"
    );
    let (code, out, err) = run(&url, None, &["index", "--recall", "1"]);
    assert!(
        code == Some(0) && out.contains("100.0 % of the 10 nearest"),
        "{out}{err}"
    );
    let (code, out, _) = run(&url, None, &["index", "--drop"]);
    assert!(code == Some(0) && out.contains("no index now"), "{out}");
    assert_equal(
        &Gallery::open(&place).unwrap(),
        &Gallery::open(&url).unwrap(),
    );
}
