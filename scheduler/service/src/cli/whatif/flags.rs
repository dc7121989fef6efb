//! Changes as flags, over those of a file: what a flag says replaces what the file says of the same.

use whimbrel_core::{
    HostId, VmId,
    units::{Bytes, BytesPerSecond, MilliCores, Span},
};
use whimbrel_simulator::whatif::{AddLike, AddRack, Changes, Growth, Loss, NewHost, Resize};

use super::hosts;
use crate::Failure;

/// What is different from today.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What is different from today")]
pub(super) struct ChangeArguments {
    /// A host that goes for good: its guests must find places on others first
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    remove_host: Vec<HostId>,
    /// A host that comes, such as h4="8 cores,64 GiB" or h4="8 cores,64 GiB,1 GiB/s"
    #[arg(long, value_name = "NAME=CPU,MEMORY[,BANDWIDTH]", value_parser = new_host)]
    add_host: Vec<NewHost>,
    /// So many hosts that come, as large as the one named by --like
    #[arg(long, value_name = "NUMBER", requires = "like")]
    add_hosts: Option<usize>,
    /// The host that those of --add-hosts are like
    #[arg(long, value_name = "HOST", requires = "add_hosts")]
    like: Option<HostId>,
    /// Which hosts a rack has
    #[arg(long, value_name = "NAME=HOST,HOST", value_parser = rack)]
    rack: Vec<(String, Vec<HostId>)>,
    /// A rack that goes for good with all its hosts
    #[arg(long, value_name = "RACK", value_delimiter = ',')]
    remove_rack: Vec<String>,
    /// A rack that comes, with hosts like those of another
    #[arg(long, value_name = "NAME=LIKE", value_parser = new_rack)]
    add_rack: Vec<AddRack>,
    /// Another size for a guest, such as db="8 GiB" or db="8 GiB,4"
    #[arg(long, value_name = "VM=MEMORY[,VCPUS]", value_parser = resize)]
    resize: Vec<Resize>,
    /// Growth: 20% is the load (CPU and dirty rates of every guest); cpu=20%, dirty=20%,
    /// memory=20% (size of every guest) and guests=20% (their number, by copies) are each alone
    #[arg(long, value_name = "[WHAT=]PERCENT", value_delimiter = ',', allow_hyphen_values = true)]
    grow: Vec<String>,
    /// A host to empty, which then stays without guests
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    drain: Vec<HostId>,
    /// The moves must be over after this
    #[arg(long, value_name = "SPAN")]
    deadline: Option<Span>,
    /// A host that loses its power meanwhile
    #[arg(long, value_name = "HOST")]
    lose: Option<HostId>,
    /// When it does, counted from the begin of the moves; at once by default
    #[arg(long, value_name = "SPAN", requires = "lose")]
    at: Option<Span>,
}

impl ChangeArguments {
    /// `file` with what flags say in its place.
    pub(super) fn over(&self, mut file: Changes) -> Result<Changes, Failure> {
        fn replace<T: Clone>(place: &mut Vec<T>, flags: &[T]) {
            if !flags.is_empty() {
                *place = flags.to_vec();
            }
        }
        replace(&mut file.remove_hosts, &self.remove_host);
        replace(&mut file.add_hosts, &self.add_host);
        replace(&mut file.remove_racks, &self.remove_rack);
        replace(&mut file.add_racks, &self.add_rack);
        replace(&mut file.resize, &self.resize);
        replace(&mut file.drain, &self.drain);
        file.racks.extend(self.rack.iter().cloned());
        if let (Some(count), Some(like)) = (self.add_hosts, &self.like) {
            file.add_like = vec![AddLike { count, like: like.clone() }];
        }
        if !self.grow.is_empty() {
            file.grow = Growth::default();
        }
        for grow in &self.grow {
            file.grow.set(grow).map_err(|e| Failure::invalid(e).about("--grow"))?;
        }
        file.deadline = self.deadline.or(file.deadline);
        if let Some(host) = &self.lose {
            file.lose = Some(Loss { host: host.clone(), at: self.at.unwrap_or_default() });
        }
        Ok(file)
    }
}

/// The name and what is said of it.
fn named<'a>(text: &'a str, example: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once('=')
        .filter(|(name, what)| !name.trim().is_empty() && !what.trim().is_empty())
        .map(|(name, what)| (name.trim(), what.trim()))
        .ok_or_else(|| format!("{text:?} is not NAME=… (hint: write for example {example})"))
}

fn new_host(text: &str) -> Result<NewHost, String> {
    const EXAMPLE: &str = "h4=\"8 cores,64 GiB\"";
    let (name, size) = named(text, EXAMPLE)?;
    let parts: Vec<&str> = size.split(',').collect();
    let (cpu, memory, bandwidth) = match parts.as_slice() {
        [cpu, memory] => (cpu, memory, None),
        [cpu, memory, bandwidth] => (cpu, memory, Some(bandwidth)),
        _ => {
            return Err(format!(
                "{size:?} is not CPU,MEMORY or CPU,MEMORY,BANDWIDTH (hint: write for example {EXAMPLE})"
            ));
        }
    };
    let parse = || {
        Ok::<_, Box<dyn std::error::Error>>(NewHost {
            name: name.parse()?,
            cpu: cpu.parse::<MilliCores>()?,
            memory: memory.parse::<Bytes>()?,
            bandwidth: bandwidth.map(|text| text.parse::<BytesPerSecond>()).transpose()?,
        })
    };
    parse().map_err(|error| error.to_string())
}

fn rack(text: &str) -> Result<(String, Vec<HostId>), String> {
    let (name, list) = named(text, "r1=h1,h2")?;
    Ok((name.to_owned(), hosts(list)?))
}

fn new_rack(text: &str) -> Result<AddRack, String> {
    let (name, like) = named(text, "r2=r1")?;
    Ok(AddRack { name: name.to_owned(), like: like.to_owned() })
}

fn resize(text: &str) -> Result<Resize, String> {
    let (vm, size) = named(text, "db=\"8 GiB,4\"")?;
    let (memory, vcpus) = match size.split_once(',') {
        Some((memory, vcpus)) => (memory, Some(vcpus.trim())),
        None => (size, None),
    };
    let number = |text: &str| {
        text.parse::<u32>()
            .map_err(|_| format!("{text:?} is not a number of vCPUs (hint: write for example 4)"))
    };
    Ok(Resize {
        vm: vm.parse::<VmId>().map_err(|error| error.to_string())?,
        memory: memory.parse::<Bytes>().map_err(|error| error.to_string())?,
        vcpus: vcpus.map(number).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Only {
        #[command(flatten)]
        change: ChangeArguments,
    }

    fn over(file: Changes, flags: &[&str]) -> Result<Changes, String> {
        let words = std::iter::once("whatif").chain(flags.iter().copied());
        let only = Only::try_parse_from(words).map_err(|error| error.to_string())?;
        only.change.over(file).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_replace_what_the_file_says_of_the_same() {
        let file: Changes = toml::from_str(
            "remove_hosts = [\"h1\"]\ngrow = { guests = \"50 %\" }\ndeadline = \"10 min\"",
        )
        .unwrap();
        let both = over(file.clone(), &["--remove-host", "h2,h3", "--grow", "20%"]).unwrap();
        let names: Vec<&str> = both.remove_hosts.iter().map(HostId::as_str).collect();
        assert_eq!(names, ["h2", "h3"]);
        assert_eq!(both.grow, Growth::load("20%".parse().unwrap()));
        assert_eq!(both.deadline, Some(Span::from_seconds(600)));
        assert_eq!(over(file.clone(), &[]).unwrap(), file);
    }

    #[test]
    fn nonsense_is_named() {
        for (flags, word) in [
            (&["--add-host", "h4"][..], "NAME="),
            (&["--add-host", "h4=8 cores"], "CPU,MEMORY"),
            (&["--add-host", "h4=8,64 GiB"], "no unit"),
            (&["--add-host", "a b=8 cores,64 GiB"], "not allowed"),
            (&["--resize", "db=8 GiB,many"], "number of vCPUs"),
            (&["--rack", "=h1"], "NAME="),
            (&["--grow", "-100%"], "above -100"),
            (&["--grow", "disks=5%"], "cannot grow"),
            (&["--add-hosts", "2"], "--like"),
            (&["--at", "3min"], "--lose"),
        ] {
            let error = over(Changes::default(), flags).unwrap_err();
            assert!(error.contains(word), "{flags:?}: {error}");
        }
    }
}
