//! Live channels under panics: a channel, a viewing or a port ends alone, and the next one works.

use std::net::SocketAddr;
use std::sync::Arc;

use actix::prelude::*;
use actix_rt::Arbiter;
use bytes::Bytes;
use playhouse_media::{Catalogue, ClipDecoder, JpegEncoder};
use playhouse_protocols::videochat::{ClientMessage, ServerMessage};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::follower::Follower;
use crate::live_channel::{LiveFrame, Publish};
use crate::messages::Observation;
use crate::picture_port::{OpenPort, PicturePort};
use crate::settings::Pace;
use crate::streamer::Show;
use crate::supervision_tests::{Client, Explode, Fixture, PATIENCE};

fn jpeg(fixture: &Fixture) -> Bytes {
    let catalogue = Catalogue::scan(fixture.folder(), None, &mut |_, _| {}).unwrap();
    let clip = catalogue.videos["bars"].clips[0].clone();
    let picture = ClipDecoder::open(clip, 1).unwrap().next().unwrap();
    JpegEncoder::new(80).unwrap().encode(&picture).unwrap()
}

async fn send(port: &OpenPort, jpeg: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], port.port));
    socket.send_to(jpeg, to).await.unwrap();
}

fn open(fixture: &Fixture, name: &str) -> OpenPort {
    let rooms = fixture.rooms();
    let name: Arc<str> = name.into();
    PicturePort::open(
        &rooms.picture_ports,
        &rooms.studio,
        [127, 0, 0, 1].into(),
        &name,
    )
    .unwrap()
}

fn on_air(state: &Observation) -> bool {
    matches!(state, Observation::LiveChannel { on_air: true, .. })
}

async fn choose(client: &mut Client, name: &str) {
    let choice = name.into();
    client.send(&ClientMessage::VideoChoice { choice }).await;
    client
        .until(|json| json["identifier"] == "Video Frame")
        .await;
    match client.next().await {
        Some(ServerMessage::Frame(_)) => {}
        other => panic!("no frame: {other:?}"),
    }
}

#[actix::test]
async fn a_channel_that_panics_ends_for_its_viewers_and_comes_back() {
    let fixture = Fixture::open(Pace::Fast);
    let (jpeg, port) = (jpeg(&fixture), open(&fixture, "cam"));
    let mut anna = Client::join(fixture.address(), "anna").await;
    for _ in 0..2 {
        send(&port, &jpeg).await;
        fixture.until(on_air).await;
        choose(&mut anna, "cam").await;
        let channel = fixture.studio().find("cam").unwrap().channel;
        channel.do_send(Explode);
        anna.until(|json| json["identifier"] == "Video Finish")
            .await;
        assert!(fixture.studio().find("cam").is_none());
    }
    fixture.restarts_are(0).await;
}

#[actix::test]
async fn a_port_that_panics_is_closed() {
    let fixture = Fixture::open(Pace::Fast);
    let (jpeg, port) = (jpeg(&fixture), open(&fixture, "cam"));
    port.actor.do_send(Explode);
    fixture
        .until(|state| matches!(state, Observation::PicturePorts { open: 0, .. }))
        .await;
    assert!(!port.is_open());
    let again = open(&fixture, "cam");
    send(&again, &jpeg).await;
    fixture.until(on_air).await;
}

#[actix::test]
async fn a_follower_that_panics_ends_one_viewing() {
    struct Viewer(Option<oneshot::Sender<()>>);
    impl Actor for Viewer {
        type Context = Context<Self>;
    }
    impl Handler<Show> for Viewer {
        type Result = ();
        fn handle(&mut self, show: Show, _: &mut Context<Self>) {
            if matches!(show, Show::Failed)
                && let Some(failed) = self.0.take()
            {
                let _ = failed.send(());
            }
        }
    }
    let fixture = Fixture::open(Pace::Fast);
    let studio = fixture.studio();
    let name: Arc<str> = "cam".into();
    let feed = studio.open(&name, &Arbiter::current());
    let frame = LiveFrame {
        jpeg: jpeg(&fixture),
        width: 64,
        height: 24,
        at: Instant::now(),
    };
    feed.channel.send(Publish(frame)).await.unwrap();
    let (failed, failure) = oneshot::channel();
    let viewer = Viewer(Some(failed)).start().recipient();
    let broadcast = studio.find("cam").unwrap();
    let follower = Follower::new(studio.next_id(), broadcast, None, viewer).start_here();
    let viewers = |n| move |state: &Observation| matches!(state, Observation::LiveChannel { viewers, .. } if *viewers == n);
    fixture.until(viewers(1)).await;
    follower.do_send(Explode);
    let failure = tokio::time::timeout(PATIENCE, failure).await;
    failure.expect("nobody is told").unwrap();
    fixture.until(viewers(0)).await;
}
