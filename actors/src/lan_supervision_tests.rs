//! The plain services under panics: who plays the sound and who knows the file on offer are rebuilt, and
//! those who were there go on.

use playhouse_protocols::lan::BUFFER_SAMPLES;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::messages::{Observation, Service};
use crate::settings::{Pace, SAMPLE};
use crate::supervision_tests::{Explode, Fixture, PATIENCE};

async fn buffer(listener: &mut TcpStream) -> Vec<u8> {
    let mut buffer = vec![0; 2 * BUFFER_SAMPLES];
    let read = timeout(PATIENCE, listener.read_exact(&mut buffer));
    read.await.expect("no sound").unwrap();
    buffer
}

async fn fetched(fixture: &Fixture) -> Vec<u8> {
    let address = fixture.address_of(Service::LanFile);
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut all = Vec::new();
    let read = timeout(PATIENCE, client.read_to_end(&mut all));
    read.await.expect("no end").unwrap();
    all
}

#[actix::test]
async fn who_listens_goes_on_hearing_when_the_source_is_rebuilt() {
    let fixture = Fixture::open(Pace::Fast);
    let address = fixture.address_of(Service::LanAudio);
    let mut listener = TcpStream::connect(address).await.unwrap();
    while buffer(&mut listener).await.iter().all(|&byte| byte == 0) {}
    let audio = fixture.house.household.audio.as_ref().unwrap();
    audio.do_send(Explode);
    fixture.restarts_are(1).await;
    fixture
        .until(|state| matches!(state, Observation::AudioSource { hearers: 1, .. }))
        .await;
    while buffer(&mut listener).await.iter().all(|&byte| byte == 0) {}
}

#[actix::test]
async fn the_file_on_offer_is_known_again() {
    let fixture = Fixture::open(Pace::Fast);
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
    std::fs::write(fixture.folder().join(SAMPLE), &content).unwrap();
    assert!(fetched(&fixture).await == content);
    fixture.house.household.offer.do_send(Explode);
    fixture.restarts_are(1).await;
    assert!(fetched(&fixture).await == content);
}
