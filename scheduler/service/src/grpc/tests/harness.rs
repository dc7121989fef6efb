//! Certificates made on the spot by `openssl`, and a server on a thread.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::fake::Fake;
use crate::{
    Failure,
    grpc::{Client, ClientTls, Security, ServeOptions, Server},
};

/// Two authorities, `ca` and `other`; `server` and `client` of the first, `stranger` of the second.
pub(super) struct Certificates {
    directory: TempDir,
}

impl Certificates {
    pub(super) fn make() -> Self {
        let made = Self { directory: tempfile::tempdir().unwrap() };
        for authority in ["ca", "other"] {
            let (key, cert) = (made.key(authority), made.cert(authority));
            let subject = format!("/CN={authority}");
            made.openssl(&["req", "-x509", "-days", "2", "-nodes", "-subj", &subject])
                .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout"])
                .args([&key, Path::new("-out"), &cert])
                .run();
        }
        for (name, authority) in [("server", "ca"), ("client", "ca"), ("stranger", "other")] {
            made.issue(name, authority);
        }
        made
    }

    fn issue(&self, name: &str, authority: &str) {
        let (request, extensions) = (self.path(name, "csr"), self.path(name, "ext"));
        let subject = format!("/CN={name}");
        self.openssl(&["req", "-new", "-nodes", "-subj", &subject])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout"])
            .args([&self.key(name), Path::new("-out"), &request])
            .run();
        let names = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
        fs::write(&extensions, names).unwrap();
        self.openssl(&["x509", "-req", "-days", "2", "-CAcreateserial", "-in"])
            .args([&request, Path::new("-out"), &self.cert(name), Path::new("-extfile")])
            .args([&extensions, Path::new("-CA"), &self.cert(authority), Path::new("-CAkey")])
            .arg(self.key(authority))
            .run();
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(self.directory.path());
        command
    }

    pub(super) fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.{extension}"))
    }

    pub(super) fn cert(&self, name: &str) -> PathBuf {
        self.path(name, "pem")
    }

    pub(super) fn key(&self, name: &str) -> PathBuf {
        self.path(name, "key")
    }

    pub(super) fn security(&self) -> Security {
        Security::MutualTls {
            cert: self.cert("server"),
            key: self.key("server"),
            client_ca: self.cert("ca"),
        }
    }

    /// What `client` shows when it trusts `ca`.
    pub(super) fn client(&self, client: &str, ca: &str) -> ClientTls {
        ClientTls {
            ca: self.cert(ca),
            cert: self.cert(client),
            key: self.key(client),
            server_name: None,
        }
    }
}

trait Run {
    fn run(&mut self);
}

impl Run for Command {
    fn run(&mut self) {
        let output = self.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A server of a fake backend on a free port; stops when it is dropped.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

impl Running {
    pub(super) fn start(security: Security, fake: Fake) -> Self {
        let options = ServeOptions { listen: ([127, 0, 0, 1], 0).into(), security };
        let server = Server::bind(&options).unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            server.run(Arc::new(fake), async {
                let _ = stopped.await;
            })
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(&self.address.to_string(), None).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}
