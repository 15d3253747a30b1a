//! Live channels: how old a picture is when a viewer has all of it, and how many pictures a second can be
//! shown, against a bare relay. The server has one core, the load the other one.

use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use self::audience::{Audience, Pace, Sight};
use self::camera::Camera;
use crate::cores::Cores;
use crate::server::Server;
use crate::videochat::{self, Reader};
use crate::{Figure, Outcome, compare};

mod audience;
mod camera;
mod pictures;
mod relay;

pub use self::relay::run as relay;

/// Between two frames of a camera: 25 a second.
const EVERY: Duration = Duration::from_millis(40);
const VIEWERS: [usize; 3] = [1, 10, 100];
/// Before anything is measured, pictures come for so long: lists of people have been read then.
const WARM_UP: Duration = Duration::from_secs(1);
/// Frames that may be on their way, tried one after the other until too many are missed …
const WINDOWS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// … for so long each …
const STEP: Duration = Duration::from_secs(1);
/// … which is more than this part.
const MISSED: f64 = 0.01;
/// A channel is on air long before.
const PATIENCE: Duration = Duration::from_secs(10);
const NAMES: [&str; 3] = ["p50", "p99", "max"];

#[derive(Debug, Clone, Copy)]
enum Whose {
    Relay,
    Playhouse,
}

impl Whose {
    /// In this order they have their turns.
    const BOTH: [Whose; 2] = [Whose::Relay, Whose::Playhouse];

    fn name(self) -> &'static str {
        match self {
            Whose::Relay => "bare relay",
            Whose::Playhouse => "playhouse",
        }
    }
}

/// Where the servers come from, and the pictures that they are to show.
struct Stage<'a> {
    playhouse: &'a Path,
    cores: &'a Cores,
    pictures: &'a [Vec<u8>],
    viewers: usize,
}

/// Prints the comparisons; pictures come for so many seconds for each figure about ages.
pub fn run(playhouse: &Path, videos: &Path, rounds: usize, seconds: f64) -> Outcome {
    let real = pictures::real(playhouse, videos)?;
    let noise = pictures::noise()?;
    let cores = Cores::part()?;
    let where_they_run = match cores.apart {
        true => "server and load on a core each",
        false => "server and load on the same core",
    };
    println!(
        "live channels, JPEGs of {side} × {side}, {} bytes, 25 a second; {where_they_run}",
        sizes(&real),
        side = pictures::SIDE,
    );
    let stage = |pictures, viewers| Stage {
        playhouse,
        cores: &cores,
        pictures,
        viewers,
    };
    let time = Duration::from_secs_f64(seconds);
    for viewers in VIEWERS {
        ages(&stage(&real, viewers), rounds, time)?;
    }
    println!("JPEGs of noise, {} bytes, 25 a second", sizes(&noise));
    ages(&stage(&noise, 100), rounds, time)?;
    println!(
        "as many frames as viewers take with no more than {:.0} % missed, {} bytes each",
        MISSED * 100.0,
        sizes(&real),
    );
    for viewers in VIEWERS {
        most(&stage(&real, viewers), rounds)?;
    }
    println!();
    Ok(())
}

/// From the smallest to the largest.
fn sizes(pictures: &[Vec<u8>]) -> String {
    let sizes = || pictures.iter().map(Vec::len);
    let (least, most) = (sizes().min(), sizes().max());
    format!("{}–{}", least.unwrap_or(0), most.unwrap_or(0))
}

/// "1 viewer", "10 viewers".
fn people(viewers: usize) -> String {
    let plural = if viewers == 1 { "" } else { "s" };
    format!("{viewers} viewer{plural}")
}

/// What each round found about the ages of frames at 25 a second.
#[derive(Default)]
struct Ages {
    /// p50, p99 and max of each round, in µs.
    figures: [Vec<f64>; 3],
    expected: usize,
    came: usize,
}

impl Ages {
    fn take(&mut self, mut sight: Sight) {
        sight.ages.sort();
        self.came += sight.ages.len();
        self.expected += sight.expected;
        let last = sight.ages.len().saturating_sub(1);
        for (share, figures) in [0.5, 0.99, 1.0].into_iter().zip(&mut self.figures) {
            let age = sight.ages.get((last as f64 * share) as usize);
            figures.push(age.map_or(f64::NAN, |age| age.as_secs_f64() * 1e6));
        }
    }
}

fn ages(stage: &Stage<'_>, rounds: usize, time: Duration) -> Outcome {
    let mut both: [Ages; 2] = Default::default();
    for _ in 0..rounds {
        for (whose, ages) in Whose::BOTH.into_iter().zip(&mut both) {
            let (_server, mut audience) = stage.open(whose)?;
            ages.take(audience.watch(Pace::Clock(EVERY), time)?);
        }
    }
    let [theirs, ours] = &both;
    let figures = ours.figures.iter().zip(&theirs.figures);
    for (percentile, (ours, theirs)) in NAMES.into_iter().zip(figures) {
        let what = format!("{}, age, {percentile}", people(stage.viewers));
        let (ours, theirs) = (Figure::of(ours.clone()), Figure::of(theirs.clone()));
        compare(&what, "µs", &ours, &theirs, Whose::Relay.name());
    }
    for (whose, ages) in Whose::BOTH.into_iter().zip(&both) {
        let (name, came, expected) = (whose.name(), ages.came, ages.expected);
        println!("    {name}: {came} of {expected} frames came");
    }
    Ok(())
}

/// The most frames that all viewers took, and what that was like.
#[derive(Default)]
struct Most {
    /// Frames a second, all viewers together.
    rate: f64,
    /// Frames that might be on their way.
    window: f64,
    missed: f64,
    /// Of one core, what the server used and what the load used.
    server: f64,
    load: f64,
}

impl Most {
    fn find(server: &Server, audience: &mut Audience) -> Outcome<Most> {
        let mut most = Most::default();
        for window in WINDOWS {
            let (since, before) = (Instant::now(), server.processor_time()?);
            let sight = audience.watch(Pace::Window(window), STEP)?;
            let used = server.processor_time()? - before;
            if sight.missed() > MISSED {
                break;
            }
            if sight.rate > most.rate {
                most = Most {
                    rate: sight.rate,
                    window: window as f64,
                    missed: sight.missed(),
                    server: used.as_secs_f64() / since.elapsed().as_secs_f64(),
                    load: sight.load,
                };
            }
        }
        Ok(most)
    }

    fn figure(rounds: &[Most], value: impl Fn(&Most) -> f64) -> Figure {
        Figure::of(rounds.iter().map(value).collect())
    }
}

fn most(stage: &Stage<'_>, rounds: usize) -> Outcome {
    let mut both = [vec![], vec![]];
    for _ in 0..rounds {
        for (whose, found) in Whose::BOTH.into_iter().zip(&mut both) {
            let (server, mut audience) = stage.open(whose)?;
            found.push(Most::find(&server, &mut audience)?);
        }
    }
    let [theirs, ours] = [&both[0], &both[1]].map(|rounds| Most::figure(rounds, |most| most.rate));
    let what = format!("{}, all together", people(stage.viewers));
    compare(&what, "frames/s", &ours, &theirs, Whose::Relay.name());
    for (whose, rounds) in Whose::BOTH.into_iter().zip(&both) {
        let median = |value: fn(&Most) -> f64| Most::figure(rounds, value).median;
        println!(
            "    {}: {:.0} frames/s to each, {:.0} on their way, {:.2} % missed; of one core, the server used \
             {:.0} %, the load {:.0} %",
            whose.name(),
            median(|most| most.rate) / stage.viewers as f64,
            median(|most| most.window),
            median(|most| most.missed) * 100.0,
            median(|most| most.server) * 100.0,
            median(|most| most.load) * 100.0,
        );
    }
    Ok(())
}

impl Stage<'_> {
    /// A server, with a camera and viewers who all get its frames.
    fn open(&self, whose: Whose) -> Outcome<(Server, Audience)> {
        let (server, mut audience) = match whose {
            Whose::Playhouse => self.open_playhouse()?,
            Whose::Relay => {
                let server = self.cores.for_server(Server::relay)??;
                let streams = (0..self.viewers).map(|_| TcpStream::connect(server.address));
                let streams = streams.collect::<Result<_, _>>()?;
                let camera = Camera::new(server.address, self.pictures)?;
                (server, Audience::new(camera, streams)?)
            }
        };
        audience.settle(EVERY, WARM_UP)?;
        Ok((server, audience))
    }

    fn open_playhouse(&self) -> Outcome<(Server, Audience)> {
        let no_videos = tempfile::tempdir()?;
        let keys = [("PLAYHOUSE__SERVER__THREADS", "1")];
        let start = || Server::playhouse(self.playhouse, no_videos.path(), &keys);
        let server = self.cores.for_server(start)??;
        let join = |n| videochat::join(server.address, &format!("viewer {n}"));
        let mut streams = (0..self.viewers).map(join).collect::<Outcome<Vec<_>>>()?;

        let mut camera = Camera::registered(server.address_of("tumip")?, self.pictures)?;
        let mut scout = Reader::new(videochat::join(server.address, "scout")?);
        let since = Instant::now();
        camera.send()?;
        while !scout.list()?.contains(&camera::channel()) {
            if since.elapsed() > PATIENCE {
                return Err("the camera's channel does not go on air".into());
            }
            thread::sleep(EVERY);
            camera.send()?;
        }
        for stream in &mut streams {
            videochat::choose(stream, &camera::channel())?;
        }
        Ok((server, Audience::new(camera, streams)?))
    }
}
