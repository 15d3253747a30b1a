//! A house with a service that counts: whoever connects gets the number of what was said since, a line each,
//! and everyone in the room hears that somebody looks on.

use std::sync::Arc;

use playhouse::Playhouse;
use playhouse::actix::{Actor, AsyncContext, Context};
use playhouse::bot::{Bot, Facts, HouseFacts, Reply, Topic};
use playhouse::bytes::Bytes;
use playhouse::service::{Conversation, Guest, Person, Pump, Spoken, TcpService, conversation};

struct Watcher(Guest);

impl Actor for Watcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.join_as("watcher", ctx);
        ctx.spawn(Pump);
    }
}

impl Conversation for Watcher {
    fn guest(&mut self) -> &mut Guest {
        &mut self.0
    }

    fn joined(&mut self, person: &Arc<Person>, _: &mut Context<Self>) {
        let text = format!("{} looks on", person.name);
        self.speak([Bytes::from(text)]);
        self.0.link.resume();
    }

    /// It listens to nobody.
    fn received(&mut self, input: &[u8], _: &mut Context<Self>) -> usize {
        input.len()
    }
}

conversation!(Watcher);

fn count(spoken: &Spoken<'_>) -> Bytes {
    format!("{} from {}\n", spoken.texts.len(), spoken.from.name).into()
}

/// Knows how many are here.
struct Porter(HouseFacts);

impl Bot for Porter {
    fn answer<'a>(&'a mut self, _: &'a str) -> Reply<'a> {
        Box::pin(async {
            let people = self.0.look(Topic::People).await;
            Ok(format!("{} are here", people.total))
        })
    }
}

fn main() -> std::process::ExitCode {
    let watch = TcpService::new("watch", 7001, |link, rooms| {
        Watcher(Guest::new(link, rooms))
    });
    Playhouse::builder()
        .service(watch.about("counts what is said").words(count))
        .bot("porter", |facts| Box::new(Porter(facts.clone())))
        .preset("chatroom.enabled", false)
        .command_line()
}
