//! The commands of the command line.

use std::ffi::OsString;
use std::path::Path;

use playhouse_media::Catalogue;

use crate::cli::{Command, FilesCommand};
use crate::config::{Config, Overrides};
use crate::error::Error;
use crate::{files, log, offer, password, serve, show};

/// Does what the command line says, for a house with what `overrides` add to it.
///
/// # Errors
/// Whatever is wrong, for people.
pub fn run(command: Command, overrides: Overrides) -> Result<(), Error> {
    match command {
        Command::Serve { layers, ready_file } => {
            serve(&overrides.with(layers), ready_file.as_deref())
        }
        Command::Check { layers } => check(&overrides.with(layers)),
        Command::Videos { layers, json } => videos(&overrides.with(layers), json),
        Command::Offer {
            layers,
            file,
            reset,
        } => offer(&overrides.with(layers), file, reset),
        Command::Password => password::run().map_err(Error::other),
        Command::Files { layers, command } => files(&overrides.with(layers), command),
    }
}

/// Opens the house until SIGTERM or SIGINT.
///
/// # Errors
/// What is wrong with the configuration, the folders or the ports.
pub fn serve(overrides: &Overrides, ready_file: Option<&Path>) -> Result<(), Error> {
    let config = Config::load(overrides)?;
    log::start(&config.log)?;
    serve::check_folders(&config)?;
    let catalogue = scan(&config)?;
    Ok(serve::run(&config, catalogue, ready_file)?)
}

fn check(overrides: &Overrides) -> Result<(), Error> {
    let config = Config::load(overrides)?;
    serve::check_folders(&config)?;
    serve::check_files(&config)?;
    Ok(show::print("The configuration is fine.")?)
}

fn videos(overrides: &Overrides, json: bool) -> Result<(), Error> {
    let catalogue = scan(&Config::load(overrides)?)?;
    Ok(show::print(match json {
        true => show::catalogue_json(&catalogue).map_err(Error::other)?,
        false => show::catalogue_table(&catalogue),
    })?)
}

fn files(overrides: &Overrides, command: FilesCommand) -> Result<(), Error> {
    let config = Config::load(overrides)?;
    files::run(&config.server.data_dir, command).map_err(Error::other)
}

fn offer(overrides: &Overrides, file: Option<OsString>, reset: bool) -> Result<(), Error> {
    let config = Config::load(overrides)?;
    offer::run(&config, file, reset).map_err(Error::other)
}

/// The videos, with a bar for whoever waits for them.
fn scan(config: &Config) -> Result<Catalogue, Error> {
    let mut progress = show::Progress::new("videos");
    Ok(serve::scan(config, &mut |done, of| progress.at(done, of))?)
}
