//! Who is let in, and what is said of certificates that cannot be used.

use super::*;

#[test]
fn a_server_of_another_authority_is_not_believed() {
    let certificates = Certificates::make();
    let server = Running::start(certificates.security(), Fake::default());
    let tls = certificates.client("client", "other");
    let failure = Client::connect(&server.address.to_string(), Some(&tls)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("certificate"), "{failure:?}");
}

#[test]
fn a_client_of_another_authority_is_refused() {
    let certificates = Certificates::make();
    let server = Running::start(certificates.security(), Fake::default());
    let tls = certificates.client("stranger", "ca");
    // With TLS 1.3 the client may learn of it only with its first call.
    let answer = Client::connect(&server.address.to_string(), Some(&tls))
        .and_then(|client| client.inventory());
    assert_eq!(answer.unwrap_err().kind, FailureKind::Unavailable);
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let certificates = Certificates::make();
    let server = Running::start(certificates.security(), Fake::default());
    let ca = Certificate::from_pem(std::fs::read(certificates.cert("ca")).unwrap());
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address))
        .unwrap()
        .tls_config(ClientTlsConfig::new().ca_certificate(ca))
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answered = runtime.block_on(async {
        let channel = endpoint.connect().await.ok()?;
        SchedulerClient::new(channel).get_inventory(v1::GetInventoryRequest {}).await.ok()
    });
    assert!(answered.is_none());
    // The server lives on for those who show one.
    let tls = certificates.client("client", "ca");
    let client = Client::connect(&server.address.to_string(), Some(&tls)).unwrap();
    assert!(client.inventory().is_ok());
}

#[test]
fn without_tls_only_loopback_is_served_and_reached() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7443"] {
        let listen = listen.parse().unwrap();
        let options = ServeOptions { listen, security: Security::InsecureLoopback };
        let failure = Server::bind(&options).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert!(failure.message.contains("loopback") && failure.hint.is_some(), "{failure:?}");
    }
    for endpoint in ["192.0.2.1:7443", "http://whimbrel.test:7443", "https://127.0.0.1:1", "x y"] {
        let failure = Client::connect(endpoint, None).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid, "{endpoint}: {failure:?}");
    }
}

#[test]
fn unusable_files_are_named_and_keys_are_never_shown() {
    let made = Certificates::make();
    let (empty, torn) = (made.path("empty", "pem"), made.path("torn", "key"));
    std::fs::write(&empty, "").unwrap();
    let key = std::fs::read_to_string(made.key("server")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    std::fs::write(&torn, key.replace("-----END", "-----EN")).unwrap();
    let (cert, key, ca) = (made.cert("server"), made.key("server"), made.cert("ca"));
    let missing = made.path("missing", "pem");
    let cases = [
        (&missing, &key, &ca, "missing.pem"),
        (&empty, &key, &ca, "no certificate"),
        (&cert, &torn, &ca, "torn.key"),
        (&cert, &made.key("client"), &ca, "client.key"),
        (&cert, &cert, &ca, "server.pem: no usable private key"),
        (&cert, &key, &empty, "empty.pem"),
        (&cert, &key, &key, "server.key: no certificate"),
    ];
    for (cert, key, client_ca, fault) in cases {
        let security = Security::MutualTls {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: client_ca.clone(),
        };
        let listen = ([127, 0, 0, 1], 0).into();
        let failure = Server::bind(&ServeOptions { listen, security }).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert!(failure.message.contains(fault), "{fault}: {failure:?}");
        assert!(failure.hint.is_some(), "{failure:?}");
        assert!(!format!("{failure:?}").contains(secret));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = plain(Fake::default());
    let options = ServeOptions { listen: server.address, security: Security::InsecureLoopback };
    let failure = Server::bind(&options).unwrap_err();
    assert!(failure.message.contains(&server.address.to_string()), "{failure:?}");
}
