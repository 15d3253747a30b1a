//! The command line.

use std::ffi::OsString;
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
    /// Lists, adds, extracts and removes files, also while the house is open
    Files {
        #[command(flatten)]
        layers: LayerArgs,
        #[command(subcommand)]
        command: FilesCommand,
    },
}

#[derive(Debug, Subcommand)]
pub enum FilesCommand {
    /// Lists the files
    List {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Adds files from outside; says their numbers
    Add {
        #[arg(value_name = "FILE", required = true)]
        sources: Vec<PathBuf>,
        /// What the file is called; else as it is called outside
        #[arg(long, value_name = "NAME")]
        name: Option<OsString>,
    },
    /// Writes files to the outside
    Extract {
        /// Numbers, or names where only one file has it
        #[arg(value_name = "FILE", required = true)]
        files: Vec<OsString>,
        /// Where to, a file or a folder; else into the working directory
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Replaces what is there
        #[arg(long)]
        force: bool,
    },
    /// Removes files; downloads that are under way go on
    Remove {
        /// Numbers, or names where only one file has it
        #[arg(value_name = "FILE", required = true)]
        files: Vec<OsString>,
    },
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct LayerArgs {
    /// Configuration file (TOML); config/default.toml shows every key
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Folder of the videos [key: server.videos_dir]
    #[arg(long, value_name = "DIR", global = true)]
    videos: Option<PathBuf>,
    /// Folder for what must outlive a restart [key: server.data_dir]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// Address to listen on [key: server.bind]
    #[arg(long, value_name = "ADDR", global = true)]
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
