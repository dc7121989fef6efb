//! The words of the command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use whimbrel_lab::{GuestKind, GuestSpec, Load, Order, Phase, Shape};

const ENVIRONMENT: &str = "The environment says which lab: WHIMBREL_LAB_NAME (default whimbrel), \
    WHIMBREL_LAB_DIR (default /tmp/whimbrel-lab), WHIMBREL_LAB_SUBNET (default 10.77.0), \
    WHIMBREL_LAB_LIBVIRT (11.3; default what is installed)";

/// Real libvirt and QEMU hosts on this machine, in namespaces of their own.
#[derive(Debug, Parser)]
#[command(name = "whimbrel-lab", version, after_help = ENVIRONMENT)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start the lab; does nothing when it is up
    Up {
        /// Number of hosts, 1 to 9 [default: 3 for a new lab, any for one that is up]
        #[arg(long)]
        hosts: Option<u8>,
        /// End a running lab first, with all of its guests
        #[arg(long)]
        fresh: bool,
    },
    /// End the lab and everything in it
    Down,
    /// Show hosts, links and guests
    Status {
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Run a command in the lab's namespace, where h1, h2, ... resolve
    Exec {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Start, steer and end guests
    #[command(subcommand)]
    Guest(GuestAction),
    /// Switch a host's power
    #[command(subcommand)]
    Host(HostAction),
    /// Cut, restore or slow down a host's link
    #[command(subcommand)]
    Link(LinkAction),
}

#[derive(Debug, Subcommand)]
pub(crate) enum GuestAction {
    /// Start a guest and wait until its load runs
    Start(GuestStart),
    /// Change a guest's load
    Set {
        name: String,
        #[command(flatten)]
        load: LoadArguments,
    },
    /// Show what a guest's load says of itself
    Stat {
        name: String,
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Let a guest read every page that it ever wrote
    Verify { name: String },
    /// End a guest at once and forget its definitions
    Stop { name: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostAction {
    /// Pull a host's plug: everything on it ends at once
    PowerCut { host: String },
    /// Power a host on and wait for its libvirtd
    PowerOn { host: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LinkAction {
    /// Pull a host's cable
    Cut { host: String },
    /// Plug a host's cable in again
    Restore { host: String },
    /// Limit what a host sends
    Shape {
        host: String,
        /// 10^6 bytes per second, headers included, 0.1 to 10000
        #[arg(long)]
        megabytes_per_second: f64,
    },
    /// Lift the limit
    Clear { host: String },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    Mini,
    Linux,
}

#[derive(Debug, Args)]
pub(crate) struct GuestStart {
    name: String,
    #[arg(long)]
    host: String,
    #[arg(long, value_enum, default_value_t = Kind::Mini)]
    kind: Kind,
    /// 24 (Linux: 128) to 1024 [default: 48, Linux: 192]
    #[arg(long)]
    memory_mib: Option<u32>,
    /// Address of the Linux guest, for instance 10.77.0.101
    #[arg(long)]
    address: Option<String>,
    /// Let libvirt keep the definition
    #[arg(long)]
    persistent: bool,
    #[command(flatten)]
    load: LoadArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ShapeName {
    Constant,
    Sine,
    Square,
    Phases,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OrderName {
    Seq,
    Rand,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    /// Page rewrites, in KiB of whole pages per second
    #[arg(long)]
    rate_kib_per_second: Option<u32>,
    /// Memory that is rewritten
    #[arg(long)]
    working_set_mib: Option<u32>,
    /// How the rate changes with time
    #[arg(long, value_enum)]
    shape: Option<ShapeName>,
    /// Above and below the rate, for sine and square
    #[arg(long, default_value_t = 0)]
    amplitude_kib_per_second: u32,
    /// Period of sine and square; phases repeat after it, 0 = never
    #[arg(long, default_value_t = 0)]
    period_milliseconds: u32,
    /// For phases: when each begins and its rate
    #[arg(long, value_delimiter = ',', value_name = "MILLISECONDS:KIB_PER_SECOND,...")]
    phases: Vec<Phase>,
    /// Bytes that change in each rewritten page, 8 to 4096
    #[arg(long)]
    touch_bytes: Option<u32>,
    /// Share of the pages that hold text instead of random bytes, 0 to 100
    #[arg(long)]
    plain_percent: Option<u32>,
    /// Share of the memory that stays untouched zeros, 0 to 100
    #[arg(long)]
    zero_percent: Option<u32>,
    /// Share of the time that the guest computes beside its rewriting, 0 to 100
    #[arg(long)]
    busy_percent: Option<u32>,
    /// Order of the rewrites
    #[arg(long, value_enum)]
    order: Option<OrderName>,
    /// Size of the hot part of the working set
    #[arg(long)]
    hot_mib: Option<u32>,
    /// Share of the rewrites that goes to the hot part, 0 to 100
    #[arg(long)]
    hot_share_percent: Option<u32>,
}

impl LoadArguments {
    pub(crate) fn load(&self) -> Load {
        let amplitude_kib_per_second = self.amplitude_kib_per_second;
        let period_milliseconds = self.period_milliseconds;
        Load {
            rate_kib_per_second: self.rate_kib_per_second,
            working_set_mib: self.working_set_mib,
            shape: self.shape.map(|name| match name {
                ShapeName::Constant => Shape::Constant,
                ShapeName::Sine => Shape::Sine { amplitude_kib_per_second, period_milliseconds },
                ShapeName::Square => {
                    Shape::Square { amplitude_kib_per_second, period_milliseconds }
                }
                ShapeName::Phases => Shape::Phases {
                    phases: self.phases.clone(),
                    repeat_milliseconds: period_milliseconds,
                },
            }),
            touch_bytes: self.touch_bytes,
            plain_percent: self.plain_percent,
            zero_percent: self.zero_percent,
            busy_percent: self.busy_percent,
            order: self.order.map(|order| match order {
                OrderName::Seq => Order::Sequential,
                OrderName::Rand => Order::Random,
            }),
            hot_mib: self.hot_mib,
            hot_share_percent: self.hot_share_percent,
        }
    }
}

impl GuestStart {
    /// The host and the guest that was asked for.
    pub(crate) fn spec(self) -> (String, GuestSpec) {
        let load = self.load.load();
        let plain = match self.kind {
            Kind::Mini => GuestSpec::mini(self.name),
            Kind::Linux => GuestSpec::linux(self.name),
        };
        let kind: GuestKind = plain.kind;
        let memory_mib = self.memory_mib.unwrap_or(plain.memory_mib);
        let (address, persistent) = (self.address, self.persistent);
        (self.host, GuestSpec { kind, memory_mib, load, address, persistent, ..plain })
    }
}
