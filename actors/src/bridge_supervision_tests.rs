//! One room across all services under panics: whoever makes it one is rebuilt, and what is said crosses
//! again.

use playhouse_protocols::videochat::ClientMessage;
use rsa::pkcs8::DecodePublicKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::history::Recall;
use crate::language::Padding;
use crate::messages::Service;
use crate::settings::Pace;
use crate::supervision_tests::{Client, Explode, Fixture};

/// Somebody in lan_chat.
async fn chatter(fixture: &Fixture) -> TcpStream {
    let address = fixture.address_of(Service::LanChat);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut welcome = [0; 25];
    stream.read_exact(&mut welcome).await.unwrap();
    stream
}

/// What is said in lan_chat reaches videochat, the bot answers there, and it is remembered.
async fn it_is_one_room(fixture: &Fixture, anna: &mut Client, chatter: &mut TcpStream, said: u64) {
    let remembered = || async {
        let history = fixture.house.household.history.addr().unwrap();
        let recall = Recall {
            before: None,
            limit: 100,
            query: Some("hello".to_owned()),
        };
        history.send(recall).await.unwrap().len() as u64
    };
    chatter.write_all(b"hello\n").await.unwrap();
    anna.until(|json| json["from"] == "127.0.0.1@lan_chat")
        .await;
    while remembered().await < said {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(remembered().await, said);

    let carl = Client::join(fixture.address(), "carl").await;
    let (list, _) = anna.until(|json| json["name"] == "carl").await;
    let key = list["data"]["bot"].as_str().expect("the bot is here");
    let key = rsa::RsaPublicKey::from_public_key_pem(key).unwrap();
    let block = Padding::Oaep.encrypt(&key, b"are you there?").unwrap();
    anna.send(&ClientMessage::Communication {
        encrypt_message: playhouse_protocols::videochat::cipher_text(&block).into(),
        to: None,
    })
    .await;
    anna.until(|json| json["identifier"] == "Communication" && json["from"] == "bot")
        .await;
    drop(carl);
    anna.until(|json| json["identifier"] == "AFK" && json["name"] == "carl")
        .await;
}

#[actix::test]
async fn whoever_makes_one_room_of_all_services_is_rebuilt() {
    let fixture = Fixture::open(Pace::Fast);
    let mut anna = Client::join(fixture.address(), "anna").await;
    let mut chatter = chatter(&fixture).await;
    fixture.people_are(2).await;
    it_is_one_room(&fixture, &mut anna, &mut chatter, 1).await;

    let household = &fixture.house.household;
    household.history.do_send(Explode);
    household.bot.do_send(Explode);
    let bridge = household.bridge.as_ref().unwrap();
    bridge
        .offices()
        .for_each(|(office, _)| office.interpreter.do_send(Explode));
    fixture.restarts_are(3).await;
    it_is_one_room(&fixture, &mut anna, &mut chatter, 2).await;

    household.lobby.do_send(Explode);
    fixture.restarts_are(4).await;
    fixture.people_are(2).await;
    it_is_one_room(&fixture, &mut anna, &mut chatter, 3).await;

    household
        .floors
        .iter()
        .for_each(|floor| floor.do_send(Explode));
    fixture.restarts_are(6).await;
    fixture.people_are(2).await;
    it_is_one_room(&fixture, &mut anna, &mut chatter, 4).await;
}
