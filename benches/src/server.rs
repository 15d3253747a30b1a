//! The servers that are measured, as child processes.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Outcome;

const START: Duration = Duration::from_secs(30);

/// A running server, ended when it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Those of all of playhouse's services, by name.
    services: serde_json::Value,
    /// Whether it has children of its own, which it has to end itself.
    is_parent: bool,
    _folder: Option<TempDir>,
}

impl Server {
    /// playhouse with the keys given set in its environment; `address` is videochat's.
    pub fn playhouse(binary: &Path, videos: &Path, keys: &[(&str, &str)]) -> Outcome<Server> {
        Server::start(binary, videos, keys, "videochat")
    }

    /// playhouse without limits that a load of one machine would meet; `address` is packetchat's.
    pub fn packetchat(binary: &Path) -> Outcome<Server> {
        let no_videos = tempfile::tempdir()?;
        let keys = [
            ("PLAYHOUSE__PACKETCHAT__PACKETS_PER_S", "100000000"),
            ("PLAYHOUSE__PACKETCHAT__SESSIONS_PER_ADDRESS", "100000"),
            ("PLAYHOUSE__PACKETCHAT__MAX_SESSIONS", "100000"),
        ];
        Server::start(binary, no_videos.path(), &keys, "packetchat")
    }

    /// playhouse with this file on offer; `address` is lan_file's.
    pub fn lan_file(binary: &Path, offer: &Path) -> Outcome<Server> {
        let no_videos = tempfile::tempdir()?;
        let offer = offer.to_str().ok_or("a path that is no text")?;
        let keys = [("PLAYHOUSE__LAN_FILE__OFFER", offer)];
        Server::start(binary, no_videos.path(), &keys, "lan_file")
    }

    /// playhouse; `address` is lan_chat's.
    pub fn lan_chat(binary: &Path) -> Outcome<Server> {
        let no_videos = tempfile::tempdir()?;
        Server::start(binary, no_videos.path(), &[], "lan_chat")
    }

    fn start(
        binary: &Path,
        videos: &Path,
        keys: &[(&str, &str)],
        service: &str,
    ) -> Outcome<Server> {
        // Beside this program, and not where temporary files are: that is memory on many systems, and
        // what is stored has to reach a disk.
        let program = std::env::current_exe()?;
        let folder = tempfile::tempdir_in(program.parent().ok_or("no folder")?)?;
        let ready = folder.path().join("ready");
        let child = Command::new(binary)
            .args(["serve", "--bind", "127.0.0.1", "--videos"])
            .arg(videos)
            .arg("--data")
            .arg(folder.path())
            .arg("--ready-file")
            .arg(&ready)
            .env("PLAYHOUSE__WEB__PORT", "0")
            .env("PLAYHOUSE__VIDEOCHAT__PORT", "0")
            .env("PLAYHOUSE__PACKETCHAT__PORT", "0")
            .env("PLAYHOUSE__TUMIP__PORT", "0")
            .env("PLAYHOUSE__TUMIP__UDP_FIRST", "0")
            .env("PLAYHOUSE__TUMIP__UDP_LAST", "0")
            .env("PLAYHOUSE__LAN_FILE__PORT", "0")
            .env("PLAYHOUSE__LAN_CHAT__PORT", "0")
            .env("PLAYHOUSE__LAN_AUDIO__PORT", "0")
            .env("PLAYHOUSE__LAN_VIDEO__PORT", "0")
            // Nobody listens, and the sample is not among the videos of each comparison.
            .env("PLAYHOUSE__LAN_AUDIO__SOURCE", "tone")
            .env("PLAYHOUSE__CHATROOM__ENABLED", "false")
            .env("PLAYHOUSE__LOG__LEVEL", "warn")
            // The pauses around prompts would only lengthen the time until thousands are in.
            .env("PLAYHOUSE__CHATROOM__LEGACY_GAP_MS", "0")
            .envs(keys.iter().copied())
            .stdout(Stdio::null())
            .spawn()?;
        let mut server = Server {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            services: serde_json::Value::Null,
            is_parent: false,
            _folder: Some(folder),
        };
        let since = Instant::now();
        let text = loop {
            match std::fs::read_to_string(&ready) {
                Ok(text) => break text,
                Err(_) if since.elapsed() < START => std::thread::sleep(Duration::from_millis(10)),
                Err(e) => return Err(format!("playhouse does not start: {e}").into()),
            }
        };
        server.services = serde_json::from_str(&text)?;
        server.address = server.address_of(service)?;
        Ok(server)
    }

    /// Where a service of playhouse listens.
    pub fn address_of(&self, service: &str) -> Outcome<SocketAddr> {
        let address = self.services[service].as_str();
        let address = address.ok_or_else(|| format!("playhouse has no {service}"))?;
        Ok(address.parse()?)
    }

    /// The plain OpenCV server of benches/opencv_server.py.
    pub fn opencv(videos: &Path) -> Outcome<Server> {
        let child = Command::new("python3")
            .args(["benches/opencv_server.py", "--port", "0", "--videos"])
            .arg(videos)
            .stdout(Stdio::piped())
            .spawn()?;
        Server::that_says_its_port(child)
    }

    /// The UDP echo of benches/src/echo.rs.
    pub fn echo() -> Outcome<Server> {
        Server::ourselves("echo")
    }

    /// The bare relay of benches/src/live/relay.rs; `address` is both TCP and UDP.
    pub fn relay() -> Outcome<Server> {
        Server::ourselves("relay")
    }

    fn ourselves(part: &str) -> Outcome<Server> {
        let child = Command::new(std::env::current_exe()?)
            .arg(part)
            .stdout(Stdio::piped())
            .spawn()?;
        Server::that_says_its_port(child)
    }

    fn that_says_its_port(mut child: Child) -> Outcome<Server> {
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let port: u16 = line
            .trim()
            .strip_prefix("ready ")
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| format!("instead of its port, a server says {line:?}"))?;
        Ok(Server {
            child,
            address: ([127, 0, 0, 1], port).into(),
            services: serde_json::Value::Null,
            is_parent: false,
            _folder: None,
        })
    }

    /// redis-server without persistence and without limits for slow subscribers.
    pub fn redis() -> Outcome<Server> {
        let port = free_port()?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--client-output-buffer-limit", "pubsub 0 0 0"])
            .args(["--maxclients", "10000", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()?;
        let mut server = Server {
            child,
            address: ([127, 0, 0, 1], port).into(),
            services: serde_json::Value::Null,
            is_parent: false,
            _folder: None,
        };
        server.once_it_listens("redis-server")?;
        Ok(server)
    }

    /// nginx that sends the files of `root` as quickly as it can: `sendfile`, a worker for each core, no log.
    /// `listen` is what its line of that name says beside the address.
    pub fn nginx(root: &Path, listen: &str) -> Outcome<Server> {
        let port = free_port()?;
        let folder = tempfile::tempdir()?;
        let [configuration, log] = ["nginx.conf", "log"].map(|name| folder.path().join(name));
        // SAFETY: a plain system call.
        let user = match unsafe { libc::geteuid() } {
            // Its workers would become somebody else, who may not look into `root`.
            0 => "user root;",
            _ => "",
        };
        let text = format!(
            "daemon off; worker_processes auto; pid pid; error_log stderr; {user}
             events {{ worker_connections 1024; }}
             http {{
                 access_log off; sendfile on; tcp_nopush on;
                 client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                 uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                 server {{ listen 127.0.0.1:{port} {listen}; root \"{}\"; }}
             }}\n",
            root.display(),
        );
        std::fs::write(&configuration, text)?;
        let search = std::env::var("PATH").unwrap_or_default();
        let child = Command::new("nginx")
            // Debian has it where only root looks.
            .env("PATH", format!("{search}:/usr/sbin"))
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .map_err(|e| format!("nginx: {e}"))?;
        let mut server = Server {
            child,
            address: ([127, 0, 0, 1], port).into(),
            services: serde_json::Value::Null,
            is_parent: true,
            _folder: Some(folder),
        };
        match server.once_it_listens("nginx") {
            Ok(()) => Ok(server),
            Err(e) => Err(format!("{e}: {}", std::fs::read_to_string(&log)?).into()),
        }
    }

    fn once_it_listens(&mut self, name: &str) -> Outcome {
        let since = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if since.elapsed() > START || self.child.try_wait()?.is_some() {
                return Err(format!("{name} does not start").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: u64 = line
            .and_then(|line| line.split_whitespace().nth(1))
            .ok_or("no VmRSS")?
            .parse()?;
        Ok(kib * 1024)
    }

    /// What all its threads have used so far, in steps of the system's clock.
    pub fn processor_time(&self) -> Outcome<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in brackets, may have spaces; of the fields after it, these are user and system time.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
        let mut ticks = 0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u64>()?;
        }
        // SAFETY: a plain system call.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the figures would have shown.
        if self.is_parent && matches!(self.child.try_wait(), Ok(None)) {
            let id = self.child.id().cast_signed();
            // SAFETY: a plain system call; the child has not been waited for, so the number is its own.
            let _ = unsafe { libc::kill(id, libc::SIGTERM) };
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
