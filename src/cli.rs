//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// An actor-based multimedia server: chat and video for whatever client someone has.
#[derive(Debug, Parser)]
#[command(name = "playhouse", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts the server
    Serve {
        #[command(flatten)]
        layers: LayerArgs,
        /// Writes the addresses of the services to this file, as JSON, once all can be connected to
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
    },
    /// Checks the configuration and says what is wrong with it
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
    /// Says what lan_file offers, or changes it; works beside a running server
    Offer {
        #[command(flatten)]
        layers: LayerArgs,
        /// A path, the name or the number of a file of the house, or "latest" for the newest one (the sample
        /// video while there is none)
        #[arg(value_name = "FILE")]
        file: Option<OsString>,
        /// Goes back to what the configuration says
        #[arg(long, conflicts_with = "file")]
        reset: bool,
    },
    /// Asks for a password and prints its hash, for web.password and web.admin_password
    Password,
    /// Lists, adds, extracts and removes the files of the house; works beside a running server
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
    /// Adds copies of files; prints their numbers
    Add {
        /// The files to copy
        #[arg(value_name = "FILE", required = true)]
        sources: Vec<PathBuf>,
        /// Name in the list, for a single file; without this, the name that it has
        #[arg(long, value_name = "NAME")]
        name: Option<OsString>,
    },
    /// Copies files out, to a place of your choice
    Extract {
        /// Number of a file as `list` shows it, or its name if no other file has the same
        #[arg(value_name = "FILE", required = true)]
        files: Vec<OsString>,
        /// A folder that is there, or the path of the new file; without this, the working directory
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Replaces files that are there
        #[arg(long)]
        force: bool,
    },
    /// Removes files; downloads that have begun go on
    Remove {
        /// Number of a file as `list` shows it, or its name if no other file has the same
        #[arg(value_name = "FILE", required = true)]
        files: Vec<OsString>,
    },
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct LayerArgs {
    /// Configuration file (TOML); config/default.toml shows every key
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Folder of the videos [key: server.videos_dir]
    #[arg(long, value_name = "DIR", global = true)]
    pub videos: Option<PathBuf>,
    /// Folder of the uploaded files and all else that is kept over a restart [key: server.data_dir]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Address to listen on [key: server.bind]
    #[arg(long, value_name = "ADDR", global = true)]
    pub bind: Option<IpAddr>,
}
