//! The lab's command line. See the crate's documentation for what the lab is.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

mod arguments;

use std::process::ExitCode;

use clap::Parser;
use whimbrel_lab::{Lab, LabConfig, LabError, LabStatus, Outcome};

use arguments::{Arguments, GuestAction, HostAction, LinkAction, Output, Verb};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(2)
        }
    }
}

/// Prints an error with everything that caused it, and what to do.
fn report(error: &LabError) {
    eprint!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!("\nhint: {}", error.hint());
}

fn run(arguments: Arguments) -> Result<(), LabError> {
    let mut config = LabConfig::from_environment();
    if let Verb::Up { hosts: Some(hosts), .. } = arguments.verb {
        config.host_count = hosts;
    }
    let mut lab = Lab::new(config.clone())?;
    match arguments.verb {
        Verb::Up { fresh: true, .. } => {
            // A lab that is gone no longer says how many hosts there are.
            lab.down(&mut |line| eprintln!("{line}"))?;
            lab = Lab::new(config)?;
        }
        // Nobody said how many: those of the lab that is up are enough.
        Verb::Up { hosts: None, .. } => {
            let host_count = lab.config().host_count;
            lab = Lab::new(LabConfig { host_count, ..config })?;
        }
        _ => {}
    }
    match arguments.verb {
        Verb::Up { fresh, .. } => up(&lab, fresh),
        Verb::Down => {
            lab.down(&mut |line| eprintln!("{line}"))?;
            println!("the lab '{}' is down", lab.config().name);
            Ok(())
        }
        Verb::Status { output } => {
            status(&lab.status()?, output);
            Ok(())
        }
        Verb::Exec { command } => exec(&lab, &command),
        Verb::Guest(action) => guest(&lab, action),
        Verb::Host(HostAction::PowerCut { host }) => lab.power_cut(&host),
        Verb::Host(HostAction::PowerOn { host }) => lab.power_on(&host),
        Verb::Link(LinkAction::Cut { host }) => lab.link_cut(&host),
        Verb::Link(LinkAction::Restore { host }) => lab.link_restore(&host),
        Verb::Link(LinkAction::Shape { host, megabytes_per_second }) => {
            lab.link_shape(&host, megabytes_per_second)
        }
        Verb::Link(LinkAction::Clear { host }) => lab.link_clear(&host),
    }
}

fn up(lab: &Lab, fresh: bool) -> Result<(), LabError> {
    let outcome = lab.up(fresh, &mut |line| eprintln!("{line}"))?;
    match outcome {
        Outcome::AlreadyUp => println!("the lab '{}' is up already", lab.config().name),
        Outcome::Started => println!("the lab '{}' is up", lab.config().name),
    }
    Ok(())
}

fn guest(lab: &Lab, action: GuestAction) -> Result<(), LabError> {
    match action {
        GuestAction::Start(start) => {
            let (host, spec) = start.spec();
            lab.start_guest(&host, &spec)?;
            println!("guest {} runs on {host}", spec.name);
        }
        GuestAction::Set { name, load } => lab.set_guest(&name, &load.load())?,
        GuestAction::Stat { name, output } => {
            let (host, stat) = (lab.find_guest(&name)?, lab.guest_stat(&name)?);
            if output == Output::Json {
                print_json(&stat);
                return Ok(());
            }
            println!("{:<12} {host}", "host");
            for (key, value) in &stat.raw {
                println!("{key:<12} {value}");
            }
        }
        GuestAction::Verify { name } => {
            let verified = lab.verify_guest(&name)?;
            println!("{} pages checked, {} bad", verified.checked_pages, verified.bad_pages);
        }
        GuestAction::Stop { name } => lab.stop_guest(&name)?,
    }
    Ok(())
}

fn status(status: &LabStatus, output: Output) {
    if output == Output::Json {
        print_json(status);
        return;
    }
    let state = if status.up { "up" } else { "down" };
    println!("lab '{}' is {state}; controllers run in namespace {}", status.name, status.namespace);
    for host in &status.hosts {
        let mut notes = Vec::new();
        notes.extend(host.libvirt.as_ref().map(|version| format!("libvirt {version}")));
        notes.extend((!host.powered_on).then(|| "powered off".to_owned()));
        notes.extend((!host.link_up).then(|| "link cut".to_owned()));
        notes.extend(host.unknown.clone());
        let shaped = host.sends_at_most_megabytes_per_second;
        notes.extend(shaped.map(|rate| format!("sends at most {rate} MB/s")));
        notes.extend(host.guests.iter().map(|guest| format!("{} ({})", guest.name, guest.state)));
        println!("{}  {:<12} {}", host.name, host.address, notes.join(", "));
    }
}

fn print_json(value: &impl serde::Serialize) {
    // These are plain records, which always can be written.
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Runs a command inside the lab's namespace and ends as it ends.
fn exec(lab: &Lab, words: &[String]) -> Result<(), LabError> {
    let Some((program, rest)) = words.split_first() else { return Ok(()) };
    let status = lab.command(program).args(rest).status().map_err(|source| LabError::File {
        action: "run",
        path: program.into(),
        source,
    })?;
    std::process::exit(status.code().unwrap_or(2));
}
