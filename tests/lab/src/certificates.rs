//! The lab's own certificate authority, a certificate for each host and one for clients.
//!
//! A host's certificate serves four roles: libvirtd as server, libvirtd as client of another libvirtd
//! (peer-to-peer migration), and QEMU as either end of a native TLS migration.

use std::fs;
use std::path::Path;

use crate::config::LabConfig;
use crate::error::{LabError, file_error};
use crate::program::Program;

const AUTHORITY: &str =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";

const MEMBER: &str = "basicConstraints=critical,CA:FALSE\n\
    keyUsage=critical,digitalSignature,keyEncipherment\n\
    extendedKeyUsage=serverAuth,clientAuth\n";

/// Makes the authority and every certificate anew.
pub(crate) fn create(config: &LabConfig) -> Result<(), LabError> {
    let directory = config.certificate_dir();
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(file_error("remove", &directory))?;
    }
    let authority = directory.join("authority");
    sign(&authority, "whimbrel lab authority", AUTHORITY, None)?;
    for number in 1..=config.host_count {
        let host = format!("h{number}");
        let address = config.host_address(number);
        let names = format!("DNS:{host},DNS:{host}.lab,IP:{address},DNS:localhost,IP:127.0.0.1");
        let extensions = format!("{MEMBER}subjectAltName={names}\n");
        sign(&directory.join(&host), &host, &extensions, Some(&authority))?;
    }
    let client = config.client_certificate_dir();
    sign(&client, "whimbrel-client", MEMBER, Some(&authority))?;
    // The names that libvirt looks for in a `pkipath`.
    copy(&authority.join("cert.pem"), &client.join("cacert.pem"))?;
    copy(&client.join("cert.pem"), &client.join("clientcert.pem"))?;
    copy(&client.join("key.pem"), &client.join("clientkey.pem"))
}

/// Writes `cert.pem` and `key.pem` to `directory`, signed by `authority` or by itself.
fn sign(
    directory: &Path,
    name: &str,
    extensions: &str,
    authority: Option<&Path>,
) -> Result<(), LabError> {
    fs::create_dir_all(directory).map_err(file_error("create", directory))?;
    let request = directory.join("request.conf");
    let text = format!(
        "[req]\nprompt=no\ndistinguished_name=subject\nx509_extensions=extensions\n\
         [subject]\nO=Whimbrel lab\nCN={name}\n[extensions]\n{extensions}"
    );
    fs::write(&request, text).map_err(file_error("write", &request))?;
    let path = |file: &str| directory.join(file).to_string_lossy().into_owned();
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650";
    let program = Program::new("openssl").args(words.split(' ')).args([
        "-config",
        &path("request.conf"),
        "-keyout",
        &path("key.pem"),
        "-out",
        &path("cert.pem"),
    ]);
    let program = match authority {
        Some(authority) => {
            let path = |file: &str| authority.join(file).to_string_lossy().into_owned();
            program.args(["-CA", &path("cert.pem"), "-CAkey", &path("key.pem")])
        }
        None => program,
    };
    program.run().map(drop)
}

/// Puts a host's certificates where its libvirtd and QEMU look for them under `etc`.
pub(crate) fn install(config: &LabConfig, host: &str, etc: &Path) -> Result<(), LabError> {
    let directory = config.certificate_dir();
    let authority = directory.join("authority/cert.pem");
    let (cert, key) = (directory.join(host).join("cert.pem"), directory.join(host).join("key.pem"));
    let pki = etc.join("pki");
    copy(&authority, &pki.join("CA/cacert.pem"))?;
    copy(&authority, &pki.join("qemu/ca-cert.pem"))?;
    for role in ["server", "client"] {
        copy(&cert, &pki.join(format!("libvirt/{role}cert.pem")))?;
        copy(&key, &pki.join(format!("libvirt/private/{role}key.pem")))?;
        copy(&cert, &pki.join(format!("qemu/{role}-cert.pem")))?;
        copy(&key, &pki.join(format!("qemu/{role}-key.pem")))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), LabError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(file_error("create", parent))?;
    }
    fs::copy(from, to).map(drop).map_err(file_error("write", to))
}
