//! `whimbrel serve`: the daemon's life from its configuration to a signal.

use std::net::SocketAddr;

use super::{Common, Ending};
use crate::Failure;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// Address and port of the API; the configuration's serve.listen by default
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Serve without TLS, on a loopback address only: everyone on this machine may do everything
    #[arg(long)]
    insecure_loopback: bool,
}

#[cfg(not(feature = "libvirt"))]
pub(super) fn run(_common: &Common, _own: &ServeArguments) -> Result<Ending, Failure> {
    Err(super::without_libvirt())
}

#[cfg(feature = "libvirt")]
pub(super) use live::run;

#[cfg(feature = "libvirt")]
mod live {
    use std::{io::Write as _, time::Duration};

    use tokio::signal::unix::{SignalKind, signal};

    use super::{Common, Ending, Failure, ServeArguments};
    use crate::{
        cli::source,
        config::Config,
        grpc::{Security, ServeOptions, Server},
        wiring,
    };

    /// Longest time that hosts are given for their first answers before the API is served.
    const FIRST_ANSWERS: Duration = Duration::from_secs(10);
    /// Time for the engine's thread to end once the API has stopped; it was told with the API.
    const ENGINE_ENDS_WITHIN: Duration = Duration::from_secs(2);

    pub(in crate::cli) fn run(common: &Common, own: &ServeArguments) -> Result<Ending, Failure> {
        let config = Config::load(&common.config, &common.set)?;
        let options = ServeOptions {
            listen: own.listen.unwrap_or(config.serve.listen),
            security: config.serve.security(own.insecure_loopback)?,
        };
        let policy = source::policy(common, &config)?;
        let server = Server::bind(&options)?;
        let daemon = wiring::daemon(&config, policy)?;
        daemon.wait_for_hosts(FIRST_ANSWERS);
        let scheme = match options.security {
            Security::MutualTls { .. } => "https",
            Security::InsecureLoopback => "http",
        };
        // Whoever started it may not want to know.
        let _ = writeln!(std::io::stdout(), "listening on {scheme}://{}", server.address());
        let (backend, ended) = (daemon.backend(), daemon.ended());
        let stop = {
            let backend = daemon.backend();
            async move {
                tokio::select! {
                    () = told_to_stop() => {}
                    () = ended => tracing::error!("the engine's thread has ended"),
                }
                backend.stop();
            }
        };
        server.run(backend, stop)?;
        daemon.stop(ENGINE_ENDS_WITHIN)?;
        Ok(Ending::Done)
    }

    /// Completes at Ctrl-C or SIGTERM.
    async fn told_to_stop() {
        let signals = signal(SignalKind::interrupt()).and_then(|interrupt| {
            let terminate = signal(SignalKind::terminate())?;
            Ok((interrupt, terminate))
        });
        match signals {
            Ok((mut interrupt, mut terminate)) => tokio::select! {
                _ = interrupt.recv() => tracing::info!("stops: interrupted"),
                _ = terminate.recv() => tracing::info!("stops: terminated"),
            },
            Err(error) => {
                // Signals then end the program at once, which it is made for.
                tracing::warn!("signals cannot be waited for: {error}");
                std::future::pending::<()>().await;
            }
        }
    }
}
