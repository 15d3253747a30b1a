//! Which videos there are, in which qualities. Watches the folder: videos come and go while the
//! house is open. A stream that has begun goes on with the files that it began with as long as they can
//! be read, and repeats their last good frame when they can't.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::WeakAddr;
use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};
use notify::{RecursiveMode, Watcher};
use playhouse_media::{Catalogue, ClipName, Reject, Video};

use crate::channel::Channel;
use crate::frame_pool::FramePool;
use crate::messages::{Observation, Observe};
use crate::studio::Studio;
use crate::viewing::Title;
use crate::watch;

/// A change of the folder is looked at when it has been quiet for so long: files are being copied.
const QUIET: Duration = Duration::from_millis(300);
/// The folder is looked at this often even if no change was reported: network folders report none.
const POLL: Duration = Duration::from_secs(15);

/// The names of all files, one a quality, and of the live channels.
#[derive(Message)]
#[rtype(result = "Vec<String>")]
pub struct FileNames;

/// The names of all videos and live channels.
#[derive(Message)]
#[rtype(result = "Vec<String>")]
pub struct VideoNames;

/// All videos, by name.
#[derive(Message)]
#[rtype(result = "Vec<Arc<Video>>")]
pub struct Videos;

/// The video with just this name.
#[derive(Message)]
#[rtype(result = "Option<Arc<Video>>")]
pub struct VideoNamed(pub String);

/// The live channel or video with this name, or the video that this file name belongs to.
#[derive(Message)]
#[rtype(result = "Option<Title>")]
pub struct Find(pub String);

/// A channel for each quality of a video.
#[derive(Message)]
#[rtype(result = "Vec<Addr<Channel>>")]
pub struct OpenChannels(pub Arc<Video>);

/// Something in the folder has changed.
#[derive(Message)]
#[rtype(result = "()")]
struct FolderChanged;

/// The one library.
pub struct Library {
    folder: PathBuf,
    catalogue: Arc<Catalogue>,
    pool: FramePool,
    studio: Arc<Studio>,
    arbiters: Vec<ArbiterHandle>,
    next_arbiter: usize,
    /// By clip; a channel lives as long as a streamer uses it.
    channels: HashMap<u64, WeakAddr<Channel>>,
    watcher: Option<notify::RecommendedWatcher>,
    /// The folder that is watched, whatever its name.
    watched: Option<(u64, u64)>,
    timer: Option<SpawnHandle>,
    scanning: bool,
    /// The folder changed while it was scanned.
    again: bool,
}

impl Library {
    /// The library of `folder`, of which `catalogue` is known, and of what is on air.
    pub fn new(
        folder: PathBuf,
        catalogue: Arc<Catalogue>,
        pool: FramePool,
        studio: Arc<Studio>,
        arbiters: Vec<ArbiterHandle>,
    ) -> Library {
        Library {
            folder,
            catalogue,
            pool,
            studio,
            arbiters,
            next_arbiter: 0,
            channels: HashMap::new(),
            watcher: None,
            watched: None,
            timer: None,
            scanning: false,
            again: false,
        }
    }

    fn watch(&mut self, ctx: &mut Context<Self>) -> notify::Result<()> {
        let me = ctx.address().downgrade();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Reading a file is no change; our own scans would report themselves for ever. Nor is
                // what happens to hidden files: recordings are written all the time.
                let change = event.is_ok_and(|event| {
                    let visible = |path: &PathBuf| !is_hidden(path);
                    let shown = event.paths.is_empty() || event.paths.iter().any(visible);
                    !event.kind.is_access() && shown
                });
                if let Some(library) = me.upgrade().filter(|_| change) {
                    library.do_send(FolderChanged);
                }
            })?;
        watcher.watch(&self.folder, RecursiveMode::NonRecursive)?;
        self.watcher = Some(watcher);
        self.watched = identity(&self.folder);
        Ok(())
    }

    /// Looks at the folder whether or not a change was reported; one that was made anew under the same
    /// name is watched anew.
    fn poll(&mut self, ctx: &mut Context<Self>) {
        let identity = identity(&self.folder);
        if identity.is_some() && identity != self.watched && self.watch(ctx).is_err() {
            self.watched = None;
        }
        self.scan(ctx);
    }

    fn scan(&mut self, ctx: &mut Context<Self>) {
        if self.scanning {
            self.again = true;
            return;
        }
        self.scanning = true;
        let (folder, known) = (self.folder.clone(), self.catalogue.clone());
        let scan = actix_rt::task::spawn_blocking(move || {
            Catalogue::scan(&folder, Some(&known), &mut |_, _| {})
        });
        scan.into_actor(self)
            .map(|scanned, this, ctx| {
                this.scanning = false;
                match scanned {
                    Ok(Ok(catalogue)) => this.shelve(catalogue),
                    Ok(Err(error)) => {
                        if !this.catalogue.videos.is_empty() {
                            tracing::warn!(folder = %this.folder.display(), %error, "the videos can't be listed");
                        }
                        this.shelve(Catalogue::default());
                    }
                    Err(error) => tracing::error!(%error, "the scan of the videos broke off"),
                }
                if std::mem::take(&mut this.again) {
                    this.scan(ctx);
                }
            })
            .spawn(ctx);
    }

    fn shelve(&mut self, catalogue: Catalogue) {
        log_changes(&self.catalogue, &catalogue);
        let old = std::mem::replace(&mut self.catalogue, Arc::new(catalogue));
        let clips = |catalogue: &Catalogue| -> Vec<u64> {
            let videos = catalogue.videos.values();
            videos
                .flat_map(|v| v.clips.iter().map(|clip| clip.id))
                .collect()
        };
        let kept = clips(&self.catalogue);
        for gone in clips(&old).into_iter().filter(|id| !kept.contains(id)) {
            self.pool.cache().forget(gone);
        }
        self.channels
            .retain(|_, channel| channel.upgrade().is_some());
    }

    fn channel(&mut self, clip: &Arc<playhouse_media::Clip>) -> Addr<Channel> {
        let running = self.channels.get(&clip.id).and_then(WeakAddr::upgrade);
        if let Some(channel) = running.filter(Addr::connected) {
            return channel;
        }
        let (clip, pool) = (clip.clone(), self.pool.clone());
        let (id, file) = (clip.id, clip.file_name.clone());
        self.next_arbiter = (self.next_arbiter + 1) % self.arbiters.len().max(1);
        let make = move |_: &mut Context<Channel>| Some(Channel::new(clip, pool));
        let ended = move |panic: Option<String>| {
            if let Some(panic) = panic {
                tracing::error!(file, panic, "a channel panicked");
            }
        };
        let arbiter = self.arbiters.get(self.next_arbiter).cloned();
        let channel = watch::start(&arbiter.unwrap_or_else(Arbiter::current), make, ended);
        self.channels.insert(id, channel.downgrade());
        channel
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// What tells a folder from another one of the same name: device and inode.
#[cfg(unix)]
fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}

/// Whether two scans found the same versions of the same files.
fn same_clips(a: &Video, b: &Video) -> bool {
    let ids = |video: &Video| -> Vec<u64> { video.clips.iter().map(|clip| clip.id).collect() };
    ids(a) == ids(b)
}

/// Logs each video, warning and refused file that `new` has and `old` had not, and what is gone.
pub fn log_changes(old: &Catalogue, new: &Catalogue) {
    for (name, video) in &new.videos {
        if old
            .videos
            .get(name)
            .is_some_and(|known| same_clips(known, video))
        {
            continue;
        }
        let qualities: Vec<&str> = video.clips.iter().map(|clip| &*clip.quality).collect();
        tracing::info!(
            video = name,
            ?qualities,
            frames = video.frame_count(),
            "video"
        );
    }
    for warning in new
        .warnings
        .iter()
        .filter(|warning| !old.warnings.contains(warning))
    {
        tracing::warn!(file = warning.file_name, warning.reason, "video file");
    }
    for name in old
        .videos
        .keys()
        .filter(|name| !new.videos.contains_key(*name))
    {
        tracing::info!(video = name, "video is gone");
    }
    let was_rejected = |reject: &&Reject| {
        let mut rejected = old.rejected.iter();
        rejected.any(|r| r.file_name == reject.file_name && r.reason == reject.reason)
    };
    for reject in new.rejected.iter().filter(|reject| !was_rejected(reject)) {
        tracing::warn!(
            file = reject.file_name,
            reason = reject.reason,
            "file is left out"
        );
    }
}

impl Actor for Library {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Err(error) = self.watch(ctx) {
            let every = POLL.as_secs();
            tracing::warn!(%error, every, "the videos folder can't be watched; it is looked at every so many seconds");
        }
        ctx.run_interval(POLL, Library::poll);
        // Whatever changed while nobody watched.
        self.scan(ctx);
    }
}

impl Handler<FolderChanged> for Library {
    type Result = ();

    fn handle(&mut self, _: FolderChanged, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = Some(ctx.run_later(QUIET, |this, ctx| {
            this.timer = None;
            this.scan(ctx);
        }));
    }
}

impl Handler<FileNames> for Library {
    type Result = Vec<String>;

    fn handle(&mut self, _: FileNames, _: &mut Context<Self>) -> Vec<String> {
        let mut names = self.catalogue.file_names();
        names.extend(self.studio.names());
        names
    }
}

impl Handler<VideoNames> for Library {
    type Result = Vec<String>;

    fn handle(&mut self, _: VideoNames, _: &mut Context<Self>) -> Vec<String> {
        let mut names = self.catalogue.names();
        let live = self.studio.names();
        // What is live hides a video of the same name: see `Find`.
        names.retain(|name| live.binary_search(name).is_err());
        names.extend(live);
        names
    }
}

impl Handler<Videos> for Library {
    type Result = Vec<Arc<Video>>;

    fn handle(&mut self, _: Videos, _: &mut Context<Self>) -> Vec<Arc<Video>> {
        self.catalogue.videos.values().cloned().collect()
    }
}

impl Handler<VideoNamed> for Library {
    type Result = Option<Arc<Video>>;

    fn handle(
        &mut self,
        VideoNamed(name): VideoNamed,
        _: &mut Context<Self>,
    ) -> Option<Arc<Video>> {
        self.catalogue.videos.get(&name).cloned()
    }
}

impl Handler<Find> for Library {
    type Result = Option<Title>;

    fn handle(&mut self, Find(choice): Find, _: &mut Context<Self>) -> Option<Title> {
        let live = |name: &str| self.studio.find(name).map(Title::Live);
        live(&choice)
            .or_else(|| self.catalogue.find(&choice).map(Title::Video))
            // Clients may choose a file of whatever there is.
            .or_else(|| live(&ClipName::parse(&choice)?.video))
    }
}

impl Handler<OpenChannels> for Library {
    type Result = Vec<Addr<Channel>>;

    fn handle(&mut self, OpenChannels(video): OpenChannels, _: &mut Context<Self>) -> Self::Result {
        video.clips.iter().map(|clip| self.channel(clip)).collect()
    }
}

impl Handler<Observe> for Library {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        let live = self
            .channels
            .values()
            .filter(|channel| channel.upgrade().is_some());
        Observation::Library {
            videos: self.catalogue.videos.len(),
            rejected: self.catalogue.rejected.len(),
            channels: live.count(),
        }
    }
}
