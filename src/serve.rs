//! `playhouse serve`: opens the house, says where, and closes it when it is told to.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::{Addr, System};
use playhouse_actors::{Census, CloseHouse, House, Settings, StartError, Supervisor};
use playhouse_media::Catalogue;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::log;
use crate::show;

/// How often the log says how many lines it has left out.
const MINUTE: Duration = Duration::from_secs(60);
/// Open files that are neither connections nor transfers: videos being read, event loops, logs, the
/// bot's connections.
const RESERVED_FILES: usize = 96;
/// Open files of a transfer: an upload has its content and its log.
const FILES_A_TRANSFER: usize = 2;
/// Open files of a live source, and of a recording.
const FILES_A_CHANNEL: usize = 4;

/// Why the house is not open.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{key}: {path}: {source}")]
    Path {
        key: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("--ready-file: {path}: {source}")]
    ReadyFile { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the event loop: {0}")]
    System(#[from] io::Error),
}

/// Checks that the folders are there; the data folder is made if it is missing.
///
/// # Errors
/// The key and the folder that is not there, not readable or not writable.
pub fn check_folders(config: &Config) -> Result<(), ServeError> {
    let server = &config.server;
    let videos = |source| ServeError::Path {
        key: "server.videos_dir",
        path: server.videos_dir.clone(),
        source,
    };
    std::fs::read_dir(&server.videos_dir).map_err(videos)?;
    if config.records() {
        tempfile::tempfile_in(&server.videos_dir).map_err(videos)?;
    }
    DirBuilder::new()
        .recursive(true)
        // Keys and files of people are in it.
        .mode(0o700)
        .create(&server.data_dir)
        .and_then(|()| tempfile::tempfile_in(&server.data_dir))
        .map_err(|source| ServeError::Path {
            key: "server.data_dir",
            path: server.data_dir.clone(),
            source,
        })?;
    Ok(())
}

/// Checks that the files that keys name can be read.
///
/// # Errors
/// The key and the file that can't.
pub fn check_files(config: &Config) -> Result<(), ServeError> {
    for (key, path) in config.named_files() {
        let checked = path.metadata().and_then(|metadata| {
            let not_regular = || io::Error::other("not a regular file");
            metadata.is_file().then_some(()).ok_or_else(not_regular)?;
            std::fs::File::open(&path)
        });
        checked.map_err(|source| ServeError::Path { key, path, source })?;
    }
    Ok(())
}

/// The videos in their folder; `progress` is told how many of how many files are known.
///
/// # Errors
/// The folder can't be read.
pub fn scan(
    config: &Config,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Catalogue, ServeError> {
    let folder = &config.server.videos_dir;
    Catalogue::scan(folder, None, progress).map_err(|source| ServeError::Path {
        key: "server.videos_dir",
        path: folder.clone(),
        source,
    })
}

/// What the actors work with, as far as the system's limit of open files allows; it is raised first.
pub fn settings(config: &Config) -> Settings {
    let open_files = playhouse_actors::raise_open_files();
    let mut settings = config.settings();
    if open_files > 0 {
        let files = usize::try_from(open_files).unwrap_or(usize::MAX);
        // A quarter is for transfers. What is not being moved has no file open.
        let moving = files / 4 / FILES_A_TRANSFER;
        settings.files.max_moving = settings.files.max_moving.min(moving).max(1);
        // An eighth is for the ports of tumip's users.
        let mut ports = 0;
        if let Some(tumip) = &mut settings.tumip {
            tumip.max_users = tumip.max_users.min(files / 8).max(1);
            ports = tumip.max_users;
        }
        let live = &settings.live;
        let live = (live.recording.max_recordings + live.sources.len()) * FILES_A_CHANNEL;
        let reserved = RESERVED_FILES + live + settings.files.max_moving * FILES_A_TRANSFER + ports;
        let most = files.saturating_sub(reserved).max(1);
        if most < settings.max_connections {
            tracing::warn!(
                open_files,
                most,
                "fewer connections than server.max_connections: the system allows few open files"
            );
            settings.max_connections = most;
        }
    }
    settings
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// A port that can't be bound, a ready file that can't be written.
pub fn run(
    config: &Config,
    catalogue: Catalogue,
    ready_file: Option<&Path>,
) -> Result<(), ServeError> {
    let settings = settings(config);
    let system = System::new();
    let house = system.block_on(async { House::open(&settings, catalogue) })?;
    let supervisor = house.supervisor.clone();
    // Before anybody can know that we are here and send one.
    system.block_on(async {
        let close = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ];
        let census = signal(SignalKind::user_defined1())?;
        actix_rt::spawn(listen(close, census, supervisor));
        io::Result::Ok(())
    })?;
    show::print(show::services_table(&house.services, &settings.services))?;
    if let Some(path) = ready_file {
        write_ready_file(path, &house).map_err(|source| ServeError::ReadyFile {
            path: path.to_owned(),
            source,
        })?;
    }
    let stopped = system.run();
    house.close();
    Ok(stopped?)
}

/// Written beside and renamed: whoever finds the file finds all of it.
fn write_ready_file(path: &Path, house: &House) -> io::Result<()> {
    let services: BTreeMap<&str, String> = house
        .services
        .iter()
        .map(|(service, address)| (service.name(), address.to_string()))
        .collect();
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    serde_json::to_writer_pretty(&mut file, &services)?;
    file.write_all(b"\n")?;
    file.persist(path)?;
    Ok(())
}

async fn log_census(supervisor: Addr<Supervisor>) {
    for state in supervisor.send(Census).await.unwrap_or_default() {
        let state = serde_json::to_string(&state).unwrap_or_default();
        tracing::info!(state, "census");
    }
}

/// SIGTERM and SIGINT close the house, SIGUSR1 logs the state of its actors.
async fn listen([mut term, mut int]: [Signal; 2], mut usr1: Signal, supervisor: Addr<Supervisor>) {
    let mut minutes = tokio::time::interval(MINUTE);
    loop {
        tokio::select! {
            _ = minutes.tick() => match log::left_out() {
                0 => {}
                lines => tracing::warn!(lines, "of a kind of which there were too many, left out of the log"),
            },
            _ = term.recv() => supervisor.do_send(CloseHouse),
            _ = int.recv() => supervisor.do_send(CloseHouse),
            _ = usr1.recv() => {
                // Beside the loop: an actor that is stuck must not keep a signal from being heard.
                actix_rt::spawn(log_census(supervisor.clone()));
            }
        }
    }
}
