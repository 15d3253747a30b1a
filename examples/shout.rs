//! A house with one more service: who comes says a name and then lines, and hears all that is said in the
//! house in capitals. `nc localhost 7000` is a client.

use playhouse::Playhouse;
use playhouse::actix::{Actor, AsyncContext, Context};
use playhouse::bytes::Bytes;
use playhouse::service::{
    Conversation, Guest, Parting, Pump, Spoken, Step, TcpService, WireError, conversation,
    user_name,
};

/// Bytes of a line.
const MAX_LINE: usize = 1000;

/// The codec's way in: the next line, without its end.
fn decode(input: &[u8]) -> Result<Step<&[u8]>, WireError> {
    let end = input.iter().position(|&byte| byte == b'\n');
    match end.and_then(|end| Some((end + 1, input.get(..end)?))) {
        Some((used, line)) if line.len() <= MAX_LINE => Ok(Step::Got {
            message: line.trim_ascii(),
            used,
        }),
        None if input.len() <= MAX_LINE => Ok(Step::More { used: 0 }),
        _ => Err(WireError::new(0, "line", "a line has at most 1000 bytes")),
    }
}

/// The codec's way out, made once for everyone who is here.
fn encode(spoken: &Spoken<'_>) -> Bytes {
    let name = &spoken.from.name;
    let texts = spoken.texts.iter();
    let lines = texts.map(|text| format!("{name}: {}\n", String::from_utf8_lossy(text)));
    lines.collect::<String>().to_uppercase().into()
}

/// One connection.
struct ShoutConnection(Guest);

impl ShoutConnection {
    /// The first line is a name; with the lobby's answer to it this person is in the room.
    fn line(&mut self, line: &[u8], ctx: &mut Context<Self>) -> Result<(), WireError> {
        if self.0.person().is_none() {
            self.join_as(user_name(line)?, ctx);
        } else if !line.is_empty() {
            self.speak([Bytes::copy_from_slice(line)]);
        }
        Ok(())
    }
}

impl Actor for ShoutConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.expect_introduction(ctx);
        ctx.spawn(Pump);
    }
}

impl Conversation for ShoutConnection {
    fn guest(&mut self) -> &mut Guest {
        &mut self.0
    }

    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize {
        let mut at = 0;
        // What the house still works on makes the next line wait.
        while !self.0.link.is_waiting() {
            let step = decode(input.get(at..).unwrap_or_default());
            let done = step.and_then(|step| match step {
                Step::Got { message, used } => self.line(message, ctx).map(|()| used),
                _ => Ok(0),
            });
            match done {
                Ok(0) => break,
                Ok(used) => at += used,
                Err(error) => {
                    self.part(Parting::Fault(error.to_string()), ctx);
                    break;
                }
            }
        }
        at
    }
}

conversation!(ShoutConnection);

/// Its name, its port, who answers there, and its words.
pub fn shout() -> TcpService {
    let connection = |link, rooms| ShoutConnection(Guest::new(link, rooms));
    let shout = TcpService::new("shout", 7000, connection);
    shout.about("loud chat").words(encode)
}

fn main() -> Result<(), playhouse::Error> {
    Playhouse::builder().service(shout()).run()
}
