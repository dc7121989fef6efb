//! The configuration: one TOML file, every value of which can be set from outside too.
//!
//! Precedence: `--set KEY=VALUE`, then `WHIMBREL__SECTION__KEY` in the environment, then the
//! file, then the documented default. Unknown keys are refused wherever they come from. Paths in
//! the file are relative to the file.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use whimbrel_collector::{CollectorSettings, Told, windows::WindowSettings};
use whimbrel_core::{
    cluster::{Needs, Offers},
    ids::{HostId, VmId},
    policy::check_tag,
    units::{Bytes, MilliCores, Share, Span},
};

#[cfg(feature = "serve")]
use crate::grpc::Security;
use crate::{Failure, files};

/// Prefix of environment variables that set a value: `WHIMBREL__COLLECT__PERIOD="5 s"`.
pub const ENVIRONMENT_PREFIX: &str = "WHIMBREL__";

/// The checked configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the journal lives.
    #[serde(default = "state_directory")]
    pub state_directory: PathBuf,
    /// The policy file; without one, the documented defaults.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// The model file that `whimbrel train` wrote; without one, telemetry teaches at every start.
    pub model: Option<PathBuf>,
    /// The hosts. At least one; names are unique.
    #[serde(rename = "host", default)]
    pub hosts: Vec<HostConfig>,
    /// What is known of domains beside what libvirt says.
    #[serde(rename = "domain", default)]
    pub domains: Vec<DomainConfig>,
    /// How hosts are read.
    #[serde(default)]
    pub collect: CollectConfig,
    /// How the daemon offers its API.
    #[serde(default)]
    pub serve: ServeConfig,
}

/// One hypervisor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// Its name in policies, plans and reports.
    pub name: HostId,
    /// How Whimbrel reaches its libvirtd.
    pub uri: String,
    /// How the *other hosts'* libvirtd reach it for peer-to-peer migration; `uri` by default.
    #[serde(default)]
    pub migration_uri: Option<String>,
    /// Memory that guests may use; what the host reports by default.
    #[serde(default)]
    pub memory: Option<Bytes>,
    /// CPU that guests may use; what the host reports by default.
    #[serde(default)]
    pub cpu: Option<MilliCores>,
    /// Whether it takes no new guests.
    #[serde(default)]
    pub maintenance: bool,
    /// What rules may select it by: words, and `key=value` for places such as `rack=r1`.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// What it offers beside memory and CPU; what is left out is unknown and forbids nothing.
    #[serde(default)]
    pub offers: Offers,
}

/// What is known of domains beside what libvirt says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainConfig {
    /// The domains; names of absent ones mean nobody.
    pub vms: Vec<VmId>,
    /// What rules may select them by; several sections about one domain add up.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// What each of them needs of its host beside memory and CPU; the last section that says so
    /// counts.
    #[serde(default)]
    pub needs: Needs,
}

/// How hosts are read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectConfig {
    /// Time between two readings of a host. Range 100 ms..=1 h.
    pub period: Span,
    /// Windows in which unique dirty memory is measured. Whole seconds, 1 s..=60 s.
    pub dirty_windows: Vec<Span>,
    /// Part of the time that one domain may be under measurement. Range 0.001..=1.
    pub dirty_duty: Share,
    /// Where telemetry is kept.
    pub telemetry_directory: PathBuf,
}

/// How the daemon offers its API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// PEM file of the server's certificate chain.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// PEM file of the authority that clients' certificates must come from.
    pub client_authority: Option<PathBuf>,
}

fn state_directory() -> PathBuf {
    PathBuf::from("whimbrel-state")
}

impl Default for CollectConfig {
    fn default() -> Self {
        Self {
            period: Span::from_seconds(2),
            dirty_windows: [1, 2, 4, 8].map(Span::from_seconds).to_vec(),
            dirty_duty: Share::clamped(0.25),
            telemetry_directory: PathBuf::from("whimbrel-telemetry"),
        }
    }
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7117)),
            certificate: None,
            key: None,
            client_authority: None,
        }
    }
}

impl CollectConfig {
    /// The collector's settings, checked.
    ///
    /// # Errors
    /// [`Failure`] naming the value and its range.
    pub fn settings(&self) -> Result<CollectorSettings, Failure> {
        let mut lengths_seconds = Vec::new();
        for window in &self.dirty_windows {
            if !window.as_micros().is_multiple_of(1_000_000) {
                return Err(Failure::invalid(format!(
                    "collect.dirty_windows: {window} is not in whole seconds (hint: libvirt measures whole seconds)"
                )));
            }
            lengths_seconds.push(u32::try_from(window.as_millis() / 1000).unwrap_or(u32::MAX));
        }
        let default = CollectorSettings::default();
        let settings = CollectorSettings {
            period: self.period,
            // Two readings may be missed before a host counts as silent.
            silent_after: default
                .silent_after
                .max(Span::from_micros(self.period.as_micros().saturating_mul(3))),
            windows: WindowSettings {
                lengths_seconds,
                duty_share: self.dirty_duty,
                ..WindowSettings::default()
            },
            ..default
        };
        settings.check().map_err(Failure::invalid)?;
        Ok(settings)
    }
}

#[cfg(feature = "serve")]
impl ServeConfig {
    /// How the API's socket is protected. Without TLS only when that is `insecure_loopback`'s wish.
    ///
    /// # Errors
    /// [`Failure`] naming the key that is missing.
    pub fn security(&self, insecure_loopback: bool) -> Result<Security, Failure> {
        if insecure_loopback {
            return Ok(Security::InsecureLoopback);
        }
        let given = |key: &str, path: &Option<PathBuf>| {
            path.clone().ok_or_else(|| {
                Failure::invalid(format!(
                    "[serve] has no {key}, and the API is not served without mutual TLS \
                     (hint: give certificate, key and client_authority; to try it out on this \
                     machine alone: --insecure-loopback)"
                ))
            })
        };
        Ok(Security::MutualTls {
            cert: given("certificate", &self.certificate)?,
            key: given("key", &self.key)?,
            client_ca: given("client_authority", &self.client_authority)?,
        })
    }
}

impl Config {
    /// Reads `path`, applies overrides and checks every value.
    ///
    /// # Errors
    /// [`Failure`] naming the file, the key and the limit.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, Failure> {
        let text = files::read_text(path)?;
        let mut table: toml::Table =
            toml::from_str(&text).map_err(|e| Failure::invalid(e).about(path.display()))?;
        let set_by = set_from_outside(&mut table, overrides)?;
        let untouched = set_by.is_empty();
        let source = [vec![path.display().to_string()], set_by].concat().join(" with ");
        // The untouched file is parsed from its text, so that errors point to its lines.
        let parsed = if untouched { toml::from_str(&text) } else { table.try_into() };
        let mut config: Self =
            parsed.map_err(|e| Failure::invalid(key_first(&e.to_string())).about(&source))?;
        config.check().map_err(|e| e.about(&source))?;
        config.resolve(path.parent().unwrap_or(Path::new(".")));
        Ok(config)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.hosts.is_empty() {
            return Err(Failure::invalid(
                "no [[host]] is given (hint: name at least one host with its libvirt uri)",
            ));
        }
        for (index, host) in self.hosts.iter().enumerate() {
            if self.hosts[..index].iter().any(|other| other.name == host.name) {
                return Err(Failure::invalid(format!(
                    "host {} is given twice (hint: host names are unique)",
                    host.name
                )));
            }
            if [Some(&host.uri), host.migration_uri.as_ref()]
                .into_iter()
                .flatten()
                .any(|uri| uri.trim().is_empty())
            {
                return Err(Failure::invalid(format!(
                    "host {}: a uri is empty, which libvirt takes for this machine \
                     (hint: write for example \"qemu+tls://{}/system\")",
                    host.name, host.name
                )));
            }
            if host.memory == Some(Bytes::ZERO) || host.cpu == Some(MilliCores::ZERO) {
                return Err(Failure::invalid(format!(
                    "host {}: memory and cpu must be above 0 (hint: leave them out to use what the host reports)",
                    host.name
                )));
            }
        }
        self.check_tags()?;
        self.collect.settings().map(|_| ())
    }

    fn check_tags(&self) -> Result<(), Failure> {
        for host in &self.hosts {
            let refused = host.tags.iter().try_for_each(|tag| check_tag(tag));
            refused.map_err(|e| Failure::invalid(e).about(format!("host {}", host.name)))?;
        }
        for domain in &self.domains {
            let refused = domain.tags.iter().try_for_each(|tag| check_tag(tag));
            let names: Vec<&str> = domain.vms.iter().map(VmId::as_str).collect();
            refused
                .map_err(|e| Failure::invalid(e).about(format!("domain {}", names.join(", "))))?;
        }
        Ok(())
    }

    /// What it tells of hosts and domains for the collector to add.
    pub fn told(&self) -> Told {
        let mut told = Told::default();
        for host in &self.hosts {
            told.hosts.insert(host.name.clone(), (host.tags.clone(), host.offers.clone()));
        }
        for domain in &self.domains {
            for vm in &domain.vms {
                let (tags, needs) = told.domains.entry(vm.clone()).or_default();
                tags.extend(domain.tags.iter().cloned());
                if !domain.needs.is_empty() {
                    needs.clone_from(&domain.needs);
                }
            }
        }
        told
    }

    fn resolve(&mut self, base: &Path) {
        let against = |path: &mut PathBuf| *path = base.join(&*path);
        against(&mut self.state_directory);
        against(&mut self.collect.telemetry_directory);
        let serve = &mut self.serve;
        [
            &mut self.policy,
            &mut self.model,
            &mut serve.certificate,
            &mut serve.key,
            &mut serve.client_authority,
        ]
        .into_iter()
        .flatten()
        .for_each(against);
    }
}

/// Sets what environment and flags say; answers who said something.
fn set_from_outside(table: &mut toml::Table, overrides: &[String]) -> Result<Vec<String>, Failure> {
    let mut set_by = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some((name, key)) =
            name.to_str().and_then(|name| Some((name, name.strip_prefix(ENVIRONMENT_PREFIX)?)))
        else {
            continue;
        };
        let value = value.to_str().ok_or_else(|| {
            Failure::invalid("is not text in UTF-8 (hint: write for example \"5 s\")").about(name)
        })?;
        let key = key.to_lowercase().replace("__", ".");
        set(table, &key, value).map_err(|e| e.about(name))?;
        set_by.push(name.to_owned());
    }
    for assignment in overrides {
        let (key, value) = assignment.split_once('=').ok_or_else(|| {
            Failure::invalid(format!(
                "--set {assignment:?} has no '=' (hint: --set collect.period=\"5 s\")"
            ))
        })?;
        set(table, key.trim(), value.trim()).map_err(|e| e.about("--set"))?;
        set_by.push(format!("--set {}", key.trim()));
    }
    Ok(set_by)
}

/// The key that ends the message put before it, so that a hint stays the end.
fn key_first(text: &str) -> String {
    match text.trim_end().rsplit_once("\nin `") {
        Some((message, key)) => format!("{}: {message}", key.trim_end_matches('`')),
        None => text.to_owned(),
    }
}

/// Sets `a.b.c` to a TOML value, or to a text where it is not one (`5 s` needs no quotes).
fn set(table: &mut toml::Table, key: &str, value: &str) -> Result<(), Failure> {
    let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let (path, last) = key.rsplit_once('.').map_or((None, key), |(path, last)| (Some(path), last));
    let mut place = table;
    for part in path.into_iter().flat_map(|path| path.split('.')) {
        let entry = place.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        place = entry.as_table_mut().ok_or_else(|| {
            Failure::invalid(format!("key {key:?}: {part} is not a section (hint: lists such as [[host]] are set in the file)"))
        })?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_HOST: &str = "[[host]]\nname = \"h1\"\nuri = \"qemu+tcp://h1/system\"\n";

    fn load(text: &str, overrides: &[&str]) -> Result<Config, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        Config::load(file.path(), &overrides)
    }

    #[test]
    fn flags_win_over_the_file() {
        let text = format!("{ONE_HOST}[collect]\nperiod = \"5 s\"\n");
        let config = load(&text, &["collect.period=2 s", "collect.dirty_duty=0.25"]).unwrap();
        assert_eq!(config.collect.period, Span::from_seconds(2));
        assert_eq!(config.collect.dirty_duty, Share::clamped(0.25));
    }

    #[cfg(feature = "serve")]
    #[test]
    fn the_api_needs_tls_unless_it_is_told_otherwise() {
        let refused = |serve: &str| {
            let config = load(&format!("{ONE_HOST}[serve]\n{serve}"), &[]).unwrap();
            config.serve.security(false).unwrap_err()
        };
        let failure = refused("");
        assert!(failure.message.contains("no certificate"), "{failure:?}");
        assert!(failure.hint.is_some_and(|hint| hint.contains("--insecure-loopback")));
        let failure = refused("certificate = \"c\"\nkey = \"k\"\n");
        assert!(failure.message.contains("no client_authority"), "{failure:?}");
        let open = load(ONE_HOST, &[]).unwrap().serve.security(true).unwrap();
        assert_eq!(open, Security::InsecureLoopback);
    }

    #[test]
    fn tags_and_facts_are_told() {
        let text = format!(
            "{ONE_HOST}tags = [\"rack=r1\"]\noffers.huge_pages.\"2 MiB\" = \"8 GiB\"\n\
             [[domain]]\nvms = [\"a\", \"b\"]\ntags = [\"db\"]\n\
             [[domain]]\nvms = [\"a\"]\ntags = [\"big\"]\nneeds.cpu_model = \"EPYC\"\n"
        );
        let told = load(&text, &[]).unwrap().told();
        let (tags, offers) = told.hosts.values().next().unwrap();
        assert!(tags.contains("rack=r1") && offers.huge_pages.is_some());
        let tags: Vec<usize> = told.domains.values().map(|(tags, _)| tags.len()).collect();
        assert_eq!(tags, [2, 1]);
        let refused = load(&format!("{ONE_HOST}tags = [\"a b\"]\n"), &[]).unwrap_err();
        assert!(refused.message.contains("\"a b\" is no tag"), "{refused:?}");
    }

    #[test]
    fn faults_are_named() {
        let message = |text: &str| load(text, &[]).unwrap_err().message;
        assert!(message("").contains("host"));
        assert!(message(&format!("{ONE_HOST}{ONE_HOST}")).contains("h1 is given twice"));
        assert!(message(&format!("{ONE_HOST}colour = 1\n")).contains("colour"));
        assert!(message(&format!("{ONE_HOST}memory = 48\n")).contains("no unit"));
        assert!(message(&format!("{ONE_HOST}memory = \"-1 GiB\"\n")).contains("negative"));
        assert!(
            message(&format!("{ONE_HOST}[collect]\nperiod = \"3 MiB\"\n")).contains("not a unit")
        );
        assert!(message(&format!("{ONE_HOST}[collect]\nperiod = \"1 ms\"\n")).contains("100 ms"));
    }
}
