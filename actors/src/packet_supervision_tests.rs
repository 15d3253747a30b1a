//! packetchat under panics: the endpoint and the list of files are rebuilt and go on with everything; a
//! session ends alone; who moves a file is woken up again.

use std::net::SocketAddr;
use std::time::Duration;

use actix::prelude::*;
use playhouse_protocols::packetchat::{CHUNK, Numbering, Request, Response, decode_response};
use tokio::net::UdpSocket;

use crate::endpoint::Endpoint;
use crate::messages::{Observation, Service};
use crate::roster::Mover;
use crate::settings::Pace;
use crate::supervision_tests::{Explode, Fixture, PATIENCE};

/// Makes everyone panic whom the endpoint knows.
#[derive(Message)]
#[rtype(result = "()")]
enum ExplodeThem {
    Sessions,
    Movers,
}

impl Handler<ExplodeThem> for Endpoint {
    type Result = ();

    fn handle(&mut self, them: ExplodeThem, _: &mut Context<Self>) {
        let roster = self.gate.roster();
        match them {
            ExplodeThem::Sessions => {
                for seat in roster.sessions.values() {
                    seat.actor.do_send(Explode);
                }
            }
            ExplodeThem::Movers => {
                for place in roster.transfers.values() {
                    match &place.mover {
                        Mover::Upload(upload) => upload.do_send(Explode),
                        Mover::Download(download) => download.do_send(Explode),
                        Mover::Asleep => panic!("nobody is at work"),
                    }
                }
            }
        }
    }
}

const NUMBERING: Numbering = Numbering::Client;

/// A client that repeats what is not answered.
struct Client {
    socket: UdpSocket,
    session: u64,
}

impl Client {
    async fn join(fixture: &Fixture, name: &str) -> Client {
        let services = &fixture.house.services;
        let packetchat = services
            .iter()
            .find(|(service, _)| *service == Service::Packetchat);
        let address: SocketAddr = packetchat.unwrap().1;
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(address).await.unwrap();
        let mut client = Client { socket, session: 0 };
        let name = name.as_bytes();
        client.session = client
            .ask(&Request::Session { name }, |response| match response {
                Response::Cookie { session, .. } => Some(session),
                _ => None,
            })
            .await;
        client
    }

    /// Asks until there is an answer that `what` understands.
    async fn ask<T>(&self, request: &Request<'_>, what: impl Fn(Response<'_>) -> Option<T>) -> T {
        let packet = request.packet();
        let answered = async {
            let mut came = vec![0; 65_536];
            loop {
                self.socket.send(&packet).await.unwrap();
                let answer = self.socket.recv(&mut came);
                let Ok(length) = tokio::time::timeout(Duration::from_millis(50), answer).await
                else {
                    continue;
                };
                let packet = &came[..length.unwrap()];
                if let Some(answer) = what(decode_response(packet, NUMBERING).unwrap()) {
                    return answer;
                }
            }
        };
        tokio::time::timeout(PATIENCE, answered)
            .await
            .expect("no answer")
    }

    /// The transaction to upload so many bytes in.
    async fn upload(&self, size: u32) -> u64 {
        let request = Request::Upload {
            session: self.session,
            size,
            name: b"file",
            numbering: NUMBERING,
        };
        self.ask(&request, |response| match response {
            Response::Upload { transaction, .. } => Some(transaction),
            _ => None,
        })
        .await
    }

    async fn put(&self, transaction: u64, chunk: u32, bytes: &[u8]) {
        let request = Request::UploadChunk {
            transaction,
            chunk,
            bytes,
            numbering: NUMBERING,
        };
        let same = Response::UploadChunk { transaction, chunk };
        self.ask(&request, |response| (response == same).then_some(()))
            .await;
    }

    async fn files(&self) -> Vec<u64> {
        let request = Request::Files {
            session: self.session,
            numbering: NUMBERING,
        };
        self.ask(&request, |response| match response {
            Response::Files(files) => Some(files),
            _ => None,
        })
        .await
    }

    async fn download(&self, file: u64) -> u64 {
        let request = Request::Download {
            session: self.session,
            file,
            numbering: NUMBERING,
        };
        self.ask(&request, |response| match response {
            Response::Download { transaction, .. } => Some(transaction),
            _ => None,
        })
        .await
    }

    async fn get(&self, transaction: u64, chunk: u32) -> Vec<u8> {
        let request = Request::DownloadChunk {
            transaction,
            chunk,
            numbering: NUMBERING,
        };
        self.ask(&request, |response| match response {
            Response::DownloadChunk {
                chunk: of, bytes, ..
            } if of == chunk => Some(bytes.to_vec()),
            _ => None,
        })
        .await
    }
}

fn endpoint(fixture: &Fixture) -> Addr<Endpoint> {
    fixture
        .house
        .household
        .endpoint
        .as_ref()
        .unwrap()
        .addr()
        .unwrap()
}

#[actix::test]
async fn an_endpoint_and_a_list_of_files_that_panic_are_rebuilt_and_go_on() {
    let fixture = Fixture::open(Pace::Fast);
    let anna = Client::join(&fixture, "anna").await;
    let transaction = anna.upload(300).await;
    anna.put(transaction, 1, &[1; 44]).await;
    endpoint(&fixture).do_send(Explode);
    fixture.house.household.files.do_send(Explode);
    fixture.restarts_are(2).await;
    anna.put(transaction, 0, &[0; CHUNK]).await;
    let files = anna.files().await;
    assert_eq!(files.len(), 1);
    let download = anna.download(files[0]).await;
    assert_eq!(anna.get(download, 1).await, [1; 44]);
    fixture.people_are(1).await;
}

#[actix::test]
async fn a_session_that_panics_ends_alone() {
    let fixture = Fixture::open(Pace::Fast);
    let _anna = Client::join(&fixture, "anna").await;
    endpoint(&fixture).do_send(ExplodeThem::Sessions);
    fixture.people_are(0).await;
    let gone = |state: &Observation| matches!(state, Observation::Endpoint { sessions: 0, .. });
    fixture.until(gone).await;
    let ben = Client::join(&fixture, "anna").await;
    assert!(ben.files().await.is_empty());
    fixture.people_are(1).await;
    fixture.restarts_are(0).await;
}

#[actix::test]
async fn who_moves_a_file_and_panics_is_woken_up_again() {
    let fixture = Fixture::open(Pace::Fast);
    let anna = Client::join(&fixture, "anna").await;
    let transaction = anna.upload(600).await;
    anna.put(transaction, 2, &[2; 88]).await;
    endpoint(&fixture).do_send(ExplodeThem::Movers);
    anna.put(transaction, 0, &[0; CHUNK]).await;
    endpoint(&fixture).do_send(ExplodeThem::Movers);
    anna.put(transaction, 1, &[1; CHUNK]).await;
    let download = anna.download(anna.files().await[0]).await;
    assert_eq!(anna.get(download, 2).await, [2; 88]);
    endpoint(&fixture).do_send(ExplodeThem::Movers);
    assert_eq!(anna.get(download, 0).await, [0; CHUNK]);
    assert_eq!(anna.get(download, 1).await, [1; CHUNK]);
    fixture.restarts_are(0).await;
}
