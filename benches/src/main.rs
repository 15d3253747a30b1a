//! The load program: drives playhouse and its yardsticks with the same traffic in one run, and prints
//! both figures and their ratio. Everything runs on this machine, the load included.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

mod across;
mod chat_load;
mod chunks;
mod cores;
mod echo;
mod fanout;
mod idle;
mod lan_chat;
mod lan_file;
mod live;
mod packetchat;
mod server;
mod sessions;
mod stream;
mod udp;
mod videochat;
mod web;
mod web_socket;

pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    All,
    /// Frames a second, against a plain OpenCV server
    Stream,
    /// Chat messages delivered a second, against redis-server
    Fanout,
    /// Memory of idle connections
    Idle,
    /// Chunks of files a second, against a bare UDP echo, and messages among 10,000 sessions
    Packetchat,
    /// Pictures of a live channel: their age, and how many a second, against a bare relay
    Live,
    /// A file sent by lan_file, against nginx
    #[value(name = "lan_file")]
    LanFile,
    /// Lines of lan_chat delivered a second, against redis-server
    #[value(name = "lan_chat")]
    LanChat,
    /// 500 web viewers of one video: frames on time
    Web,
    /// Messages across services with 1,000 people in the room: how long they take
    Across,
    /// The UDP echo itself
    #[value(hide = true)]
    Echo,
    /// The bare relay itself
    #[value(hide = true)]
    Relay,
}

#[derive(Debug, Parser)]
struct Args {
    what: What,
    /// The server to measure; by default the one built beside this program
    #[arg(long)]
    playhouse: Option<PathBuf>,
    /// Folder of the videos
    #[arg(long, default_value = "videos")]
    videos: PathBuf,
    /// How often each figure is taken; the median is shown
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds for each figure of the fan-out, and of lan_chat
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Messages of the fan-out, and of lan_chat, that may be on their way to a receiver
    #[arg(long, default_value_t = 2048)]
    window: u64,
    /// Size of the file that one packetchat client sends and gets
    #[arg(long, default_value_t = 64)]
    file_mb: usize,
    /// Seconds for each figure about the age of a live channel's pictures
    #[arg(long, default_value_t = 5.0)]
    live_seconds: f64,
    /// Seconds in which people talk across services
    #[arg(long, default_value_t = 10.0)]
    across_seconds: f64,
}

fn main() -> Outcome {
    let args = Args::parse();
    match args.what {
        What::Echo => return echo::run(),
        What::Relay => return live::relay(),
        _ => {}
    }
    let beside = std::env::current_exe()?.with_file_name("playhouse");
    let playhouse = args.playhouse.unwrap_or(beside);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} cores; medians of {} rounds, taken in turn\n",
        args.rounds
    );
    if matches!(args.what, What::All | What::Stream) {
        stream::run(&playhouse, &args.videos, args.rounds)?;
    }
    if matches!(args.what, What::All | What::Fanout) {
        fanout::run(&playhouse, args.rounds, args.seconds, args.window)?;
    }
    if matches!(args.what, What::All | What::Idle) {
        idle::run(&playhouse)?;
    }
    if matches!(args.what, What::All | What::Packetchat) {
        packetchat::run(&playhouse, args.rounds, args.file_mb)?;
    }
    if matches!(args.what, What::All | What::Live) {
        live::run(&playhouse, &args.videos, args.rounds, args.live_seconds)?;
    }
    if matches!(args.what, What::All | What::LanFile) {
        lan_file::run(&playhouse, args.rounds)?;
    }
    if matches!(args.what, What::All | What::LanChat) {
        lan_chat::run(&playhouse, args.rounds, args.seconds, args.window)?;
    }
    if matches!(args.what, What::All | What::Web) {
        web::run(&playhouse, &args.videos, args.rounds)?;
    }
    if matches!(args.what, What::All | What::Across) {
        across::run(&playhouse, args.rounds, args.across_seconds)?;
    }
    Ok(())
}

/// The middle one, and the span.
pub struct Figure {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Figure {
    pub fn of(mut values: Vec<f64>) -> Figure {
        values.sort_by(f64::total_cmp);
        Figure {
            median: values.get(values.len() / 2).copied().unwrap_or(f64::NAN),
            least: values.first().copied().unwrap_or(f64::NAN),
            most: values.last().copied().unwrap_or(f64::NAN),
        }
    }
}

/// One line of the result: both figures and the ratio.
pub fn compare(what: &str, unit: &str, ours: &Figure, theirs: &Figure, name: &str) {
    let digits = if ours.median < 100.0 { 2 } else { 0 };
    println!(
        "{what:<28} playhouse {:>11.digits$} {unit} ({:.digits$}–{:.digits$})   {name} {:>11.digits$} {unit} ({:.digits$}–{:.digits$})   {:.2} ×",
        ours.median,
        ours.least,
        ours.most,
        theirs.median,
        theirs.least,
        theirs.most,
        ours.median / theirs.median,
    );
}
