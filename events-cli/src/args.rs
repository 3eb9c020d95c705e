//! The arguments as they are written. What they mean is each command's to resolve.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use events_core::addresses::default_addresses;
use events_core::delivery::Limits;
use events_core::engine::{Addresses, Bounds};
use events_core::permission::Names;
use events_core::security::AddressRange;
use serde::{Deserialize, Serialize};

/// Typed events between programs.
#[derive(Debug, Parser)]
#[command(name = "events", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Tell on stderr what happens (EVENTS_LOG=debug tells more)
    #[arg(long, short, global = true, display_order = 100)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what events does: a server and three clients, each a process of its own
    Demo(DemoArguments),
    /// One of the processes of `demo`
    #[command(hide = true)]
    DemoPart(PartArguments),
    /// Run the server that hands events on
    Server(ServerArguments),
    /// Print events as they come
    Listen(ListenArguments),
    /// Emit one event
    Emit(EmitArguments),
    /// Make keys, and say which keys may connect to servers of this user over tcp
    Keys(KeysArguments),
    /// Measure how fast events travel between processes
    Bench(BenchArguments),
    /// One of the processes of `bench`
    #[command(hide = true)]
    BenchPart(BenchPartArguments),
}

/// Where the server is.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Place {
    /// Where the server takes events in [default: EVENTS_EMIT_ADDR, or a socket of this user]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) emit_addr: Option<String>,
    /// Where the server hands events out [default: EVENTS_REG_ADDR, or a socket of this user]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) reg_addr: Option<String>,
}

impl Place {
    pub(crate) fn addresses(&self) -> Addresses {
        let default = default_addresses();
        Addresses {
            emit: self.emit_addr.clone().unwrap_or(default.emit),
            reg: self.reg_addr.clone().unwrap_or(default.reg),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct DemoArguments {
    /// How often the whole catalog is sent through
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// How long the demonstration may take in all
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct PartArguments {
    pub(crate) role: Role,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    Server,
    Client,
}

#[derive(Args, Debug)]
pub(crate) struct ServerArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Over tcp, let in clients from here too, as in 192.168.1.7 or 192.168.0.0/16 [default: this machine only]
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    pub(crate) allow_from: Vec<AddressRange>,
    /// How many connections there may be; a client has two
    #[arg(long, value_name = "N", default_value_t = Bounds::default().connections)]
    pub(crate) max_connections: usize,
    /// How many subscriptions a connection may have
    #[arg(long, value_name = "N", default_value_t = Bounds::default().subscriptions)]
    pub(crate) max_subscriptions: usize,
    /// How many bytes a message may have
    #[arg(long, value_name = "BYTES", default_value_t = Bounds::default().message)]
    pub(crate) max_message: usize,
    /// How many records a frame may have; makes the server look into each frame
    #[arg(long, value_name = "N")]
    pub(crate) max_records: Option<usize>,
    /// How many lists and maps may stand inside one another, at most 64; makes the server look into each frame
    #[arg(long, value_name = "N")]
    pub(crate) max_depth: Option<usize>,
    /// How long a text, list or map may be; makes the server look into each frame
    #[arg(long, value_name = "N")]
    pub(crate) max_length: Option<usize>,
    /// How many bytes the name of an event may have, at most 255
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().name)]
    pub(crate) max_name: usize,
    /// How long a connection may take to prove who it is
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) handshake_limit: Duration,
    /// How long to look whether something comes before it sleeps; single events arrive sooner, and while they come that
    /// often this takes a processor: try 0.001
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) spin: Duration,
    /// If another server is there, wait and take over when it ends
    #[arg(long)]
    pub(crate) standby: bool,
    /// How long to wait for clients when it is told to end
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) drain_limit: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct ListenArguments {
    /// The events to print; all if none is named
    pub(crate) events: Vec<String>,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after this time; a failure if there were fewer events than `--count`
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Print secret fields as they are, and payloads of which it is not known what is secret
    #[arg(long)]
    pub(crate) show_secrets: bool,
    #[command(flatten)]
    pub(crate) catalog: CatalogArgument,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct EmitArguments {
    /// The event
    pub(crate) event: String,
    /// Its fields, as `name=value` each, or all as one JSON object
    #[arg(value_name = "FIELD=VALUE|JSON")]
    pub(crate) fields: Vec<String>,
    /// How long to wait for the server's word that it has the event
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) catalog: CatalogArgument,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Args, Debug)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a pair of keys, for a program that is given its keys
    New {
        /// What the files are called
        name: String,
        /// Where they are put [default: the folder `made` beside the keys of this user]
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Show who may connect to servers of this user
    List,
    /// Let the holder of a public key connect
    Allow {
        /// The public key: another user's `client.key`
        file: PathBuf,
        /// What to call it [default: the name of the file]
        #[arg(long)]
        name: Option<String>,
        /// What it may emit: an event, or the beginning of names as in 'MAIL_*'; '' for nothing, '*' for everything
        /// [default: as it is filed, everything for a new key]
        #[arg(long, value_name = "PATTERN")]
        emit: Vec<Names>,
        /// What it may register for, in the same way
        #[arg(long, value_name = "PATTERN")]
        register: Vec<Names>,
    },
    /// Take a key away: its connections end
    Revoke {
        /// As `list` shows it
        name: String,
    },
    /// Show the public keys of this user, and where they are
    Show,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArguments {
    /// Events that each publisher emits; without it what takes a second or two
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub(crate) events: Option<u64>,
    /// Bytes in each event, at least 8: the first ones hold the time
    #[arg(long, default_value_t = 64, value_name = "B", value_parser = size)]
    pub(crate) size: usize,
    /// Processes that emit
    #[arg(long, default_value_t = 1, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) publishers: u32,
    /// Processes that handle every event
    #[arg(long, default_value_t = 1, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) subscribers: u32,
    /// Types of events, one after the other
    #[arg(long, default_value_t = 1, value_name = "T", value_parser = types)]
    pub(crate) types: usize,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Mode::Throughput)]
    pub(crate) mode: Mode,
    /// Do the same with libzmq alone (one message per event, nothing dropped), and compare
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// How long each measurement may take
    #[arg(long, default_value = "600", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// As many events as can be
    Throughput,
    /// Events by themselves, with pauses between them
    Latency,
}

#[derive(Args, Debug)]
pub(crate) struct BenchPartArguments {
    pub(crate) role: BenchRole,
    /// With libzmq alone
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BenchRole {
    Server,
    Publisher,
    Subscriber,
}

#[derive(Args, Debug)]
pub(crate) struct CatalogArgument {
    /// A catalog in place of the built-in one
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
}

fn size(text: &str) -> Result<usize, String> {
    let most = 15 << 20;
    text.parse().ok().filter(|size| (8..=most).contains(size)).ok_or_else(|| format!("a number from 8 to {most}"))
}

fn types(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|types| (1..=48).contains(types)).ok_or_else(|| "a number from 1 to 48".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds, as in 5 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "a number of seconds from 0 on".to_owned())
}
