//! The program: command line, configuration, which service on which port.

use std::process::ExitCode;

use clap::Parser;
use playhouse_media::Catalogue;

mod bot;
mod cli;
mod config;
mod files;
mod log;
mod offer;
mod password;
mod serve;
mod show;

use cli::{Cli, Command, FilesCommand};
use config::{Config, Overrides};

fn main() -> ExitCode {
    playhouse_media::init();
    playhouse_actors::give_back_large_blocks();
    let result = match Cli::parse().command {
        Command::Serve { layers, ready_file } => serve(&layers.into(), ready_file),
        Command::Check { layers } => check(&layers.into()),
        Command::Videos { layers, json } => videos(&layers.into(), json),
        Command::Offer {
            layers,
            file,
            reset,
        } => offer(&layers.into(), file, reset),
        Command::Password => password(),
        Command::Files { layers, command } => files(&layers.into(), command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("playhouse: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn serve(overrides: &Overrides, ready_file: Option<std::path::PathBuf>) -> Outcome {
    let config = Config::load(overrides)?;
    log::start(&config.log)?;
    serve::check_folders(&config)?;
    let catalogue = scan(&config)?;
    Ok(serve::run(&config, catalogue, ready_file.as_deref())?)
}

fn check(overrides: &Overrides) -> Outcome {
    let config = Config::load(overrides)?;
    serve::check_folders(&config)?;
    serve::check_files(&config)?;
    Ok(show::print("The configuration is fine.")?)
}

fn videos(overrides: &Overrides, json: bool) -> Outcome {
    let catalogue = scan(&Config::load(overrides)?)?;
    Ok(show::print(match json {
        true => show::catalogue_json(&catalogue)?,
        false => show::catalogue_table(&catalogue),
    })?)
}

fn files(overrides: &Overrides, command: FilesCommand) -> Outcome {
    let config = Config::load(overrides)?;
    Ok(files::run(&config.server.data_dir, command)?)
}

fn password() -> Outcome {
    Ok(password::run()?)
}

fn offer(overrides: &Overrides, file: Option<std::ffi::OsString>, reset: bool) -> Outcome {
    let config = Config::load(overrides)?;
    Ok(offer::run(&config, file, reset)?)
}

fn scan(config: &Config) -> Result<Catalogue, serve::ServeError> {
    let folder = &config.server.videos_dir;
    let mut progress = show::Progress::new("videos");
    Catalogue::scan(folder, None, &mut |done, of| progress.at(done, of)).map_err(|source| {
        serve::ServeError::Path {
            key: "server.videos_dir",
            path: folder.clone(),
            source,
        }
    })
}
