//! A house to be opened, and one that is open.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix::{Addr, System};
use clap::Parser;
use playhouse_actors::{
    BotMaker, CloseHouse, House, HouseFacts, Service, Settings, Supervisor, TcpService,
};
use playhouse_bots::Bot;
use playhouse_media::Catalogue;

use crate::cli::Cli;
use crate::command;
use crate::config::{Config, Overrides};
use crate::error::Error;
use crate::extensions::set;
use crate::serve::{self, ServeError};
use crate::setting::Setting;

/// What a house is to be like. [`Playhouse::builder`] begins with the house as it comes.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    overrides: Overrides,
}

impl Builder {
    /// Reads the configuration from this file (TOML), as `playhouse serve --config` does.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Builder {
        self.overrides.file = Some(path.into());
        self
    }

    /// Gives a key of the configuration another default, which the operator's file and environment go over.
    pub fn preset(mut self, key: &str, value: impl Into<Setting>) -> Builder {
        set(&mut self.overrides.defaults, key, value.into());
        self
    }

    /// Sets a key of the configuration, whatever file and environment say. The same rules hold as in the
    /// file; what is wrong is said when the house is opened.
    ///
    /// ```
    /// # use playhouse::Playhouse;
    /// Playhouse::builder()
    ///     .set("server.videos_dir", "/srv/films")
    ///     .set("lobby.merge_ms", 20)
    ///     .set("chatroom.enabled", false);
    /// ```
    pub fn set(mut self, key: &str, value: impl Into<Setting>) -> Builder {
        set(&mut self.overrides.program, key, value.into());
        self
    }

    /// Adds a bot, which is the house's as long as `bot.kind` does not name another one; of several, the
    /// last. `make` makes one for each conversation, on the thread that all bots share.
    ///
    /// ```
    /// use playhouse::Playhouse;
    /// use playhouse::bot::{Bot, Reply};
    ///
    /// struct Yes;
    ///
    /// impl Bot for Yes {
    ///     fn answer<'a>(&'a mut self, _: &'a str) -> Reply<'a> {
    ///         Box::pin(async { Ok("yes".to_owned()) })
    ///     }
    /// }
    ///
    /// Playhouse::builder().bot("yes", |_| Box::new(Yes));
    /// ```
    pub fn bot(
        mut self,
        name: &'static str,
        make: impl Fn(&HouseFacts) -> Box<dyn Bot> + Send + Sync + 'static,
    ) -> Builder {
        let maker = BotMaker::new(make);
        self.overrides.extensions.bots.push((name, maker));
        self
    }

    /// Adds a service, with a section of its own in the configuration, which has `enabled` and `port`.
    /// [`service`](crate::service) says how one is made.
    pub fn service(mut self, service: TcpService) -> Builder {
        self.overrides.extensions.services.push(service);
        self
    }

    /// Opens the house, says where its services are, and returns when SIGTERM or SIGINT has closed it, as
    /// `playhouse serve` does. What happens is logged to standard error, unless the program has a
    /// subscriber for `tracing` of its own.
    ///
    /// # Errors
    /// What is wrong with the configuration, the folders or the ports.
    pub fn run(self) -> Result<(), Error> {
        prepare();
        command::serve(&self.overrides, None)
    }

    /// Does what the program's command line says, in the words of `playhouse`: `serve`, `check`, `videos`,
    /// `offer` and `files`.
    ///
    /// ```no_run
    /// fn main() -> std::process::ExitCode {
    ///     playhouse::Playhouse::builder().command_line()
    /// }
    /// ```
    #[must_use]
    pub fn command_line(self) -> ExitCode {
        prepare();
        match command::run(Cli::parse().command, self.overrides) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("playhouse: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Opens the house on threads of its own, for programs that do other things beside it. Nothing is
    /// printed, no signal is listened to, and logging is the program's business.
    ///
    /// ```no_run
    /// # use playhouse::{Error, Playhouse};
    /// # fn main() -> Result<(), Error> {
    /// let house = Playhouse::builder().set("lan_chat.port", 0).open()?;
    /// println!("lan_chat is at {:?}", house.address("lan_chat"));
    /// house.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// What is wrong with the configuration, the folders or the ports.
    pub fn open(self) -> Result<Playhouse, Error> {
        playhouse_media::init();
        let config = Config::load(&self.overrides)?;
        serve::check_folders(&config)?;
        let catalogue = serve::scan(&config, &mut |_, _| {})?;
        let settings = serve::settings(&config);
        let (opened, is_open) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("playhouse".to_owned())
            .spawn(move || live(&settings, catalogue, &opened))?;
        match is_open.recv() {
            Ok(Opened {
                services,
                supervisor,
            }) => Ok(Playhouse {
                services,
                supervisor,
                thread: Some(thread),
            }),
            // It has ended, and says why.
            Err(_) => match ended(thread) {
                Err(error) => Err(error),
                Ok(()) => Err(Error::other(std::io::Error::other(
                    "the house did not open",
                ))),
            },
        }
    }
}

/// What is to be done once in a program that is the house.
fn prepare() {
    playhouse_media::init();
    playhouse_actors::give_back_large_blocks();
}

struct Opened {
    services: Vec<(Service, SocketAddr)>,
    supervisor: Addr<Supervisor>,
}

/// The house's main thread.
fn live(
    settings: &Settings,
    catalogue: Catalogue,
    opened: &mpsc::Sender<Opened>,
) -> Result<(), ServeError> {
    let system = System::new();
    let house = system.block_on(async { House::open(settings, catalogue) })?;
    // Whoever waits for it does so until it comes.
    let _ = opened.send(Opened {
        services: house.services.clone(),
        supervisor: house.supervisor.clone(),
    });
    let stopped = system.run();
    house.close();
    Ok(stopped?)
}

fn ended(thread: JoinHandle<Result<(), ServeError>>) -> Result<(), Error> {
    match thread.join() {
        Ok(result) => Ok(result?),
        Err(panic) => {
            let panic = playhouse_actors::panic_message(panic.as_ref());
            Err(Error::other(std::io::Error::other(panic)))
        }
    }
}

/// A house that is open. Dropping it closes it, too.
#[derive(Debug)]
pub struct Playhouse {
    services: Vec<(Service, SocketAddr)>,
    supervisor: Addr<Supervisor>,
    /// `None` once it is closed.
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Playhouse {
    /// A house as it comes, to be changed, extended and opened.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the service of this name listens, if it is on.
    #[must_use]
    pub fn address(&self, service: &str) -> Option<SocketAddr> {
        let mut services = self.services();
        services.find_map(|(name, address)| (name == service).then_some(address))
    }

    /// All services that are on, by name, and where they listen.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.services
            .iter()
            .map(|(service, address)| (service.name(), *address))
    }

    /// Says goodbye to everyone, and returns when all have left; at most after `limits.goodbye_s`, or when
    /// recordings are complete.
    ///
    /// # Errors
    /// Something of ours broke.
    pub fn close(mut self) -> Result<(), Error> {
        self.shut()
    }

    fn shut(&mut self) -> Result<(), Error> {
        self.supervisor.do_send(CloseHouse);
        self.thread.take().map_or(Ok(()), ended)
    }
}

impl Drop for Playhouse {
    fn drop(&mut self) {
        if let Err(error) = self.shut() {
            tracing::error!(%error, "the house did not close well");
        }
    }
}
