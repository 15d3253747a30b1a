//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Overrides;

/// An actor-based multimedia server: chat and video for whatever client someone has.
#[derive(Debug, Parser)]
#[command(name = "playhouse", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Opens the house
    Serve {
        #[command(flatten)]
        layers: LayerArgs,
        /// Written when every port is bound: JSON, service name to address
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
    },
    /// Loads the configuration and says what is wrong with it
    Check {
        #[command(flatten)]
        layers: LayerArgs,
    },
    /// Lists the videos
    Videos {
        #[command(flatten)]
        layers: LayerArgs,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct LayerArgs {
    /// Configuration file (TOML); config/default.toml shows every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the videos [key: server.videos_dir]
    #[arg(long, value_name = "DIR")]
    videos: Option<PathBuf>,
    /// Folder for what must outlive a restart [key: server.data_dir]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address to listen on [key: server.bind]
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
}

impl From<LayerArgs> for Overrides {
    fn from(args: LayerArgs) -> Overrides {
        Overrides {
            file: args.config,
            videos: args.videos,
            data: args.data,
            bind: args.bind,
        }
    }
}
